//! How does an entry of a cache keep what a walk found?
//!
//! As the leaf has it, each bit in its place, so that little is left to do when an entry is filled. Only
//! R/W and U/S are turned and, like XD, those of all levels: what is denied anywhere is denied. What a leaf
//! has in other places is of no use to a cache, and there stands what a leaf does not say.

use super::code::Code;
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::walker::Permitted;
use crate::machine::paging::x86_64::{Entry, Rights};

pub(super) const VALID: u64 = Entry::P;
/// Set of all that is remembered: nothing that is not marked as accessed is.
const ACCESSED: u64 = Entry::A;
const DIRTY: u64 = Entry::D;
const GLOBAL: u64 = Entry::G;
/// Set where writes, user mode or fetches are denied by some entry on the way.
const DENIED: u64 = Entry::RW | Entry::US | Entry::XD;
/// Where an entry above the leaf denies writes. It counts on a dirty leaf, which else is a page of a shadow
/// stack when it can't be written.
const ABOVE_SHIFT: u32 = 2;
const DENIED_ABOVE: u64 = Entry::RW << ABOVE_SHIFT;
/// Set of a page larger than 4 KiB …
const LARGE: u64 = Entry::PS;
/// … and also if it is larger than 2 MiB.
const GIB1: u64 = 1 << 11;
const KEY_SHIFT: u32 = 59;
const FRAME: u64 = Entry::ADDRESS;

/// Of a large leaf, in the field that has its address.
const PAT_OF_LARGE: u64 = 1 << 12;

/// Where it stands that reads and writes of three kinds are permitted, and fetches of two.
pub(super) const READS: u32 = 52;
pub(super) const WRITES: u32 = 55;
pub(super) const FETCHES: u32 = 9;
const PERMITTED: u64 = 0x3f << READS | 3 << FETCHES;

/// The frame that [`Value::of`] keeps, among other bits of the leaf: known before the value is.
#[inline(always)]
pub(super) const fn frame_of(page: &Permitted) -> u64 {
    let pat = if let PageSize::Kib4 = page.size { 0 } else { PAT_OF_LARGE };
    page.leaf & !pat
}

/// What is remembered of a page; 0 where nothing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Value(pub(super) u64);

impl Value {
    /// Of a leaf what is `kept`, all that counts in a check of it; and the value of the piece of its page that
    /// has `virt`, whose `offset` bits are those within the piece.
    #[inline(always)]
    pub(super) const fn of(
        page: &Permitted,
        kept: u64,
        virt: VirtAddr,
        offset: u64,
    ) -> (u64, Self) {
        let checked = page.denied() & kept;
        // Known before the leaf is read, so that only one sum waits for it. U/S goes with R/W to a place that
        // nobody reads, and XD is lost. Nothing is where there is something of the others.
        let gib1 = if let PageSize::Gib1 = page.size { GIB1 } else { 0 };
        let piece = virt.0 & (page.size.bytes() - 1) & !offset;
        let beside = (page.above << ABOVE_SHIFT) + piece + gib1;
        (checked, Self(checked + beside))
    }

