//! Which processor steps next: drawn beforehand from the seed, one draw a step.

use crate::base::Seed;

/// Words of draws; the sequence repeats after 32 × this many steps.
const WORDS: usize = 4096;

/// The sequence of draws. Read by position, so that a checkpoint needs only the clock.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    words: Box<[u64; WORDS]>,
}

impl Schedule {
    /// The sequence of a seed, among this many processors.
    ///
    /// # Panics
    ///
    /// When there is no processor.
    #[must_use]
    pub(super) fn new(seed: u64, processors: usize) -> Self {
        assert!(processors > 0, "somebody runs");
        let mut stream = Seed(seed).stream("schedule", 0);
        let among = |draw: u64| draw % processors as u64;
        let word = |_| {
            let word = stream.word();
            (0..64).step_by(2).fold(0, |words, at| words | among(word >> at & 3) << at)
        };
        Self { words: Box::new(core::array::from_fn(word)) }
    }

    /// The processor drawn for the step at `clock`, by number.
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
