//! Many walks side by side, level by level.
//!
//! One walk waits for memory at each level, because an entry says where the next one lies. The
//! entries of different walks are independent, so a processor that is asked for all of one level
//! fetches them together. That pays where tables are larger than its caches; where they are not, one
//! walk after the other is cheaper.

use super::{Above, Descent, PD, PDPT, PT, Walker, entry_at};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::{PageSize, TableMemory};

/// Walks that advance together. More gain nothing: a processor core has few tens of outstanding
/// cache misses.
const TOGETHER: usize = 32;

/// One that has to read another entry.
#[derive(Clone, Copy)]
struct Underway {
    virt: VirtAddr,
    above: Above,
    /// Its place among those that were asked for.
    place: usize,
}

/// Those that go on, without gaps: what ended is not looked at again.
struct Going {
    walks: [Underway; TOGETHER],
    count: usize,
}

impl Going {
    const fn none() -> Self {
        let nothing =
            Underway { virt: VirtAddr(0), above: Above { table: 0, denied: 0 }, place: 0 };
        Self { walks: [nothing; TOGETHER], count: 0 }
    }

    #[inline(always)]
    fn put(&mut self, walk: Underway) {
        // The remainder says so to the compiler.
        self.walks[self.count % TOGETHER] = walk;
        self.count += 1;
    }

    /// Each with its entry, all of which are asked for before the first is looked at: a loop with
    /// little else in it keeps as many loads under way as a processor can.
    #[inline(always)]
    fn entries(&self, memory: &impl TableMemory, shift: u32) -> [u64; TOGETHER] {
        let mut entries = [0; TOGETHER];
        for (entry, walk) in entries.iter_mut().zip(self.walks()) {
            *entry = memory.entry(entry_at(walk.above.table, walk.virt, shift));
        }
        entries
    }

    #[inline(always)]
    fn walks(&self) -> &[Underway] {
        self.walks.get(..self.count).unwrap_or_default()
    }
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
        let mut going = Going::none();
        for (virts, found) in virts.chunks(TOGETHER).zip(found.chunks_mut(TOGETHER)) {
            self.together(memory, &mut going, virts, found);
        }
    }

    #[inline]
    fn together(
        &self,
        memory: &impl TableMemory,
        going: &mut Going,
        virts: &[VirtAddr],
        found: &mut [Option<PhysAddr>],
    ) {
        self.through_uppers(memory, going, virts, found);
        let entries = going.entries(memory, PD);
        self.through_directories(going, &entries, found);
        let entries = going.entries(memory, PT);
        for (walk, leaf) in going.walks().iter().zip(entries) {
            self.arrive(walk, leaf, PageSize::Kib4, found);
        }
    }

    /// Down to the page directories, each walk by itself: what is read there covers so much that it is
    /// in the caches.
    #[inline(always)]
    fn through_uppers(
        &self,
        memory: &impl TableMemory,
        going: &mut Going,
        virts: &[VirtAddr],
        found: &mut [Option<PhysAddr>],
    ) {
        going.count = 0;
        for (place, (&virt, found)) in virts.iter().zip(found).enumerate() {
            *found = None;
            let Some(above) = self.third(memory, virt) else { continue };
            let entry = memory.entry(entry_at(above.table, virt, PDPT));
            match self.descend(above, entry) {
                Descent::Table(above) => going.put(Underway { virt, above, place }),
                Descent::Large => {
                    *found = self.finish_gib(above.denied, entry, |page| {
                        (page.denied(), page.address(virt))
                    });
                }
                Descent::Ends => {}
            }
        }
    }

    #[inline(always)]
    fn through_directories(
        &self,
        going: &mut Going,
        entries: &[u64; TOGETHER],
        found: &mut [Option<PhysAddr>],
    ) {
        let before = going.count;
        going.count = 0;
        for (number, &entry) in entries.iter().enumerate().take(before) {
            // In its place: no more go on than came.
            let walk = going.walks[number];
            match self.descend(walk.above, entry) {
                Descent::Table(above) => going.put(Underway { above, ..walk }),
                Descent::Large => self.arrive(&walk, entry, PageSize::Mib2, found),
                Descent::Ends => {}
            }
        }
    }

    #[inline(always)]
    fn arrive(&self, walk: &Underway, leaf: u64, size: PageSize, found: &mut [Option<PhysAddr>]) {
        if let Some(found) = found.get_mut(walk.place) {
            *found = self.finish(walk.above.denied, leaf, size, |page| {
                (page.denied(), page.address(walk.virt))
            });
        }
    }
}
