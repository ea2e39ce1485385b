//! A range whose table is taken for a page, since its entry was damaged: code that believes a page to end in the
//! range asserts what a stray store has made untrue.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Capabilities, Capability, Check, Mapper, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::tables::Tables;

const P: u64 = 1;
const PS: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Seeds of default runs: what is found by luck is not found by all of them.
const SEEDS: [u64; 3] = [1, 10_001, 20_001];

/// Goes over a range by the sizes of the pages that it meets.
struct Striding {
    tables: Tables,
    memory: Memory,
    is_asserting: bool,
}

impl Striding {
    /// The size of the page there, by PS alone, which must lie in what is left of the range.
    fn whole(&self, page: VirtAddr, left: u64) -> Result<PageSize, Refusal> {
        let mut entry = self.tables.root().raw();
        for size in [None, Some(PageSize::Gib1), Some(PageSize::Mib2), Some(PageSize::Kib4)] {
            let bytes = size.map_or(1 << 39, PageSize::bytes);
            let at = (entry & ADDRESS) + 8 * (page.0 / bytes % 512);
            entry = self.memory.load(PhysAddr::truncated(at));
            if entry & P == 0 {
                return Err(Refusal::NotMapped);
            }
            if let Some(size) = size.filter(|size| *size == PageSize::Kib4 || entry & PS != 0) {
                let is_whole = bytes <= left && page.0.is_multiple_of(bytes);
                assert!(is_whole || !self.is_asserting, "a page ends in its range");
                return if is_whole { Ok(size) } else { Err(Refusal::OtherSize) };
            }
        }
        Err(Refusal::NotMapped)
    }
}

impl Mapper for Striding {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::PLAIN.with(Capability::Query).with(Capability::Ranges);
        plain.with(Capability::AlteredTables)
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

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
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
        let mut done = 0;
        while done < bytes {
            let page = first.plus(done);
            let size = self.whole(page, bytes - done)?;
            self.tables.unmap(page, size)?;
            done += size.bytes();
        }
        Ok(())
    }
}

fn run(is_asserting: bool, seed: u64) -> Report {
    let suite = conformance::mapper(move |memory: Memory| Striding {
        tables: Tables::new(memory.clone(), None),
        memory,
        is_asserting,
    });
    suite.seed(seed).run()
}

#[test]
fn a_mapper_that_refuses_a_range_with_a_damaged_table_is_not_said_to_panic() {
    let report = run(false, 1);

    assert!(!report.has(Check::Totality), "\n{report}");
}

#[test]
fn an_assertion_that_a_damaged_table_breaks_is_found_by_a_default_run() {
    for seed in SEEDS {
        assert!(run(true, seed).has(Check::Totality), "seed {seed}");
    }
}
