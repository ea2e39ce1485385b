//! The other ways in: bytes of a fuzzer, strategies, one case, and adapters that lie.

use std::time::Duration;

use proptest::prelude::*;
use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Check, Mapper, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
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

/// Code that takes its process with it.
struct Fatal {
    root: PhysAddr,
    end: fn(),
}

impl Mapper for Fatal {
    fn root(&self) -> PhysAddr {
        self.root
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        Err(Refusal::Declined("never"))
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        (self.end)();
        Err(Refusal::NotMapped)
    }
}

fn fatal(end: fn()) -> String {
    let own = move |memory: Memory| Fatal { root: memory.allocate().expect("a frame"), end };
    let report = conformance::mapper(own).isolated(Duration::from_secs(2)).cases(5).run();
    assert!(report.has(Check::Totality), "{report}");
    report.to_string()
}

#[cfg(unix)]
#[test]
fn code_that_ends_its_process_is_told_with_the_seed_of_the_case() {
    let told = fatal(|| std::process::abort());

    assert!(told.contains("ends the process") && told.contains("RINGFENCE_SEED="), "{told}");
}

#[test]
fn code_that_loops_without_touching_memory_is_told_with_the_seed_of_the_case() {
    let told = fatal(|| {
        loop {
            std::thread::park();
        }
    });

    assert!(told.contains("no progress") && told.contains("RINGFENCE_SEED="), "{told}");
}
