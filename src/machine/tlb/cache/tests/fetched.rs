//! What walkers find is remembered as what a walk finds.

use super::*;

#[test]
fn what_a_walker_found_is_remembered_as_what_a_walk_found() {
    fn both(memory: &impl TableMemory, controls: &Controls) -> [Tlb; 2] {
        let read = user(Access::Read);
        let [mut filled, mut kept] = [Tlb::default(); 2];
        filled.fill(controls, &read, &walk(memory, controls, &read).expect("mapped"));
        kept.keep(controls, PAGE, &lookup(memory, controls, PAGE).expect("mapped"));
        [filled, kept]
    }
    let controls = Controls { cr3: 0x1007, ..controls(ControlFlags::PCIDE) };
    let large = Uniform { pde: 0x20_0000 | TABLE | Entry::PS, pte: 0 };

    for pte in [TABLE, TABLE | Entry::D, TABLE | Entry::G, TABLE | 9 << 59, TABLE & !Entry::RW] {
        let [filled, kept] = both(&memory(pte), &controls);
        assert_eq!(filled, kept, "{pte:#x}");
    }
    let [filled, kept] = both(&large, &controls);
    assert_eq!(filled, kept);
    let [filled, kept] = both(&Gigabytes, &controls);
    assert_eq!(filled, kept);
}

#[test]
fn what_is_fetched_is_found_and_remembered_as_what_is_kept() {
    fn fetched_is_kept<const SHIFT: u32>(memory: &impl TableMemory, controls: &Controls) -> bool {
        let walker = Walker::new(controls, &user(Access::Read));
        let mut upper_levels = PagingStructureCache::<16>::new();
        let [mut fetched, mut kept] = [DirectMapped::<16, SHIFT>::default(); 2];
        let reach = walker.reach(memory, PAGE).expect("mapped and marked");
        kept.keep(controls, PAGE, &reach);

        let address = fetched.fetch(&walker, memory, PAGE);

        assert_eq!(address, walker.address(memory, PAGE));
        assert_eq!(fetched, kept);
        // From the root, and from what is remembered of the upper levels.
        for _ in 0..2 {
            let mut below = DirectMapped::default();
            assert_eq!(below.fetch_below(&mut upper_levels, &walker, memory, PAGE), address);
            assert_eq!(below, kept);
        }
        kept != DirectMapped::default()
    }
    let controls = Controls { cr3: 0x1007, ..controls(ControlFlags::PCIDE | ControlFlags::NXE) };
    let marked = TABLE | Entry::A;
    let large = Marked { pde: 0x20_0000 | marked | Entry::PS | Entry::G, pte: 0 };

    let read_only = marked & !Entry::RW;
    let kinds = [Entry::D, Entry::G, 9 << 59].map(|bits| marked | bits);
    for pte in
        kinds.into_iter().chain([marked, read_only, read_only | Entry::D, marked | Entry::XD])
    {
        let small = Marked { pde: 0x4000 | marked, pte: 0x9000 | pte };
        assert!(fetched_is_kept::<12>(&small, &controls), "{pte:#x}");
        assert!(!fetched_is_kept::<21>(&small, &controls), "a page too small for it");
    }
    assert!(fetched_is_kept::<12>(&large, &controls));
    assert!(fetched_is_kept::<21>(&large, &controls));
    let absent = Marked { pde: 0x4000 | marked, pte: 0 };
    let mut tlb = Tlb::default();
    let walker = Walker::new(&controls, &user(Access::Read));
    assert_eq!(tlb.fetch(&walker, &absent, PAGE), None);
    let mut upper_levels = PagingStructureCache::<16>::new();
    assert_eq!(tlb.fetch_below(&mut upper_levels, &walker, &absent, PAGE), None);
    assert_eq!(tlb, Tlb::default());
}

#[test]
fn what_has_no_address_leaves_nothing_or_what_was_there() {
    let controls = Controls { cr3: 0x1007, ..controls(ControlFlags::PCIDE | ControlFlags::NXE) };
    let marked = TABLE | Entry::A;
    let read = Walker::new(&controls, &user(Access::Read));
    let write = Walker::new(&controls, &user(Access::Write));
    // In the same place.
    let mut others = (1..).map(|number| PAGE.plus(number << 12));
    let other = others.find(|&other| Tlb::slot(other) == Tlb::slot(PAGE)).expect("one in 64");
    let readable = Marked { pde: 0x4000 | marked, pte: 0x9000 | marked };
    let large = Marked { pde: 0x20_0000 | marked | Entry::PS, pte: 0 };
    let absent = Marked { pde: 0x4000 | marked, pte: 0 };
    let no_table = Marked { pde: 0, pte: 0 };
    let mut full = Tlb::default();
    assert!(full.fetch(&read, &readable, other).is_some());

    // Not dirty, so that there is more to say of a write; and not there at all.
    for (walker, memory) in
        [(&write, &readable), (&write, &large), (&read, &absent), (&read, &no_table)]
    {
        let [mut emptied, mut below, mut left] = [full; 3];
        let mut upper_levels = PagingStructureCache::<16>::new();

        assert_eq!(emptied.fetch(walker, memory, PAGE), None);
        assert_eq!(below.fetch_below(&mut upper_levels, walker, memory, PAGE), None);
        assert_eq!(left.fetch_or_leave(walker, memory, PAGE), None);

        let entries = |tlb: &Tlb| (tlb.tags, tlb.values);
        assert_eq!([&emptied, &below].map(entries), [entries(&Tlb::default()); 2]);
        assert_eq!(entries(&left), entries(&full));
    }
    assert!(full.fetch_or_leave(&read, &readable, PAGE).is_some());
    assert_eq!(full.lookup(&controls, &Request { virt: other, ..user(Access::Read) }), None);
    assert!(full.lookup(&controls, &user(Access::Read)).is_some());
}

#[test]
fn a_cache_of_large_pages_answers_for_all_of_a_page() {
    let controls = controls(ControlFlags::NONE);
    let large = Marked { pde: 0x20_0000 | TABLE | Entry::A | Entry::PS, pte: 0 };
    let walker = Walker::new(&controls, &user(Access::Read));
    let granted = Grants::new(&controls).of(Access::Read, Ring::User, false);
    let mut cache = DirectMapped::<16, 21>::default();
    let first_byte = VirtAddr(PAGE.0 & !0x1f_ffff);

    assert_eq!(cache.fetch(&walker, &large, PAGE), PhysAddr::new(0x20_0000 | PAGE.0 & 0x1f_ffff));

    for offset in [0, 0x1000, PAGE.0 & 0x1f_ffff, 0x15_5678, 0x1f_ffff] {
        let there = first_byte.plus(offset);
        let request = Request { virt: there, ..user(Access::Read) };
        assert_eq!(cache.hit(there, granted), PhysAddr::new(0x20_0000 | offset));
        assert_eq!(cache.lookup(&controls, &request), PhysAddr::new(0x20_0000 | offset));
    }
    assert_eq!(cache.hit(first_byte.plus(0x20_0000), granted), None);
}

/// As [`Uniform`], with upper entries that were used.
struct Marked {
    pde: u64,
    pte: u64,
}

impl TableMemory for Marked {
    fn entry(&self, at: PhysAddr) -> u64 {
        match at.raw() >> 12 {
            1 => 0x2000 | TABLE | Entry::A,
            2 => 0x3000 | TABLE | Entry::A,
            3 => self.pde,
            _ => self.pte,
        }
    }
}
