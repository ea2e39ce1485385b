//! The other ways in: bytes of a fuzzer, strategies, one case, and adapters that lie.

use std::time::Duration;

use proptest::prelude::*;
use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    self, Attempt, Call, Capabilities, Capability, Case, Check, Mapper, Mapping, Memory, Refusal,
    Rights, Walker,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::fatal::fatal;
use crate::tables::Tables;

fn panics(run: impl FnOnce()) -> Option<String> {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).err()?;
    payload.downcast_ref::<String>().cloned()
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let run = || {
        let suite = conformance::mapper(|memory| Tables::new(memory, Some(Bug::ForgetsLastPage)));
        suite.cases(40).run().to_string()
    };

    assert_eq!(run(), run());
}

#[test]
fn any_bytes_are_a_case() {
    for length in [0, 1, 7, 64, 300] {
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at * 37 % 251) as u8).collect();
        conformance::fuzz(&bytes, |memory| Tables::new(memory, None));
    }
}

#[test]
fn one_case_is_replayed_and_its_finding_told_with_entries_and_rule() {
    let page = VirtAddr(0x4000);
    let size = PageSize::Kib4;
    let (to, rights) = (PhysAddr::truncated(0x1_0006_0000), Rights::WRITE.and(Rights::USER));
    let calls = vec![Call::Map { page, to, size, rights }, Call::Unmap { page, size }];
    let case = Case { calls, fault: None };

    conformance::replay(&case, |memory| Tables::new(memory, None));
    let bug = Some(Bug::ForgetsToInvalidateUnmap);
    let told = panics(|| conformance::replay(&case, |memory| Tables::new(memory, bug)));

    let told = told.expect("a finding");
    for part in [
        "finding    invalidation: unmapped page stays reachable",
        "address    0x4000",
        "Recommended Invalidation",
        "P R/W U/S XD · 4 KiB page 0x100060000",
        "unmap 4 KiB page 0x4000: done",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn drawn_bytes_raise_no_alarm_on_a_correct_mapper(bytes: Vec<u8>) {
        conformance::fuzz(&bytes, |memory| Tables::new(memory, None));
    }
}

/// An adapter that lies in one way.
struct Liar {
    root: PhysAddr,
}

impl Mapper for Liar {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN.with(Capability::Protect)
    }

    fn root(&self) -> PhysAddr {
        self.root
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        Ok(())
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        Err(Refusal::NotMapped)
    }
}

#[test]
fn an_adapter_that_claims_what_it_does_not_do_is_told_so() {
    let own = |memory: Memory| Liar { root: memory.allocate_zeroed().expect("a frame") };

    let report = conformance::mapper(own).cases(50).run();

    let kinds: Vec<&str> = report.findings().iter().map(conformance::Finding::kind).collect();
    assert!(kinds.contains(&"map: a page is missing"), "{report}");
    assert!(kinds.contains(&"protect: declared and not supported"), "{report}");
    assert!(report.skipped().iter().any(|line| line.starts_with("invalidations")), "{report}");
}

#[test]
fn a_root_outside_of_memory_is_told_so() {
    let report = conformance::mapper(|_| Liar { root: PhysAddr::truncated(0x1000) }).cases(3).run();

    assert!(report.has(Check::Stores), "{report}");
}

#[test]
fn five_levels_hold_what_four_hold_for_a_mapper_that_knows_four() {
    let suite = conformance::mapper(|memory| Tables::new(memory, None));

    let report = suite.format(X86_64::FIVE_LEVELS).cases(20).run();

    assert!(!report.findings().is_empty(), "four levels are not five");
}

/// What is told of code that takes its process with it.
fn told_of(patience: Duration, end: fn(&Memory)) -> String {
    let report = fatal(end).isolated(patience).cases(5).run();
    assert!(report.has(Check::Totality), "{report}");
    report.to_string()
}

#[cfg(unix)]
#[test]
fn code_that_ends_its_process_is_told_with_the_seed_of_the_case() {
    let told = told_of(Duration::from_secs(20), |_| std::process::abort());

    assert!(told.contains("ends the process") && told.contains("RINGFENCE_SEED="), "{told}");
}

#[cfg(unix)]
#[test]
fn code_that_exits_with_success_is_told_with_the_seed_of_the_case() {
    let told = told_of(Duration::from_secs(20), |_| std::process::exit(0));

    assert!(told.contains("ends the process: exit status: 0"), "{told}");
    assert!(told.contains("RINGFENCE_SEED="), "{told}");
}

