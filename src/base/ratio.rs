//! A probability without floating point.

use serde::{Deserialize, Serialize};

/// `numerator` out of `denominator`; a chance that is the same on every machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

impl Ratio {
    /// `numerator` out of `denominator`.
    ///
    /// # Panics
    ///
    /// When the denominator is zero or smaller than the numerator: not a probability.
    #[must_use]
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        assert!(denominator > 0, "a ratio needs a denominator");
        assert!(numerator <= denominator, "a probability is at most 1");
        Self { numerator, denominator }
    }

    /// How many of [`denominator`](Self::denominator).
    #[must_use]
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// Out of how many.
    #[must_use]
    pub const fn denominator(self) -> u32 {
        self.denominator
    }
}
