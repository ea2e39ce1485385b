//! Where does a walk start that need not start at the root?
//!
//! Paging-structure caches (Intel SDM volume 3A, "Caching Paging Structures"): for each 2 MiB of
//! linear addresses the page table that translates them and what the entries above it deny, or where
//! the leaf of a large page lies; for each GiB the page directory. The leaf itself is read and checked
//! at each access, so a change to a page table is seen at once.
//!
//! The manual lets a processor keep such an entry until it is invalidated. This cache promises more:
//! it never says what a walk of the tables would not say. It remembers which words lead to what it
//! keeps, and is told of stores. So nothing is owed to INVLPG, INVPCID or MOV to CR3, and it may
//! stand in for the walk wherever the tables themselves are meant. The legal disorder of a real
//! processor is [`MayHold`](super::MayHold)'s.

mod watched;

use self::watched::Watched;
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::x86_64::walker::{Above, Descent, PD, PT, Permitted, entry_at};
use crate::machine::paging::x86_64::{Entry, Reach, Walker};
use crate::machine::paging::{PageSize, TableMemory};

/// Page directories that are kept: 4 KiB, and the 256 GiB they translate.
const DIRECTORIES: usize = 256;

/// Roots, with how their tables are read, that are kept apart at once.
const SPACES: usize = 8;

/// Times that everything can be forgotten before the memory of it must be wiped.
const EPOCHS: u64 = 1 << 12;

/// Regions that ask for a place until one of them gets it, where there is no room: a power of two.
const PATIENCE: u32 = 32;

// A tag: the linear address in the bits above what is covered; the epoch in bits 14:3, the space in
// 2:0. A value: a table's address in bits 51:12, or a large leaf's in 51:3; and beside it:
const DENIED: u64 = Entry::RW | Entry::US | Entry::XD;
const LARGE: u64 = 1;
const GIB1: u64 = 1 << 62;
const LEAF: u64 = ((1 << 52) - 1) & !7;

/// Upper levels of tables, as one processor remembers them; always what the tables say.
///
/// `REGIONS` is the number of 2 MiB regions with a place, a power of two; each takes 16 bytes, and 32
/// bytes more are looked at when it is filled. What it covers is `REGIONS` times 2 MiB: as much as is
/// in use, or it does little.
#[derive(Clone, Debug)]
pub struct PagingStructureCache<const REGIONS: usize = 1024> {
    regions: Box<[[u64; 2]; REGIONS]>,
    directories: Box<[[u64; 2]; DIRECTORIES]>,
    watched: Watched,
    spaces: [u64; SPACES],
    /// How many of them are in use.
    known: usize,
    /// The space of the last access …
    space: u64,
    /// … and what its tags end in.
    context: u64,
    epoch: u64,
    /// Regions that get a place whenever they ask for one …
    room: usize,
    /// … and once there are none, those bits of `asked` that are then 0.
    patience: u32,
    /// How often a region asked.
    asked: u32,
}

impl<const REGIONS: usize> Default for PagingStructureCache<REGIONS> {
    fn default() -> Self {
        Self::new()
    }
}

fn empty<const LEN: usize>() -> Box<[[u64; 2]; LEN]> {
    vec![[0; 2]; LEN].into_boxed_slice().try_into().expect("as long as was asked for")
}

impl<const REGIONS: usize> PagingStructureCache<REGIONS> {
    /// One that remembers nothing.
    #[must_use]
    pub fn new() -> Self {
        const { assert!(REGIONS.is_power_of_two(), "a region's place is cut from its address") };
        Self {
            regions: empty(),
            directories: empty(),
            watched: Watched::new(4 * REGIONS.max(DIRECTORIES)),
            spaces: [0; SPACES],
            known: 0,
            // No root has bits above 51.
            space: u64::MAX,
            context: 0,
            epoch: 1,
            room: REGIONS,
            patience: 0,
            asked: 0,
        }
    }

    /// What [`Walker::address`] says.
    #[must_use]
    #[inline(always)]
    pub fn address(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        self.reach_as(walker, memory, virt, |page| (page.denied(), page.address(virt)))
    }