#[cfg(unix)]
#[test]
fn code_that_exits_before_there_is_a_case_is_told() {
    let suite = conformance::mapper(|_: Memory| -> Liar { std::process::exit(101) });

    let report = suite.isolated(Duration::from_secs(20)).cases(5).run();

    assert!(report.to_string().contains("ends the process: exit status: 101"), "{report}");
}

#[test]
fn a_run_that_ends_by_itself_in_the_child_is_told_here_as_it_is() {
    let own = |memory: Memory| Liar { root: memory.allocate_zeroed().expect("a frame") };
    let run = || conformance::mapper(own).cases(5);

    let isolated = run().isolated(Duration::from_secs(20)).run();

    assert_eq!(isolated.to_string(), run().run().to_string());
    let panics = panics(|| run().isolated(Duration::from_secs(20)).check()).expect("findings");
    assert!(!panics.contains("ends the process"), "{panics}");
}

/// Takes memory of the host until there is none.
#[cfg(target_os = "linux")]
#[test]
fn code_that_takes_memory_without_end_is_told_with_the_seed_of_the_case() {
    let told = told_of(Duration::from_secs(60), |_| {
        let mut taken = Vec::new();
        loop {
            taken.push(vec![1_u8; 64 << 20]);
            std::thread::sleep(Duration::from_millis(10));
        }
    });

    assert!(told.contains("2 GiB") && told.contains("RINGFENCE_SEED="), "{told}");
}

/// Set in the child of the test below.
const ENDLESS: &str = "RINGFENCE_TEST_ENDLESS";

