//! Fingerprints of what happened: a 128-bit rolling hash over events and a fold over results.
//!
//! Not cryptographic: it tells two runs apart, it does not resist an adversary. The mixing step is
//! a 64-bit multiplication folded onto itself, twice with different constants.

use core::fmt;

const LANE_A: u64 = 0x9e37_79b9_7f4a_7c15;
const LANE_B: u64 = 0xd6e8_feb8_6659_fd93;

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A rolling hash over a sequence of words. Order matters; two sequences that differ anywhere
/// almost surely differ in the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct TraceHash {
    a: u64,
    b: u64,
}

impl Default for TraceHash {
    fn default() -> Self {
        Self { a: LANE_B, b: LANE_A }
    }
}

impl TraceHash {
    /// Takes in two words.
    #[inline(always)]
    pub const fn absorb(&mut self, x: u64, y: u64) {
        self.a = fold(self.a ^ x, LANE_A ^ y).wrapping_add(self.b);
        self.b = fold(self.b ^ y, LANE_B ^ x.rotate_left(32)).wrapping_add(x);
    }

    /// Takes in an event's words: two multiplications, the price of the inner loop.
    #[inline(always)]
    pub const fn absorb_event(&mut self, words: [u64; 5]) {
        let [head, phys, virt, value, old] = words;
        let (a, b) = (self.a, self.b);
        self.a = fold(a ^ head ^ phys.rotate_left(20), LANE_A ^ virt).wrapping_add(b);
        self.b = fold(b ^ value, LANE_B ^ old).wrapping_add(a.rotate_left(32));
    }

    /// Takes in bytes, eight at a time, with their number.
    pub fn absorb_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.absorb(u64::from_le_bytes(word), chunk.len() as u64);
        }
    }

    /// The fingerprint so far.
    #[must_use]
    pub const fn digest(self) -> Digest {
        Digest((self.a as u128) << 64 | self.b as u128)
    }
}

/// A 128-bit fingerprint, printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub u128);

impl Digest {
    /// The high and the low half.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "both halves are returned")]
    pub const fn words(self) -> [u64; 2] {
        [(self.0 >> 64) as u64, self.0 as u64]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_both_matter() {
        let hash = |pairs: &[(u64, u64)]| {
            let mut hash = TraceHash::default();
            for &(x, y) in pairs {
                hash.absorb(x, y);
            }
            hash.digest()
        };
        assert_ne!(hash(&[(1, 2), (3, 4)]), hash(&[(3, 4), (1, 2)]));
        assert_ne!(hash(&[(1, 2)]), hash(&[(2, 1)]));
        assert_ne!(hash(&[(0, 0)]), hash(&[(0, 0), (0, 0)]));
    }
}
