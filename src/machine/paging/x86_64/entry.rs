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

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [Level; 5] = [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4, Level::Pml5];
    const NXE: ControlFlags = ControlFlags::NXE;
    const XD: u64 = 1 << 63;

    fn reserved(flags: ControlFlags, maxphyaddr: u8, vendor: Vendor) -> Reserved {
        Reserved::new(&Controls { flags, maxphyaddr, vendor, ..Controls::default() })
    }

    #[test]
    fn a_walk_goes_down_from_the_top_and_stays_at_the_page_table() {
        let four = Controls::default();
        let five = Controls { flags: ControlFlags::LA57, ..four };

        assert_eq!((Level::top(&four), Level::top(&five)), (Level::Pml4, Level::Pml5));
        assert_eq!(LEVELS.map(|level| level as u8), [1, 2, 3, 4, 5]);
        let below = [Level::Pt, Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4];
        assert_eq!(LEVELS.map(Level::below), below);
    }

    #[test]
    fn an_address_is_cut_into_nine_bits_a_level() {
        let virt = VirtAddr(0x0123_0000_0000_0fff | 2 << 12 | 3 << 21 | 4 << 30 | 5 << 39);

        assert_eq!(LEVELS.map(Level::shift), [12, 21, 30, 39, 48]);
        assert_eq!(LEVELS.map(Level::span), [1 << 12, 1 << 21, 1 << 30, 1 << 39, 1 << 48]);
        assert_eq!(LEVELS.map(|level| level.index(virt)), [2, 3, 4, 5, 0x123]);
        assert_eq!(LEVELS.map(|level| level.index(VirtAddr(u64::MAX))), [511; 5]);
    }

    #[test]
    fn each_bit_is_where_the_manual_has_it() {
        let bits = [Entry::P, Entry::RW, Entry::US, Entry::A, Entry::D, Entry::PS, Entry::G];

        assert_eq!(bits, [0x1, 0x2, 0x4, 0x20, 0x40, 0x80, 0x100]);
        assert_eq!(Entry::XD, XD);
        assert_eq!(Entry::ADDRESS, 0x000f_ffff_ffff_f000);
        assert!(Entry(0x23).has(0x21) && Entry(0x23).has(0));
        assert!(!Entry(0x23).has(0x25) && !Entry(0x23).has(0x40));
    }

    #[test]
    fn the_key_is_bits_62_to_59() {
        assert_eq!(Entry(0xa << 59).key(), 0xa);
        assert_eq!(Entry(!(0xf << 59)).key(), 0);
        assert_eq!(Entry(u64::MAX).key(), 0xf);
    }

    /// The bits that must be 0, level by level from the page table up.
    fn masks(reserved: Reserved, entry: u64) -> [u64; 5] {
        LEVELS.map(|level| reserved.at(level, Entry(entry)))
    }

    #[test]
    fn what_is_reserved_depends_on_level_size_width_and_vendor() {
        let beyond_40 = 0x000f_ff00_0000_0000;
        let intel = reserved(NXE, 40, Vendor::Intel);
        assert_eq!(
            masks(intel, 0),
            [beyond_40, beyond_40, beyond_40, beyond_40 | 0x80, beyond_40 | 0x80]
        );
        // Bits 20:13 of a 2 MiB page and 29:13 of one of 1 GiB; bit 12 is PAT.
        let mut large = masks(intel, 0);
        large[1] |= 0x001f_e000;
        large[2] |= 0x3fff_e000;
        assert_eq!(masks(intel, 0x80), large);
        let mut amd = masks(intel, 0);
        amd[3] |= 0x100;
        amd[4] |= 0x100;
        assert_eq!(masks(reserved(NXE, 40, Vendor::Amd), 0), amd);
        let without_nxe = masks(intel, 0).map(|mask| mask | XD);
        assert_eq!(masks(reserved(ControlFlags::NONE, 40, Vendor::Intel), 0), without_nxe);
        assert_eq!(masks(reserved(NXE, 36, Vendor::Intel), 0)[0], 0x000f_fff0_0000_0000);
        assert_eq!(masks(reserved(NXE, 52, Vendor::Intel), 0)[0], 0);
    }

    #[test]
    fn an_entry_is_what_its_level_makes_of_it() {
        use EntryKind::{Leaf, NotPresent, Reserved as IsReserved, Table};
        let intel = reserved(NXE, 40, Vendor::Intel);
        let kinds = |entry: u64| LEVELS.map(|level| Entry(entry).kind(level, intel));
        let at = PhysAddr::truncated;

        assert_eq!(kinds(u64::MAX ^ 1), [NotPresent; 5]);
        assert_eq!(kinds(1 << 40 | 1), [IsReserved; 5]);
        let table = Table(at(0x12_3456_7000));
        let page = Leaf(at(0x12_3456_7000), PageSize::Kib4);
        assert_eq!(kinds(0x12_3456_7000 | 0x161 | XD), [page, table, table, table, table]);
        let (large, larger) =
            (Leaf(at(0x12_4000_0000), PageSize::Mib2), Leaf(at(0x12_4000_0000), PageSize::Gib1));
        let page = Leaf(at(0x12_4000_1000), PageSize::Kib4);
        assert_eq!(kinds(0x12_4000_1081), [page, large, larger, IsReserved, IsReserved]);
        assert_eq!(kinds(0x12_4000_2081)[1..3], [IsReserved; 2]);
        let large = Leaf(at(0x12_4020_0000), PageSize::Mib2);
        assert_eq!(kinds(0x12_4020_0081)[1..3], [large, IsReserved]);
    }
}
