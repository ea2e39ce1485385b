//! A set of processors.

use core::fmt;

/// Processors that a set can hold: as many as the largest machines of one address space have.
pub(crate) const PROCESSORS_MAX: u16 = 256;

/// A set of processors by number.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Processors([u64; 4]);

impl Processors {
    pub(crate) const NONE: Self = Self([0; 4]);
    pub(crate) const ALL: Self = Self([u64::MAX; 4]);

    pub(crate) fn one(number: u16) -> Self {
        let mut set = Self::NONE;
        set.insert(number);
        set
    }

    pub(crate) fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number) / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(crate) fn has(self, number: u16) -> bool {
        self.0.get(usize::from(number) / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::NONE
    }

    pub(crate) fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    pub(crate) fn within(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    fn zip(self, other: Self, each: impl Fn(u64, u64) -> u64) -> Self {
        let mut set = self;
        for (word, other) in set.0.iter_mut().zip(other.0) {
            *word = each(*word, other);
        }
        set
    }

    /// The smallest number of the set.
    pub(crate) fn first(self) -> Option<u16> {
        (0..PROCESSORS_MAX).find(|&number| self.has(number))
    }
}

impl fmt::Debug for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..PROCESSORS_MAX).filter(|&number| self.has(number))).finish()
    }
}
