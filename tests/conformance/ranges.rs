//! Ranges that cross a border of tables, and ranges of several large pages.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::{Format, X86_64};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Check, Mapper, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::tables::Tables;

/// Seeds of default runs: what is found by luck is not found by all of them.
const SEEDS: [u64; 2] = [1, 10_001];

/// What ends too early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Short {
    Map,
    Unmap,
    Protect,
}

/// Tables of which an operation over a range ends, and reports that it is done, where a table ends.
struct Stopping {
    tables: Tables,
    short: Option<Short>,
    /// Bits of an address below the border.
    border: u32,
}

impl Stopping {
    fn done(&self, short: Short, first: VirtAddr, bytes: u64) -> u64 {
        let below = (1 << self.border) - 1;
        if self.short == Some(short) { bytes.min(below - (first.0 & below) + 1) } else { bytes }
    }
}

impl Mapper for Stopping {
    fn capabilities(&self) -> Capabilities {
        self.tables.capabilities().without(Capability::Reentry)
    }

    fn root(&self) -> PhysAddr {
        self.tables.root()
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.map(page, to, size, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.tables.unmap(page, size)
    }

    fn protect(&mut self, page: VirtAddr, size: PageSize, rights: Rights) -> Result<(), Refusal> {
        self.tables.protect(page, size, rights)
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<conformance::Mapping>, Refusal> {
        self.tables.query(virt)
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.map_range(first, to, self.done(Short::Map, first, bytes), rights)
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.tables.unmap_range(first, self.done(Short::Unmap, first, bytes))
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.protect_range(first, self.done(Short::Protect, first, bytes), rights)
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        self.tables.clean_up()
    }
}

fn run_stopping(levels: u32, short: Option<Short>, border: u32, seed: u64) -> Report {
    let format: &'static dyn Format =
        if levels == 5 { X86_64::FIVE_LEVELS } else { X86_64::FOUR_LEVELS };
    let factory = move |memory| {
        let mut tables = Tables::new(memory, None);
        tables.levels = levels;
        Stopping { tables, short, border }
    };
    conformance::mapper(factory).format(format).seed(seed).findings_max(1).run()
}

#[test]
fn a_range_that_ends_at_a_border_of_tables_is_found_by_a_default_run() {
    let mut missed = Vec::new();
    for (levels, border) in [(4, 30), (4, 39), (5, 48)] {
        for short in [Short::Map, Short::Unmap, Short::Protect] {
            for seed in SEEDS {
                let report = run_stopping(levels, Some(short), border, seed);
                if !report.has(Check::Request) {
                    missed.push((levels, border, short, seed));
                }
            }
        }
    }

    assert!(missed.is_empty(), "missed: {missed:?}");
}

#[test]
fn a_correct_mapper_of_five_levels_raises_no_finding() {
    let report = run_stopping(5, None, 48, 1);

    assert!(report.findings().is_empty(), "\n{report}");
}

#[test]
fn a_bug_in_the_second_large_page_of_a_range_is_found_by_a_default_run() {
    for (bug, check) in [
        (Bug::SecondLargePageLeadsToFirst, Check::Request),
        (Bug::InvalidatesFirstLargePageOnly, Check::Invalidation),
    ] {
        for seed in SEEDS {
            let suite = conformance::mapper(move |memory| Tables::new(memory, Some(bug)));
            let report = suite.seed(seed).findings_max(1).run();

            assert!(report.has(check), "{bug:?}, seed {seed}\n{report}");
        }
    }
}

/// Looks after each page of a range that it unmaps whether the table is empty.
struct Searching {
    tables: Tables,
    memory: Memory,
}

impl Mapper for Searching {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::PLAIN.with(Capability::Pages2M);
        plain.with(Capability::Ranges).with(Capability::Invalidates)
    }

    fn root(&self) -> PhysAddr {
        self.tables.root()
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.map(page, to, size, rights)
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        for page in (0..bytes).step_by(4096).map(|distance| first.plus(distance)) {
            self.tables.unmap_range(page, 4096)?;
            let mut table = self.tables.root();
            for shift in [39, 30, 21] {
                let entry = self.memory.load(table.plus(8 * (page.0 >> shift & 511)));
                table = PhysAddr::truncated(entry & 0x000f_ffff_ffff_f000);
            }
            let words = (0..512).map(|index| self.memory.load(table.plus(8 * index)));
            let _is_empty = words.fold(0, |all, word| all | word) == 0;
        }
        Ok(())
    }
}

#[test]
fn code_that_looks_through_a_table_for_each_page_is_not_endless() {
    let (page, size, rights) = (VirtAddr(0x20_0000), PageSize::Mib2, Rights::WRITE);
    let to = PhysAddr::truncated(0x20_0000_0000);
    let unmap = Call::UnmapRange { first: page, bytes: 0x1b_a000 };
    let calls = vec![Call::Map { page, to, size, rights }, unmap];

    conformance::replay(&Case { calls, fault: None }, |memory| {
        let tables = Tables::new(memory.clone(), None);
        Searching { tables, memory }
    });
}

#[test]
fn what_is_endless_is_told_with_the_option_that_allows_more() {
    let (size, rights) = (PageSize::Kib4, Rights::WRITE);
    let to = PhysAddr::truncated(0x20_0000_0000);
    let map = Call::Map { page: VirtAddr(0x80_0000), to, size, rights };
    let unmap = Call::UnmapRange { first: VirtAddr(0x20_0000), bytes: 0x40_0000 };
    let case = Case { calls: vec![map, unmap], fault: None };
    let run = || conformance::replay(&case, |memory| Tables::new(memory, Some(Bug::LoopsOnHole)));

    let payload = std::panic::catch_unwind(run).expect_err("a finding");

    let told = payload.downcast_ref::<String>().expect("a report");
    let words = "code that needs more is given them by `accesses_max`";
    assert!(told.contains(words), "{told}");
}

/// Leaves every eighth page of a range out.
struct Skipping(Tables);

impl Mapper for Skipping {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN.with(Capability::Ranges)
    }

    fn root(&self) -> PhysAddr {
        self.0.root()
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.0.map(page, to, size, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.0.unmap(page, size)
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let pages = (0..bytes).step_by(4096).map(|distance| (first.plus(distance), distance));
        for (page, distance) in pages.filter(|(page, _)| page.0 >> 12 & 7 != 5) {
            self.0.map(page, to.plus(distance), PageSize::Kib4, rights)?;
        }
        Ok(())
    }

    fn unmap_range(&mut self, _: VirtAddr, _: u64) -> Result<(), Refusal> {
        Err(Refusal::Declined("page by page"))
    }

    fn protect_range(&mut self, _: VirtAddr, _: u64, _: Rights) -> Result<(), Refusal> {
        Err(Refusal::Declined("page by page"))
    }
}

#[test]
fn a_minimal_range_has_no_page_too_many_at_either_end() {
    for seed in [1, 100, 200, 300] {
        let suite = conformance::mapper(|memory| Skipping(Tables::new(memory, None)));

        let report = suite.seed(seed).cases(60).findings_max(1).run();

        let calls = &report.findings().first().expect("a finding").case().calls;
        let is_one = matches!(calls[..], [Call::MapRange { bytes: 4096, .. }]);
        assert!(is_one, "seed {seed}\n{report}");
    }
}