    #[inline(always)]
    pub(super) const fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }

    #[inline(always)]
    pub(super) const fn is_dirty(self) -> bool {
        self.0 & DIRTY != 0
    }

    #[inline(always)]
    pub(super) const fn is_global(self) -> bool {
        self.0 & GLOBAL != 0
    }

    #[inline(always)]
    pub(super) const fn key(self) -> u8 {
        Entry(self.0).key()
    }

    #[inline(always)]
    pub(super) const fn size(self) -> PageSize {
        if self.0 & LARGE == 0 {
            PageSize::Kib4
        } else if self.0 & GIB1 == 0 {
            PageSize::Mib2
        } else {
            PageSize::Gib1
        }
    }

    /// Where `virt` lies, whose `offset` bits are those within what is remembered.
    #[inline(always)]
    pub(super) const fn address(self, virt: VirtAddr, offset: u64) -> PhysAddr {
        PhysAddr::truncated(self.0 & FRAME & !offset | virt.0 & offset)
    }

    #[inline(always)]
    pub(super) const fn code(self) -> Code {
        let granted = self.0 ^ DENIED;
        let above = self.0 >> 3 & !self.0 & DENIED_ABOVE;
        Code::from_bits((granted & (Entry::RW | Entry::US)) >> 1 | granted >> 61 & 4 | above)
    }

    #[inline(always)]
    pub(super) fn rights(self) -> Rights {
        self.code().rights()
    }

    /// With these accesses permitted and no others.
    #[inline(always)]
    pub(super) const fn permitting(self, cases: u64) -> Self {
        Self(self.0 & !PERMITTED | cases)
    }

    #[inline(always)]
    pub(super) const fn permitted(self) -> u64 {
        self.0 & PERMITTED
    }

    /// What it says, in an order that does not depend on where the bits are kept: for hashes. Which
    /// accesses were decided to be permitted follows from the rest.
    pub(super) const fn said(self) -> u64 {
        self.0 & (VALID | DIRTY | FRAME)
            | self.code().bits() << 1
            | (self.key() as u64) << 7
            | (self.0 & GLOBAL) << 3
            | (self.size() as u64) << 52
    }
}

/// What is remembered of a leaf, spelt out.
pub(super) struct Leaf {
    pub(super) rights: Rights,
    pub(super) is_dirty: bool,
    pub(super) is_global: bool,
    pub(super) key: u8,
    pub(super) size: PageSize,
    pub(super) address: PhysAddr,
}

