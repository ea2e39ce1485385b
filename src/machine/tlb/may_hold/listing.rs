//! What is known of the tables below one root: a list that is kept while it is true.
//!
//! Processors go back and forth between few roots, and tables are linked and unlinked rarely. So the
//! list of a root is made once and dropped by the first store that links or unlinks a table below it.

use std::sync::Arc;

use super::index::Index;
use super::without_keys;
use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{Controls, Entry, Extent, Found, Level, TableUse};

/// The tables below a root.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// The root, and what else decides how its tables are read.
    controls: Controls,
    index: Arc<Index>,
    extent: Extent,
    /// Entries of the root below which no global page was found, one bit each.
    without_globals: [u64; 8],
}

fn table_of(found: Option<Found>) -> Option<TableUse> {
    match found {
        Some(Found::Table(table)) => Some(table),
        _ => None,
    }
}

/// The word and the bit that stand for the root's entry that translates `virt`.
#[allow(clippy::cast_possible_truncation, reason = "nine bits")]
pub(super) const fn slot_of(controls: &Controls, virt: VirtAddr) -> (usize, u64) {
    let slot = Level::top(controls).index(virt);
    ((slot / 64) as usize, 1 << (slot % 64))
}

impl Listing {
    pub(super) fn new(memory: &impl TableMemory, controls: &Controls) -> Self {
        let mut index = Index::default();
        let extent = index.rebuild(memory, controls);
        let controls = without_keys(controls);
        Self { controls, index: Arc::new(index), extent, without_globals: [0; 8] }
    }

    /// Whether it is about the root in `controls`, read as they say.
    pub(super) fn is_of(&self, controls: &Controls) -> bool {
        self.controls == without_keys(controls)
    }

    /// Whether all tables are listed.
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Takes note of a change of the entry at `at`; whether the list is still true then.
    pub(super) fn survives(&mut self, at: PhysAddr, old: u64, new: u64) -> bool {
        let index = at.offset() / 8;
        for way in self.index.uses_of(at.frame()) {
            let was = way.found(&self.controls, index, Entry(old));
            let is = way.found(&self.controls, index, Entry(new));
            if table_of(was) != table_of(is) {
                return false;
            }
            if let Some(Found::Leaf { first, reach }) = is
                && reach.is_global(&self.controls)
            {
                let (word, bit) = slot_of(&self.controls, first);
                self.without_globals[word] &= !bit;
            }
        }
        true
    }

    /// Whether no global page lies below the entry of the root that translates `virt`. `false` also
    /// when nobody looked.
    pub(super) fn is_without_globals(&self, virt: VirtAddr) -> bool {
        let (word, bit) = slot_of(&self.controls, virt);
        self.without_globals[word] & bit != 0
    }

    /// Nobody found a global page below these entries of the root.
    pub(super) fn found_without_globals(&mut self, slots: [u64; 8]) {
        for (known, new) in self.without_globals.iter_mut().zip(slots) {
            *known |= new;
        }
    }

    /// Every way to the table in `frame`.
    pub(super) fn uses_of(&self, frame: Frame) -> &[TableUse] {
        self.index.uses_of(frame)
    }
}
