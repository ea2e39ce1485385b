//! What walkers say beyond the address that was asked for.

use std::cell::Cell;
use std::collections::BTreeSet;

use ringfence::base::{Access, PhysAddr, Ring, TraceHash, VirtAddr};
use ringfence::machine::paging::x86_64::{
    ControlFlags, Controls, Entry, PageFaultCode, Reach, Request, Rights, Walker, lookup, path,
};
use ringfence::machine::paging::{PageSize, TableMemory};
use ringfence::machine::tlb::{PagingStructureCache, Tlb};
use ringfence::oracles::by_the_book;
use ringfence::scenario::fuzz_input::translation::Translation;

/// The first and the last addresses on both sides of the hole in the address space.
pub(super) fn the_edges_are_where_the_book_has_them(words: &Translation) {
    let half: u64 = if words.controls.flags.has(ControlFlags::LA57) { 1 << 56 } else { 1 << 47 };
    let upper = half.wrapping_neg();
    let walker = Walker::new(&words.controls, &words.request);
    for virt in [half - 1, half, upper.wrapping_sub(1), upper].map(VirtAddr) {
        let request = Request { virt, ..words.request };
        assert_eq!(walker.request(virt), request);
        let entry_at = |at| words.entry(at);
        let answer = by_the_book::translate(&entry_at, &words.controls, &request);
        assert_eq!(walker.address(words, virt), super::unmarked(&answer), "{request:x?}");
    }
}

/// Counts what is read.
struct Counted<'a>(&'a Translation, Cell<u32>);

impl TableMemory for Counted<'_> {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.1.set(self.1.get() + 1);
        self.0.entry(at)
    }
}

/// What was found once costs one read, until a word on the way to it is stored to.
pub(super) fn what_is_known_costs_one_read(words: &Translation, walker: &Walker) {
    let virt = words.request.virt;
    let memory = Counted(words, Cell::new(0));
    let mut cache = PagingStructureCache::<1>::new();
    let found = cache.address(walker, &memory, virt);
    if found.is_none() {
        return;
    }
    let costs = |cache: &mut PagingStructureCache<1>| {
        memory.1.set(0);
        assert_eq!(cache.address(walker, &memory, virt), found);
        memory.1.get()
    };
    assert_eq!(costs(&mut cache), 1);
    let way = path(words, &words.controls, virt);
    let uppers = &way.steps()[..way.steps().len() - 1];
    for step in way.steps() {
        for word in [step.at, PhysAddr::truncated(step.at.raw() ^ 8)] {
            let is_above = uppers.iter().any(|upper| upper.at == word);
            cache.table_store(word);
            // The leaf and what is beside the way may be anything.
            assert_eq!(costs(&mut cache) > 1, is_above, "{word:?}");
            assert_eq!(costs(&mut cache), 1);
        }
    }
}

/// The same tables with some bits of one entry the other way.
struct Flipped<'a> {
    words: &'a Translation,
    at: PhysAddr,
    bits: u64,
}

impl TableMemory for Flipped<'_> {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.words.entry(at) ^ if at == self.at { self.bits } else { 0 }
    }
}

/// Whatever the leaf grants, a walker that reaches the page says what a walk does.
pub(super) fn rights_are_those_of_the_walk(words: &Translation) {
    let virt = words.request.virt;
    let way = path(words, &words.controls, virt);
    let Some(leaf) = way.steps().last() else { return };
    let as_it_is = words.request;
    for request in [as_it_is, Request::new(virt, Access::Read, Ring::Kernel)] {
        let walker = Walker::new(&words.controls, &request);
        // Bit 12 is a large page's PAT, and no part of its address.
        for bits in [Entry::RW, Entry::D, Entry::RW | Entry::D, Entry::US, Entry::XD, 1 << 12] {
            let flipped = Flipped { words, at: leaf.at, bits };
            if let Some(found) = walker.reach(&flipped, virt) {
                assert_eq!(Some(found), lookup(&flipped, &words.controls, virt), "{bits:#x}");
                let fetched = Tlb::default().fetch(&walker, &flipped, virt);
                assert_eq!(fetched, walker.address(&flipped, virt), "{bits:#x}");
            }
        }
    }
}

