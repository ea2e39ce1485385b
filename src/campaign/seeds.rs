//! Seeds, one after the other, the largest there is among them.
//!
//! `Range<u64>` can't hold the last seed, and `RangeInclusive<u64>` is no plain value: it changes where it
//! is iterated, and has no empty one that compares equal to another.

use core::fmt;
use core::ops::{Range, RangeInclusive};

/// Seeds from the first to the one before the end, which may be 2^64.
///
/// ```
/// use ringfence::campaign::Seeds;
///
/// assert_eq!(Seeds::from(0..10).count(), 10);
/// assert_eq!(Seeds::one(u64::MAX), Seeds::from(u64::MAX..=u64::MAX));
/// assert_eq!(Seeds::one(u64::MAX).to_string(), "18446744073709551615..18446744073709551616");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Seeds {
    first: u64,
    end: u128,
}

impl Seeds {
    /// This one alone.
    #[must_use]
    pub const fn one(seed: u64) -> Self {
        Self { first: seed, end: seed as u128 + 1 }
    }

    /// Those from the first to the one before the end; `None` where no seed is one, or none is in between.
    #[must_use]
    pub fn between(first: u64, end: u128) -> Option<Self> {
        let all = u128::from(first) + 1..=u128::from(u64::MAX) + 1;
        all.contains(&end).then_some(Self { first, end })
    }

    /// The first, of none the one where they would begin.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// How many they are. All 2^64 are told as one less: nobody runs them.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.end - u128::from(self.first)).unwrap_or(u64::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end == u128::from(self.first)
    }

    /// The one after this one.
    #[must_use]
    pub fn after(&self, seed: u64) -> Option<u64> {
        seed.checked_add(1).filter(|next| u128::from(*next) < self.end)
    }
}

impl From<Range<u64>> for Seeds {
    fn from(range: Range<u64>) -> Self {
        Self { first: range.start, end: range.end.max(range.start).into() }
    }
}

impl From<RangeInclusive<u64>> for Seeds {
    fn from(range: RangeInclusive<u64>) -> Self {
        let first = *range.start();
        let end = if range.is_empty() { first.into() } else { u128::from(*range.end()) + 1 };
        Self { first, end }
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seed_is_the_last() {
        let last = Seeds::from(u64::MAX - 1..=u64::MAX);

        assert_eq!(last.count(), 2);
        assert_eq!(last.after(u64::MAX - 1), Some(u64::MAX));
        assert_eq!(last.after(u64::MAX), None);
        assert_eq!(Seeds::between(u64::MAX - 1, 1 << 64), Some(last));
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "what comes of them is asked")]
    fn ranges_of_none_are_none() {
        for none in [Seeds::from(7..7), Seeds::from(7..3), Seeds::from(7..=6)] {
            assert!(none.is_empty(), "{none}");
            assert_eq!((none.count(), none.after(7)), (0, None), "{none}");
        }
        assert_eq!(Seeds::between(7, 7), None);
        assert_eq!(Seeds::between(0, (1 << 64) + 1), None);
    }
}
