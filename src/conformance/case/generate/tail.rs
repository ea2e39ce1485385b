//! What some cases end with, on pages that none of their calls was about: a range of a length at which code
//! changes its ways, one with pages of 1 GiB in its middle, or a page that leads to an address which takes every
//! bit the format has for one.
//!
//! Among the other calls of a case they would be rare: code that does all or nothing of a range refuses most long
//! ones, because some page of theirs is mapped, or is not.

use super::{ELSEWHERE, Generator};
use crate::base::{FRAME_BYTES, PhysAddr, VirtAddr};
use crate::conformance::format::{Decoded, Format};
use crate::conformance::memory::Memory;
use crate::conformance::operation::{Call, Disturbance, Region};
use crate::conformance::rights::Rights;
use crate::conformance::subject::{Capabilities, Capability};
use crate::machine::paging::PageSize;

// Lengths at powers of two and beside them: code invalidates page by page up to so many pages and everything from
// there on (Linux: up to 33), or keeps so many in a list. Each page costs time, so that the longest are rare.
const FEW: &[u64] = &[15, 16, 17];
const SCORES: &[u64] = &[31, 32, 33, 34, 63, 64, 65];
const HUNDREDS: &[u64] = &[127, 128, 129, 255, 256, 257];
const WHOLE_TABLES: &[u64] = &[511, 512, 513];

/// Bits of a physical address that [`ELSEWHERE`] and what is mapped from it on take.
const LOW_BITS: u32 = 38;

/// Places that are tried until one is free.
const TRIES: u32 = 16;

const MIB2: u64 = PageSize::Mib2.bytes();
const GIB1: u64 = PageSize::Gib1.bytes();

/// Bits of a physical address in this format.
fn physical_bits(format: &dyn Format) -> u32 {
    let leads = |bit: &u32| {
        let wanted = PhysAddr::truncated(1 << bit);
        let entry = format.leaf(1, wanted, Rights::WRITE);
        matches!(format.decode(1, entry), Decoded::Leaf { page, .. } if page == wanted)
    };
    (LOW_BITS..52).rev().find(leads).map_or(LOW_BITS, |bit| bit + 1)
}

/// The bit by which an entry that names a table would be a page; no bit where a format has none alone.
fn kind_bit(format: &dyn Format) -> u64 {
    let names = format.table(PhysAddr::truncated(0));
    let is_page = |bit: &u64| matches!(format.decode(2, names ^ bit), Decoded::Leaf { .. });
    (0..64).map(|bit| 1 << bit).find(is_page).unwrap_or(0)
}

/// A range to be mapped.
struct Range {
    first: VirtAddr,
    to: u64,
    bytes: u64,
    /// What may be changed of it from its start on instead of all.
    part: u64,
}

impl Generator<'_, '_> {
    /// The last calls of a case, if it has such.
    pub(super) fn tail(&mut self, calls: &[Call], capabilities: Capabilities) -> Vec<Call> {
        // A fuzzer's empty input has none.
        if self.draw.below(4) == 0 {
            return Vec::new();
        }
        let taken: Vec<Region> = calls.iter().map(Call::region).collect();
        if capabilities.has(Capability::Ranges) && self.draw.one_in(2) {
            // Code that makes GiB of small pages is to be refused the frames for them.
            let has_huge = self.smallest() == PageSize::Kib4
                && self.sizes.contains(&PageSize::Gib1)
                && capabilities.has(Capability::AllocationFailure);
            let is_huge = has_huge && self.draw.one_in(3);
            let range = if is_huge { self.huge(&taken) } else { self.long(&taken) };
            let protects = capabilities.has(Capability::Protect);
            return range.map_or_else(Vec::new, |range| self.changes(&range, protects));
        }
        let size = self.draw.pick(&self.sizes).unwrap_or_default();
        let Some(page) = self.free(&taken, size, (0, size.bytes())) else { return Vec::new() };
        let to = PhysAddr::truncated(self.high() + self.draw.below(4) * size.bytes());
        vec![Call::Map { page, to, size, rights: self.rights() }]
    }

