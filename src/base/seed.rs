//! One seed, named streams.
//!
//! A stream is keyed by its purpose (a name and an index), so that one draw more in one place moves
//! nothing in another. Only raw 64-bit words are taken from the generator (`rand_chacha` promises
//! those for ChaCha8); the mapping to ranges and orders is ours, because derived sampling in `rand`
//! may change its values in a minor release (The Rust Rand Book, "Reproducibility").

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Ratio;

/// The one number a generated world comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream for `purpose`, the `index`-th of its kind.
    ///
    /// The 32-byte key of the generator is: the seed, the index, and a 128-bit FNV-1a hash of the
    /// purpose, all little endian.
    #[must_use]
    pub fn stream(self, purpose: &str, index: u64) -> Stream {
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in purpose.bytes() {
            hash ^= u128::from(byte);
            hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16..].copy_from_slice(&hash.to_le_bytes());
        Stream(ChaCha8Rng::from_seed(key))
    }
}

/// A sequence of draws for one purpose.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The next 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, by multiply-shift (bias below `bound` / 2^64).
    ///
    /// # Panics
    ///
    /// When `bound` is zero: there is no such number.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing is below zero");
        u64::try_from((u128::from(self.word()) * u128::from(bound)) >> 64)
            .expect("a product of two 64-bit numbers has 64 high bits")
    }

    /// An index below `len`; see [`below`](Self::below).
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// Whether an event of this probability happens now. Always draws one word.
    pub fn chance(&mut self, ratio: Ratio) -> bool {
        self.below(u64::from(ratio.denominator())) < u64::from(ratio.numerator())
    }

    /// One of the choices, `None` when there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        if choices.is_empty() { None } else { choices.get(self.index(choices.len())) }
    }

    /// One of the choices with the given weights.
    ///
    /// # Panics
    ///
    /// When the weights sum to zero.
    pub fn weighted<'a, T>(&mut self, choices: &'a [(u32, T)]) -> &'a T {
        let total: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            match left.checked_sub(u64::from(*weight)) {
                None => return choice,
                Some(rest) => left = rest,
            }
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// Puts `items` into an order drawn from this stream (Fisher–Yates, from the last down).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }
}

/// The words of a stream as `rand` wants them, for generators and faults that users write.
impl rand::TryRng for Stream {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.0.try_fill_bytes(dst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_draw_more_in_one_stream_moves_no_other() {
        let seed = Seed(7);
        let mut schedule = seed.stream("schedule", 0);
        let first = schedule.word();

        seed.stream("topology", 0).word();

        assert_eq!(seed.stream("schedule", 0).word(), first);
    }

    #[test]
    fn purpose_index_and_seed_each_give_another_stream() {
        let word = |seed, purpose, index| Seed(seed).stream(purpose, index).word();
        let words = [word(7, "a", 0), word(7, "a", 1), word(7, "b", 0), word(8, "a", 0)];
        for (i, first) in words.iter().enumerate() {
            for second in &words[i + 1..] {
                assert_ne!(first, second);
            }
        }
    }

    #[test]
    fn below_reaches_each_value_and_no_other() {
        let mut stream = Seed(1).stream("below", 0);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[stream.index(5)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 150), "{seen:?}");
    }
}
