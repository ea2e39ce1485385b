//! What happens where nothing is remembered? A walk, and what it finds is.
//!
//! An entry is written before the last check of the walk, which is made of what the value was put together
//! from. What comes to nothing is emptied again before anybody can ask.

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
    ///
    /// Where there is more to say than an address, what had the place of `virt` is forgotten, as a
    /// processor may forget what it likes; [`fetch_or_leave`](Self::fetch_or_leave) leaves it there.
    #[must_use]
    #[inline(always)]
    pub fn fetch(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        let slot = Self::slot(virt);
        let found = walker.reach_as(memory, virt, |page| self.keep_page(slot, walker, virt, page));
        if found.is_none() {
            (self.tags[slot], self.values[slot]) = (0, 0);
        }
        found
    }

    /// As [`fetch`](Self::fetch), and where there is more to say nothing is forgotten.
    #[must_use]
    #[inline(always)]
    pub fn fetch_or_leave(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        let slot = Self::slot(virt);
        let before = (self.tags[slot], self.values[slot]);
        let found = self.fetch(walker, memory, virt);
        if found.is_none() {
            (self.tags[slot], self.values[slot]) = before;
        }
        found
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
        let slot = Self::slot(virt);
        let found = upper_levels
            .reach_as(walker, memory, virt, |page| self.keep_page(slot, walker, virt, page));
        if found.is_none() {
            (self.tags[slot], self.values[slot]) = (0, 0);
        }
        found
    }

    /// Writes the entry: what of it is to be checked, and the address.
    #[inline(always)]
    fn keep_page(
        &mut self,
        slot: usize,
        walker: &Walker,
        virt: VirtAddr,
        page: &Permitted,
    ) -> (u64, PhysAddr) {
        if page.size < Self::PIECE {
            return (page.denied(), page.address(virt));
        }
        let (checked, value) = Value::of(page, walker.kept(page.size), virt, Self::OFFSET);
        // Said again, because what a slot is at most is forgotten while the walk needs the registers.
        let slot = slot % ENTRIES;
        self.tags[slot] = Self::number(virt) | walker.pcid_above();
        self.values[slot] = value.0;
        // Of a whole page put together as at a hit, and not from the value, for which it need not wait.
        let address = if page.size == Self::PIECE {
            Value(frame_of(page)).address(virt, Self::OFFSET)
        } else {
            self.has_pieces = true;
            value.address(virt, Self::OFFSET)
        };
        (checked, address)
    }
}
