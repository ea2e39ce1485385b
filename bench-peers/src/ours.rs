//! This crate.

use ringfence::base::{Access, PhysAddr, Ring, VirtAddr};
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Request, Walker, walk};
use ringfence::machine::tlb::{Case, DirectMapped, Granted, Grants, PagingStructureCache};

use crate::subject::{NOWHERE, Subject, Translate, TranslateMany, many, single};
use crate::tables::Tables;

/// Table memory as a user would provide it: a slice, and nothing outside of it.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a>(pub(crate) &'a [u64]);

impl TableMemory for Words<'_> {
    #[inline(always)]
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.get((at.raw() / 8) as usize).copied().unwrap_or(0)
    }
}

/// A 64-bit kernel's settings: everything that can refuse an access to these tables is on.
pub(crate) fn controls() -> Controls {
    let flags = ControlFlags::WP
        | ControlFlags::NXE
        | ControlFlags::SMEP
        | ControlFlags::SMAP
        | ControlFlags::PGE;
    Controls { cr3: Tables::ROOT, flags, ..Controls::default() }
}

pub(crate) fn walker() -> Walker {
    Walker::new(&controls(), &Request::new(VirtAddr(0), Access::Read, Ring::User))
}

pub(crate) fn raw(address: Option<PhysAddr>) -> u64 {
    address.map_or(NOWHERE, PhysAddr::raw)
}

/// The walk that misses are measured against.
pub(crate) fn walk_of(tables: Tables) -> Box<dyn Subject> {
    single("ours: Walker", OneByOne { memory: Words(tables.words()), walker: walker() })
}

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let memory = Words(tables.words());
    let (controls, walker) = (controls(), walker());
    vec![
        single("ours: walk", FullWalk { memory, controls }),
        walk_of(tables),
        many("ours: Walker, 32 together", Together { memory, walker }),
        single("ours: upper levels, 1,024", UpperLevels::<1024>::new(memory)),
        single("ours: upper levels, 32,768", UpperLevels::<32768>::new(memory)),
        single("ours: Tlb, 64", Translations::<64, 12>::new(memory)),
        single("ours: Tlb, 4,096", Translations::<4096, 12>::new(memory)),
        single("ours: Tlb, 4,096, upper levels", Below::new(memory)),
        single("ours: Tlb, 4,096 of 2 MiB", Translations::<4096, 21>::new(memory)),
        single("ours: decided, 4,096", Decided::<4096, 12>::new(memory)),
        single("ours: decided, 4,096 of 2 MiB", Decided::<4096, 21>::new(memory)),
        single("ours: decided, 16,384 of 2 MiB", Decided::<16384, 21>::new(memory)),
    ]
}

/// The walk with everything it can say: rights, entries read, bits to set.
struct FullWalk {
    memory: Words<'static>,
    controls: Controls,
}

impl Translate for FullWalk {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let request = Request::new(VirtAddr(virt), Access::Read, Ring::User);
        walk(&self.memory, &self.controls, &request).map_or(NOWHERE, |walk| walk.address.raw())
    }
}

struct OneByOne {
    memory: Words<'static>,
    walker: Walker,
}

impl Translate for OneByOne {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        raw(self.walker.address(&self.memory, VirtAddr(virt)))
    }
}

struct Together {
    memory: Words<'static>,
    walker: Walker,
}

impl TranslateMany for Together {
    fn translate(&mut self, virts: &[u64], found: &mut [u64]) {
        let mut asked = [VirtAddr(0); 32];
        let mut answered = [None; 32];
        for (virts, found) in virts.chunks(32).zip(found.chunks_mut(32)) {
            for (asked, &virt) in asked.iter_mut().zip(virts) {
                *asked = VirtAddr(virt);
            }
            self.walker.addresses(&self.memory, &asked[..virts.len()], &mut answered);
            for (found, &answer) in found.iter_mut().zip(&answered) {
                *found = raw(answer);
            }
        }
    }
}

/// Upper levels are remembered, leaves are read.
pub(crate) struct UpperLevels<const REGIONS: usize> {
    memory: Words<'static>,
    walker: Walker,
    cache: PagingStructureCache<REGIONS>,
}

