use core::cell::Cell;

use super::*;
use crate::base::{Access, Ring, Seed, Stream};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Request, Vendor};
use crate::oracles::compare;

const OPEN: u64 = Entry::P | Entry::RW | Entry::US | Entry::A | Entry::D;

/// Frames 1 to 15 of tables; reads are counted.
struct Tables {
    words: Vec<u64>,
    reads: Cell<u32>,
}

impl Tables {
    fn put(&mut self, at: PhysAddr, entry: u64) {
        self.words[usize::try_from(at.raw() / 8).expect("small")] = entry;
    }
}

impl TableMemory for Tables {
    fn entry(&self, at: PhysAddr) -> u64 {
        assert!(at.raw().is_multiple_of(8), "{at:?}");
        self.reads.set(self.reads.get() + 1);
        usize::try_from(at.raw() / 8).ok().and_then(|at| self.words.get(at)).copied().unwrap_or(0)
    }
}

const VIRT: VirtAddr = VirtAddr(0x7f_c060_3123);

/// Where the entries for [`VIRT`] are: PML5E to PTE, in frames 5 to 1.
fn entries_at() -> [PhysAddr; 5] {
    let index = |level: u64| VIRT.0 >> (12 + 9 * (level - 1)) & 511;
    [5, 4, 3, 2, 1].map(|level| PhysAddr::truncated(level << 12 | index(level) << 3))
}

/// Tables in which [`VIRT`] is mapped by a page of this size, and the registers to read them.
fn mapped(size: PageSize, flags: ControlFlags) -> (Tables, Controls) {
    let mut tables = Tables { words: vec![0; 16 * 512], reads: Cell::new(0) };
    let leaf = [4, 3, 2][size as usize];
    for (number, at) in entries_at().into_iter().enumerate().take(leaf + 1) {
        let below = (4 - number as u64) << 12;
        let page = if size == PageSize::Kib4 { 9 << 12 } else { 1 << 30 | Entry::PS };
        tables.put(at, OPEN | if number == leaf { page } else { below });
    }
    let root = if flags.has(ControlFlags::LA57) { 5 } else { 4 };
    (tables, Controls { cr3: root << 12, flags, ..Controls::default() })
}

fn reader(controls: &Controls) -> Walker {
    Walker::new(controls, &Request::new(VIRT, Access::Read, Ring::User))
}

#[test]
fn what_was_asked_once_costs_one_read() {
    for size in [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1] {
        let (tables, controls) = mapped(size, ControlFlags::LA57);
        let mut cache = PagingStructureCache::<16>::new();
        let walker = reader(&controls);
        let first = cache.reach(&walker, &tables, VIRT).expect("mapped and marked");
        tables.reads.set(0);

        let again = cache.reach(&walker, &tables, VIRT);

        assert_eq!(again, Some(first));
        assert_eq!((first.size, tables.reads.get()), (size, 1));
        let address = PhysAddr::truncated(first.page.raw() | VIRT.0 & (size.bytes() - 1));
        assert_eq!(cache.address(&walker, &tables, VIRT), Some(address));
    }
}

#[test]
fn a_region_beside_it_starts_at_the_page_directory() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let beside = VIRT.plus(PageSize::Mib2.bytes());
    tables.put(entries_at()[3].plus(8), OPEN | 1 << 12);
    let mut cache = PagingStructureCache::<16>::new();
    let walker = reader(&controls);
    cache.reach(&walker, &tables, VIRT).expect("mapped and marked");
    tables.reads.set(0);

    let found = cache.reach(&walker, &tables, beside);

    assert_eq!(tables.reads.get(), 2);
    assert_eq!(found, walker.reach(&tables, beside));
}

#[test]
fn a_region_of_another_directory_leaves_both_known() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let below = VirtAddr(VIRT.0 - PageSize::Gib1.bytes());
    let at = entries_at()[2];
    tables.put(PhysAddr::truncated(at.raw() - 8), tables.entry(at));
    let mut cache = PagingStructureCache::<16>::new();
    let walker = reader(&controls);
    cache.reach(&walker, &tables, VIRT).expect("mapped and marked");
    cache.reach(&walker, &tables, below).expect("mapped and marked");

    // Both regions have one place, and each time the other has it: of either the directory is known.
    for (virt, reads) in [(VIRT, 2), (below, 2)] {
        tables.reads.set(0);
        assert!(cache.reach(&walker, &tables, virt).is_some());
        assert_eq!(tables.reads.get(), reads, "{virt:?}");
    }
}

