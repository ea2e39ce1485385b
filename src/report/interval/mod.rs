//! What a share observed over generated worlds says about the generator.
//!
//! The sampling unit is the generated world, not the experiment: experiments on one world resemble
//! each other, and a thousand on one world say less than one on each of a thousand. So a share is a
//! ratio of two sums over worlds (events / experiments), its variance is the linearised one of the
//! ratio estimator (Cochran, *Sampling Techniques*, "Ratio estimators"), and the interval is
//! Wilson's with the effective number of experiments in place of the real one and Student's t with
//! worlds − 1 degrees of freedom in place of the normal quantile (Franco, Little, Louis and Slud,
//! "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys", Journal of
//! Survey Statistics and Methodology, 2019). The effective number is never taken above the real one
//! (Korn and Graubard, "Confidence Intervals for Proportions with Small Expected Number of Positive
//! Counts Estimated from Survey Data", Survey Methodology, 1998).
//!
//! Counts are integers and stay exact. Floating point appears only here, when they are told, and
//! only as sums, products, quotients and square roots, which IEEE 754 rounds the same everywhere.

mod difference;
mod quantile;

use core::fmt;

pub use self::difference::{DifferenceEstimate, DifferenceSample, signed_count};

use self::quantile::{bound_of_none_in, t_quantile, to_float, wilson};

/// What stands under every table of intervals.
pub const CAPTION: &str =
    "95 % intervals over this generator; the sampling unit is the generated world";

/// Outcomes counted in one generated world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WorldCount {
    /// How many experiments ended in the outcome of interest.
    pub events: u64,
    /// Out of how many.
    pub experiments: u64,
}

/// Counts over worlds, as the exact sums an [`Estimate`] needs: adding is commutative and
/// associative, so the order of worlds and the number of workers don't matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    worlds: u64,
    worlds_with_events: u64,
    worlds_with_only_events: u64,
    events: u64,
    experiments: u64,
    events_squared: u128,
    events_by_experiments: u128,
    experiments_squared: u128,
}

impl Sample {
    /// Takes in one world. A world without any experiment says nothing about the share and is not
    /// counted.
    ///
    /// # Panics
    ///
    /// When there are more events than experiments.
    pub fn add(&mut self, world: WorldCount) {
        let WorldCount { events, experiments } = world;
        assert!(events <= experiments, "an experiment has an outcome once");
        if experiments == 0 {
            return;
        }
        self.worlds += 1;
        self.worlds_with_events += u64::from(events > 0);
        self.worlds_with_only_events += u64::from(events == experiments);
        self.events += events;
        self.experiments += experiments;
        self.events_squared += u128::from(events) * u128::from(events);
        self.events_by_experiments += u128::from(events) * u128::from(experiments);
        self.experiments_squared += u128::from(experiments) * u128::from(experiments);
    }

    /// Takes in the worlds of another sample.
    pub const fn merge(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.worlds_with_events += other.worlds_with_events;
        self.worlds_with_only_events += other.worlds_with_only_events;
        self.events += other.events;
        self.experiments += other.experiments;
        self.events_squared += other.events_squared;
        self.events_by_experiments += other.events_by_experiments;
        self.experiments_squared += other.experiments_squared;
    }

    /// Worlds with at least one experiment.
    #[must_use]
    pub const fn worlds(&self) -> u64 {
        self.worlds
    }

    /// Worlds with at least one event.
    #[must_use]
    pub const fn worlds_with_events(&self) -> u64 {
        self.worlds_with_events
    }

    /// Events in all worlds.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Experiments in all worlds.
    #[must_use]
    pub const fn experiments(&self) -> u64 {
        self.experiments
    }

