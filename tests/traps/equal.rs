//! The same findings, word by word, whether a store comes by the accessor or is trapped.

use ringfence::conformance::{self, Check, Memory, Observed, Report};

use crate::bug::Bug;
use crate::raw::Raw;
use crate::tables::Tables;

/// Enough for any call of these cases, and few enough for those that never return: each is a signal.
const ACCESSES_MAX: u32 = 20_000;

/// Cases for each bug; `RINGFENCE_CASES` tries more.
const CASES: u64 = 15;

/// By the accessor and in the memory that `trapped` has: what flips is not led out of it in either.
fn accessed(bug: Option<Bug>, cases: u64) -> Report {
    let suite = conformance::mapper(move |memory: Memory| Tables::new(memory, bug));
    suite.cases(cases).accesses_max(ACCESSES_MAX).trapping(Observed::Accesses).run()
}

fn trapped(bug: Option<Bug>, cases: u64, observed: Observed) -> Report {
    let suite = conformance::mapper(move |memory: Memory| Tables::<Raw>::reached(memory, bug));
    suite.cases(cases).accesses_max(ACCESSES_MAX).trapping(observed).run()
}

/// The whole report: findings with their minimal cases, each store told with old and new entry, seeds,
/// what was skipped, how much was tried, the digest.
fn told(report: &Report) -> String {
    // The tables are compiled into this test binary at another path.
    report.to_string().replace("tests/traps/../conformance/", "tests/conformance/")
}

#[test]
fn a_correct_mapper_with_raw_pointers_raises_no_finding_and_stores_what_the_accessor_sees() {
    let report = trapped(None, 40, Observed::Accesses);

    assert!(report.findings().is_empty(), "\n{report}");
    assert_eq!(told(&report), told(&accessed(None, 40)));
}

#[test]
fn each_planted_bug_has_the_same_findings_trapped_as_by_the_accessor() {
    let mut found = 0;
    for (bug, _) in Bug::ALL {
        if *bug == Bug::WritesPlainly {
            continue; // a matter of the compiler, below
        }
        let trapped = trapped(Some(*bug), CASES, Observed::Accesses);

        assert_eq!(told(&trapped), told(&accessed(Some(*bug), CASES)), "{bug:?}");
        found += trapped.findings().len();
    }

    println!("{found} findings, equal");
    assert!(found > 15, "{found} findings");
}

#[test]
fn a_store_that_a_compiler_may_tear_and_has_not_is_whole() {
    let accessed = accessed(Some(Bug::WritesPlainly), 10);
    let trapped = trapped(Some(Bug::WritesPlainly), 10, Observed::Accesses);

    assert!(accessed.has(Check::Isolation), "{accessed}");
    assert!(trapped.findings().is_empty(), "{trapped}");
}

#[test]
fn where_only_stores_are_trapped_the_report_says_that_loads_are_not_seen() {
    let report = trapped(Some(Bug::WritesInHalves), 10, Observed::Stores);

    assert!(report.has(Check::Isolation), "{report}");
    let is_listed = |line: &String| line.starts_with("loads of frames that are no tables");
    assert!(report.skipped().iter().any(is_listed), "{report}");
}

#[test]
fn a_run_of_fewer_cases_because_accesses_are_trapped_says_so() {
    let suite = || {
        let own = |memory: Memory| Tables::<Raw>::reached(memory, None);
        conformance::mapper(own).accesses_max(ACCESSES_MAX)
    };

    let usual = conformance::mapper(|memory: Memory| Tables::new(memory, None)).run();
    let fewer = suite().trapping(Observed::Stores).run();
    let asked = suite().trapping(Observed::Stores).cases(7).run();

    assert_eq!(fewer.cases(), usual.cases() / 20);
    let line = format!("cases up to {}: accesses are trapped", usual.cases());
    let says = |report: &Report| report.skipped().iter().any(|told| told.starts_with(&line));
    assert_eq!((says(&usual), says(&fewer)), (false, true), "{fewer}");
    assert_eq!((asked.cases(), says(&asked)), (7, false), "{asked}");
}

/// Nanoseconds that this thread has been on a processor, whatever else the machine does.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("nanoseconds come first")
}

#[test]
#[ignore = "prints what a trapped store costs"]
fn cost_of_a_trapped_store() {
    let mut plain = 0;
    for observed in [None, Some(Observed::Stores), Some(Observed::Accesses)] {
        let begun = on_processor();
        let report = match observed {
            None => accessed(None, 40),
            Some(observed) => trapped(None, 40, observed),
        };
        let spent = on_processor() - begun;
        let stores = stores(&report);
        if observed.is_none() {
            plain = spent;
        }
        let more = spent.saturating_sub(plain) / stores;
        println!(
            "{observed:?}: {stores} stores, {spent} ns, {more} ns a store more than by the accessor"
        );
    }
}

fn stores(report: &Report) -> u64 {
    let text = report.to_string();
    let (_, rest) = text.split_once("stores ").expect("the report counts stores");
    rest.lines().next().and_then(|count| count.trim().parse().ok()).expect("a number")
}