#[test]
fn every_single_bit_of_every_entry_is_seen_to_change() {
    for size in [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1] {
        for flags in [ControlFlags::NXE, ControlFlags::NXE | ControlFlags::LA57] {
            for at in entries_at() {
                for bit in 0..64 {
                    let (mut tables, controls) = mapped(size, flags);
                    let mut cache = PagingStructureCache::<16>::new();
                    let walker = reader(&controls);
                    cache.reach(&walker, &tables, VIRT).expect("mapped and marked");

                    let entry = tables.entry(at) ^ 1 << bit;
                    tables.put(at, entry);
                    cache.table_store(at);

                    let now = walker.reach(&tables, VIRT);
                    assert_eq!(cache.reach(&walker, &tables, VIRT), now, "{at:?} bit {bit}");
                    assert_eq!(cache.reach(&walker, &tables, VIRT), now, "{at:?} bit {bit}");
                }
            }
        }
    }
}

/// Without it the test above would hold for a cache that keeps nothing.
#[test]
fn a_store_that_it_was_not_told_of_leaves_it_behind() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let mut cache = PagingStructureCache::<16>::new();
    let walker = reader(&controls);
    let before = cache.reach(&walker, &tables, VIRT);

    for at in [entries_at()[1], entries_at()[2], entries_at()[3]] {
        tables.put(at, 0);
    }

    assert_eq!(cache.reach(&walker, &tables, VIRT), before);
    cache.forget();
    assert_eq!(cache.reach(&walker, &tables, VIRT), None);
}

#[test]
fn a_store_to_a_page_table_or_elsewhere_forgets_nothing() {
    let (tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let mut cache = PagingStructureCache::<16>::new();
    let walker = reader(&controls);
    cache.reach(&walker, &tables, VIRT).expect("mapped and marked");
    tables.reads.set(0);

    for at in (0..16 * 4096).step_by(8).map(PhysAddr::truncated) {
        if !entries_at()[1..4].contains(&at) {
            cache.table_store(at);
        }
    }

    cache.reach(&walker, &tables, VIRT).expect("still mapped");
    assert_eq!(tables.reads.get(), 1);
}

#[test]
fn forgetting_more_often_than_there_are_epochs_brings_nothing_back() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let mut cache = PagingStructureCache::<16>::new();
    let walker = reader(&controls);
    cache.reach(&walker, &tables, VIRT).expect("mapped and marked");
    tables.put(entries_at()[2], 0);

    for _ in 0..2 << 12 {
        cache.forget();
        assert_eq!(cache.reach(&walker, &tables, VIRT), None);
    }
}

#[test]
fn when_all_epochs_were_used_each_store_is_still_noticed() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let mut cache = PagingStructureCache::<16>::new();
    let walker = reader(&controls);
    let base = VIRT.0 & !((1 << 39) - 1);
    let address = |slot: u64| VirtAddr(base | slot << 30 | VIRT.0 & 0x3fff_ffff);
    let entry_at = |slot: u64| PhysAddr::truncated(3 << 12 | slot << 3);
    for slot in 0..160 {
        tables.put(entry_at(slot), OPEN | 2 << 12);
    }
    for _ in 0..(1 << 12) + 5 {
        cache.forget();
    }

    for gone in 0..160 {
        for slot in gone..160 {
            assert!(cache.reach(&walker, &tables, address(slot)).is_some(), "{slot}");
        }
        tables.put(entry_at(gone), 0);
        cache.table_store(entry_at(gone));
        assert_eq!(cache.reach(&walker, &tables, address(gone)), None, "{gone}");
    }
}

#[test]
fn more_spaces_than_numbers_are_kept_apart() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let mut cache = PagingStructureCache::<16>::new();
    let top = entries_at()[1].offset();
    // Roots in frames 4 and 6 to 15, of which every other one maps nothing.
    for frame in 6..16 {
        let entry = if frame % 2 == 0 { OPEN | 3 << 12 } else { 0 };
        tables.put(PhysAddr::truncated(frame << 12 | top), entry);
    }

    for round in 0..100 {
        let frame = 6 + round * 7 % 10;
        let walker = reader(&Controls { cr3: frame << 12, ..controls });
        let found = cache.reach(&walker, &tables, VIRT);
        assert_eq!(found.is_some(), frame % 2 == 0, "round {round}");
    }
}

/// Reads of the page directory and the page table, or of the page table only.
fn reads(
    cache: &mut PagingStructureCache<1>,
    tables: &Tables,
    controls: &Controls,
    at: u64,
) -> u32 {
    tables.reads.set(0);
    assert!(cache.reach(&reader(controls), tables, VIRT.plus(at)).is_some());
    tables.reads.get()
}

#[test]
fn where_there_is_no_room_one_region_in_many_gets_a_place() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let beside = PageSize::Mib2.bytes();
    tables.put(entries_at()[3].plus(8), OPEN | 1 << 12);
    let mut cache = PagingStructureCache::<1>::new();
    let mut ask = |at| reads(&mut cache, &tables, &controls, at);

    assert_eq!([ask(0), ask(0)], [4, 1], "the first of a place has it at once");
    for asked in 2..32 {
        assert_eq!([ask(beside), ask(0)], [2, 1], "{asked}");
    }
    assert_eq!([ask(beside), ask(beside), ask(0)], [2, 1, 2], "another gets it in the end");
}

