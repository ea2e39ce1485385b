//! Tables for the tests here: a few entries, and 0 elsewhere.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::{Controls, Entry};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::{MarkMemory, TableMemory};

/// Present and permissive.
pub(super) const TABLE: u64 = Entry::P | Entry::RW | Entry::US;

/// Entries by address; how often each read counts.
#[derive(Default)]
pub(super) struct Sparse {
    pub(super) entries: BTreeMap<u64, u64>,
    /// Whether it says of eight entries at once that they are absent.
    pub(super) skips: bool,
    pub(super) reads: Cell<u32>,
}

impl Sparse {
    /// `entries[i]` is the one of the table in frame 1 + i with that index; the controls name frame 1
    /// as root.
    pub(super) fn new(entries: &[(u64, u64)]) -> Self {
        let at = |number: usize, index: u64| (number as u64 + 1) << 12 | index << 3;
        let entries =
            entries.iter().enumerate().map(|(number, (index, entry))| (at(number, *index), *entry));
        Self { entries: entries.collect(), ..Self::default() }
    }

    pub(super) fn put(&mut self, at: u64, entry: u64) {
        self.entries.insert(at, entry);
    }

    pub(super) fn controls() -> Controls {
        Controls { cr3: 0x1000, ..Controls::default() }
    }
}

impl TableMemory for Sparse {
    fn entry(&self, at: PhysAddr) -> u64 {
        assert_eq!(at.raw() % 8, 0);
        self.reads.set(self.reads.get() + 1);
        self.entries.get(&at.raw()).copied().unwrap_or(0)
    }

    fn are_eight_absent(&self, at: PhysAddr) -> bool {
        assert_eq!(at.raw() % 64, 0);
        let mut eight = self.entries.range(at.raw()..at.raw() + 64);
        self.skips && eight.all(|(_, entry)| entry & Entry::P == 0)
    }
}

impl MarkMemory for Sparse {
    fn set_bits(&mut self, at: PhysAddr, bits: u64) {
        *self.entries.entry(at.raw()).or_default() |= bits;
    }
}

/// The address whose indices are these, from the PML4 table down; sign-extended from bit 47.
pub(super) fn address(indices: [u64; 4], offset: u64) -> VirtAddr {
    let [pml4, pdpt, pd, pt] = indices;
    let low = pml4 << 39 | pdpt << 30 | pd << 21 | pt << 12 | offset;
    VirtAddr(((low << 16).cast_signed() >> 16).cast_unsigned())
}
