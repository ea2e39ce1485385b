//! Memory as the trace tells it: frames that are or may become tables, and how each is used.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{FRAME_BYTES, Frame, PhysAddr};
use crate::conformance::may_hold::{Space, Stamp};
use crate::conformance::tables::TableUse;

/// Frames that are remembered at most: tables for 512 GiB of small pages, in 1.2 GiB of memory.
pub(super) const FRAMES_MAX: usize = 1 << 18;

/// One frame.
pub(super) struct Table {
    words: Box<[u64; 512]>,
    /// Words that the trace told, one bit each.
    known: [u64; 8],
    /// Ways on which it is a table, each in one address space.
    pub(super) uses: Vec<(Space, TableUse)>,
    /// The last store to it.
    pub(super) stored: Option<Stamp>,
    /// Words that one processor alone writes.
    pub(super) owned: BTreeMap<u16, u16>,
}

impl Table {
    fn new() -> Self {
        Self {
            words: Box::new([0; 512]),
            known: [0; 8],
            uses: Vec::new(),
            stored: None,
            owned: BTreeMap::new(),
        }
    }

    pub(super) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    pub(super) fn is_known(&self, index: usize) -> bool {
        self.known.get(index / 64).is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }

    pub(super) fn set(&mut self, index: usize, value: u64) {
        if let Some(word) = self.words.get_mut(index) {
            *word = value;
        }
        if let Some(bits) = self.known.get_mut(index / 64) {
            *bits |= 1 << (index % 64);
        }
    }

    /// How many of its first `entries` words the trace never told.
    pub(super) fn unknown(&self, entries: u64) -> usize {
        let entries = usize::try_from(entries).unwrap_or(512);
        (0..entries).filter(|&index| !self.is_known(index)).count()
    }
}

/// All frames.
#[derive(Default)]
pub(super) struct Books {
    frames: BTreeMap<Frame, Table>,
    /// Given back, and not handed out again.
    freed: BTreeSet<Frame>,
}

impl Books {
    pub(super) fn get(&self, frame: Frame) -> Option<&Table> {
        self.frames.get(&frame)
    }

    pub(super) fn get_mut(&mut self, frame: Frame) -> Option<&mut Table> {
        self.frames.get_mut(&frame)
    }

    /// The frame, remembered from now on. `None` when there are too many.
    pub(super) fn frame(&mut self, frame: Frame) -> Option<&mut Table> {
        if self.frames.len() >= FRAMES_MAX && !self.frames.contains_key(&frame) {
            return None;
        }
        Some(self.frames.entry(frame).or_insert_with(Table::new))
    }

    /// A word; 0 where nothing is known.
    pub(super) fn word(&self, at: PhysAddr) -> u64 {
        self.get(at.frame()).map_or(0, |table| table.word(index(at)))
    }

    pub(super) fn is_freed(&self, frame: Frame) -> bool {
        self.freed.contains(&frame)
    }

    /// Frames of a range that are remembered.
    pub(super) fn within(&self, at: u64, bytes: u64) -> Vec<Frame> {
        let (first, end) = frames(at, bytes);
        self.frames.range(first..end).map(|(frame, _)| *frame).collect()
    }

    /// Frames of a range that were given back.
    pub(super) fn freed_within(&self, at: u64, bytes: u64) -> Vec<Frame> {
        let (first, end) = frames(at, bytes);
        self.freed.range(first..end).copied().collect()
    }

    /// Gives a frame that was remembered back; its words are forgotten.
    pub(super) fn give_back(&mut self, frame: Frame) {
        if self.frames.remove(&frame).is_some() {
            self.freed.insert(frame);
        }
    }

    /// Nothing is a table of this space any more.
    pub(super) fn take_out(&mut self, space: Space) {
        for table in self.frames.values_mut() {
            table.uses.retain(|(of, _)| *of != space);
        }
    }

    /// Whoever has it now may write to it.
    pub(super) fn hand_out(&mut self, frame: Frame) {
        self.freed.remove(&frame);
    }
}

/// The frames of a range, the end excluded.
pub(super) fn frames(at: u64, bytes: u64) -> (Frame, Frame) {
    let end = at.saturating_add(bytes);
    (Frame(at / FRAME_BYTES), Frame(end.div_ceil(FRAME_BYTES)))
}

pub(super) fn index(at: PhysAddr) -> usize {
    usize::try_from(at.offset() / 8).unwrap_or(0)
}