    /// A large page is split by other rights for a part of it, processors write to it, and the part gets the rights of
    /// its neighbours again: code that makes large pages of small ones does so then.
    pub(super) fn there_and_back(
        &mut self,
        calls: &[Call],
        capabilities: Capabilities,
    ) -> Vec<Call> {
        let has = |capability| capabilities.has(capability);
        let marks = has(Capability::ForeignEntries) || has(Capability::HardwareMarks);
        let is_able = marks && has(Capability::Ranges) && has(Capability::Protect);
        let is_split = self.sizes.starts_with(&[PageSize::Kib4, PageSize::Mib2]);
        if !(is_able && is_split && self.draw.below(10) == 1) {
            return Vec::new();
        }
        let taken: Vec<Region> = calls.iter().map(Call::region).collect();
        let Some(page) = self.free(&taken, PageSize::Mib2, (0, MIB2)) else { return Vec::new() };
        let part = page.plus(self.draw.below(512) * FRAME_BYTES);
        let (bytes, rights) = (FRAME_BYTES, self.rights());
        let other = Rights::from_bits(rights.bits() ^ 1 << self.draw.below(3));
        let to = PhysAddr::truncated(ELSEWHERE);
        vec![
            Call::Map { page, to, size: PageSize::Mib2, rights },
            Call::ProtectRange { first: part, bytes, rights: other },
            Call::Disturb { which: 2 * self.draw.below(1 << 12), how: Disturbance::Mark },
            Call::ProtectRange { first: part, bytes, rights },
        ]
    }

    /// A range of a small page and part of the large one behind it, which has to be split for that: where there is no
    /// frame for it, the small page is withdrawn already.
    pub(super) fn split_in_the_end(
        &mut self,
        calls: &[Call],
        capabilities: Capabilities,
    ) -> Vec<Call> {
        if !self.sizes.starts_with(&[PageSize::Kib4, PageSize::Mib2]) || self.draw.below(2) == 0 {
            return Vec::new();
        }
        let taken: Vec<Region> = calls.iter().map(Call::region).collect();
        let pages = 1 + self.draw.below(3);
        let before = pages * FRAME_BYTES;
        let Some(first) = self.free(&taken, PageSize::Mib2, (before, before + MIB2)) else {
            return Vec::new();
        };
        let rights = self.rights().and(Rights::WRITE);
        let (large, to) = (first.plus(before), PhysAddr::truncated(ELSEWHERE));
        let bytes = before + (1 + self.draw.below(511)) * FRAME_BYTES;
        let changes = if capabilities.has(Capability::Protect) && self.draw.one_in(3) {
            Call::ProtectRange { first, bytes, rights: Rights::READ }
        } else {
            Call::UnmapRange { first, bytes }
        };
        vec![
            Call::MapRange { first, to: Memory::data_frame(0), bytes: before, rights },
            Call::Map { page: large, to, size: PageSize::Mib2, rights },
            changes,
        ]
    }

    /// A range of small pages across the end of a table, an entry that then says of a table that it is a page, and a
    /// change of the same range: what the code takes for a large page is longer than what is left of the request.
    pub(super) fn damaged_above(
        &mut self,
        calls: &[Call],
        capabilities: Capabilities,
    ) -> Vec<Call> {
        let has = |capability| capabilities.has(capability);
        let is_able = has(Capability::AlteredTables) && has(Capability::Ranges);
        let is_split = self.sizes.starts_with(&[PageSize::Kib4]);
        if !(is_able && is_split && self.draw.below(10) == 1) {
            return Vec::new();
        }
        let taken: Vec<Region> = calls.iter().map(Call::region).collect();
        let before = self.draw.below(3) * FRAME_BYTES;
        let bytes = before + (1 + self.draw.below(3)) * FRAME_BYTES;
        let Some(first) = self.free(&taken, PageSize::Mib2, (before, bytes)) else {
            return Vec::new();
        };
        let to = PhysAddr::truncated(ELSEWHERE + first.0 % MIB2);
        let which = self.draw.below(1 << 16);
        let how = Disturbance::Flip(kind_bit(self.format));
        let changes = if has(Capability::Protect) && self.draw.one_in(3) {
            Call::ProtectRange { first, bytes, rights: self.rights() }
        } else {
            Call::UnmapRange { first, bytes }
        };
        vec![
            Call::MapRange { first, to, bytes, rights: self.rights() },
            Call::Disturb { which, how },
            changes,
        ]
    }

