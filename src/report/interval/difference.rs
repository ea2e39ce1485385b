//! What differences between two counts, world by world, say about the generator.
//!
//! The same faults are tried in both, so that a world's two counts go together and what the worlds have in
//! common drops out of their difference. The difference of the totals is the sum of the worlds' differences;
//! its variance is that of a sum of as many independent differences as there are worlds, estimated from their
//! scatter, and its interval is Student's (Cochran, *Sampling Techniques*, "Simple Random Sampling": the
//! estimate of a population total and its confidence limits), with worlds − 1 degrees of freedom.

use core::fmt;

use super::quantile::{bound_of_none_in, t_quantile, to_float};

/// Differences over worlds, as the exact sums an interval needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DifferenceSample {
    worlds: u64,
    worlds_differing: u64,
    total: i64,
    squares: u128,
}

impl DifferenceSample {
    /// Takes in one world's two counts.
    pub fn add(&mut self, before: u64, after: u64) {
        let difference = i64::try_from(i128::from(after) - i128::from(before)).unwrap_or(i64::MAX);
        self.worlds += 1;
        self.worlds_differing += u64::from(difference != 0);
        self.total += difference;
        self.squares +=
            u128::from(difference.unsigned_abs()) * u128::from(difference.unsigned_abs());
    }

    /// Worlds.
    #[must_use]
    pub const fn worlds(&self) -> u64 {
        self.worlds
    }

    /// Worlds in which the counts differ.
    #[must_use]
    pub const fn worlds_differing(&self) -> u64 {
        self.worlds_differing
    }

    /// The difference over all worlds.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.total
    }

    /// What the sample says about the generator.
    #[must_use]
    pub fn estimate(&self) -> DifferenceEstimate {
        let difference = self.total;
        match self.worlds {
            0 => DifferenceEstimate::Nothing,
            1 => DifferenceEstimate::Exact { difference },
            worlds if self.worlds_differing == 0 => {
                DifferenceEstimate::Never { worlds_at_most: bound_of_none_in(worlds) }
            }
            worlds => {
                // worlds × Σ d² − (Σ d)², an integer and never negative.
                let total = u128::from(difference.unsigned_abs());
                let scatter = u128::from(worlds) * self.squares - total * total;
                if scatter == 0 {
                    // Worlds that are all alike show no scatter; that is not certainty.
                    let worlds_at_most = bound_of_none_in(worlds);
                    return DifferenceEstimate::Alike { difference, worlds_at_most };
                }
                let variance = to_float(scatter) / to_float(u128::from(worlds - 1));
                let half = t_quantile(worlds - 1) * variance.sqrt();
                let magnitude = to_float(total);
                let middle = if difference < 0 { -magnitude } else { magnitude };
                DifferenceEstimate::Between { difference, low: middle - half, high: middle + half }
            }
        }
    }
}

impl FromIterator<(u64, u64)> for DifferenceSample {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(worlds: I) -> Self {
        let mut sample = Self::default();
        for (before, after) in worlds {
            sample.add(before, after);
        }
        sample
    }
}

/// What differences over worlds say about the generator, at 95 %.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum DifferenceEstimate {
    /// Nothing was counted.
    Nothing,
    /// One world: an exact difference.
    Exact {
        /// After minus before.
        difference: i64,
    },
    /// No difference in any world. The bound is on worlds, as faults of one world resemble each other.
    Never {
        /// The exact (Clopper–Pearson, one-sided) upper bound on the share of worlds in which there would
        /// be a difference.
        worlds_at_most: f64,
    },
    /// The same difference in every world, which tells no scatter. The bound is on worlds, as above.
    Alike {
        /// After minus before.
        difference: i64,
        /// The upper bound on the share of worlds in which it would be another.
        worlds_at_most: f64,
    },
    /// An interval for the difference over as many worlds.
    Between {
        /// After minus before.
        difference: i64,
        /// Its lower bound.
        low: f64,
        /// Its upper bound.
        high: f64,
    },
}

