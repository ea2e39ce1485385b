//! What happens where nothing is remembered? A walk, and what it finds is.

use super::value::{Value, frame_of};
use super::{DirectMapped, Granted};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::Walker;
use crate::machine::paging::x86_64::walker::Permitted;
use crate::machine::tlb::PagingStructureCache;

/// What says where an address lies.
enum Found {
    /// The frame of what is remembered now, among other bits.
    Held(u64),
    /// A page too small to be.
    TooSmall(PhysAddr),
}

impl Found {
    #[inline(always)]
    const fn address(self, virt: VirtAddr, offset: u64) -> PhysAddr {
        match self {
            Self::Held(frame) => Value(frame).address(virt, offset),
            Self::TooSmall(address) => address,
        }
    }
}

impl<const ENTRIES: usize, const SHIFT: u32> DirectMapped<ENTRIES, SHIFT> {
    /// Where `walker` leads `virt`, remembered from then on: what to do after a miss.
    /// [`Walker::reach`] and [`keep`](Self::keep) say and do the same in more instructions.
    #[must_use]
    #[inline(always)]
    pub fn fetch(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        let (place, pieces) = (&mut self.entries[Self::slot(virt)], &mut self.has_pieces);
        walker
            .reach_as(memory, virt, |page| Self::keep_page(place, pieces, walker, virt, &page))
            .map(|found| found.address(virt, Self::OFFSET))
    }

    /// As [`fetch`](Self::fetch), from where `upper_levels` says that the walk starts: a miss costs
    /// little more than reading the leaf. Such a walk is as good as one from the root, whatever was
    /// invalidated, as long as `upper_levels` is told of stores.
    #[must_use]
    #[inline(always)]
    pub fn fetch_below<const REGIONS: usize>(
        &mut self,
        upper_levels: &mut PagingStructureCache<REGIONS>,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        let (place, pieces) = (&mut self.entries[Self::slot(virt)], &mut self.has_pieces);
        upper_levels
            .reach_as(walker, memory, virt, |page| {
                Self::keep_page(place, pieces, walker, virt, &page)
            })
            .map(|found| found.address(virt, Self::OFFSET))
    }

    /// [`hit`](Self::hit), and [`fetch`](Self::fetch) where there is none: the same in fewer instructions.
    #[must_use]
    #[inline(always)]
    pub fn hit_or_fetch(
        &mut self,
        virt: VirtAddr,
        granted: Granted,
        walker: &Walker,
        memory: &impl TableMemory,
    ) -> Option<PhysAddr> {
        let (place, pieces) = (&mut self.entries[Self::slot(virt)], &mut self.has_pieces);
        let found = match Self::held(place, virt, granted) {
            Some(Value(value)) => Found::Held(value),
            None => walker.reach_as(memory, virt, |page| {
                Self::keep_page(place, pieces, walker, virt, &page)
            })?,
        };
        Some(found.address(virt, Self::OFFSET))
    }

    /// [`hit`](Self::hit), and [`fetch_below`](Self::fetch_below) where there is none.
    #[must_use]
    #[inline(always)]
    pub fn hit_or_fetch_below<const REGIONS: usize>(
        &mut self,
        virt: VirtAddr,
        granted: Granted,
        upper_levels: &mut PagingStructureCache<REGIONS>,
        walker: &Walker,
        memory: &impl TableMemory,
    ) -> Option<PhysAddr> {
        let (place, pieces) = (&mut self.entries[Self::slot(virt)], &mut self.has_pieces);
        let found = match Self::held(place, virt, granted) {
            Some(Value(value)) => Found::Held(value),
            None => upper_levels.reach_as(walker, memory, virt, |page| {
                Self::keep_page(place, pieces, walker, virt, &page)
            })?,
        };
        Some(found.address(virt, Self::OFFSET))
    }

    #[inline(always)]
    fn keep_page(
        place: &mut [u64; 2],
        has_pieces: &mut bool,
        walker: &Walker,
        virt: VirtAddr,
        page: &Permitted,
    ) -> Found {
        if page.size < Self::PIECE {
            return Found::TooSmall(page.address(virt));
        }
        let value = Value::of(page, walker.kept(page.size), virt, Self::OFFSET);
        *place = [Self::number(virt) | walker.pcid_above(), value.0];
        *has_pieces |= page.size != Self::PIECE;
        // Not from the value: the address need not wait for it.
        Found::Held(frame_of(page, virt, Self::OFFSET))
    }
}
