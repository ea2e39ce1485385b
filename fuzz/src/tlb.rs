//! What a processor may still use is exactly what was mapped since the last invalidation that covers
//! it; and what its cache answers is one of these. What it remembers of upper levels is always what the
//! tables say.
//!
//! The record is a plain set: after each step every address in use is translated by the book and what
//! it leads to is noted; an invalidation removes what the manual says. What the bytes mean is said in
//! `ringfence::scenario::fuzz_input::tlb`; `ringfence explain` shows it.

use std::collections::BTreeSet;

use ringfence::base::{Access, PhysAddr, Ring, VirtAddr};
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{
    Controls, Exception, Request, Rights, Walker, refusal, walk,
};
use ringfence::machine::tlb::{
    Invalidation, MayHold, PagingStructureCache, RootLoad, Tlb, WithdrawnKind,
};
use ringfence::oracles::by_the_book::{self, Answer};
use ringfence::scenario::fuzz_input::tlb::{TABLES, TlbStep, addresses, tlb_sequence};

/// Frames 0 to [`TABLES`]; what lies above is 0.
struct Memory(Vec<u64>);

fn word(at: PhysAddr) -> usize {
    usize::try_from(at.raw() / 8).expect("an index")
}

impl TableMemory for Memory {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.get(word(at)).copied().unwrap_or(0)
    }
}

/// One translation of one 4 KiB page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Seen {
    pcid: u64,
    page: u64,
    frame: u64,
    rights: u8,
    global: bool,
    page_bytes: u64,
}

impl Seen {
    /// Whether a processor that may use this may do all that `wanted` lets it do.
    fn serves(&self, wanted: &Self) -> bool {
        let rights = Rights::from_bits(self.rights);
        (self.page, self.frame, self.page_bytes) == (wanted.page, wanted.frame, wanted.page_bytes)
            && (self.global || self.pcid == wanted.pcid)
            && rights.has(Rights::from_bits(wanted.rights))
            && (self.global || !wanted.global)
    }

    fn is_on(&self, virt: VirtAddr) -> bool {
        let pages = self.page_bytes / 4096;
        self.page / pages == virt.page().0 / pages
    }

    /// "Operations that Invalidate TLBs and Paging-Structure Caches", sentence by sentence.
    fn is_forgotten(&self, invalidation: Invalidation) -> bool {
        match invalidation {
            Invalidation::Page { virt, pcid } => {
                self.is_on(virt) && (self.global || self.pcid == pcid)
            }
            Invalidation::PageOfPcid { virt, pcid } => {
                self.is_on(virt) && self.pcid == pcid && !self.global
            }
            Invalidation::PageFault { virt, pcid } => self.is_on(virt) && self.pcid == pcid,
            Invalidation::Pcid { pcid } => self.pcid == pcid && !self.global,
            Invalidation::AllExceptGlobal => !self.global,
            Invalidation::All => true,
        }
    }
}

fn mapped_now(memory: &Memory, controls: &Controls) -> BTreeSet<Seen> {
    let mut seen = BTreeSet::new();
    for virt in addresses() {
        let request = Request::new(virt, Access::Read, Ring::Kernel);
        let answer = by_the_book::translate(&|at| memory.entry(at), controls, &request);
        let Answer::Translated(found) = answer else { continue };
        let rights =
            u8::from(found.user) | u8::from(found.writable) << 1 | u8::from(found.executable) << 2;
        seen.insert(Seen {
            pcid: controls.pcid(),
            page: virt.page().0,
            frame: found.address.frame().0,
            rights,
            global: found.global,
            page_bytes: found.page_bytes,
        });
    }
    seen
}

fn members(may_hold: &MayHold) -> BTreeSet<Seen> {
    let mut seen = BTreeSet::new();
    for member in may_hold.members() {
        let WithdrawnKind::Leaf(size) = member.kind else { continue };
        for virt in addresses() {
            let offset = virt.page().0.wrapping_sub(member.first.0);
            if offset < member.pages {
                seen.insert(Seen {
                    pcid: member.pcid,
                    page: virt.page().0,
                    frame: member.frame.0 + offset,
                    rights: member.rights.bits(),
                    global: member.global,
                    page_bytes: size.bytes(),
                });
            }
        }
    }
    seen
}