    /// What the sample says about the share of events.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let Self { worlds, events, experiments, .. } = *self;
        match worlds {
            0 => Estimate::Nothing,
            1 => Estimate::Exact { share: quotient(events, experiments) },
            _ if events == 0 => Estimate::Never { worlds_at_most: bound_of_none_in(worlds) },
            _ if events == experiments => {
                Estimate::Always { worlds_at_least: 1.0 - bound_of_none_in(worlds) }
            }
            _ => {
                let share = quotient(events, experiments);
                let design_effect = self.design_effect(share);
                let effective = to_float(experiments.into()) / design_effect.max(1.0);
                let (low, high) = wilson(share, effective, t_quantile(worlds - 1));
                Estimate::Between { share, low, high, design_effect }
            }
        }
    }

    /// Variance of the share over worlds, in multiples of what as many independent experiments
    /// would have.
    fn design_effect(&self, share: f64) -> f64 {
        let worlds = to_float(self.worlds.into());
        let experiments = to_float(self.experiments.into());
        let residuals = self.squared_residuals();
        let variance = worlds / (worlds - 1.0) * residuals / (experiments * experiments);
        variance / (share * (1.0 - share) / experiments)
    }

    /// Σ (events − share × experiments)² over worlds: exact integers multiplied by the square of
    /// all experiments, as long as they fit 128 bits (any sample of up to a billion experiments does),
    /// then floating point.
    fn squared_residuals(&self) -> f64 {
        let (events, experiments) = (u128::from(self.events), u128::from(self.experiments));
        let exact = || {
            let plus = experiments
                .checked_mul(experiments)?
                .checked_mul(self.events_squared)?
                .checked_add(events.checked_mul(events)?.checked_mul(self.experiments_squared)?)?;
            let minus = events
                .checked_mul(experiments)?
                .checked_mul(self.events_by_experiments)?
                .checked_mul(2)?;
            Some(to_float(plus - minus) / (to_float(experiments) * to_float(experiments)))
        };
        exact().unwrap_or_else(|| {
            let share = to_float(events) / to_float(experiments);
            let plus =
                to_float(self.events_squared) + share * share * to_float(self.experiments_squared);
            (plus - 2.0 * share * to_float(self.events_by_experiments)).max(0.0)
        })
    }
}

impl FromIterator<WorldCount> for Sample {
    fn from_iter<I: IntoIterator<Item = WorldCount>>(worlds: I) -> Self {
        let mut sample = Self::default();
        for world in worlds {
            sample.add(world);
        }
        sample
    }
}

/// What counts over worlds say about the generator, at 95 %.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Estimate {
    /// Nothing was counted.
    Nothing,
    /// One world: what was counted there, which says nothing about any other world and has no interval.
    Exact {
        /// Events / experiments.
        share: f64,
    },
    /// No event in any world. Experiments of one world may stand or fall together, so the bound is
    /// on worlds.
    Never {
        /// The exact (Clopper–Pearson, one-sided) upper bound on the share of worlds in which an
        /// event would be seen.
        worlds_at_most: f64,
    },
    /// Nothing but events in every world.
    Always {
        /// The exact (Clopper–Pearson, one-sided) lower bound on the share of worlds in which
        /// nothing but events would be seen.
        worlds_at_least: f64,
    },
    /// An interval.
    Between {
        /// Events / experiments.
        share: f64,
        /// Its lower bound.
        low: f64,
        /// Its upper bound.
        high: f64,
        /// Variance over worlds in multiples of what as many independent experiments would have:
        /// how much the experiments of one world resemble each other.
        design_effect: f64,
    },
}

impl Estimate {
    /// The share and its bounds, as far as there are any.
    #[must_use]
    pub const fn numbers(&self) -> (Option<f64>, Option<f64>, Option<f64>) {
        match *self {
            Self::Between { share, low, high, .. } => (Some(share), Some(low), Some(high)),
            Self::Exact { share } => (Some(share), None, None),
            Self::Always { .. } => (Some(1.0), None, None),
            Self::Never { .. } | Self::Nothing => (None, None, None),
        }
    }
}

impl fmt::Display for Estimate {
    /// `–`, `12.3%`, `0% (< 3.0% of worlds)`, `100% (> 97.0% of worlds)` or `12.3% [10.1, 14.9]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match *self {
            Self::Nothing => "–".to_owned(),
            Self::Exact { share } => format!("{}%", percent(share)),
            Self::Never { worlds_at_most } => {
                format!("0% (< {}% of worlds)", percent(worlds_at_most))
            }
            Self::Always { worlds_at_least } => {
                format!("100% (> {}% of worlds)", percent(worlds_at_least))
            }
            Self::Between { share, low, high, .. } => {
                format!("{}% [{}, {}]", percent(share), percent(low), percent(high))
            }
        })
    }
}

/// A share in per cent: one decimal, and as many more near 0 and 100 as it takes to tell it from
/// them, up to four.
#[must_use]
pub fn percent(share: f64) -> String {
    let hundredfold = share * 100.0;
    if share == 0.0 || share == 1.0 {
        return format!("{hundredfold:.0}");
    }
    let distance = hundredfold.min(100.0 - hundredfold);
    if distance < 0.000_05 {
        return if share < 0.5 { "<0.0001".to_owned() } else { ">99.9999".to_owned() };
    }
    let decimals = [(0.1, 1), (0.01, 2), (0.001, 3)];
    let decimals = decimals.iter().find(|(least, _)| distance >= *least).map_or(4, |found| found.1);
    format!("{hundredfold:.decimals$}")
}

fn quotient(numerator: u64, denominator: u64) -> f64 {
    to_float(numerator.into()) / to_float(denominator.into())
}

#[cfg(test)]
mod tests;
