//! The page tables of one address space, frame by frame.
//!
//! Sparse: what is not a page table is not held. What a data frame contains when a walk is led into
//! it is anybody's guess, so it is not read even where a memory dump has it: an image of the tables
//! and a dump of all memory say the same about the same machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Frame, PhysAddr};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{ControlFlags, Controls};

/// The 512 entries of a paging structure.
pub type Table = [u64; 512];

/// Levels of paging.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Levels {
    /// PML4 tables are the roots.
    #[default]
    Four,
    /// PML5 tables are: CR4.LA57.
    Five,
}

impl Levels {
    /// `None` unless 4 or 5.
    #[must_use]
    pub const fn new(levels: u64) -> Option<Self> {
        match levels {
            4 => Some(Self::Four),
            5 => Some(Self::Five),
            _ => None,
        }
    }

    /// 4 or 5.
    #[must_use]
    pub const fn count(self) -> u8 {
        match self {
            Self::Four => 4,
            Self::Five => 5,
        }
    }

    /// `flags` with CR4.LA57 as these levels have it.
    #[must_use]
    pub const fn applied(self, flags: ControlFlags) -> ControlFlags {
        match self {
            Self::Four => flags.without(ControlFlags::LA57),
            Self::Five => flags.with(ControlFlags::LA57),
        }
    }
}

/// Tables by physical address, and where a walk starts. Copies share the tables that are the same in
/// them.
#[derive(Clone, Debug)]
pub struct Image {
    /// CR3 as it was loaded.
    pub cr3: u64,
    /// Levels of paging.
    pub levels: Levels,
    frames: Vec<Frame>,
    tables: Vec<Arc<Table>>,
}

impl Image {
    /// An image of these frames.
    #[must_use]
    pub fn new(cr3: u64, levels: Levels, tables: BTreeMap<Frame, Box<Table>>) -> Self {
        let tables = tables.into_iter().map(|(frame, table)| (frame, Arc::from(table)));
        let (frames, tables) = tables.unzip();
        Self { cr3, levels, frames, tables }
    }

    /// These controls with the root and the levels of this image.
    #[must_use]
    pub fn controls(&self, controls: Controls) -> Controls {
        Controls { cr3: self.cr3, flags: self.levels.applied(controls.flags), ..controls }
    }

    /// The frames held, in ascending order.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The entries of the frame that is the `index`th in [`frames`](Self::frames).
    ///
    /// # Panics
    ///
    /// When there are not so many.
    #[must_use]
    pub fn table(&self, index: usize) -> &Table {
        &self.tables[index]
    }

    /// Where a frame is in [`frames`](Self::frames), if it is held.
    #[must_use]
    pub fn index_of(&self, frame: Frame) -> Option<usize> {
        self.frames.binary_search(&frame).ok()
    }

    /// Replaces the entry at `at`; nothing happens outside the image.
    pub fn set(&mut self, at: PhysAddr, entry: u64) {
        if let Some(index) = self.index_of(at.frame()) {
            Arc::make_mut(&mut self.tables[index])[slot_of(at)] = entry;
        }
    }

    /// Only the tables for which `kept` says so, in the order of [`frames`](Self::frames).
    #[must_use]
    pub(super) fn keeping(self, kept: &[bool]) -> Self {
        let tables = self.frames.into_iter().zip(self.tables).zip(kept);
        let (frames, tables) = tables.filter(|(_, kept)| **kept).map(|(table, _)| table).unzip();
        Self { cr3: self.cr3, levels: self.levels, frames, tables }
    }

    /// Puts a table where none was, or in the place of the one that was.
    pub fn insert(&mut self, frame: Frame, table: Box<Table>) {
        let table = Arc::from(table);
        match self.frames.binary_search(&frame) {
            Ok(index) => self.tables[index] = table,
            Err(index) => {
                self.frames.insert(index, frame);
                self.tables.insert(index, table);
            }
        }
    }
}

/// Which of the 512 entries of its frame lies at `at`.
pub(super) fn slot_of(at: PhysAddr) -> usize {
    usize::try_from(at.offset() / 8).unwrap_or(0)
}

impl TableMemory for Image {
    /// The entry, 0 outside the image.
    fn entry(&self, at: PhysAddr) -> u64 {
        self.index_of(at.frame()).map_or(0, |index| self.tables[index][slot_of(at)])
    }
}