/// Whatever differs between two translations is seen in the hash of what is remembered.
pub(super) fn what_is_remembered_is_hashed(controls: &Controls, virt: VirtAddr, found: &Reach) {
    let with = |rights: u8, dirty: bool, key: u64| {
        let taken = Entry::D | 15 << 59;
        let leaf = found.leaf.0 & !taken | if dirty { Entry::D } else { 0 } | key << 59;
        let page = PhysAddr::truncated(found.page.raw() ^ PageSize::Gib1.bytes());
        Reach { rights: Rights::from_bits(rights), leaf: Entry(leaf), page, ..*found }
    };
    let mut all: Vec<Reach> =
        (0..8).flat_map(|rights| [with(rights, false, 0), with(rights, true, 0)]).collect();
    // A page of a shadow stack is dirty and can't be written.
    let shadow_stack = Rights::SHADOW_STACK.bits();
    all.extend([0, 1, 4, 5].map(|rights| with(rights | shadow_stack, true, 0)));
    all.extend((1..16).map(|key| with(7, true, key)));
    if controls.flags.has(ControlFlags::PGE) {
        let also = |reach: Reach| Reach { leaf: Entry(reach.leaf.0 ^ Entry::G), ..reach };
        all.extend([with(7, true, 0), with(0, false, 0)].map(also));
    }
    // One address, on pages of each size.
    let within = PageSize::Gib1.bytes() - 1;
    let at = found.page.raw() & !within | virt.0 & within;
    all.extend([PageSize::Kib4, PageSize::Mib2, PageSize::Gib1].map(|size| {
        let page = PhysAddr::truncated(at & !(size.bytes() - 1));
        Reach { page, size, ..with(6, true, 0) }
    }));
    let hash = |virt: u64, reach: &Reach| {
        let (mut tlb, mut hash) = (Tlb::default(), TraceHash::default());
        tlb.keep(controls, VirtAddr(virt), reach);
        tlb.absorb(&mut hash);
        hash.digest().0
    };
    let mut hashes: BTreeSet<u128> = all.iter().map(|reach| hash(virt.0, reach)).collect();
    let small = Reach { size: PageSize::Kib4, ..with(7, true, 0) };
    let elsewhere = [12, 13, 20, 39].map(|bit| hash(virt.0 ^ 1 << bit, &small));
    hashes.extend(elsewhere);
    assert_eq!(hashes.len(), all.len() + elsewhere.len());
}

/// A set of control bits is what it was made of, and adding some twice adds nothing.
pub(super) fn control_bits_are_single(bits: u16) {
    let one_by_one = (0..16).map(|bit| ControlFlags::from_bits(bits & 1 << bit));
    let joined = one_by_one.fold(ControlFlags::NONE, ControlFlags::with);
    let flags = ControlFlags::from_bits(bits);
    assert_eq!(flags, joined);
    assert_eq!((flags.with(flags), flags.without(flags)), (flags, ControlFlags::NONE));
    let named = [
        ControlFlags::WP | ControlFlags::SMEP | ControlFlags::SMAP | ControlFlags::NXE,
        ControlFlags::PKE | ControlFlags::PKS | ControlFlags::PGE | ControlFlags::PCIDE,
        ControlFlags::LA57 | ControlFlags::CET,
    ];
    assert_eq!(named.into_iter().fold(ControlFlags::NONE, ControlFlags::with), ControlFlags::ALL);
    assert!(ControlFlags::ALL.has(flags));
}

/// Two codes are shown as two.
pub(super) fn codes_are_told_apart(code: PageFaultCode) {
    for bit in 0..6 {
        let other = PageFaultCode(code.0 ^ 1 << bit);
        assert_ne!(format!("{code:?}"), format!("{other:?}"));
        assert_eq!(code.with(1 << bit), code.with(1 << bit).with(1 << bit));
    }
}
