//! Each planted bug is found, and nothing where there is none.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Check, Disturbance, FaultKind, Mapper, Mapping,
    Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::tables::Tables;

fn run(bug: Option<Bug>, seed: u64, cases: u64) -> Report {
    conformance::mapper(move |memory| Tables::new(memory, bug)).seed(seed).cases(cases).run()
}

#[test]
fn a_correct_mapper_raises_no_finding_whatever_strikes() {
    let report = run(None, 1, 1500);

    assert!(report.findings().is_empty(), "\n{report}");
    for kind in [
        FaultKind::AllocationFails,
        FaultKind::HardwareWalk,
        FaultKind::Abandoned,
        FaultKind::LostInvalidation,
        FaultKind::AllocatorCallsBack,
    ] {
        assert!(report.strikes(kind) > 10, "{kind:?} struck\n{report}");
    }
    assert_eq!(report.skipped(), ["tables that unmap leaves empty: not declared"], "\n{report}");
}

#[test]
fn each_planted_bug_is_found_by_the_check_that_is_there_for_it() {
    let mut missed = Vec::new();
    for (bug, checks) in Bug::ALL {
        // The bugs that are easy to find are found in the first few cases.
        let is_found = (0..16).any(|part| {
            let report = run(Some(*bug), 1 + 25 * part, 25);
            report.findings().iter().any(|finding| checks.contains(&finding.check()))
        });
        if !is_found {
            missed.push(bug);
        }
    }

    assert!(missed.is_empty(), "missed: {missed:?}");
}

/// The mapper of these tests, declaring no more than what it is asked for here.
struct Declaring(Tables, Capabilities);

impl Mapper for Declaring {
    fn capabilities(&self) -> Capabilities {
        self.1
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

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        self.0.query(virt)
    }
}

fn run_declaring(capabilities: Capabilities) -> Report {
    let bug = Some(Bug::TranslatesHiddenLeaf);
    conformance::mapper(move |memory| Declaring(Tables::new(memory, bug), capabilities))
        .cases(400)
        .run()
}

#[test]
fn entries_are_hidden_only_from_code_that_takes_them_for_not_mapped() {
    let keeps = Capabilities::PLAIN.with(Capability::Query).with(Capability::ForeignEntries);

    let keeping = run_declaring(keeps);
    let taking = run_declaring(keeps.with(Capability::HiddenEntries));

    assert!(keeping.findings().is_empty(), "\n{keeping}");
    assert!(taking.has(Check::Translation), "\n{taking}");
}

#[test]
fn what_follows_from_a_wrong_page_is_not_told_as_another_finding() {
    let suite = conformance::mapper(|memory| Tables::new(memory, Some(Bug::ForgetsExecuteNever)));

    let report = suite.cases(400).findings_max(40).run();

    // Rights that are too wide are told by the calls that grant them, and not by calls after those.
    for finding in report.findings() {
        let is_told_by_its_call = [Check::Isolation, Check::Request].contains(&finding.check());
        assert!(is_told_by_its_call && !finding.kind().contains("refusal"), "\n{finding}");
    }
    assert!(!report.findings().is_empty(), "\n{report}");
}

/// A mapper that maps each page to another frame first, and tells another frame than it unmapped.
struct Misleading(Tables);

impl Mapper for Misleading {
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
        self.0.map(page, to.plus(4096), size, rights)?;
        self.0.unmap(page, size)?;
        self.0.map(page, to, size, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        let was = self.0.unmap(page, size)?;
        Ok(was.map(|was| was.plus(4096)))
    }
}

#[test]
fn what_is_wrong_for_an_instant_hides_no_bug_of_later_calls() {
    let suite = conformance::mapper(|memory| Misleading(Tables::new(memory, None)));

    let report = suite.cases(100).run();

    let kinds: Vec<&str> = report.findings().iter().map(conformance::Finding::kind).collect();
    for kind in ["for an instant a page appears", "unmap returns another frame, 4 KiB"] {
        assert!(kinds.contains(&kind), "{kind}\n{report}");
    }
}

/// A mapper that counts a large page which is not present as one that is there.
struct Reserving(Tables, Memory, Capabilities);

