//! Each planted bug is found, and nothing where there is none, below either root.

use ringfence::conformance::format::{AArch64, Format};
use ringfence::conformance::{self, FaultKind, Report};

use super::bug::Bug;
use super::tables::{Setup, Tables};

const LOWER: Setup =
    Setup { first_level: 0, input_bits: 48, is_upper: false, hardware_flags: false };

/// What these tables leave to their clean-up.
const UNMAP_FREES: &str = "tables that unmap leaves empty: not declared";

fn run(
    format: &'static dyn Format,
    setup: Setup,
    bug: Option<Bug>,
    seed: u64,
    cases: u64,
) -> Report {
    conformance::mapper(move |memory| Tables::new(memory, setup, bug))
        .format(format)
        .seed(seed)
        .cases(cases)
        .run()
}

#[test]
fn a_correct_mapper_raises_no_finding_below_either_root() {
    let upper = Setup { is_upper: true, ..LOWER };
    let three = Setup { first_level: 1, input_bits: 39, ..LOWER };
    for (format, setup) in [
        (AArch64::LOWER as &dyn Format, LOWER),
        (AArch64::UPPER, upper),
        (AArch64::THREE_LEVELS, three),
    ] {
        let report = run(format, setup, None, 1, 500);

        assert!(report.findings().is_empty(), "{format:?}\n{report}");
        for kind in [
            FaultKind::AllocationFails,
            FaultKind::Abandoned,
            FaultKind::LostInvalidation,
            FaultKind::AllocatorCallsBack,
        ] {
            assert!(report.strikes(kind) > 3, "{kind:?} struck\n{report}");
        }
        let skipped = report.skipped();
        let is_listed =
            |line: &String| line.starts_with("pages of 1 GiB") || line.starts_with(UNMAP_FREES);
        assert!(skipped.iter().all(is_listed), "{skipped:?}");
    }
}

#[test]
fn a_correct_mapper_keeps_the_dirty_state_that_hardware_sets() {
    let setup = Setup { hardware_flags: true, ..LOWER };

    let report = run(AArch64::HARDWARE_FLAGS, setup, None, 1, 500);

    assert!(report.findings().is_empty(), "\n{report}");
    assert!(report.strikes(FaultKind::HardwareWalk) > 3, "\n{report}");
    assert_eq!(report.skipped(), [UNMAP_FREES], "\n{report}");
}

#[test]
fn each_planted_bug_is_found_by_the_check_that_is_there_for_it() {
    let mut missed = Vec::new();
    for (bug, check) in Bug::ALL {
        let hardware_flags = matches!(
            bug,
            Bug::LosesDirtyState | Bug::SplitDropsDirtyState | Bug::ProtectThrowsDirtyStateAway
        );
        let format = if hardware_flags { AArch64::HARDWARE_FLAGS } else { AArch64::LOWER };
        let setup = Setup { hardware_flags, ..LOWER };
        // The bugs that are easy to find are found in the first few cases.
        let is_found = (0..16).any(|part| {
            let report = run(format, setup, Some(*bug), 1 + 25 * part, 25);
            report.findings().iter().any(|finding| finding.check() == *check)
        });
        if !is_found {
            missed.push(bug);
        }
    }

    assert!(missed.is_empty(), "missed: {missed:?}");
}

#[test]
fn a_change_without_break_is_told_with_both_descriptors_and_the_title_of_the_rule() {
    let reports = (0..16)
        .map(|part| run(AArch64::LOWER, LOWER, Some(Bug::SplitsWithoutBreak), 1 + 25 * part, 25));

    let told = reports.flat_map(|report| report.findings().to_vec()).map(|found| found.to_string());

    let told =
        told.into_iter().find(|text| text.contains("made without break")).expect("a finding");
    for part in [
        "finding    entries: made without break: a table takes the place of a block",
        "Using break-before-make when updating translation table entries",
        "2 MiB block",
        "valid · table",
        "format     AArch64 stage 1, TTBR0_EL1, 4 levels",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}