#[test]
fn code_that_never_returns_ends_a_process_that_is_not_isolated_with_the_reason() {
    if std::env::var_os(ENDLESS).is_some() {
        let endless = fatal(|_| {
            loop {
                std::thread::park();
            }
        });
        let _ = endless.cases(5).run();
        unreachable!("it never returns");
    }
    let name = std::thread::current().name().map(str::to_owned).expect("the harness names it");

    let child = std::process::Command::new(std::env::current_exe().expect("this test binary"))
        .args([name.as_str(), "--exact"])
        .envs([(ENDLESS, "1"), ("RINGFENCE_PATIENCE", "1")])
        .output()
        .expect("a child");

    let told = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(101), "{told}");
    for part in [name.as_str(), "with seed", "isolated", "RINGFENCE_CASES=1"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

/// Set in the children of the test below.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const EXITING: &str = "RINGFENCE_TEST_EXITING";

/// Exits with success: within a run, or when two have come to their end, one of them by a panic.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn exit_well(is_within: bool) {
    if is_within {
        let _ = fatal(|_| std::process::exit(0)).cases(5).run();
        unreachable!("it ends the process");
    }
    let report = conformance::mapper(|memory| Tables::new(memory, None)).cases(1).run();
    assert!(report.findings().is_empty(), "{report}");
    let given_up = panics(|| {
        let own = |memory| Tables::new(memory, Some(Bug::LeaksEverything));
        let _ = conformance::mapper(own).on_finding(|found| panic!("enough: {found}")).run();
    });
    assert!(given_up.is_some_and(|told| told.starts_with("enough")), "the observer ends the run");
    std::process::exit(0);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn code_that_exits_with_success_does_not_make_a_test_pass_that_is_not_isolated() {
    if let Some(when) = std::env::var_os(EXITING) {
        return exit_well(when == "within");
    }
    let name = std::thread::current().name().map(str::to_owned).expect("the harness names it");
    let [(within, told), (after, _)] = ["within", "after"].map(|when| {
        let child = std::process::Command::new(std::env::current_exe().expect("this test binary"))
            .args([name.as_str(), "--exact"])
            .env(EXITING, when)
            .output()
            .expect("a child");
        (child.status, String::from_utf8_lossy(&child.stderr).into_owned())
    });

    assert!(!within.success(), "{told}");
    for part in [name.as_str(), "ends the process", "with seed ", "isolated", "RINGFENCE_CASES=1"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert!(after.success(), "{after}");
}

#[test]
fn a_run_of_no_case_is_refused() {
    const INNER: &str = "RINGFENCE_TEST_OF_NO_CASE";
    if std::env::var_os(INNER).is_some() {
        let suite = ringfence::conformance::mapper(|memory| {
            Dreamer(memory.allocate_zeroed().expect("a frame"))
        });
        drop(suite.run());
        return;
    }
    let name = std::thread::current().name().map(str::to_owned).expect("the harness names it");
    for (cases, refusal) in
        [("1", None), ("0", Some("RINGFENCE_CASES is 0")), ("few", Some("expected a decimal"))]
    {
        let child = std::process::Command::new(std::env::current_exe().expect("this test binary"))
            .args([name.as_str(), "--exact"])
            .envs([(INNER, "1"), ("RINGFENCE_CASES", cases)])
            .output()
            .expect("a child");
        let told = [child.stdout, child.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(child.status.success(), refusal.is_none(), "{cases}: {told}");
        assert!(told.contains(refusal.unwrap_or_default()), "{cases}: {told}");
    }
}

/// Code that answers what cannot be.
struct Dreamer(PhysAddr);

impl Mapper for Dreamer {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN.with(Capability::Query)
    }

    fn root(&self) -> PhysAddr {
        self.0
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        Err(Refusal::AlreadyMapped)
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        Ok(Some(PhysAddr::truncated(u64::MAX)))
    }

    fn query(&mut self, _: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        let address = PhysAddr::truncated(u64::MAX);
        Ok(Some(Mapping { address, size: Some(PageSize::Gib1), rights: Some(Rights::ALL) }))
    }
}

#[test]
fn addresses_outside_of_memory_and_false_refusals_are_findings() {
    let own = |memory: Memory| Dreamer(memory.allocate_zeroed().expect("a frame"));

    let report = conformance::mapper(own).cases(50).run();

    let kinds: Vec<&str> = report.findings().iter().map(conformance::Finding::kind).collect();
    for kind in ["unmap of nothing succeeds", "map 4 KiB: false refusal, refused: already mapped"] {
        assert!(kinds.contains(&kind), "{kind}\n{report}");
    }
    assert!(report.has(Check::Translation), "{report}");
}

#[test]
fn a_known_kind_of_finding_is_not_told() {
    let suite =
        || conformance::mapper(|memory| Tables::new(memory, Some(Bug::ForgetsLastPage))).cases(40);
    let told = suite().run();
    let known = told.findings().first().expect("a finding");

    let untold = suite().tolerating(known.check(), known.kind()).run();

    let is_told = |finding: &conformance::Finding| finding.kind() == known.kind();
    assert!(!untold.findings().iter().any(is_told), "{untold}");
}

#[test]
fn code_that_loops_without_touching_memory_is_told_with_the_seed_of_the_case() {
    let told = told_of(Duration::from_secs(2), |_| {
        loop {
            std::thread::park();
        }
    });

    assert!(told.contains("no progress") && told.contains("RINGFENCE_SEED="), "{told}");
}

/// Code that is slow, and lies.
struct Slow(Liar);

impl Mapper for Slow {
    fn root(&self) -> PhysAddr {
        self.0.root
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        std::thread::sleep(Duration::from_millis(60));
        Ok(())
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        Err(Refusal::NotMapped)
    }
}

#[test]
fn minimising_for_longer_than_patience_is_progress() {
    let own = |memory: Memory| Slow(Liar { root: memory.allocate_zeroed().expect("a frame") });

    let report = conformance::mapper(own).isolated(Duration::from_millis(500)).cases(1).run();

    assert!(report.has(Check::Request) && !report.has(Check::Totality), "{report}");
}

/// A walker that takes its process with it.
#[cfg(unix)]
struct FatalWalker;

#[cfg(unix)]
impl Walker for FatalWalker {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        // Not at the first question of all, which is asked before there is a case.
        if attempt.virt != VirtAddr(0x1000) {
            std::process::abort();
        }
        None
    }
}

#[cfg(unix)]
#[test]
fn a_walker_that_ends_its_process_is_told_with_its_tables_and_the_seed() {
    let suite = conformance::walker(|_, _| FatalWalker);

    let report = suite.isolated(Duration::from_secs(20)).cases(5).run();

    let told = report.to_string();
    for part in [
        "ends the process",
        ", in call 1: translate 0x",
        "RINGFENCE_SEED=",
        "level 4",
        "case       0 entries, 1 address; nothing can be left out (",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn any_bytes_are_tables_for_a_walker() {
    struct Nowhere;
    impl Walker for Nowhere {
        fn translate(&mut self, _: &Attempt) -> Option<Mapping> {
            None
        }
    }

    let is_found = (0..64_u32).any(|first| {
        let bytes: Vec<u8> = (0..80).map(|at| ((at * 37 + first * 11) % 251) as u8).collect();
        let told = panics(|| conformance::walker(|_, _| Nowhere).fuzz(&bytes));
        told.is_some_and(|told| told.contains("misses a page"))
    });

    assert!(is_found);
}
