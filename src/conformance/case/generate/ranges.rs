//! Which ranges are drawn: some of several large pages, and many that begin in front of a border of tables and
//! end behind it. Code that goes on only to the end of a table does all of a range that begins at its border.

use super::Generator;
use crate::base::{FRAME_BYTES, VirtAddr};
use crate::machine::paging::PageSize;

/// What a range is drawn for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be mapped.
    Map,
    /// To be unmapped, or given other rights.
    Change,
}

impl Generator<'_, '_> {
    /// A range that ends inside its half.
    pub(super) fn range(&mut self, purpose: Purpose) -> (VirtAddr, u64) {
        let beside = self.beside(self.smallest());
        if purpose == Purpose::Change
            && beside.is_none()
            && let Some(range) = self.part().or_else(|| self.asked_for())
        {
            return range;
        }
        let (unit, units) = self.extent();
        let near = if self.draw.one_in(2) { self.across(unit, units) } else { None };
        let mut first = match self.draw.pick(&self.mapped) {
            _ if beside.is_some() => beside.unwrap_or_default(),
            _ if near.is_some() => near.unwrap_or_default(),
            Some((page, _)) if !self.draw.one_in(3) => page,
            _ => self.place(self.smallest()),
        };
        let is_long = units > 100;
        if beside.is_none() && near.is_none() && is_long && !self.draw.one_in(3) {
            first = VirtAddr(first.0 & !(PageSize::Mib2.bytes() - 1));
        }
        first = VirtAddr(first.0 & !(unit - 1));
        let mut bytes = units * unit;
        while bytes > unit && !self.fits(first, bytes) {
            bytes -= unit;
        }
        if unit > self.smallest().bytes() {
            return self.ragged(first, bytes);
        }
        (first, bytes)
    }

    /// Some small pages of a large one, which has to be split for them.
    fn part(&mut self) -> Option<(VirtAddr, u64)> {
        let is_other = if self.is_short { self.draw.one_in(4) } else { !self.draw.one_in(3) };
        if self.smallest() != PageSize::Kib4 || is_other {
            return None;
        }
        let large = self.mapped.iter().filter(|(_, size)| *size != PageSize::Kib4).copied();
        let large: Vec<_> = large.collect();
        let (page, _) = self.draw.pick(&large)?;
        let distance = if self.draw.one_in(2) { 0 } else { self.draw.below(508) };
        let pages = 1 + self.draw.below(4);
        Some((page.plus(distance * FRAME_BYTES), pages * FRAME_BYTES))
    }

    /// One that was asked to be mapped, be it as a page of 1 GiB.
    fn asked_for(&mut self) -> Option<(VirtAddr, u64)> {
        if !self.draw.one_in(2) {
            return None;
        }
        let is_huge = |(_, size): &&(VirtAddr, PageSize)| *size == PageSize::Gib1;
        let huge = self.mapped.iter().rfind(is_huge).copied();
        if let Some((page, size)) = huge
            && self.draw.one_in(8)
        {
            return Some((page, size.bytes()));
        }
        if self.draw.one_in(2) {
            return self.ranges.iter().copied().max_by_key(|(_, bytes)| *bytes);
        }
        self.draw.pick(&self.ranges)
    }

    /// What a range is made of, and of how many.
    fn extent(&mut self) -> (u64, u64) {
        let smallest = self.smallest();
        let has_large = smallest == PageSize::Kib4 && self.sizes.contains(&PageSize::Mib2);
        // Code that knows small pages only makes hundreds of each.
        if has_large && self.draw.one_in(16) {
            return (PageSize::Mib2.bytes(), if self.draw.one_in(4) { 3 } else { 2 });
        }
        let units = if self.draw.one_in(10) {
            self.draw.pick(&[511, 512, 513, 600]).unwrap_or(512)
        } else {
            self.draw.pick(&[1, 2, 3, 4, 6, 16]).unwrap_or(1)
        };
        (smallest.bytes(), units)
    }

    /// Where a range begins that goes on behind one of the case's places.
    fn across(&mut self, unit: u64, units: u64) -> Option<VirtAddr> {
        let edges = self.edges.iter().copied();
        let edges: Vec<u64> =
            edges.filter(|edge| self.before(*edge, unit, unit).is_some()).collect();
        let edge = self.draw.pick(&edges).filter(|_| units > 1)?;
        let before = 1 + self.draw.below((units - 1).min(16));
        self.before(edge, before * unit, unit)
    }

    /// The page of that size so far in front of a place, in the same half.
    fn before(&self, edge: u64, distance: u64, unit: u64) -> Option<VirtAddr> {
        let first = VirtAddr(edge.checked_sub(distance)? & !(unit - 1));
        let is_same_half = first.is_system() == VirtAddr(edge).is_system();
        (is_same_half && self.is_translated(first)).then_some(first)
    }

    /// A range of large pages, sometimes with a few small ones in front and behind.
    fn ragged(&mut self, first: VirtAddr, bytes: u64) -> (VirtAddr, u64) {
        if !self.draw.one_in(3) {
            return (first, bytes);
        }
        let before = self.draw.below(3) * FRAME_BYTES;
        let after = self.draw.below(3) * FRAME_BYTES;
        let start = VirtAddr(first.0.saturating_sub(before));
        let is_inside = self.is_translated(start) && start.is_system() == first.is_system();
        let (start, before) = if is_inside { (start, first.0 - start.0) } else { (first, 0) };
        let longer = before + bytes + after;
        (start, if self.fits(start, longer) { longer } else { before + bytes })
    }

    pub(super) fn fits(&self, first: VirtAddr, bytes: u64) -> bool {
        let last = first.plus(bytes - 1);
        last.0 >= first.0
            && self.is_translated(VirtAddr(last.0 & !(FRAME_BYTES - 1)))
            && last.is_system() == first.is_system()
    }
}
