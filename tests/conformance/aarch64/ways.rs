//! A page is unmapped with its table, which is kept for later: who remembers the table still reaches the page.
//!
//! Arm ARM, "TLB maintenance instructions": VALE1 forgets entries of the last level, VAE1 those of all levels.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::AArch64;
use ringfence::conformance::{
    self, Barrier, Capabilities, Capability, Check, Invalidation, Mapper, Memory, Refusal, Report,
    Rights,
};
use ringfence::machine::paging::PageSize;

use super::{Setup, Tables};

struct Unlinking {
    tables: Tables,
    memory: Memory,
    how: fn(VirtAddr) -> Invalidation,
    /// The page goes before its table, which is freed at once.
    frees: bool,
    /// Tables out of use, freed at the end.
    kept: Vec<PhysAddr>,
}

impl Mapper for Unlinking {
    fn capabilities(&self) -> Capabilities {
        [Capability::Invalidates, Capability::Barriers, Capability::FreesOnDrop]
            .into_iter()
            .fold(Capabilities::PLAIN, Capabilities::with)
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
        let mut table = self.root();
        let mut link = table;
        for shift in [39, 30, 21] {
            link = table.plus(8 * (page.0 >> shift & 511));
            let entry = self.memory.load(link);
            if entry & 3 != 3 {
                return self.tables.unmap(page, size);
            }
            table = PhysAddr::truncated(entry & 0x0000_ffff_ffff_f000);
        }
        let own = page.0 >> 12 & 511;
        let is_valid = |index: u64| self.memory.load(table.plus(8 * index)) & 1 == 1;
        if !is_valid(own) || (0..512).any(|index| index != own && is_valid(index)) {
            return self.tables.unmap(page, size);
        }
        if self.frees {
            self.memory.store(table.plus(8 * own), 0);
        }
        self.memory.store(link, 0);
        self.memory.barrier(Barrier::Stores);
        self.memory.invalidate((self.how)(page));
        self.memory.barrier(Barrier::All);
        if self.frees {
            self.memory.free(table);
        } else {
            self.kept.push(table);
        }
        Ok(None)
    }
}

impl Drop for Unlinking {
    fn drop(&mut self) {
        self.kept.drain(..).for_each(|table| self.memory.free(table));
    }
}

fn run(how: fn(VirtAddr) -> Invalidation, frees: bool) -> Report {
    let setup = Setup { first_level: 0, input_bits: 48, is_upper: false, hardware_flags: false };
    let make = move |memory: Memory| {
        let tables = Tables::new(memory.clone(), setup, None);
        Unlinking { tables, memory, how, frees, kept: Vec::new() }
    };
    conformance::mapper(make).format(AArch64::LOWER).cases(60).run()
}

#[test]
fn a_table_out_of_use_that_is_remembered_leads_to_its_pages() {
    let whole = run(Invalidation::Page, false);
    let last = run(Invalidation::LastLevel, false);

    assert!(whole.findings().is_empty(), "\n{whole}");
    let found = last.findings().first().expect("a finding");
    assert_eq!(found.check(), Check::Invalidation, "\n{last}");
    assert_eq!(found.kind(), "unmapped page stays reachable through a table", "\n{last}");
}

/// What the next owner of a table writes is no other finding.
#[test]
fn a_table_that_is_freed_too_early_is_told_of_when_it_is_freed() {
    let whole = run(Invalidation::Page, true);
    let last = run(Invalidation::LastLevel, true);

    assert!(whole.findings().is_empty(), "\n{whole}");
    let kinds: Vec<&str> = last.findings().iter().map(conformance::Finding::kind).collect();
    assert!(kinds.contains(&"freed table may still be walked"), "\n{last}");
    assert!(!kinds.iter().any(|kind| kind.contains("stays reachable")), "\n{last}");
}
