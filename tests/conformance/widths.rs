//! Physical addresses that take every bit the format has for them.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::{Format, X86_64};
use ringfence::conformance::{
    self, Capabilities, Capability, Check, Mapper, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::tables::Tables;

/// Cuts the addresses that it is to map off.
struct Cutting {
    tables: Tables,
    bits: u32,
    sizes: Capabilities,
}

impl Mapper for Cutting {
    fn capabilities(&self) -> Capabilities {
        self.sizes
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
        let to = PhysAddr::truncated(to.raw() & ((1 << self.bits) - 1));
        self.tables.map(page, to, size, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.tables.unmap(page, size)
    }
}

fn run(format: &'static dyn Format, sizes: Capabilities, bits: u32, seed: u64) -> Report {
    let factory = move |memory: Memory| Cutting { tables: Tables::new(memory, None), bits, sizes };
    conformance::mapper(factory).format(format).seed(seed).findings_max(1).run()
}

#[test]
fn a_mapper_that_cuts_high_addresses_off_is_found_by_a_default_run() {
    let plain = Capabilities::PLAIN;
    let large = plain.with(Capability::Pages2M).with(Capability::Pages1G);
    let mut missed = Vec::new();
    for (is_large, sizes) in [(false, plain), (true, large)] {
        for bits in [40, 44, 46, 48, 51] {
            for seed in [1, 10_001, 20_001] {
                if !run(X86_64::FOUR_LEVELS, sizes, bits, seed).has(Check::Request) {
                    missed.push((is_large, bits, seed));
                }
            }
        }
    }

    assert!(missed.is_empty(), "missed: {missed:?}");
}

#[test]
fn no_address_is_drawn_that_is_wider_than_the_format() {
    let large = Capabilities::PLAIN.with(Capability::Pages2M).with(Capability::Pages1G);
    for (format, bits) in [(X86_64::FOUR_LEVELS, 52), (X86_64::NARROW, 40)] {
        let report = run(format, large, bits, 1);

        assert!(report.findings().is_empty(), "\n{report}");
    }
}