struct Processor {
    memory: Memory,
    controls: Controls,
    may_hold: MayHold,
    tlb: Tlb,
    upper_levels: PagingStructureCache<4>,
    ever: BTreeSet<Seen>,
    hits: u32,
    /// Withdrawn translations held at once, at most.
    held_most: usize,
}

impl Processor {
    fn invalidate(&mut self, invalidation: Invalidation) {
        self.may_hold.invalidate(invalidation);
        self.tlb.invalidate(invalidation);
        self.ever.retain(|seen| !seen.is_forgotten(invalidation));
    }

    fn store(&mut self, at: PhysAddr, entry: u64) {
        let old = std::mem::replace(&mut self.memory.0[word(at)], entry);
        self.may_hold.table_store(&self.memory, &self.controls, at, old, entry);
        self.upper_levels.table_store(at);
    }

    fn load_root(&mut self, cr3: u64, load: RootLoad) {
        let before = self.controls;
        self.controls.cr3 = cr3;
        self.may_hold.load_root(&self.memory, &before, &self.controls, load);
        if let Some(invalidation) = Invalidation::root_load(&self.controls, load) {
            self.tlb.invalidate(invalidation);
            self.ever.retain(|seen| !seen.is_forgotten(invalidation));
        }
    }

    fn access(&mut self, request: &Request) {
        let walker = Walker::new(&self.controls, request);
        let kept = self.upper_levels.reach(&walker, &self.memory, request.virt);
        assert_eq!(kept, walker.reach(&self.memory, request.virt), "{request:x?}");
        if let Some(address) = self.tlb.lookup(&self.controls, request) {
            self.hits += 1;
            let allowed = self.ever.iter().any(|seen| {
                let rights = Rights::from_bits(seen.rights);
                seen.page == request.virt.page().0
                    && seen.frame == address.frame().0
                    && (seen.global || seen.pcid == self.controls.pcid())
                    && refusal(&self.controls, request, rights, 0).is_none()
            });
            assert!(allowed, "the cache answers {address:?} to {request:x?}: never mapped since");
            return;
        }
        match walk(&self.memory, &self.controls, request) {
            Ok(walk) => {
                for &(at, bits) in walk.marks.items() {
                    let marked = self.memory.entry(at) | bits;
                    self.store(at, marked);
                }
                self.tlb.fill(&self.controls, request, &walk);
            }
            Err(Exception::PageFault { virt, .. }) => {
                self.invalidate(Invalidation::page_fault(&self.controls, virt));
            }
            Err(Exception::GeneralProtection) => {}
        }
    }

    fn check(&mut self, step: usize) {
        let now = mapped_now(&self.memory, &self.controls);
        self.ever.extend(&now);
        let held = members(&self.may_hold);
        assert!(self.may_hold.is_complete(), "step {step}: so few tables are listed whole");
        for seen in &self.ever {
            let is_held = now.iter().chain(&held).any(|other| other.serves(seen));
            assert!(is_held, "step {step}: {seen:x?} was forgotten");
        }
        self.held_most = self.held_most.max(held.len());
        for member in &held {
            assert!(self.ever.contains(member), "step {step}: {member:x?} was never mapped");
        }
    }
}

/// One case.
///
/// # Panics
///
/// When a translation was forgotten or invented.
pub fn run(data: &[u8]) {
    let _ = outcome(data);
}

/// What the case reaches: withdrawn translations held at once, and answers the cache gave.
///
/// # Panics
///
/// As [`run`].
#[must_use]
pub fn outcome(data: &[u8]) -> (usize, u32) {
    let sequence = tlb_sequence(data);
    let memory = Memory(vec![0; 512 * (1 + usize::try_from(TABLES).expect("a few"))]);
    let controls = sequence.controls;
    let mut processor = Processor {
        may_hold: MayHold::new(&memory, &controls),
        memory,
        controls,
        tlb: Tlb::default(),
        upper_levels: PagingStructureCache::new(),
        ever: BTreeSet::new(),
        hits: 0,
        held_most: 0,
    };
    processor.check(0);
    for (number, step) in sequence.steps.into_iter().enumerate() {
        match step {
            TlbStep::Store { at, entry } => processor.store(at, entry),
            TlbStep::Invalidate(invalidation) => processor.invalidate(invalidation),
            TlbStep::LoadRoot { cr3, load } => processor.load_root(cr3, load),
            TlbStep::Access(request) => processor.access(&request),
        }
        processor.check(number + 1);
    }
    (processor.held_most, processor.hits)
}
