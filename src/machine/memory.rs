//! Physical memory: one flat allocation of 8-byte words, with an undo journal.
//!
//! Every change goes through [`Memory::write`], which journals the old word and keeps an incremental
//! hash, so that going back costs what was changed and a state's fingerprint costs nothing.

use std::collections::BTreeMap;

use crate::base::{FRAME_BYTES, Frame, PhysAddr};

/// Words of 8 bytes in a frame.
pub const FRAME_WORDS: usize = 512;

/// What a read outside memory yields: nobody drives the bus.
const OPEN_BUS: u64 = u64::MAX;

/// A place in the history of a memory to go back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    changes: usize,
    hash: u64,
}

/// Simulated physical memory from address 0 up.
#[derive(Clone, Debug)]
pub struct Memory {
    words: Vec<u64>,
    journal: Vec<(u32, u64)>,
    hash: u64,
}

/// What a word's content adds to the hash, for the word at `index`.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
pub(super) const fn mixed(index: u32, value: u64) -> u64 {
    let key = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let product = ((value ^ 0xd6e8_feb8_6659_fd93) as u128) * (key as u128);
    (product as u64).rotate_left(29) ^ ((product >> 64) as u64) ^ value
}

impl Memory {
    /// `frames` frames of zeros.
    ///
    /// # Panics
    ///
    /// When that is more than 2^20 frames (4 GiB): worlds are small.
    #[must_use]
    pub fn new(frames: usize) -> Self {
        assert!(frames <= 1 << 20, "a world has at most 4 GiB of memory");
        Self { words: vec![0; frames * FRAME_WORDS], journal: Vec::new(), hash: 0 }
    }

    /// Number of frames.
    #[must_use]
    pub fn frame_count(&self) -> u64 {
        (self.words.len() / FRAME_WORDS) as u64
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.frame_count() * FRAME_BYTES
    }

    /// The index of the word that holds this address; `None` outside memory.
    #[inline(always)]
    #[must_use]
    pub fn index(&self, at: PhysAddr) -> Option<usize> {
        let index = usize::try_from(at.raw() / 8).ok()?;
        (index < self.words.len()).then_some(index)
    }

    /// The word that holds this address; all ones outside memory.
    #[inline(always)]
    #[must_use]
    pub fn read(&self, at: PhysAddr) -> u64 {
        #[allow(clippy::cast_possible_truncation, reason = "an address has 52 bits")]
        let index = (at.raw() / 8) as usize;
        self.words.get(index).copied().unwrap_or(OPEN_BUS)
    }

    /// The word that holds this address and the one behind it.
    #[inline(always)]
    #[must_use]
    pub fn read_two(&self, at: PhysAddr) -> [u64; 2] {
        let two = self.index(at).and_then(|index| self.words.get(index..)?.first_chunk());
        two.copied().unwrap_or_else(|| [self.read(at), self.read(at.plus(8))])
    }

    /// Replaces the word that holds this address and returns the old one; without effect outside
    /// memory.
    #[inline(always)]
    pub fn write(&mut self, at: PhysAddr, value: u64) -> u64 {
        #[allow(clippy::cast_possible_truncation, reason = "an address has 52 bits")]
        let index = (at.raw() / 8) as usize;
        let Some(word) = self.words.get_mut(index) else { return OPEN_BUS };
        let old = *word;
        if old != value {
            *word = value;
            #[allow(clippy::cast_possible_truncation, reason = "at most 2^29 words")]
            let index = index as u32;
            self.hash ^= mixed(index, old) ^ mixed(index, value);
            self.journal.push((index, old));
        }
        old
    }

