//! How far a pointer misses.

use rand::Rng;
use rand::distr::Distribution;

/// Distances with a heavy tail: half of them are drawn within 8 bytes, half of the rest within 16,
/// and so on up to 2^40. Either sign is as likely; three in four are whole words.
///
/// "Most overlays are small and corrupt data near the data that the programmer meant to update"
/// (Sullivan and Chillarege, "Software Defects and their Impact on System Availability", FTCS 1991).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeavyTail;

impl Distribution<i64> for HeavyTail {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> i64 {
        let doublings = rng.next_u64().trailing_zeros().min(37);
        let within = 8u64 << doublings;
        let bytes = 1 + rng.next_u64() % within;
        let shape = rng.next_u64();
        let bytes = if shape & 3 != 0 { bytes.next_multiple_of(8) } else { bytes };
        let bytes = i64::try_from(bytes).expect("at most 2^40 and 8");
        if shape & 4 == 0 { bytes } else { -bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    #[test]
    fn near_misses_come_first_and_far_ones_do_come() {
        let mut stream = Seed(1).stream("heavy-tail", 0);
        let draws: Vec<i64> = (0..4000).map(|_| HeavyTail.sample(&mut stream)).collect();

        let share = |bytes: i64| {
            draws.iter().filter(|draw| draw.abs() <= bytes).count() * 100 / draws.len()
        };
        assert!(draws.iter().all(|&draw| draw != 0));
        assert!((60..75).contains(&share(8)), "{}", share(8));
        assert!(share(4096) < 100, "some leave the page");
        assert!(draws.iter().any(|&draw| draw < 0) && draws.iter().any(|&draw| draw > 0));
    }

    #[test]
    fn a_seed_means_the_same_everywhere() {
        let mut stream = Seed(7).stream("heavy-tail", 0);
        let draws: [i64; 6] = core::array::from_fn(|_| HeavyTail.sample(&mut stream));
        assert_eq!(draws, [-4, 11, -8, -4, -40, 8]);
    }
}
