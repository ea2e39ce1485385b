//! Which processor steps next: drawn beforehand from the seed, one draw a step.

use crate::base::Seed;

/// Words of draws; the sequence repeats after 32 × this many steps.
const WORDS: usize = 4096;

/// The sequence of draws. Read by position, so that a checkpoint needs only the clock.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    words: Vec<u64>,
}

impl Schedule {
    /// The sequence of a seed.
    #[must_use]
    pub(super) fn new(seed: u64) -> Self {
        let mut stream = Seed(seed).stream("schedule", 0);
        Self { words: (0..WORDS).map(|_| stream.word()).collect() }
    }

    /// A draw from 0 to 3 for the step at `clock`.
    #[inline(always)]
    #[must_use]
    pub(super) fn draw(&self, clock: u64) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "reduced below the length")]
        let word = self.words[(clock / 32) as usize % WORDS];
        #[allow(clippy::cast_possible_truncation, reason = "two bits")]
        let draw = (word >> (clock % 32 * 2) & 3) as usize;
        draw
    }
}
