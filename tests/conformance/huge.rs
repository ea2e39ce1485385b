//! Ranges with pages of 1 GiB in their middle.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Capabilities, Capability, Check, Mapper, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::tables::Tables;

/// Seeds of default runs: what is found by luck is not found by all of them.
const SEEDS: [u64; 3] = [1, 10_001, 20_001];

const GIB1: u64 = PageSize::Gib1.bytes();

/// What goes wrong at a page of 1 GiB in a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slip {
    /// It is made wherever the virtual address is that of one, and leads to where one begins.
    TakesAnyFrame,
    /// What lies behind it is forgotten by this operation.
    EndsMap,
    EndsUnmap,
    EndsProtect,
}

/// Tables of which ranges are made of the largest pages that fit, or of the smallest alone.
struct Huge {
    tables: Tables,
    slip: Option<Slip>,
    makes_small_only: bool,
}

impl Huge {
    /// As much of the range as this operation does.
    fn done(&self, slip: Slip, first: VirtAddr, bytes: u64) -> u64 {
        let before = first.0.wrapping_neg() % GIB1;
        if self.slip == Some(slip) && bytes > before + GIB1 { before + GIB1 } else { bytes }
    }

    fn sizes(&self) -> &'static [PageSize] {
        let all = &[PageSize::Gib1, PageSize::Mib2, PageSize::Kib4];
        if self.makes_small_only { &all[2..] } else { all }
    }
}

impl Mapper for Huge {
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
        let bytes = self.done(Slip::EndsMap, first, bytes);
        let mut done = 0;
        while done < bytes {
            let (page, frame) = (first.plus(done), to.plus(done));
            let takes_any = self.slip == Some(Slip::TakesAnyFrame);
            let fits = |size: &PageSize| {
                let is_frame = frame.raw().is_multiple_of(size.bytes());
                let is_taken = is_frame || takes_any && *size == PageSize::Gib1;
                page.0.is_multiple_of(size.bytes()) && is_taken && bytes - done >= size.bytes()
            };
            let mut result = Ok(0);
            for size in self.sizes().iter().copied().filter(fits) {
                let frame = PhysAddr::truncated(frame.raw() / size.bytes() * size.bytes());
                result = self.tables.map(page, frame, size, rights).map(|()| size.bytes());
                if result.is_ok() {
                    break;
                }
            }
            done += result?;
        }
        Ok(())
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.tables.unmap_range(first, self.done(Slip::EndsUnmap, first, bytes))
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.protect_range(first, self.done(Slip::EndsProtect, first, bytes), rights)
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        self.tables.clean_up()
    }
}

fn run(slip: Option<Slip>, makes_small_only: bool, seed: u64) -> Report {
    let factory = move |memory: Memory| {
        let tables = Tables::new(memory, None);
        Huge { tables, slip, makes_small_only }
    };
    conformance::mapper(factory).seed(seed).findings_max(1).run()
}

#[test]
fn ranges_of_pages_of_1_gib_raise_no_finding_and_ranges_that_get_no_frames_raise_none() {
    for makes_small_only in [false, true] {
        let report = run(None, makes_small_only, 1);

        assert!(report.findings().is_empty(), "\n{report}");
    }
}

#[test]
fn what_goes_wrong_at_a_page_of_1_gib_in_a_range_is_found_by_a_default_run() {
    let mut missed = Vec::new();
    for slip in [Slip::TakesAnyFrame, Slip::EndsMap, Slip::EndsUnmap, Slip::EndsProtect] {
        for seed in SEEDS {
            if !run(Some(slip), false, seed).has(Check::Request) {
                missed.push((slip, seed));
            }
        }
    }

    assert!(missed.is_empty(), "missed: {missed:?}");
}
