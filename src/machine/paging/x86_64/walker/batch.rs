//! Many walks side by side, level by level.
//!
//! One walk waits for memory at each level, because an entry says where the next one lies. The
//! entries of different walks are independent, so a processor that is asked for all of one level
//! fetches them together. That pays where tables are larger than its caches; where they are not, one
//! walk after the other is cheaper.

use super::{Above, Descent, PD, PDPT, PML4, PML5, PT, Walker, address_in, entry_at};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::{PageSize, TableMemory};

/// Walks that advance together. More gain nothing: a processor core has few tens of outstanding
/// cache misses.
const TOGETHER: usize = 32;

/// One of them.
#[derive(Clone, Copy)]
struct Underway {
    virt: VirtAddr,
    above: Above,
}

impl Walker {
    /// The [`address`](Self::address) of each of `virts`, in its place in `found`. As many are
    /// answered as both slices have places for.
    pub fn addresses(
        &self,
        memory: &impl TableMemory,
        virts: &[VirtAddr],
        found: &mut [Option<PhysAddr>],
    ) {
        for (virts, found) in virts.chunks(TOGETHER).zip(found.chunks_mut(TOGETHER)) {
            self.together(memory, virts, found);
        }
    }

    #[inline]
    fn together(
        &self,
        memory: &impl TableMemory,
        virts: &[VirtAddr],
        found: &mut [Option<PhysAddr>],
    ) {
        let nothing = Underway { virt: VirtAddr(0), above: Above { table: 0, denied: 0 } };
        let mut walks = [nothing; TOGETHER];
        // Bit n: walk n goes on.
        let mut live: u32 = 0;
        let mut len = 0;
        for (number, ((&virt, found), walk)) in
            virts.iter().zip(&mut *found).zip(&mut walks).enumerate()
        {
            *found = None;
            if let Some(root) = self.root(virt) {
                *walk = Underway { virt, above: root };
                live |= 1 << number;
            }
            len = number + 1;
        }
        let walks = walks.get_mut(..len).unwrap_or_default();
        if self.regime.has_five_levels() {
            self.advance_upper(memory, walks, &mut live, PML5);
        }
        self.advance_upper(memory, walks, &mut live, PML4);
        self.advance(memory, walks, &mut live, PDPT, PageSize::Gib1, found);
        self.advance(memory, walks, &mut live, PD, PageSize::Mib2, found);
        for (number, (walk, found)) in walks.iter().zip(found).enumerate() {
            if live >> number & 1 != 0 {
                let entry = memory.entry(entry_at(walk.above.table, walk.virt, PT));
                *found = self.arrive(walk, entry, PageSize::Kib4);
            }
        }
    }

    #[inline(always)]
    fn advance_upper(
        &self,
        memory: &impl TableMemory,
        walks: &mut [Underway],
        live: &mut u32,
        shift: u32,
    ) {
        for (number, walk) in walks.iter_mut().enumerate() {
            if *live >> number & 1 == 0 {
                continue;
            }
            match self.below_upper(memory, walk.above, walk.virt, shift) {
                Some(below) => walk.above = below,
                None => *live &= !(1 << number),
            }
        }
    }

    #[inline(always)]
    fn advance(
        &self,
        memory: &impl TableMemory,
        walks: &mut [Underway],
        live: &mut u32,
        shift: u32,
        size: PageSize,
        found: &mut [Option<PhysAddr>],
    ) {
        for (number, (walk, found)) in walks.iter_mut().zip(found).enumerate() {
            if *live >> number & 1 == 0 {
                continue;
            }
            let entry = memory.entry(entry_at(walk.above.table, walk.virt, shift));
            match self.descend(walk.above, entry) {
                Descent::Table(below) => walk.above = below,
                Descent::Large => {
                    *live &= !(1 << number);
                    *found = self.arrive(walk, entry, size);
                }
                Descent::Ends => *live &= !(1 << number),
            }
        }
    }

    #[inline(always)]
    fn arrive(&self, walk: &Underway, leaf: u64, size: PageSize) -> Option<PhysAddr> {
        let reach = self.finish(walk.above.denied, leaf, size)?;
        Some(address_in(&reach, walk.virt))
    }
}
