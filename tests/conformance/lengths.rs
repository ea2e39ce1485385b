//! Ranges of exactly so many pages: code that invalidates otherwise from a certain length on, or keeps what it
//! invalidates in a list that ends.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Capabilities, Capability, Check, Mapper, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::tables::Tables;

/// Seeds of default runs: what is found by luck is not found by all of them.
const SEEDS: [u64; 3] = [1, 10_001, 20_001];

/// What is invalidated of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Forgets {
    Nothing,
    /// Pages behind the first so many.
    After(u64),
    /// All pages of a range of exactly so many: fewer are invalidated one by one, more by all there is.
    At(u64),
}

/// Maps single pages, and refuses to change a range that has a hole.
struct Counting {
    tables: Tables,
    memory: Memory,
    forgets: Forgets,
}

impl Counting {
    fn new(memory: Memory, forgets: Forgets) -> Self {
        Self { tables: Tables::new(memory.clone(), None), memory, forgets }
    }

    fn change(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        each: impl Fn(&mut Tables, VirtAddr) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let page = |number: u64| first.plus(number * 4096);
        let pages = bytes / 4096;
        for number in 0..pages {
            self.tables.query(page(number))?.ok_or(Refusal::NotMapped)?;
        }
        self.tables.is_silent = true;
        let done = (0..pages).try_for_each(|number| each(&mut self.tables, page(number)));
        self.tables.is_silent = false;
        match self.forgets {
            Forgets::At(length) if pages == length => {}
            Forgets::At(length) if pages > length => self.memory.invalidate_all(),
            Forgets::After(length) => {
                (0..pages.min(length)).for_each(|number| self.memory.invalidate_page(page(number)));
            }
            Forgets::Nothing | Forgets::At(_) => {
                (0..pages).for_each(|number| self.memory.invalidate_page(page(number)));
            }
        }
        done
    }
}

impl Mapper for Counting {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::PLAIN.with(Capability::Protect).with(Capability::Query);
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
        (0..bytes).step_by(4096).try_for_each(|distance| {
            let (page, to) = (first.plus(distance), to.plus(distance));
            self.tables.map(page, to, PageSize::Kib4, rights)
        })
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.change(first, bytes, |tables, page| tables.unmap(page, PageSize::Kib4).map(|_| ()))
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.change(first, bytes, |tables, page| tables.protect(page, PageSize::Kib4, rights))
    }
}

fn run(forgets: Forgets, seed: u64) -> Report {
    let suite = conformance::mapper(move |memory| Counting::new(memory, forgets));
    suite.seed(seed).findings_max(1).run()
}

#[test]
fn a_mapper_that_refuses_ranges_with_holes_raises_no_finding() {
    let report = run(Forgets::Nothing, 1);

    assert!(report.findings().is_empty(), "\n{report}");
}

#[test]
fn what_is_not_invalidated_of_a_range_of_a_certain_length_is_found_by_a_default_run() {
    let mut missed = Vec::new();
    let lists = [16, 32, 33, 64, 128, 512].map(Forgets::After);
    for forgets in lists.into_iter().chain([16, 32, 33, 64].map(Forgets::At)) {
        for seed in SEEDS {
            if !run(forgets, seed).has(Check::Invalidation) {
                missed.push((forgets, seed));
            }
        }
    }

    assert!(missed.is_empty(), "missed: {missed:?}");
}