    /// A range is mapped, sometimes given other rights, and unmapped: as a whole or from its start on.
    fn changes(&mut self, range: &Range, protects: bool) -> Vec<Call> {
        let &Range { first, to, bytes, part } = range;
        let to = PhysAddr::truncated(to);
        let mut calls = vec![Call::MapRange { first, to, bytes, rights: self.rights() }];
        if protects && self.draw.one_in(2) {
            let bytes = if self.draw.one_in(3) { part } else { bytes };
            calls.push(Call::ProtectRange { first, bytes, rights: self.rights() });
        }
        let bytes = if self.draw.one_in(3) { part } else { bytes };
        calls.push(Call::UnmapRange { first, bytes });
        calls
    }

    /// One of many of the smallest pages.
    fn long(&mut self, taken: &[Region]) -> Option<Range> {
        let size = self.smallest();
        let (bytes, part) = (self.length() * size.bytes(), self.length() * size.bytes());
        let first = self.free(taken, size, (0, bytes))?;
        let start = if self.draw.one_in(3) { self.high() } else { ELSEWHERE };
        Some(Range { first, to: start + first.0 % MIB2, bytes, part: part.min(bytes) })
    }

    /// One with some small pages in front of a page of 1 GiB or two of them, or behind.
    fn huge(&mut self, taken: &[Region]) -> Option<Range> {
        let huge = if self.draw.one_in(3) { 2 * GIB1 } else { GIB1 };
        let (before, after) = match (self.draw.below(3), self.draw.below(3)) {
            (0, 0) => (1, 0),
            drawn => drawn,
        };
        let (before, after) = (before * FRAME_BYTES, after * FRAME_BYTES);
        let bytes = before + huge + after;
        let first = self.free(taken, PageSize::Gib1, (before, bytes))?;
        let start = if self.draw.one_in(3) { self.high() } else { ELSEWHERE };
        // Where only the virtual address is that of a page of 1 GiB, pages of 2 MiB are what is left.
        let skew = if self.draw.one_in(4) { MIB2 } else { 0 };
        // Into the first page of 1 GiB, or all of that.
        let into = self.draw.pick(&[GIB1, MIB2, FRAME_BYTES]).unwrap_or(GIB1);
        Some(Range { first, to: start + GIB1 + skew - before, bytes, part: before + into })
    }

    fn length(&mut self) -> u64 {
        let lengths = match self.draw.below(8) {
            7 => WHOLE_TABLES,
            6 => HUNDREDS,
            3..=5 => SCORES,
            _ => FEW,
        };
        self.draw.pick(lengths).unwrap_or(1)
    }

    /// Where a range begins that no call was about: so much before a page of that size.
    fn free(
        &mut self,
        taken: &[Region],
        size: PageSize,
        (before, bytes): (u64, u64),
    ) -> Option<VirtAddr> {
        (0..TRIES).find_map(|_| {
            let first = VirtAddr(self.place(size).0.checked_sub(before)?);
            let region = Region { first: first.page(), pages: bytes / FRAME_BYTES };
            let is_free = !taken.iter().any(|other| other.meets(&region));
            (is_free && self.is_translated(first) && self.fits(first, bytes)).then_some(first)
        })
    }

    /// The first address, with room for several of the largest pages, of some that only wide addresses reach.
    fn high(&mut self) -> u64 {
        let bits = physical_bits(self.format).min(self.bits);
        // Hundreds of pages of 1 GiB would not end in front of the last address.
        if bits <= LOW_BITS || self.smallest() == PageSize::Gib1 {
            return ELSEWHERE;
        }
        if self.draw.one_in(2) {
            return (1 << bits) - 8 * GIB1;
        }
        1 << (u64::from(LOW_BITS) + self.draw.below(u64::from(bits - LOW_BITS)))
    }
}
