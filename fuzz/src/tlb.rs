//! What a processor may still use is exactly what was mapped since the last invalidation that covers
//! it, translations and ways to tables; what its cache answers is one of these, and it forgets no more
//! than it must. What it remembers of upper levels is always what the tables say.
//!
//! The record is a plain set: after each step every address in use is translated by the book and what
//! it leads to is noted, and the tables on the way; an invalidation removes what the manual says. What
//! the bytes mean is said in `ringfence::scenario::fuzz_input::tlb`; `ringfence explain` shows it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ringfence::base::{Access, Frame, Page, PhysAddr, Ring, TraceHash, VirtAddr};
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{
    ControlFlags, Controls, Exception, Request, Rights, Walker, refusal, walk,
};
use ringfence::machine::tlb::{
    Case, Grants, Invalidation, MayHold, PagingStructureCache, RootLoad, Tlb, Withdrawn,
    WithdrawnKind,
};
use ringfence::oracles::by_the_book::{self, Answer};
use ringfence::scenario::fuzz_input::tlb::{TABLES, TlbStep, addresses, tlb_sequence};

/// Frames 0 to [`TABLES`]; what lies above is 0.
struct Memory(Vec<u64>);

/// Entries of a table in which something is ever stored.
const INDICES: [u64; 3] = [0, 1, 511];

fn word(at: PhysAddr) -> usize {
    usize::try_from(at.raw() / 8).expect("an index")
}

impl TableMemory for Memory {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.get(word(at)).copied().unwrap_or(0)
    }

    fn table(&self, at: PhysAddr) -> Option<&[u64; 512]> {
        self.0.get(word(at)..).and_then(|words| words.first_chunk())
    }
}

/// The same without a table at hand.
struct ByEntry<'a>(&'a Memory);

impl TableMemory for ByEntry<'_> {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.entry(at)
    }

    fn are_eight_absent(&self, at: PhysAddr) -> bool {
        assert_eq!(at.raw() % 64, 0);
        (0..8).all(|number| self.entry(at.plus(8 * number)) & 1 == 0)
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
    key: u8,
    page_bytes: u64,
}

/// One way to a table: what a processor keeps of the entries above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Way {
    pcid: u64,
    /// 1 for a page table, and so on upwards.
    level: u32,
    /// The first page that the table translates.
    first: u64,
    frame: u64,
    rights: u8,
}

fn includes(rights: u8, wanted: u8) -> bool {
    rights & wanted == wanted
}

