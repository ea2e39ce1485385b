//! Each planted bug is found, and nothing where there is none.

use ringfence::conformance::{self, FaultKind, Report};

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
    ] {
        assert!(report.strikes(kind) > 10, "{kind:?} struck\n{report}");
    }
    assert!(report.skipped().is_empty(), "\n{report}");
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
