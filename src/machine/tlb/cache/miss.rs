//! What happens where nothing is remembered? A walk, and what it finds is.

use super::DirectMapped;
use super::value::{Value, frame_of};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::Walker;
use crate::machine::paging::x86_64::walker::Permitted;
use crate::machine::tlb::PagingStructureCache;

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
        walker.reach_as(memory, virt, |page| Self::keep_page(place, pieces, walker, virt, &page))
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
        upper_levels.reach_as(walker, memory, virt, |page| {
            Self::keep_page(place, pieces, walker, virt, &page)
        })
    }

    #[inline(always)]
    fn keep_page(
        place: &mut [u64; 2],
        has_pieces: &mut bool,
        walker: &Walker,
        virt: VirtAddr,
        page: &Permitted,
    ) -> PhysAddr {
        if page.size < Self::PIECE {
            return page.address(virt);
        }
        let value = Value::of(page, walker.kept(page.size), virt, Self::OFFSET);
        *place = [Self::number(virt) | walker.pcid_above(), value.0];
        *has_pieces |= page.size != Self::PIECE;
        // Put together as at a hit, and not from the value, for which it need not wait.
        Value(frame_of(page, virt, Self::OFFSET)).address(virt, Self::OFFSET)
    }
}