impl Mapper for Reserving {
    fn capabilities(&self) -> Capabilities {
        self.2
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
        let mut table = self.0.root();
        for shift in [39, 30, 21] {
            let entry = self.1.load(table.plus(8 * (page.0 >> shift & 511)));
            if entry & 0x81 == 0x80 {
                return Err(Refusal::OtherSize);
            }
            if entry & 0x81 != 1 {
                break;
            }
            table = PhysAddr::truncated(entry & 0x000f_ffff_ffff_f000);
        }
        self.0.map(page, to, size, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.0.unmap(page, size)
    }
}

fn reserving(capabilities: Capabilities) -> Report {
    let own =
        move |memory: Memory| Reserving(Tables::new(memory.clone(), None), memory, capabilities);
    conformance::mapper(own).cases(600).run()
}

#[test]
fn a_large_page_that_somebody_hid_may_be_in_the_way_of_a_small_one_unless_it_is_declared_not_to_be()
{
    let capabilities =
        Capabilities::PLAIN.with(Capability::Pages2M).with(Capability::HiddenEntries);

    let silent = reserving(capabilities);
    let told = reserving(capabilities.with(Capability::MapsOverHidden));

    assert!(silent.findings().is_empty(), "\n{silent}");
    let line =
        "entries that others made invalid, in the way of a new page: not declared".to_owned();
    assert!(silent.skipped().contains(&line), "\n{silent}");
    let is_refusal = |finding: &conformance::Finding| finding.kind().contains("false refusal");
    assert!(told.findings().iter().all(is_refusal) && told.has(Check::Request), "\n{told}");
}

/// Maps one page, and says of every other that it is mapped already.
struct OnceOnly(Tables, bool);

impl Mapper for OnceOnly {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN.with(Capability::HiddenEntries)
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
        if core::mem::replace(&mut self.1, true) {
            return Err(Refusal::AlreadyMapped);
        }
        self.0.map(page, to, size, rights)
    }
}

#[test]
fn a_page_that_was_hidden_excuses_no_refusal_of_another_one() {
    let map = |page| Call::Map {
        page: VirtAddr(page),
        to: PhysAddr::truncated(0x1_0006_0000),
        size: PageSize::Kib4,
        rights: Rights::WRITE,
    };
    let hide = Call::Disturb { which: 0, how: Disturbance::Hide };
    let run = |page| {
        let case = Case { calls: vec![map(0x4000), hide, map(page)], fault: None };
        let run =
            || conformance::replay(&case, |memory| OnceOnly(Tables::new(memory, None), false));
        std::panic::catch_unwind(run)
    };

    assert!(run(0x4000).is_ok(), "the page itself may count as taken");
    let told = run(0x9000).expect_err("another one may not");
    let told = told.downcast_ref::<String>().expect("a report");
    assert!(told.contains("map 4 KiB: false refusal"), "{told}");
    assert!(told.contains("case       3 calls, as given"), "{told}");
}

/// Declines everything.
struct Declines(PhysAddr);

impl Mapper for Declines {
    fn root(&self) -> PhysAddr {
        self.0
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        Err(Refusal::Declined("not today"))
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        Err(Refusal::Declined("not today"))
    }
}

#[test]
fn code_that_maps_nothing_at_all_does_not_pass() {
    // 20 is the default where accesses are trapped; one case is a replay.
    for (cases, expected) in
        [(30, vec!["nothing is ever mapped"]), (20, vec!["nothing is ever mapped"]), (1, vec![])]
    {
        let report =
            conformance::mapper(|memory| Declines(memory.allocate_zeroed().unwrap_or_default()))
                .cases(cases)
                .run();

        let kinds: Vec<&str> = report.findings().iter().map(conformance::Finding::kind).collect();
        assert_eq!(kinds, expected, "\n{report}");
    }
}

#[test]
fn words_that_are_cleared_after_their_table_was_linked_are_told_as_words_of_a_table() {
    let suite = conformance::mapper(|memory| Tables::new(memory, Some(Bug::LinksBeforeClearing)));
    let report = suite.findings_max(1).run();

    assert!(report.has(Check::Isolation), "{report}");
    let told = report.to_string();
    let (_, after) = told.split_once("table 0x100001000\n").expect("it is linked");
    assert!(after.trim_start().starts_with("stores to 0x100001000, level 3, for 0x0\n"), "{told}");
    assert!(!told.contains("of the unlinked"), "{told}");
}

#[test]
fn a_run_has_at_least_one_case() {
    let report = conformance::mapper(|memory| Tables::new(memory, None)).cases(0).run();

    assert_eq!(report.cases(), 1);
}

/// Stores the last entry of a table a byte too far.
struct Misaligned(Tables, Memory);

impl Mapper for Misaligned {
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
        self.1.store(self.0.root().plus(0xff9), 0);
        self.0.map(page, to, size, rights)
    }
}

#[test]
fn a_store_that_is_not_aligned_is_told_as_that() {
    let own = |memory: Memory| Misaligned(Tables::new(memory.clone(), None), memory);

    let report = conformance::mapper(own).cases(1).run();

    let told = report.to_string();
    assert!(told.contains("finding    stores: misaligned store"), "{told}");
    assert!(told.contains("at 0x100000ff9, which is no multiple of 8"), "{told}");
    assert!(!told.contains("outside of memory"), "{told}");
}