impl<const REGIONS: usize> UpperLevels<REGIONS> {
    pub(crate) fn new(memory: Words<'static>) -> Self {
        Self { memory, walker: walker(), cache: PagingStructureCache::new() }
    }
}

impl<const REGIONS: usize> Translate for UpperLevels<REGIONS> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        raw(self.cache.address(&self.walker, &self.memory, VirtAddr(virt)))
    }
}

/// Translations are remembered; a miss walks the tables.
pub(crate) struct Translations<const ENTRIES: usize, const SHIFT: u32> {
    memory: Words<'static>,
    pub(crate) cached: Cached<ENTRIES, SHIFT>,
}

/// What does not depend on whose memory it is.
pub(crate) struct Cached<const ENTRIES: usize, const SHIFT: u32> {
    walker: Walker,
    granted: Granted,
    pub(crate) tlb: Box<DirectMapped<ENTRIES, SHIFT>>,
}

impl<const ENTRIES: usize, const SHIFT: u32> Cached<ENTRIES, SHIFT> {
    pub(crate) fn new() -> Self {
        let granted = Grants::new(&controls()).of(Access::Read, Ring::User, false);
        Self { walker: walker(), granted, tlb: Box::default() }
    }

    #[inline(always)]
    pub(crate) fn translate(&mut self, memory: &Words<'_>, virt: VirtAddr) -> u64 {
        match self.tlb.hit(virt, self.granted) {
            Some(found) => found.raw(),
            None => raw(self.tlb.fetch(&self.walker, memory, virt)),
        }
    }
}

impl<const ENTRIES: usize, const SHIFT: u32> Translations<ENTRIES, SHIFT> {
    fn new(memory: Words<'static>) -> Self {
        Self { memory, cached: Cached::new() }
    }
}

impl<const ENTRIES: usize, const SHIFT: u32> Translate for Translations<ENTRIES, SHIFT> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        self.cached.translate(&self.memory, VirtAddr(virt))
    }
}

/// Translations are remembered with the accesses that they permit.
struct Decided<const ENTRIES: usize, const SHIFT: u32> {
    memory: Words<'static>,
    walker: Walker,
    grants: Grants,
    tlb: Box<DirectMapped<ENTRIES, SHIFT>>,
}

impl<const ENTRIES: usize, const SHIFT: u32> Decided<ENTRIES, SHIFT> {
    fn new(memory: Words<'static>) -> Self {
        let grants = Grants::new(&controls());
        Self { memory, walker: walker(), grants, tlb: Box::default() }
    }
}

impl<const ENTRIES: usize, const SHIFT: u32> Translate for Decided<ENTRIES, SHIFT> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        const CASE: Case = Case::of(Access::Read, Ring::User, false);
        match self.tlb.hit_decided(VirtAddr(virt), CASE) {
            Some(found) => found.raw(),
            None => {
                let found = raw(self.tlb.fetch(&self.walker, &self.memory, VirtAddr(virt)));
                self.tlb.decide_at(VirtAddr(virt), &self.grants);
                found
            }
        }
    }
}

/// Translations are remembered; a miss walks from where the upper levels lead, which are too.
struct Below {
    memory: Words<'static>,
    cached: CachedBelow,
}

/// What does not depend on whose memory it is.
pub(crate) struct CachedBelow {
    walker: Walker,
    granted: Granted,
    pub(crate) tlb: Box<DirectMapped<4096, 12>>,
    pub(crate) upper_levels: PagingStructureCache<1024>,
}

impl CachedBelow {
    pub(crate) fn new() -> Self {
        let Cached { walker, granted, tlb } = Cached::new();
        Self { walker, granted, tlb, upper_levels: PagingStructureCache::new() }
    }

    #[inline(always)]
    pub(crate) fn translate(&mut self, memory: &Words<'_>, virt: VirtAddr) -> u64 {
        match self.tlb.hit(virt, self.granted) {
            Some(found) => found.raw(),
            None => raw(self.tlb.fetch_below(&mut self.upper_levels, &self.walker, memory, virt)),
        }
    }
}

impl Below {
    fn new(memory: Words<'static>) -> Self {
        Self { memory, cached: CachedBelow::new() }
    }
}

impl Translate for Below {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        self.cached.translate(&self.memory, VirtAddr(virt))
    }
}
