//! Table memory that holds a few entries and answers 0 elsewhere.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{Controls, Level};

/// A handful of entries, for tests that ask millions of times.
pub(crate) struct Chain {
    pub(crate) entries: [(PhysAddr, u64); 5],
}

impl TableMemory for Chain {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.entries.iter().find(|(own, _)| *own == at).map_or(0, |(_, entry)| *entry)
    }
}

/// The root of every chain, and the tables below it.
pub(crate) const ROOT: u64 = 0x10_0000;
const TABLES: [u64; 5] = [0, 0x14_0000, 0x13_0000, 0x12_0000, 0x11_0000];

/// What a chain's entry at `level` names when its leaf is at `leaf`: the next table or a page.
pub(crate) fn names(level: usize, leaf: usize) -> u64 {
    if level == leaf { 0x4000_0000 } else { TABLES[level - 1] }
}

impl Chain {
    /// The entries that translate `virt`, `bits[level]` for each level from 5 to 1.
    pub(crate) fn new(controls: &Controls, virt: VirtAddr, bits: [u64; 6]) -> Self {
        let levels = [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4, Level::Pml5];
        let top = Level::top(controls) as usize;
        let mut entries = [(PhysAddr::MAX, 0); 5];
        for (slot, level) in levels.into_iter().enumerate().take(top) {
            let number = slot + 1;
            let table = if number == top { ROOT } else { TABLES[number] };
            let at = PhysAddr::truncated(table + 8 * level.index(virt));
            entries[slot] = (at, bits[number]);
        }
        Self { entries }
    }
}