    /// What [`Walker::reach`] says. `memory` is the same each time but for the stores that
    /// [`table_store`](Self::table_store) was told of.
    #[must_use]
    #[inline(always)]
    pub fn reach(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<Reach> {
        self.reach_as(walker, memory, virt, |page| (page.denied(), page.reach()))
    }

    /// What `answer` makes of it, which is cheap where the page's size is a constant.
    #[inline(always)]
    pub(super) fn reach_as<T>(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
        answer: impl FnOnce(&Permitted) -> (u64, T),
    ) -> Option<T> {
        if walker.space() != self.space {
            self.enter(walker.space());
        }
        let [tag, value] = self.regions[place::<REGIONS>(virt, PageSize::Mib2)];
        if tag == self.tag(virt, PageSize::Mib2) {
            if value & LARGE == 0 {
                let entry = memory.entry(entry_at(value, virt, PT));
                return walker.finish(value, entry, PageSize::Kib4, answer);
            }
            let entry = memory.entry(PhysAddr::truncated(value & LEAF));
            // The leaf is not watched: it may have become something else.
            if entry & Entry::PS != 0 {
                let above = value & DENIED;
                return if value & GIB1 == 0 {
                    walker.finish(above, entry, PageSize::Mib2, answer)
                } else {
                    walker.finish_gib(above, entry, answer)
                };
            }
        }
        self.miss(walker, memory, virt, answer)
    }

    /// Tells of a store to the 8 bytes at `at`. What rests on them is forgotten, and with it
    /// everything else, as INVLPG does to a processor's paging-structure caches. A store to a word
    /// that nothing rests on, a page table's among them, costs next to nothing. Every word must go by
    /// one address only.
    #[inline]
    pub fn table_store(&mut self, at: PhysAddr) {
        if self.watched.contains(PhysAddr::truncated(at.raw() & !7), self.epoch) {
            self.forget();
        }
    }

    /// Forgets everything: for memory that was changed without a word, as by going back to a
    /// checkpoint. Costs next to nothing.
    #[cold]
    pub fn forget(&mut self) {
        self.epoch += 1;
        if self.epoch == EPOCHS {
            self.regions.fill([0; 2]);
            self.directories.fill([0; 2]);
            self.watched.wipe();
            self.epoch = 1;
        }
        self.watched.restart();
        (self.room, self.patience) = (REGIONS, 0);
        self.known = 0;
        let space = self.space;
        self.enter(space);
    }

    #[inline(always)]
    const fn tag(&self, virt: VirtAddr, covered: PageSize) -> u64 {
        virt.0 & !(covered.bytes() - 1) | self.context
    }

    #[cold]
    fn enter(&mut self, space: u64) {
        let found = self.spaces.iter().take(self.known).position(|&known| known == space);
        let number = found.unwrap_or(self.known);
        self.space = space;
        if let Some(slot) = self.spaces.get_mut(number) {
            *slot = space;
            self.known = self.known.max(number + 1);
            self.context = self.epoch << 3 | number as u64;
        } else {
            // No number is left for it.
            self.forget();
        }
    }

    /// From the page directory on, or from the root.
    #[inline(always)]
    fn miss<T>(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
        answer: impl FnOnce(&Permitted) -> (u64, T),
    ) -> Option<T> {
        let [known, word] = self.directories[place::<DIRECTORIES>(virt, PageSize::Gib1)];
        let word = if known == self.tag(virt, PageSize::Gib1) {
            word
        } else {
            match self.find_directory(walker, memory, virt) {
                (Descent::Table(directory), ..) => directory.word(),
                (Descent::Large, above, at) => {
                    self.keep_region(virt, at.raw() | above.denied & DENIED | LARGE | GIB1);
                    return walker.finish_gib(above.denied, memory.entry(at), answer);
                }
                (Descent::Ends, ..) => return None,
            }
        };
        let at = entry_at(word, virt, PD);
        let entry = memory.entry(at);
        match walker.descend(Above::of(word), entry) {
            Descent::Table(below) => {
                if self.takes_turn() {
                    self.keep_table(virt, at, below);
                }
                let entry = memory.entry(entry_at(below.table, virt, PT));
                walker.finish(below.denied, entry, PageSize::Kib4, answer)
            }
            Descent::Large => {
                // The directory's word has the same denials, and its frame is the entry's.
                self.keep_region(virt, word | at.raw() | LARGE);
                walker.finish(word, entry, PageSize::Mib2, answer)
            }
            Descent::Ends => None,
        }
    }

    /// Whether a region gets its place, which another may have. Where more regions are in use than
    /// there are places, keeping each of them for a moment would cost more than it saves: once as many
    /// were kept as there are places, one in [`PATIENCE`] is.
    #[inline(always)]
    const fn takes_turn(&mut self) -> bool {
        self.asked = self.asked.wrapping_add(1);
        self.asked & self.patience == 0
    }

    /// The directory, whose way from the root is watched from now on.
    #[cold]
    #[inline(never)]
    fn find_directory(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> (Descent, Above, PhysAddr) {
        if !self.watched.has_room() {
            self.forget();
        }
        let (watched, epoch) = (&mut self.watched, self.epoch);
        let found = walker.above_directory(memory, virt, |at| watched.insert(at, epoch));
        if let (Descent::Table(directory), ..) = &found {
            let tag = self.tag(virt, PageSize::Gib1);
            let value = directory.word();
            self.directories[place::<DIRECTORIES>(virt, PageSize::Gib1)] = [tag, value];
        }
        found
    }

    /// Keeps the page table that the entry at `at` names, below a directory whose way is watched.
    #[inline(never)]
    fn keep_table(&mut self, virt: VirtAddr, at: PhysAddr, below: Above) {
        if self.watched.has_room() {
            self.watched.insert(at, self.epoch);
            self.room = self.room.saturating_sub(1);
            self.patience = if self.room == 0 { PATIENCE - 1 } else { 0 };
            self.keep_region(virt, below.word());
        } else {
            // With everything else the directory's way is watched no more.
            self.forget();
        }
    }

    #[inline(always)]
    fn keep_region(&mut self, virt: VirtAddr, value: u64) {
        let tag = self.tag(virt, PageSize::Mib2);
        self.regions[place::<REGIONS>(virt, PageSize::Mib2)] = [tag, value];
    }
}

/// Neighbours have neighbouring places, so a range that fits has no two of its parts in one.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the low bits count")]
const fn place<const LEN: usize>(virt: VirtAddr, covered: PageSize) -> usize {
    (virt.0 / covered.bytes()) as usize % LEN
}

#[cfg(test)]
mod tests;
