//! Simpler numbers.

/// Numbers between `simplest` and `value`, without `value` itself, from the simplest on: first the
/// simplest, then ever closer to `value` by halves, last its direct neighbour.
///
/// The neighbour makes a result one-minimal: no number one step simpler fails. Where failing is
/// monotonous, each round of the minimiser halves the distance.
///
/// ```
/// use ringfence::minimise::towards;
///
/// assert_eq!(towards(100, 0), [0, 50, 75, 88, 94, 97, 99]);
/// assert_eq!(towards(0, 6), [6, 3, 1]);
/// assert!(towards(6, 6).is_empty());
/// ```
#[must_use]
pub fn towards(value: u64, simplest: u64) -> Vec<u64> {
    let mut distance = value.abs_diff(simplest);
    let mut candidates = Vec::new();
    while distance > 0 {
        candidates.push(if value > simplest { value - distance } else { value + distance });
        distance /= 2;
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simplest_comes_first_and_the_neighbour_last() {
        for (value, simplest) in [(1000, 3), (3, 1000), (1, 0), (u64::MAX, 0), (0, u64::MAX)] {
            let candidates = towards(value, simplest);

            assert_eq!(candidates.first(), Some(&simplest));
            assert_eq!(candidates.last().map(|last| last.abs_diff(value)), Some(1));
            assert!(candidates.len() <= 64);
        }
    }

    #[test]
    fn every_candidate_is_strictly_closer_to_the_simplest() {
        for value in 0..40u64 {
            for simplest in 0..40 {
                for candidate in towards(value, simplest) {
                    assert!(candidate.abs_diff(simplest) < value.abs_diff(simplest));
                }
            }
        }
    }
}