impl Seen {
    /// Whether a processor that may use this may do all that `wanted` lets it do.
    fn serves(&self, wanted: &Self, controls: &Controls) -> bool {
        (self.page, self.frame, self.page_bytes) == (wanted.page, wanted.frame, wanted.page_bytes)
            && (self.global || self.pcid == wanted.pcid)
            && includes(self.rights, wanted.rights)
            && (self.global || !wanted.global)
            && (self.key == wanted.key || !have_keys(controls))
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

impl Way {
    fn serves(&self, wanted: &Self) -> bool {
        Self { rights: wanted.rights, ..*self } == *wanted && includes(self.rights, wanted.rights)
    }

    /// The same sentences, for what they say of paging-structure caches.
    fn is_forgotten(&self, invalidation: Invalidation) -> bool {
        let pages = 1 << (9 * self.level);
        let is_on = |virt: VirtAddr| virt.page().0 / pages == self.first / pages;
        match invalidation {
            Invalidation::Page { pcid, .. } | Invalidation::Pcid { pcid } => self.pcid == pcid,
            Invalidation::PageOfPcid { virt, pcid } | Invalidation::PageFault { virt, pcid } => {
                self.pcid == pcid && is_on(virt)
            }
            Invalidation::AllExceptGlobal | Invalidation::All => true,
        }
    }
}

/// Whether the key of a page makes a difference.
fn have_keys(controls: &Controls) -> bool {
    controls.flags.has(ControlFlags::PKE) || controls.flags.has(ControlFlags::PKS)
}

/// Controls under which nothing forbids the kernel to read what is mapped.
fn lenient(controls: &Controls) -> Controls {
    let refuses = ControlFlags::PKE | ControlFlags::PKS | ControlFlags::SMAP;
    Controls { flags: controls.flags.without(refuses), ..*controls }
}

/// What the book finds at `virt`, and the entries it reads on the way.
fn translated(
    memory: &Memory,
    controls: &Controls,
    virt: VirtAddr,
) -> (Option<Seen>, Vec<(PhysAddr, u64)>) {
    let read = RefCell::new(Vec::new());
    let entry_at = |at| {
        let entry = memory.entry(at);
        read.borrow_mut().push((at, entry));
        entry
    };
    let request = Request::new(virt, Access::Read, Ring::Kernel);
    let answer = by_the_book::translate(&entry_at, &lenient(controls), &request);
    let Answer::Translated(found) = answer else { return (None, read.into_inner()) };
    let is_shadow_stack = found.shadow_stack && controls.flags.has(ControlFlags::CET);
    let rights = u8::from(found.user)
        | u8::from(found.writable) << 1
        | u8::from(found.executable) << 2
        | u8::from(is_shadow_stack) << 3;
    let seen = Seen {
        pcid: controls.pcid(),
        page: virt.page().0,
        frame: found.address.frame().0,
        rights,
        global: found.global,
        key: u8::try_from(found.key).expect("four bits"),
        page_bytes: found.page_bytes,
    };
    (Some(seen), read.into_inner())
}

fn first_below(virt: VirtAddr, level: u32) -> u64 {
    virt.page().0 >> (9 * level) << (9 * level)
}

fn mapped_now(memory: &Memory, controls: &Controls) -> (BTreeSet<Seen>, BTreeSet<Way>) {
    let (mut pages, mut ways) = (BTreeSet::new(), BTreeSet::new());
    let top = if controls.flags.has(ControlFlags::LA57) { 5 } else { 4 };
    for virt in addresses() {
        let (seen, read) = translated(memory, controls, virt);
        pages.extend(seen);
        let (mut level, mut rights) = (top, 7);
        for pair in read.windows(2) {
            let ((_, above), (at, _)) = (pair[0], pair[1]);
            let executable = if above >> 63 == 1 { 0 } else { 4 };
            rights &= (above >> 2 & 1) as u8 | (above & 2) as u8 | executable;
            level -= 1;
            let (pcid, first) = (controls.pcid(), first_below(virt, level));
            ways.insert(Way { pcid, level, first, frame: at.frame().0, rights });
        }
    }
    (pages, ways)
}

/// The members that are about the addresses in use.
fn members(may_hold: &MayHold) -> (BTreeSet<Seen>, BTreeSet<Way>) {
    let (mut pages, mut ways) = (BTreeSet::new(), BTreeSet::new());
    for member in may_hold.members() {
        assert!(member.pages > 0, "{member:x?}");
        for virt in addresses() {
            let offset = virt.page().0.wrapping_sub(member.first.0);
            assert_eq!(member.translates(virt.page()), offset < member.pages);
            if offset >= member.pages {
                continue;
            }
            let (pcid, rights) = (member.pcid, member.rights.bits());
            match member.kind {
                WithdrawnKind::Leaf(size) => {
                    pages.insert(Seen {
                        pcid,
                        page: virt.page().0,
                        frame: member.frame.0 + offset,
                        rights,
                        global: member.global,
                        key: member.key,
                        page_bytes: size.bytes(),
                    });
                }
                WithdrawnKind::Table(level) => {
                    let (level, first) = (level as u32, member.first.0);
                    assert_eq!(
                        (member.pages, member.global, member.key),
                        (1 << (9 * level), false, 0)
                    );
                    ways.insert(Way { pcid, level, first, frame: member.frame.0, rights });
                }
            }
        }
    }
    (pages, ways)
}

/// The frames that a walk from the root can read, found with a few bits of the entries.
fn tables(memory: &Memory, controls: &Controls) -> BTreeSet<u64> {
    let top = if controls.flags.has(ControlFlags::LA57) { 5 } else { 4 };
    let mut found = BTreeSet::from([(top, controls.cr3 >> 12)]);
    let mut left: Vec<(u32, u64)> = found.iter().copied().collect();
    while let Some((level, frame)) = left.pop() {
        for index in INDICES {
            let entry = memory.entry(PhysAddr::truncated(frame << 12 | index << 3));
            let is_reserved = entry >> 63 == 1 && !controls.flags.has(ControlFlags::NXE);
            let names_a_table = entry & 1 == 1 && level > 1 && entry >> 7 & 1 == 0;
            let below = (level - 1, entry >> 12 & 0xff_ffff_ffff);
            if names_a_table && !is_reserved && found.insert(below) {
                left.push(below);
            }
        }
    }
    found.into_iter().map(|(_, frame)| frame).collect()
}

fn digest(absorb: impl FnOnce(&mut TraceHash)) -> u128 {
    let mut hash = TraceHash::default();
    absorb(&mut hash);
    hash.digest().0
}

/// By whom and for what a held translation is asked.
const ACCESSES: [(Access, Ring); 5] = [
    (Access::Read, Ring::Kernel),
    (Access::Write, Ring::Kernel),
    (Access::Read, Ring::User),
    (Access::Write, Ring::User),
    (Access::Execute, Ring::User),
];

/// Every case of access that is decided when a cache is filled.
fn decided_requests(virt: VirtAddr) -> impl Iterator<Item = Request> {
    let of = move |(access, ring)| {
        let request = Request::new(virt, access, ring);
        [request, Request { ac: true, ..request }]
    };
    let accesses = [Access::Read, Access::Write, Access::Execute].into_iter();
    accesses.flat_map(|access| [Ring::Kernel, Ring::User].map(|ring| (access, ring))).flat_map(of)
}

struct Processor {
    memory: Memory,
    controls: Controls,
    may_hold: MayHold,
    tlb: Tlb,
    upper_levels: PagingStructureCache<4>,
    ever: BTreeSet<Seen>,
    ways: BTreeSet<Way>,
    /// What the cache was filled with and has to answer still, by page.
    cached: BTreeMap<u64, Seen>,
    hits: u32,
    /// Withdrawn translations held at once, at most.
    held_most: usize,
}

impl Processor {
    fn invalidate(&mut self, invalidation: Invalidation) {
        let (held, ways) = members(&self.may_hold);
        let forgets = held.iter().any(|seen| seen.is_forgotten(invalidation))
            || ways.iter().any(|way| way.is_forgotten(invalidation));
        let (holds, before) = (self.may_hold.holds(invalidation), self.may_hold.members().to_vec());
        assert!(holds || !forgets, "{invalidation:?}");
        self.may_hold.invalidate(invalidation);
        assert_eq!(holds, self.may_hold.members() != before, "{invalidation:?}");
        self.forget(invalidation);
    }

    fn forget(&mut self, invalidation: Invalidation) {
        self.tlb.invalidate(invalidation);
        self.ever.retain(|seen| !seen.is_forgotten(invalidation));
        self.ways.retain(|way| !way.is_forgotten(invalidation));
        for seen in self.cached.values().filter(|seen| seen.is_forgotten(invalidation)) {
            assert_eq!(self.answer(seen), None, "{invalidation:x?} must drop {seen:x?}");
        }
        self.cached.retain(|_, seen| !seen.is_forgotten(invalidation));
    }

    fn reset(&mut self) {
        self.may_hold.flush_all();
        self.tlb.flush_all();
        self.ever.clear();
        self.ways.clear();
        for seen in self.cached.values() {
            assert_eq!(self.answer(seen), None, "{seen:x?} outlives a reset");
        }
        self.cached.clear();
    }

    fn store(&mut self, at: PhysAddr, entry: u64) {
        // It makes no difference whether memory has it already, nor how memory is read.
        let (mut told_before, old) = (self.may_hold.clone(), self.memory.entry(at));
        let by_entry = ByEntry(&self.memory);
        told_before.table_store(&by_entry, &self.controls, at, old, entry);
        let mut told_before_at_hand = self.may_hold.clone();
        told_before_at_hand.table_store(&self.memory, &self.controls, at, old, entry);
        self.memory.0[word(at)] = entry;
        self.may_hold.table_store(&self.memory, &self.controls, at, old, entry);
        for told in [told_before, told_before_at_hand] {
            assert_eq!(told.members(), self.may_hold.members());
            for frame in (0..16).map(Frame) {
                assert_eq!(told.is_table(frame), self.may_hold.is_table(frame), "{frame:?}");
            }
        }
        self.upper_levels.table_store(at);
    }

    fn load_root(&mut self, cr3: u64, load: RootLoad) {
        let before = self.controls;
        self.controls.cr3 = cr3;
        self.may_hold.load_root(&self.memory, &before, &self.controls, load);
        // Bit 63 of the operand counts only with CR4.PCIDE.
        if load == RootLoad::Flush || !before.flags.has(ControlFlags::PCIDE) {
            self.forget(Invalidation::Pcid { pcid: self.controls.pcid() });
        }
    }

    /// "Operations that Invalidate TLBs and Paging-Structure Caches", what it says of MOV to CR4.
    fn load_controls(&mut self, flags: ControlFlags) {
        let before = self.controls;
        self.controls.flags = flags;
        self.may_hold.load_controls(&self.memory, &before, &self.controls);
        let is = |flag| (before.flags.has(flag), flags.has(flag));
        let forgotten = match (is(ControlFlags::PGE), is(ControlFlags::PCIDE)) {
            ((false, true) | (true, false), _) | (_, (true, false)) => Some(Invalidation::All),
            _ if is(ControlFlags::SMEP) == (false, true) => {
                let has_identifiers = before.flags.has(ControlFlags::PCIDE);
                let pcid = if has_identifiers { before.cr3 & 0xfff } else { 0 };
                Some(Invalidation::Pcid { pcid })
            }
            _ => None,
        };
        if let Some(forgotten) = forgotten {
            self.forget(forgotten);
        }
    }

    fn access(&mut self, request: &Request) {
        let walker = Walker::new(&self.controls, request);
        let kept = self.upper_levels.reach(&walker, &self.memory, request.virt);
        assert_eq!(kept, walker.reach(&self.memory, request.virt), "{request:x?}");
        let cached = self.tlb.lookup(&self.controls, request);
        self.hit_is_the_lookup(request, cached);
        if let Some(address) = cached {
            self.hits += 1;
            let allowed = self.ever.iter().any(|seen| {
                let rights = Rights::from_bits(seen.rights);
                seen.page == request.virt.page().0
                    && seen.frame == address.frame().0
                    && (seen.global || seen.pcid == self.controls.pcid())
                    && refusal(&self.controls, request, rights, seen.key).is_none()
            });
            assert!(allowed, "the cache answers {address:?} to {request:x?}: never mapped since");
            return;
        }
        match walk(&self.memory, &self.controls, request) {
            Ok(walk) => {
                let (seen, _) = translated(&self.memory, &self.controls, request.virt);
                let seen = seen.expect("what permits an access is mapped");
                for &(at, bits) in walk.marks.items() {
                    let marked = self.memory.entry(at) | bits;
                    self.store(at, marked);
                }
                let [mut fetched, mut below, mut kept] = [self.tlb; 3];
                self.tlb.fill(&self.controls, request, &walk);
                // All is marked by now, so a walker gets as far.
                let address = fetched.fetch(&walker, &self.memory, request.virt);
                assert_eq!((address, fetched), (Some(walk.address), self.tlb), "{request:x?}");
                let address = kept.fetch_or_leave(&walker, &self.memory, request.virt);
                assert_eq!((address, kept), (Some(walk.address), self.tlb), "{request:x?}");
                let address =
                    below.fetch_below(&mut self.upper_levels, &walker, &self.memory, request.virt);
                assert_eq!((address, below), (Some(walk.address), self.tlb), "{request:x?}");
                self.cached.insert(seen.page, seen);
                self.one_may_have_been_evicted(seen.page);
            }
            Err(Exception::PageFault { virt, .. }) => {
                let mut left = self.tlb;
                let address = left.fetch_or_leave(&walker, &self.memory, request.virt);
                assert_eq!(address, None, "{request:x?}");
                let hashes = [&left, &self.tlb].map(|tlb| digest(|hash| tlb.absorb(hash)));
                assert_eq!(hashes[0], hashes[1], "{request:x?}: nothing is forgotten");
                self.invalidate(Invalidation::page_fault(&self.controls, virt));
            }
            Err(Exception::GeneralProtection) => {}
        }
    }

    fn hit_is_the_lookup(&self, request: &Request, cached: Option<PhysAddr>) {
        if request.implicit || request.shadow_stack {
            return;
        }
        let undecided = ControlFlags::PKE | ControlFlags::PKS | ControlFlags::PCIDE;
        let is_decided = self.controls.flags.without(undecided) == self.controls.flags;
        let grants = Grants::new(&self.controls);
        let granted = grants.of(request.access, request.ring, request.ac);
        let hit = self.tlb.hit(request.virt, granted);
        assert_eq!(hit, cached.filter(|_| is_decided), "{request:x?}");
        let [mut all, mut one] = [self.tlb; 2];
        // What was decided under other controls counts no more.
        let refuse = ControlFlags::WP | ControlFlags::SMEP | ControlFlags::SMAP;
        let other = self.controls.flags.without(refuse);
        all.decide(&Grants::new(&Controls { flags: other, ..self.controls }));
        all.decide(&grants);
        one.decide_at(request.virt, &grants);
        let case = Case::of(request.access, request.ring, request.ac);
        let decided = [&all, &one].map(|tlb| tlb.hit_decided(request.virt, case));
        assert_eq!(decided, [hit; 2], "{request:x?}");
        assert!(hit.is_none() || all != self.tlb, "one of them answers `hit_decided`");
        assert_eq!(digest(|hash| all.absorb(hash)), digest(|hash| self.tlb.absorb(hash)));
        for virt in addresses() {
            for request in decided_requests(virt) {
                let case = Case::of(request.access, request.ring, request.ac);
                let found = self.tlb.lookup(&self.controls, &request).filter(|_| is_decided);
                assert_eq!(all.hit_decided(virt, case), found, "{request:x?}");
            }
        }
    }

    /// What the cache answers to the kernel, which may read everything, under the identifier with
    /// which it was filled.
    fn answer(&self, seen: &Seen) -> Option<u64> {
        let controls = Controls { cr3: seen.pcid, ..lenient(&self.controls) };
        let request = Request::new(Page(seen.page).start(), Access::Read, Ring::Kernel);
        self.tlb.lookup(&controls, &request).map(|address| address.frame().0)
    }

    /// Which pages share a place in the cache is its own business.
    fn one_may_have_been_evicted(&mut self, filled: u64) {
        let lost: Vec<u64> = self
            .cached
            .iter()
            .filter(|(page, seen)| **page != filled && self.answer(seen).is_none())
            .map(|(page, _)| *page)
            .collect();
        assert!(lost.len() <= 1, "{lost:x?} are lost by one translation of page {filled:x}");
        for page in lost {
            self.cached.remove(&page);
        }
    }

    fn check(&mut self, step: usize) {
        let (now, ways_now) = mapped_now(&self.memory, &self.controls);
        self.ever.extend(&now);
        self.ways.extend(&ways_now);
        let (held, ways_held) = members(&self.may_hold);
        assert!(self.may_hold.is_complete(), "step {step}: so few tables are listed whole");
        for seen in &self.ever {
            let is_held = now.iter().chain(&held).any(|other| other.serves(seen, &self.controls));
            assert!(is_held, "step {step}: {seen:x?} was forgotten");
        }
        for way in &self.ways {
            let is_held = ways_now.iter().chain(&ways_held).any(|other| other.serves(way));
            assert!(is_held, "step {step}: {way:x?} was forgotten");
        }
        self.held_most = self.held_most.max(held.len());
        for member in &held {
            assert!(self.ever.contains(member), "step {step}: {member:x?} was never mapped");
        }
        for way in &ways_held {
            assert!(self.ways.contains(way), "step {step}: {way:x?} was never there");
        }
        for seen in self.cached.values() {
            assert_eq!(self.answer(seen), Some(seen.frame), "step {step}: {seen:x?}");
        }
        self.frames_are_told_apart(step);
        self.members_can_be_held();
    }

    /// A cache that is made to hold a member answers what the member permits and nothing else.
    fn members_can_be_held(&self) {
        for member in self.may_hold.members() {
            let WithdrawnKind::Leaf(size) = member.kind else { continue };
            let controls = Controls { cr3: member.pcid, ..self.controls };
            for virt in addresses().into_iter().filter(|virt| member.translates(virt.page())) {
                let mut tlb = Tlb::default();
                tlb.hold(&self.controls, member, virt.page());
                let offset = virt.page().0 - member.first.0;
                for (access, ring) in ACCESSES {
                    let request = Request::new(virt, access, ring);
                    let refused = refusal(&controls, &request, member.rights, member.key);
                    // What was not writable was not dirty either.
                    let is_clean = access == Access::Write && !member.rights.has(Rights::WRITABLE);
                    let wanted =
                        (refused.is_none() && !is_clean).then_some(member.frame.0 + offset);
                    let found = tlb.lookup(&controls, &request).map(|at| at.frame().0);
                    assert_eq!(found, wanted, "{member:x?} {request:x?}");
                    let other = Controls { cr3: member.pcid ^ 1, ..self.controls };
                    let is_shared = member.global || other.pcid() == member.pcid;
                    let found = tlb.lookup(&other, &request).map(|at| at.frame().0);
                    assert_eq!(found, wanted.filter(|_| is_shared), "{member:x?} {request:x?}");
                }
                // Any address on the page drops every piece of it.
                let elsewhere = VirtAddr(virt.0 ^ (size.bytes() - 1) & !0xfff);
                for (invalidation, covers) in [
                    (Invalidation::Page { virt: elsewhere, pcid: member.pcid }, true),
                    (Invalidation::AllExceptGlobal, !member.global),
                ] {
                    let mut tlb = tlb;
                    tlb.invalidate(invalidation);
                    assert_eq!(digest(|hash| tlb.absorb(hash)) == digest(|_| {}), covers);
                }
            }
        }
    }

    /// What a step takes in is granted no longer, and in as few pieces as it was mapped in: pieces of two tables
    /// are two, for the way to the second comes between them.
    fn no_more_is_held_than_must_be(&self, step: &TlbStep, before: &[Withdrawn]) {
        let after = self.may_hold.members();
        let new: Vec<&Withdrawn> = after.iter().filter(|one| !before.contains(one)).collect();
        let is_leaf = |member: &Withdrawn| matches!(member.kind, WithdrawnKind::Leaf(_));
        for (one, next) in new.iter().flat_map(|one| new.iter().map(move |next| (one, next))) {
            let first = Page(one.first.0.wrapping_add(one.pages));
            let frame = Frame(one.frame.0.wrapping_add(one.pages));
            let goes_on = Withdrawn { first, frame, pages: next.pages, ..**one };
            let is_store = matches!(step, TlbStep::Store { .. } | TlbStep::LoadRoot { .. });
            let is_of_another_table = match next.kind {
                WithdrawnKind::Leaf(size) => next.first.0 % (512 * size.frames()) == 0,
                WithdrawnKind::Table(_) => false,
            };
            assert!(
                !is_store || !is_leaf(one) || is_of_another_table || goes_on != **next,
                "{one:x?} goes on as {next:x?}"
            );
        }
        let (controls, pcid) = (&self.controls, self.controls.pcid());
        let concerned = |member: &Withdrawn| match step {
            TlbStep::Store { .. } => !before.contains(member),
            // Of the identifier that is loaded only what its tables do not grant is left.
            TlbStep::LoadRoot { .. } => controls.flags.has(ControlFlags::PCIDE),
            _ => false,
        };
        let mut ways = None;
        for member in after.iter().filter(|member| member.pcid == pcid && concerned(member)) {
            let size = match member.kind {
                WithdrawnKind::Leaf(size) => size,
                // A store takes in the tables below it too, some of which are there in another way.
                WithdrawnKind::Table(_) if matches!(step, TlbStep::Store { .. }) => continue,
                WithdrawnKind::Table(level) => {
                    let ways = ways.get_or_insert_with(|| mapped_now(&self.memory, controls).1);
                    let (level, first, frame) = (level as u32, member.first.0, member.frame.0);
                    let lost = Way { pcid, level, first, frame, rights: member.rights.bits() };
                    assert!(!ways.iter().any(|way| way.serves(&lost)), "{member:x?} is there");
                    continue;
                }
            };
            let is_granted = |number: u64| {
                let skipped = number * size.frames();
                let virt = Page(member.first.0.wrapping_add(skipped)).start();
                let (now, _) = translated(&self.memory, controls, virt);
                now.is_some_and(|now| {
                    now.frame == member.frame.0 + skipped
                        && now.page_bytes == size.bytes()
                        && includes(now.rights, member.rights.bits())
                        && (now.key, now.global) == (member.key, member.global)
                })
            };
            let pieces = member.pages / size.frames();
            assert!(!(0..pieces).all(is_granted), "{member:x?} is granted as ever");
        }
    }

    fn frames_are_told_apart(&self, step: usize) {
        let tables = tables(&self.memory, &self.controls);
        for number in 0..16 {
            let frame = Frame(number);
            let is_table = self.may_hold.is_table(frame);
            assert_eq!(is_table, tables.contains(&number), "step {step}: {frame:?}");
            let leading = self.may_hold.members().iter().filter(|member| {
                let frames =
                    if matches!(member.kind, WithdrawnKind::Table(_)) { 1 } else { member.pages };
                (member.frame.0..member.frame.0 + frames).contains(&number)
            });
            assert!(self.may_hold.permits(frame).eq(leading), "step {step}: {frame:?}");
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
        ways: BTreeSet::new(),
        cached: BTreeMap::new(),
        hits: 0,
        held_most: 0,
    };
    processor.check(0);
    let mut told = BTreeMap::new();
    for (number, step) in sequence.steps.into_iter().enumerate() {
        let (tlb, members) = (processor.tlb, processor.may_hold.members().to_vec());
        let digests = processor.digests();
        match step {
            TlbStep::Store { at, entry } => processor.store(at, entry),
            TlbStep::Invalidate(invalidation) => processor.invalidate(invalidation),
            TlbStep::LoadRoot { cr3, load } => processor.load_root(cr3, load),
            TlbStep::Access(request) => processor.access(&request),
            TlbStep::Keys { pkru, pkrs } => {
                processor.controls = Controls { pkru, pkrs, ..processor.controls };
            }
            TlbStep::LoadControls { flags } => processor.load_controls(flags),
            TlbStep::Reset => processor.reset(),
        }
        processor.check(number + 1);
        processor.no_more_is_held_than_must_be(&step, &members);
        let [of_tlb, of_members] = processor.digests();
        // A reset also forgets that there were pieces of large pages, of which no answer depends.
        let is_same = processor.tlb == tlb || step == TlbStep::Reset && of_tlb == digests[0];
        assert_eq!(of_tlb == digests[0], is_same, "step {number}");
        assert_eq!(of_members == digests[1], processor.may_hold.members() == members);
        let same = told.entry(of_members).or_insert_with(|| processor.may_hold.members().to_vec());
        assert_eq!(processor.may_hold.members(), same, "step {number}: one hash of two sets");
    }
    (processor.held_most, processor.hits)
}

impl Processor {
    /// Equal digests, equal state.
    fn digests(&self) -> [u128; 2] {
        [digest(|hash| self.tlb.absorb(hash)), digest(|hash| self.may_hold.absorb(hash))]
    }
}
