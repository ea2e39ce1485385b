//! The few functions of probability that an interval needs.

/// Wilson's interval for `share` of `effective` independent experiments at the given quantile
/// (Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the
/// American Statistical Association, 1927).
pub(super) fn wilson(share: f64, effective: f64, quantile: f64) -> (f64, f64) {
    let square = quantile * quantile;
    let scale = 1.0 + square / effective;
    let centre = (share + square / (2.0 * effective)) / scale;
    let variance = share * (1.0 - share) / effective + square / (4.0 * effective * effective);
    let half = quantile * variance.sqrt() / scale;
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The share of worlds with an event that 95 % of samples of `worlds` worlds would have shown: the
/// solution of (1 − share)^worlds = 0.05, found by bisection because powers of the mathematical
/// library are not rounded the same everywhere.
pub(super) fn bound_of_none_in(worlds: u64) -> f64 {
    /// Halvings of the unit interval; a double has 53 significant bits.
    const HALVINGS: usize = 60;
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if power(1.0 - middle, worlds) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut left) = (1.0, base, exponent);
    while left > 0 {
        if left % 2 == 1 {
            result *= square;
        }
        square *= square;
        left /= 2;
    }
    result
}

/// The 97.5 % quantile of Student's t distribution.
///
/// Up to 30 degrees of freedom as tabulated (NIST/SEMATECH e-Handbook of Statistical Methods,
/// "Critical Values of the Student's t Distribution"), above by the expansion in powers of the
/// degrees' reciprocal (Abramowitz and Stegun, *Handbook of Mathematical Functions*, "Student's
/// t-Distribution": "Asymptotic Expansion for the Inverse Function"), whose error is then below
/// 0.0001.
pub(super) fn t_quantile(degrees: u64) -> f64 {
    const TABULATED: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    const NORMAL: f64 = 1.959_963_984_540_054;
    let tabulated = degrees.checked_sub(1).and_then(|row| usize::try_from(row).ok());
    if let Some(&quantile) = tabulated.and_then(|row| TABULATED.get(row)) {
        return quantile;
    }
    let z = NORMAL;
    let degrees = to_float(degrees.into());
    let cube = z * z * z;
    let first = (cube + z) / 4.0;
    let second = (5.0 * cube * z * z + 16.0 * cube + 3.0 * z) / 96.0;
    z + first / degrees + second / (degrees * degrees)
}

#[expect(clippy::cast_precision_loss, reason = "a printed share has at most six digits")]
pub(super) fn to_float(count: u128) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() < tolerance, "{found} instead of {expected}");
    }

    /// Newcombe, "Two-Sided Confidence Intervals for the Single Proportion", Statistics in Medicine,
    /// 1998, table I, method 3.
    #[test]
    fn wilson_is_as_published() {
        let published = [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0000, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ];
        for (events, of, low, high) in published {
            let (found_low, found_high) = wilson(events / of, of, 1.959_964);

            assert_near(found_low, low, 0.000_05);
            assert_near(found_high, high, 0.000_05);
        }
    }

    /// NIST/SEMATECH e-Handbook of Statistical Methods, "Critical Values of the Student's t
    /// Distribution", column 0.975.
    #[test]
    fn the_expansion_continues_the_table() {
        let published = [(30, 2.042), (31, 2.040), (40, 2.021), (60, 2.000), (100, 1.984)];
        for (degrees, expected) in published {
            assert_near(t_quantile(degrees), expected, 0.000_6);
        }
        assert_near(t_quantile(u64::MAX), 1.959_964, 0.000_001);
        for degrees in 1..200 {
            assert!(t_quantile(degrees) > t_quantile(degrees + 1), "at {degrees}");
        }
    }

    /// The bound is 1 − 0.05^(1/worlds): for two worlds 1 − √0.05 = 0.776393, for one 0.95; for many
    /// it nears −ln 0.05 / worlds = 2.9957 / worlds, the "rule of three" (Hanley and
    /// Lippman-Hand, "If Nothing Goes Wrong, Is Everything All Right?", JAMA, 1983).
    #[test]
    fn none_in_so_many_worlds_is_bounded_exactly() {
        assert_near(bound_of_none_in(1), 0.95, 1e-12);
        assert_near(bound_of_none_in(2), 0.776_393_202_25, 1e-10);
        assert_near(bound_of_none_in(1_000_000), 2.9957e-6, 1e-9);
        assert!(bound_of_none_in(u64::MAX) >= 0.0);
    }
}