    /// The present state: a place to go back to.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { changes: self.journal.len(), hash: self.hash }
    }

    /// Undoes every change made since `mark`, newest first.
    ///
    /// # Panics
    ///
    /// When the mark lies ahead: it belongs to a state that was itself undone.
    pub fn restore(&mut self, mark: Mark) {
        assert!(mark.changes <= self.journal.len(), "a mark of a state that no longer exists");
        for (index, old) in self.journal.drain(mark.changes..).rev() {
            self.words[index as usize] = old;
        }
        self.hash = mark.hash;
    }

    /// Writes every word back to what it was at `mark`, as new changes: the way a reboot reloads
    /// memory without losing the way back.
    pub fn rewrite(&mut self, mark: Mark) {
        let mut before = BTreeMap::new();
        for &(index, old) in self.journal[mark.changes.min(self.journal.len())..].iter().rev() {
            before.insert(index, old);
        }
        for (index, old) in before {
            self.write(PhysAddr::truncated(u64::from(index) * 8), old);
        }
    }

    /// The indices of the words written since `mark`, in the order of the changes, also where one was changed back.
    pub fn written_since(&self, mark: Mark) -> impl Iterator<Item = u32> {
        self.journal.get(mark.changes..).unwrap_or_default().iter().map(|&(index, _)| index)
    }

    /// The words written since `mark` whose index is wanted and that differ from what they were then, in
    /// order, with their values then.
    #[must_use]
    pub fn changed_since(&self, mark: Mark, is_wanted: impl Fn(u32) -> bool) -> BTreeMap<u32, u64> {
        let written = self.journal.get(mark.changes..).unwrap_or_default();
        let mut before: BTreeMap<u32, u64> =
            written.iter().rev().filter(|(index, _)| is_wanted(*index)).copied().collect();
        before.retain(|&index, old| self.words[index as usize] != *old);
        before
    }

    /// Forgets the journal: what is now is where the first mark leads.
    pub fn settle(&mut self) {
        self.journal.clear();
    }

    /// The fingerprint of the whole content.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// All words, for whoever reads the whole of it.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The words of one frame.
    ///
    /// # Panics
    ///
    /// When the frame is outside memory.
    #[must_use]
    pub fn frame(&self, frame: Frame) -> &[u64] {
        let first = usize::try_from(frame.0).expect("a frame of this memory") * FRAME_WORDS;
        &self.words[first..first + FRAME_WORDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(raw: u64) -> PhysAddr {
        PhysAddr::truncated(raw)
    }

    #[test]
    fn a_restore_brings_back_content_and_hash() {
        let mut memory = Memory::new(2);
        memory.write(at(16), 7);
        let (mark, hash, words) = (memory.mark(), memory.hash(), memory.words().to_vec());

        memory.write(at(16), 8);
        memory.write(at(4096), 9);
        memory.write(at(16), 7);
        memory.restore(mark);

        assert_eq!(memory.hash(), hash);
        assert_eq!(memory.words(), words);
    }

    #[test]
    fn the_hash_depends_on_content_not_on_history() {
        let mut first = Memory::new(1);
        let mut second = Memory::new(1);
        first.write(at(0), 1);
        first.write(at(8), 2);
        second.write(at(8), 5);
        second.write(at(8), 2);
        second.write(at(0), 1);
        assert_eq!(first.hash(), second.hash());
        second.write(at(0), 2);
        assert_ne!(first.hash(), second.hash());
    }

    #[test]
    fn what_changed_is_told_as_it_was_and_nothing_that_changed_back() {
        let mut memory = Memory::new(1);
        memory.write(at(8), 1);
        let mark = memory.mark();
        for (place, value) in [(8, 2), (8, 3), (16, 4), (24, 5), (24, 0)] {
            memory.write(at(place), value);
        }
        let changed = |wanted: fn(u32) -> bool| memory.changed_since(mark, wanted);
        assert_eq!(Vec::from_iter(changed(|_| true)), [(1, 1), (2, 0)]);
        assert_eq!(Vec::from_iter(changed(|index| index != 1)), [(2, 0)]);
    }

    #[test]
    fn outside_memory_reads_yield_ones_and_writes_are_lost() {
        let mut memory = Memory::new(1);
        assert_eq!(memory.write(at(4096), 1), u64::MAX);
        assert_eq!(memory.read(at(4096)), u64::MAX);
        assert_eq!(memory.mark(), Mark::default());
        memory.write(at(4088), 7);
        assert_eq!(memory.read_two(at(4088)), [7, u64::MAX]);
        assert_eq!(memory.read_two(at(4080)), [0, 7]);
        assert_eq!(memory.read_two(at(4096)), [u64::MAX; 2]);
    }
}
