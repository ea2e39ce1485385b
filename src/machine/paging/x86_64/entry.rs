//! What the bits of a paging-structure entry mean at the level it is found at.
//!
//! Intel SDM volume 3A, "4-Level Paging and 5-Level Paging", the tables titled "Format of a …
//! Entry". The one thing to know: the same 64 bits mean different things at different levels, and a
//! page table that is reached through a self-map is read at several.

use super::controls::{ControlFlags, Controls, Vendor};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;

/// Which table an entry is found in, by the manual's names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum Level {
    /// A page table: its entries (PTE) map 4 KiB.
    Pt = 1,
    /// A page directory: its entries (PDE) map 2 MiB or name a page table.
    Pd = 2,
    /// A page-directory-pointer table: its entries (PDPTE) map 1 GiB or name a page directory.
    Pdpt = 3,
    /// A PML4 table: its entries (PML4E) name a page-directory-pointer table.
    Pml4 = 4,
    /// The PML5 table: its entries (PML5E) name a PML4 table.
    Pml5 = 5,
}

impl Level {
    /// The level the walk starts at.
    #[must_use]
    #[inline(always)]
    pub const fn top(controls: &Controls) -> Self {
        if controls.flags.has(ControlFlags::LA57) { Self::Pml5 } else { Self::Pml4 }
    }

    /// The level of the tables that entries of this level name. A page table names none; the answer
    /// there is the page table itself.
    #[must_use]
    #[inline(always)]
    pub const fn below(self) -> Self {
        match self {
            Self::Pml5 => Self::Pml4,
            Self::Pml4 => Self::Pdpt,
            Self::Pdpt => Self::Pd,
            Self::Pd | Self::Pt => Self::Pt,
        }
    }

    /// The lowest bit of a linear address that selects an entry at this level.
    #[must_use]
    #[inline(always)]
    pub const fn shift(self) -> u32 {
        12 + 9 * (self as u32 - 1)
    }

    /// Which of the 512 entries translates `virt`.
    #[must_use]
    #[inline(always)]
    pub const fn index(self, virt: VirtAddr) -> u64 {
        (virt.0 >> self.shift()) & 511
    }

    /// Bytes of linear address space that one entry covers.
    #[must_use]
    pub const fn span(self) -> u64 {
        1 << self.shift()
    }
}

/// What an entry is, at its level and under its controls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum EntryKind {
    /// P is 0; no other bit counts.
    NotPresent,
    /// P is 1 and a reserved bit is set: there is no translation.
    Reserved,
    /// It names a table of the next level.
    Table(PhysAddr),
    /// It maps a page that starts there.
    Leaf(PhysAddr, PageSize),
}

/// One paging-structure entry: any 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Entry(pub u64);

impl Entry {
    /// P: present.
    pub const P: u64 = 1;
    /// R/W: writable.
    pub const RW: u64 = 1 << 1;
    /// U/S: user-mode accesses allowed.
    pub const US: u64 = 1 << 2;
    /// A: accessed.
    pub const A: u64 = 1 << 5;
    /// D: dirty; only in a leaf.
    pub const D: u64 = 1 << 6;
    /// PS: page size; the entry maps a page although it is not in a page table.
    pub const PS: u64 = 1 << 7;
    /// G: global; only in a leaf.
    pub const G: u64 = 1 << 8;
    /// XD: no instruction fetches.
    pub const XD: u64 = 1 << 63;
    /// Bits 51:12, the address field at its widest.
    pub const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

    /// Whether all of `bits` are set.
    #[must_use]
    #[inline(always)]
    pub const fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// The protection key of a leaf: bits 62:59.
    #[must_use]
    #[inline(always)]
    pub const fn key(self) -> u8 {
        ((self.0 >> 59) & 15) as u8
    }

    /// What this entry is at `level`.
    #[must_use]
    #[inline(always)]
    pub const fn kind(self, level: Level, reserved: Reserved) -> EntryKind {
        if !self.has(Self::P) {
            return EntryKind::NotPresent;
        }
        if self.0 & reserved.at(level, self) != 0 {
            return EntryKind::Reserved;
        }
        let address = self.0 & Self::ADDRESS;
        let size = match level {
            Level::Pt => PageSize::Kib4,
            Level::Pd if self.has(Self::PS) => PageSize::Mib2,
            Level::Pdpt if self.has(Self::PS) => PageSize::Gib1,
            _ => return EntryKind::Table(PhysAddr::truncated(address)),
        };
        EntryKind::Leaf(PhysAddr::truncated(address & !(size.bytes() - 1)), size)
    }
}

/// Which bits of a present entry must be 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reserved {
    /// At every level.
    every: u64,
    /// Also in PML4 and PML5 entries.
    upper: u64,
}

impl Reserved {
    /// The reserved bits under these controls.
    ///
    /// At every level: bits 51:MAXPHYADDR, and XD without `IA32_EFER.NXE`. In PML4 and PML5 entries
    /// also bit 7, and on AMD bit 8. Bit 8 of other entries that name a table is ignored on both.
    #[must_use]
    #[inline(always)]
    pub const fn new(controls: &Controls) -> Self {
        let beyond = Entry::ADDRESS & !((1 << controls.physical_bits()) - 1);
        let execute_disable = if controls.flags.has(ControlFlags::NXE) { 0 } else { Entry::XD };
        let upper = match controls.vendor {
            Vendor::Intel => Entry::PS,
            Vendor::Amd => Entry::PS | Entry::G,
        };
        Self { every: beyond | execute_disable, upper }
    }

    /// The reserved bits of `entry` at `level`. Below bit 12 of a large page's address field lies
    /// its PAT bit, 12, which is free; the rest up to the page size is reserved.
    #[must_use]
    #[inline(always)]
    pub const fn at(self, level: Level, entry: Entry) -> u64 {
        let own = match level {
            Level::Pml5 | Level::Pml4 => self.upper,
            Level::Pdpt if entry.has(Entry::PS) => (PageSize::Gib1.bytes() - 1) & !0x1fff,
            Level::Pd if entry.has(Entry::PS) => (PageSize::Mib2.bytes() - 1) & !0x1fff,
            _ => 0,
        };
        self.every | own
    }
}