impl Leaf {
    /// The same as a value.
    pub(super) fn value(&self, offset: u64) -> Value {
        let of = |is: bool, bit: u64| if is { bit } else { 0 };
        let rights = self.rights;
        let is_writable = rights.has(Rights::WRITABLE);
        Value(
            VALID
                | ACCESSED
                | of(!is_writable, Entry::RW)
                | of(!rights.has(Rights::USER), Entry::US)
                | of(!rights.has(Rights::EXECUTABLE), Entry::XD)
                | of(!is_writable && !rights.has(Rights::SHADOW_STACK), DENIED_ABOVE)
                | of(self.is_dirty, DIRTY)
                | of(self.is_global, GLOBAL)
                | u64::from(self.key) << KEY_SHIFT
                | of(self.size != PageSize::Kib4, LARGE)
                | of(self.size == PageSize::Gib1, GIB1)
                | self.address.raw() & FRAME & !offset,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Access, Ring};
    use crate::machine::paging::x86_64::{ControlFlags, Controls, Request, Walker};

    fn kept(size: PageSize, flags: ControlFlags) -> u64 {
        let controls = Controls { flags, ..Controls::default() };
        let request = Request::new(VirtAddr(0), Access::Read, Ring::Kernel);
        Walker::new(&controls, &request).kept(size)
    }

    fn set(bits: [u64; 4], number: u64) -> u64 {
        (0..4).filter(|bit| number >> bit & 1 == 1).fold(0, |all, bit| all | bits[bit])
    }

    #[test]
    fn of_any_leaf_below_any_entries_the_rights_come_back() {
        let bits = [Entry::RW, Entry::US, Entry::XD, Entry::D];

        for (above, leaf) in (0..8).flat_map(|above| (0..16).map(move |leaf| (above, leaf))) {
            let denied = set(bits, above);
            let table = (Entry::RW | Entry::US) ^ denied;
            let leaf = Entry::P | Entry::A | set(bits, leaf) | 0x9_8765_4321_0000 | 11 << 59;
            let rights = Rights::ROOT.through_table(Entry(table)).through_leaf(Entry(leaf));
            let is_dirty = leaf & Entry::D != 0;

            let permitted = Permitted { above: denied, leaf, size: PageSize::Kib4 };
            let kept = kept(PageSize::Kib4, ControlFlags::NONE);
            let (_, value) = Value::of(&permitted, kept, VirtAddr(0), 0xfff);

            assert_eq!(value.rights(), rights, "{denied:#x} {leaf:#x}");
            assert_eq!(value.is_dirty(), is_dirty, "{denied:#x} {leaf:#x}");
            assert!(value.is_valid());
            assert_eq!(value.0 & ACCESSED, ACCESSED, "nothing else is remembered");
            let (key, address) = (11, PhysAddr::truncated(0x9_8765_4321_0000));
            assert_eq!((value.key(), value.address(VirtAddr(0), 0xfff)), (key, address));
            let spelt =
                Leaf { rights, is_dirty, is_global: false, key, size: PageSize::Kib4, address };
            assert_eq!(spelt.value(0xfff).said(), value.said(), "{denied:#x} {leaf:#x}");
        }
    }

    #[test]
    fn all_that_is_told_of_a_page_comes_back_whatever_it_permits() {
        // Bit 12 is 0, where a large leaf has its PAT bit.
        let virt = VirtAddr(0x7f12_3456_8abc);
        for (size, offset, frame) in [
            (PageSize::Kib4, 0xfff, 0x9_8765_4321_0000),
            (PageSize::Mib2, 0xfff, 0x9_8765_4320_0000),
            (PageSize::Mib2, 0x1f_ffff, 0x9_8765_4320_0000),
            (PageSize::Gib1, 0xfff, 0x9_8765_4000_0000),
            (PageSize::Gib1, 0x1f_ffff, 0x9_8765_4000_0000),
        ] {
            // PAT of a large page, and whatever software and caching keep in their bits.
            let pat = if size == PageSize::Kib4 { 1 << 7 } else { 1 << 7 | 1 << 12 };
            let software = 0x7f << 52 | 7 << 9 | 3 << 3;
            let leaf = 0x63 | frame | 11 << 59 | Entry::G | pat | software;
            let permitted = Permitted { above: 0, leaf, size };
            for (flags, is_global) in [(ControlFlags::NONE, false), (ControlFlags::PGE, true)] {
                let (checked, value) = Value::of(&permitted, kept(size, flags), virt, offset);
                let page = size.bytes() - 1;
                assert_eq!(
                    Value(frame_of(&permitted)).address(virt, page),
                    Value(checked).address(virt, page)
                );

                let address = PhysAddr::truncated(frame | virt.0 & (size.bytes() - 1));
                assert_eq!(value.permitted(), 0);
                for cases in [0, PERMITTED, 1 << READS, 1 << (WRITES + 2), 1 << (FETCHES + 1)] {
                    let value = value.permitting(PERMITTED).permitting(cases);
                    assert_eq!(value.permitted(), cases);
                    assert_eq!(value.address(virt, offset), address, "{size:?}");
                    assert_eq!((value.size(), value.key()), (size, 11));
                    assert_eq!((value.is_global(), value.is_dirty()), (is_global, true));
                    assert_eq!(
                        value.rights(),
                        Rights::from_bits(Rights::WRITABLE.bits() | Rights::EXECUTABLE.bits())
                    );
                }
                let rights = value.rights();
                let spelt = Leaf { rights, is_dirty: true, is_global, key: 11, size, address };
                assert_eq!(spelt.value(offset), value, "{size:?}");
            }
        }
    }

    #[test]
    fn what_is_hashed_is_where_it_always_was() {
        let leaf = Leaf {
            rights: Rights::from_bits(Rights::USER.bits() | Rights::WRITABLE.bits()),
            is_dirty: true,
            is_global: true,
            key: 9,
            size: PageSize::Mib2,
            address: PhysAddr::truncated(0x1_2345_6000),
        };

        let expected = 1 | 0b1011 << 1 | 1 << 6 | 9 << 7 | 1 << 11 | 0x1_2345_6000 | 1 << 52;
        assert_eq!(leaf.value(0xfff).said(), expected);
    }
}
