//! A fingerprint of which word is in which region, brought up to date when it is asked for.
//!
//! It depends on what the entries say and not on their numbers, so that books that came to the same by
//! different ways have the same. Only frames in which something changed since are read again.

use crate::base::TraceHash;

use super::region::Regions;

/// Words that are read again together: a frame.
const FRAME: usize = 512;

/// The fingerprint, and where it is out of date.
#[derive(Clone, Debug)]
pub(super) struct Prints {
    frames: Vec<u128>,
    all: u128,
    stale: Vec<u32>,
    is_stale: Vec<bool>,
}

impl Prints {
    /// Nothing was read yet.
    #[allow(clippy::cast_possible_truncation, reason = "a world has at most 2^20 frames")]
    pub(super) fn new(words: usize) -> Self {
        let frames = words.div_ceil(FRAME);
        Self {
            frames: vec![0; frames],
            all: 0,
            stale: (0..frames as u32).collect(),
            is_stale: vec![true; frames],
        }
    }

    /// These words may be in another region now.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a world has at most 2^20 frames")]
    pub(super) fn changed(&mut self, first: usize, len: usize) {
        for frame in first / FRAME..(first + len).div_ceil(FRAME) {
            if !self.is_stale[frame] {
                self.is_stale[frame] = true;
                self.stale.push(frame as u32);
            }
        }
    }

    /// The fingerprint of these words.
    pub(super) fn of(&mut self, words: &[u16], regions: &Regions) -> u128 {
        for frame in self.stale.drain(..) {
            let frame = frame as usize;
            self.is_stale[frame] = false;
            let first = frame * FRAME;
            let mut hash = TraceHash::default();
            let mut at = first;
            for run in words[first..words.len().min(first + FRAME)].chunk_by(|a, b| a == b) {
                hash.absorb((at as u64) << 32 | run.len() as u64, regions.print(run[0]));
                at += run.len();
            }
            let print = hash.digest().0;
            self.all ^= self.frames[frame] ^ print;
            self.frames[frame] = print;
        }
        self.all
    }
}