#[test]
fn when_all_was_forgotten_there_is_room_again() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    let beside = PageSize::Mib2.bytes();
    tables.put(entries_at()[3].plus(8), OPEN | 1 << 12);
    let mut cache = PagingStructureCache::<1>::new();
    assert_eq!(reads(&mut cache, &tables, &controls, 0), 4);

    cache.forget();

    assert_eq!(reads(&mut cache, &tables, &controls, beside), 4);
    assert_eq!(reads(&mut cache, &tables, &controls, beside), 1);
}

#[test]
fn more_regions_than_it_can_watch_are_answered_as_the_tables_say() {
    let (mut tables, controls) = mapped(PageSize::Kib4, ControlFlags::NONE);
    // One directory and one page table, used again and again.
    for slot in 0..512 {
        tables.put(PhysAddr::truncated(3 << 12 | slot << 3), OPEN | 2 << 12);
        tables.put(PhysAddr::truncated(2 << 12 | slot << 3), OPEN | 1 << 12);
    }
    let mut cache = PagingStructureCache::<1>::new();
    let walker = reader(&controls);
    let base = VIRT.0 & !((1 << 39) - 1);
    let mut draw = Seed(0x40).stream("regions", 0);

    // Enough that each of the 1,025 words above page tables would be watched: there are 1,024 slots.
    for _ in 0..60_000 {
        let virt = VirtAddr(base | draw.below(1 << 18) << 21 | VIRT.0 & 0x1f_ffff);
        assert!(cache.reach(&walker, &tables, virt).is_some(), "{virt:?}");
    }
}

fn entry(draw: &mut Stream) -> u64 {
    // One bit in two entries.
    let odd = (0..7).fold(u64::MAX, |odd, _| odd & draw.word());
    let size = if draw.below(4) == 0 { Entry::PS } else { 0 };
    let frame = 1 + draw.below(5);
    (OPEN | size | if size == 0 { frame << 12 } else { frame << 30 }) ^ odd
}

fn controls(draw: &mut Stream) -> Controls {
    let mut flags = ControlFlags::NONE;
    for flag in [ControlFlags::NXE, ControlFlags::LA57, ControlFlags::WP, ControlFlags::PKE] {
        if draw.below(2) == 0 {
            flags = flags | flag;
        }
    }
    let vendor = if draw.below(4) == 0 { Vendor::Amd } else { Vendor::Intel };
    Controls { cr3: (1 + draw.below(5)) << 12, flags, vendor, pkru: 0x44, ..Controls::default() }
}

#[test]
fn through_any_stores_it_says_what_the_book_says() {
    let indices = [0, 1, 511];
    let mut draw = Seed(0x9dc).stream("paging-structure-cache", 0);
    let mut tables = Tables { words: vec![0; 16 * 512], reads: Cell::new(0) };
    let mut cache = PagingStructureCache::<4>::new();
    let mut small = PagingStructureCache::<1>::new();
    for frame in 1..6 {
        for index in indices {
            let at = PhysAddr::truncated(frame << 12 | index << 3);
            tables.put(at, entry(&mut draw));
        }
    }
    let mut found = 0;
    let mut some_controls: Vec<Controls> = (0..6).map(|_| controls(&mut draw)).collect();
    for round in 0..60_000 {
        if draw.below(3) == 0 {
            let at = (1 + draw.below(5)) << 12 | indices[draw.index(3)] << 3;
            let at = PhysAddr::truncated(at);
            let entry = entry(&mut draw);
            tables.put(at, entry);
            cache.table_store(at);
            small.table_store(at);
        }
        if draw.below(64) == 0 {
            let place = draw.index(some_controls.len());
            some_controls[place] = controls(&mut draw);
        }
        let controls = some_controls[draw.index(some_controls.len())];
        let levels = if controls.flags.has(ControlFlags::LA57) { 5 } else { 4 };
        let virt = (0..levels).fold(0, |virt, _| virt << 9 | indices[draw.index(3)]) << 12;
        let unused = 52 - 9 * levels;
        let virt = VirtAddr((virt.cast_signed() << unused >> unused).cast_unsigned());
        let access = [Access::Read, Access::Write, Access::Execute][draw.index(3)];
        let request = Request::new(virt, access, [Ring::Kernel, Ring::User][draw.index(2)]);
        let walker = Walker::new(&controls, &request);

        let answers = [cache.reach(&walker, &tables, virt), small.reach(&walker, &tables, virt)];

        // The walker's answer is the book's, or `compare` says that it is not.
        if let Err(disagreement) = compare(&tables, &controls, &request) {
            panic!("{disagreement}");
        }
        let expected = walker.reach(&tables, virt);
        for answer in answers {
            assert_eq!(answer, expected, "round {round}: {request:x?}");
        }
        found += u32::from(expected.is_some());
    }
    assert!(found > 3_000, "only {found} translations");
}
