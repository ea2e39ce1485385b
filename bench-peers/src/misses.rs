//! Misses and nothing else, against the walk.
//!
//! A miss is a lookup that finds nothing in the cache of translations, and all that follows until the entry
//! is filled and the address known. The walk is "ours: Walker": the same address from the root, with the
//! same checks and the same rule that a leaf to be marked is no answer. Both keep the request, the
//! registers' meaning and the tables; a miss also compares a tag, fills, and asks and fills upper levels.
//!
//! What is filled here is tagged with a PCID and what is asked for is not, so that every lookup compares
//! a tag that differs, in a cache of whatever size.

use ringfence::base::{Access, Ring, VirtAddr};
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Request, Walker};
use ringfence::machine::tlb::{DirectMapped, Granted, Grants, PagingStructureCache};

use crate::ours::{UpperLevels, Words, controls, raw};
use crate::subject::{Subject, Translate, single};
use crate::tables::Tables;

/// A PCID that nobody asks for.
const PCID: u64 = 7;

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let memory = Words(tables.words());
    vec![
        single("miss of 64", FromTheRoot::<64, 12>::new(memory)),
        single("miss of 4,096", FromTheRoot::<4096, 12>::new(memory)),
        single("miss of 64 of 2 MiB", FromTheRoot::<64, 21>::new(memory)),
        single("miss of 4,096 of 2 MiB", FromTheRoot::<4096, 21>::new(memory)),
        // As many regions as there are in any of the tables …
        single("miss of 64, region known", Below::<64, 12, 32768>::new(memory)),
        single("miss of 4,096, region known", Below::<4096, 12, 32768>::new(memory)),
        single("miss of 64 of 2 MiB, region known", Below::<64, 21, 32768>::new(memory)),
        // … and a place for one.
        single("miss of 64, region unknown", Below::<64, 12, 1>::new(memory)),
        single("miss of 4,096, region unknown", Below::<4096, 12, 1>::new(memory)),
        single("miss of 64 of 2 MiB, region unknown", Below::<64, 21, 1>::new(memory)),
        // The cache of upper levels alone, whose miss is a region that is not known.
        single("upper levels, region known", UpperLevels::<32768>::new(memory)),
        single("upper levels, region unknown", UpperLevels::<1>::new(memory)),
    ]
}

struct Cache<const ENTRIES: usize, const SHIFT: u32> {
    walker: Walker,
    granted: Granted,
    tlb: DirectMapped<ENTRIES, SHIFT>,
}

impl<const ENTRIES: usize, const SHIFT: u32> Cache<ENTRIES, SHIFT> {
    fn new() -> Self {
        let granted = Grants::new(&controls()).of(Access::Read, Ring::User, false);
        let plain = controls();
        let tagged =
            Controls { cr3: plain.cr3 | PCID, flags: plain.flags | ControlFlags::PCIDE, ..plain };
        let walker = Walker::new(&tagged, &Request::new(VirtAddr(0), Access::Read, Ring::User));
        Self { walker, granted, tlb: DirectMapped::default() }
    }
}

/// Every level is read.
struct FromTheRoot<const ENTRIES: usize, const SHIFT: u32> {
    memory: Words<'static>,
    cache: Cache<ENTRIES, SHIFT>,
}

impl<const ENTRIES: usize, const SHIFT: u32> FromTheRoot<ENTRIES, SHIFT> {
    fn new(memory: Words<'static>) -> Self {
        Self { memory, cache: Cache::new() }
    }
}

impl<const ENTRIES: usize, const SHIFT: u32> Translate for FromTheRoot<ENTRIES, SHIFT> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let Cache { walker, granted, tlb } = &mut self.cache;
        let virt = VirtAddr(virt);
        raw(match tlb.hit(virt, *granted) {
            Some(found) => Some(found),
            None => tlb.fetch(walker, &self.memory, virt),
        })
    }
}

/// The walk starts where the cache of upper levels says.
struct Below<const ENTRIES: usize, const SHIFT: u32, const REGIONS: usize> {
    memory: Words<'static>,
    cache: Cache<ENTRIES, SHIFT>,
    upper_levels: PagingStructureCache<REGIONS>,
}

impl<const ENTRIES: usize, const SHIFT: u32, const REGIONS: usize> Below<ENTRIES, SHIFT, REGIONS> {
    fn new(memory: Words<'static>) -> Self {
        Self { memory, cache: Cache::new(), upper_levels: PagingStructureCache::new() }
    }
}

impl<const ENTRIES: usize, const SHIFT: u32, const REGIONS: usize> Translate
    for Below<ENTRIES, SHIFT, REGIONS>
{
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let Cache { walker, granted, tlb } = &mut self.cache;
        let virt = VirtAddr(virt);
        raw(match tlb.hit(virt, *granted) {
            Some(found) => Some(found),
            None => tlb.fetch_below(&mut self.upper_levels, walker, &self.memory, virt),
        })
    }
}