/// A number with its sign, a true minus.
fn signed(number: f64) -> String {
    let whole = format!("{:.0}", number.abs());
    match whole.as_str() {
        "0" => whole,
        _ if number < 0.0 => format!("−{whole}"),
        _ => format!("+{whole}"),
    }
}

/// A difference with its sign.
#[must_use]
pub fn signed_count(number: i64) -> String {
    match number {
        0 => "0".to_owned(),
        1.. => format!("+{number}"),
        _ => format!("−{}", number.unsigned_abs()),
    }
}

impl fmt::Display for DifferenceEstimate {
    /// `–`, `−12`, `0 (< 4.9% of worlds)`, `−12 (else < 4.9% of worlds)` or `−12 [−20, −4]`, bounds rounded
    /// outwards.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match *self {
            Self::Nothing => "–".to_owned(),
            Self::Exact { difference } => signed_count(difference),
            Self::Never { worlds_at_most } => {
                format!("0 (< {}% of worlds)", super::percent(worlds_at_most))
            }
            Self::Alike { difference, worlds_at_most } => {
                let (difference, bound) =
                    (signed_count(difference), super::percent(worlds_at_most));
                format!("{difference} (else < {bound}% of worlds)")
            }
            Self::Between { difference, low, high } => {
                let (low, high) = (signed(low.floor()), signed(high.ceil()));
                format!("{} [{low}, {high}]", signed_count(difference))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(worlds: &[(u64, u64)]) -> DifferenceSample {
        worlds.iter().copied().collect()
    }

    #[test]
    fn worlds_that_are_all_alike_are_no_certainty() {
        let found = sample(&[(5, 3), (9, 7)]).estimate();

        let DifferenceEstimate::Alike { difference, worlds_at_most } = found else {
            panic!("{found:?}")
        };
        // Of two worlds none was otherwise: 1 − √0.05.
        assert_eq!(difference, -4);
        assert!((worlds_at_most - 0.7764).abs() < 0.001, "{worlds_at_most}");
        assert!(found.to_string().starts_with("−4 (else < 7"), "{found}");
    }

    #[test]
    fn the_interval_is_students_for_a_sum_of_differences() {
        // Differences 1, 2, 3, 4: sum 10, variance 5/3, standard error of the sum √(4 · 5/3) = 2.582;
        // t(3) = 3.182, so 8.216 to either side.
        let found = sample(&[(5, 6), (0, 2), (1, 4), (3, 7)]).estimate();

        let DifferenceEstimate::Between { difference, low, high } = found else {
            panic!("{found:?}")
        };
        assert_eq!(difference, 10);
        assert!((low - 1.784).abs() < 0.01 && (high - 18.216).abs() < 0.01, "{low} {high}");
        assert_eq!(found.to_string(), "+10 [+1, +19]");
    }

    #[test]
    fn what_is_common_to_both_counts_drops_out() {
        let apart = sample(&[(100, 90), (0, 0), (50, 45)]);
        let shifted = sample(&[(1100, 1090), (7, 7), (50, 45)]);

        assert_eq!(apart.estimate(), shifted.estimate());
        assert_eq!(apart.worlds_differing(), 2);
    }

    #[test]
    fn no_difference_anywhere_bounds_the_worlds_and_one_world_is_exact() {
        let never = sample(&[(3, 3); 60]).estimate();

        assert_eq!(never.to_string(), "0 (< 4.9% of worlds)");
        assert_eq!(sample(&[(9, 2)]).estimate().to_string(), "−7");
        assert_eq!(sample(&[]).estimate().to_string(), "–");
        // A variance of 2 each, so 4 of the sum; t(1) = 12.706 standard errors of 2.
        assert_eq!(sample(&[(2, 1), (1, 2)]).estimate().to_string(), "0 [−26, +26]");
    }
}
