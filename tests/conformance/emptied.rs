//! Tables that are left empty: freed by code that says it frees them, and listed as not judged of code that
//! doesn't.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Capabilities, Capability, Check, Finding, Mapper, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::tables::Tables;

/// When it frees what is empty.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frees {
    /// As soon as something is unmapped.
    AtOnce,
    /// When it is told to clean up.
    Later,
    /// When it is told to; what it takes out of its tables is then forgotten and never freed.
    Never,
}

struct Emptied {
    tables: Tables,
    memory: Memory,
    frees: Frees,
    declared: Capabilities,
}

impl Emptied {
    /// Takes the tables of the last level that are empty out, and keeps them.
    fn take_out(&self, table: PhysAddr, level: u32) {
        for index in 0..512 {
            let at = table.plus(8 * index);
            let entry = self.memory.load(at);
            let below = PhysAddr::truncated(entry & 0x000f_ffff_ffff_f000);
            if entry & 1 == 0 || entry & 1 << 7 != 0 {
                continue;
            }
            if level > 2 {
                self.take_out(below, level - 1);
            } else if (0..512).all(|index| self.memory.load(below.plus(8 * index)) == 0) {
                self.memory.store(at, 0);
                self.memory.invalidate_all();
            }
        }
    }
}

impl Mapper for Emptied {
    fn capabilities(&self) -> Capabilities {
        self.declared
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
        let was = self.tables.unmap(page, size)?;
        if self.frees == Frees::AtOnce {
            self.tables.clean_up()?;
        }
        Ok(was)
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.tables.unmap_range(first, bytes)?;
        if self.frees == Frees::AtOnce { self.tables.clean_up() } else { Ok(()) }
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.map_range(first, to, bytes, rights)
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        if self.frees == Frees::Never {
            self.take_out(self.tables.root(), 4);
            return Ok(());
        }
        self.tables.clean_up()
    }
}

fn run(frees: Frees, bug: Option<Bug>, declared: Capabilities) -> Report {
    let own = move |memory: Memory| {
        let tables = Tables::new(memory.clone(), bug);
        Emptied { tables, memory, frees, declared }
    };
    conformance::mapper(own).cases(100).run()
}

fn kinds(report: &Report) -> Vec<&str> {
    report.findings().iter().map(Finding::kind).collect()
}

const RANGES: Capabilities = Capabilities::PLAIN
    .with(Capability::Ranges)
    .with(Capability::AllocationFailure)
    .with(Capability::Invalidates);
const UNMAP_FREES: Capabilities = RANGES.with(Capability::UnmapFrees);
const CLEAN_UP: Capabilities = RANGES.with(Capability::CleanUp);

#[test]
fn an_unmap_that_says_it_frees_what_it_empties_does() {
    let frees = run(Frees::AtOnce, None, UNMAP_FREES);
    let keeps = run(Frees::Later, None, UNMAP_FREES);
    let half = run(Frees::AtOnce, Some(Bug::CleansLastLevel), UNMAP_FREES);

    assert!(frees.findings().is_empty(), "\n{frees}");
    let of_level = |level| ["unmap", "unmap_range"].map(|name| left(name, level));
    let sorted = |report| {
        let mut kinds = kinds(report);
        kinds.sort_unstable();
        kinds.join("; ")
    };
    assert_eq!(sorted(&keeps), of_level(1).join("; "), "\n{keeps}");
    assert_eq!(sorted(&half), of_level(2).join("; "), "\n{half}");
}

fn left(name: &str, level: u32) -> String {
    format!("{name}: an empty table is left, level {level}")
}

#[test]
fn an_unmap_that_says_nothing_may_keep_them_and_is_listed_as_not_judged() {
    let report = run(Frees::Later, None, RANGES);

    assert!(report.findings().is_empty(), "\n{report}");
    for line in ["tables that unmap leaves empty: not declared", "clean-up: not declared"] {
        assert!(report.skipped().contains(&line.to_owned()), "{line}\n{report}");
    }
}

#[test]
fn a_clean_up_gives_back_what_it_takes_out() {
    let frees = run(Frees::Later, None, CLEAN_UP);
    let forgets = run(Frees::Never, None, CLEAN_UP);
    // Somebody counts them when it is gone.
    let counted = run(Frees::Never, None, CLEAN_UP.with(Capability::FreesOnDrop));

    assert!(frees.findings().is_empty(), "\n{frees}");
    let lost = "clean_up: an empty table is not freed, level 1";
    assert!(kinds(&forgets).contains(&lost), "\n{forgets}");
    assert!(!kinds(&counted).contains(&lost), "\n{counted}");
    assert!(counted.has(Check::Frames), "\n{counted}");
}

#[test]
fn a_clean_up_that_frees_nothing_is_told_with_the_table_that_is_left() {
    let report = run(
        Frees::Later,
        Some(Bug::CleansNothing),
        CLEAN_UP.without(Capability::AllocationFailure),
    );

    assert_eq!(kinds(&report), [left("clean_up", 1)], "\n{report}");
    let finding = &report.findings()[0];
    assert!(
        finding.what().starts_with("reports that it is done, and the table at 0x100003000 for 0x"),
        "{finding}"
    );
    let names: Vec<&str> = finding.case().calls.iter().map(conformance::Call::name).collect();
    assert_eq!(names, ["map", "unmap", "clean_up"], "{finding}");
}

#[test]
fn code_that_keeps_the_tables_of_one_level_tolerates_that_and_is_judged_on_the_others() {
    let run = |bug| {
        let suite = conformance::mapper(move |memory| Tables::new(memory, Some(bug)));
        suite
            .tolerating(Check::Request, "clean_up: an empty table is left, level 2")
            .tolerating(Check::Request, "clean_up: an empty table is left, level 3")
            .cases(100)
            .run()
    };

    let keeps_upper = run(Bug::CleansLastLevel);
    let keeps_all = run(Bug::CleansNothing);

    assert!(keeps_upper.findings().is_empty(), "\n{keeps_upper}");
    assert_eq!(kinds(&keeps_all), [left("clean_up", 1)], "\n{keeps_all}");
}
