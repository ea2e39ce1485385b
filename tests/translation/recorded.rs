//! What Bochs, QEMU, KVM and Unicorn did, row by row. See `tests/fixtures/PROVENANCE.md`.

use std::collections::BTreeMap;

use ringfence::oracles::recorded::{
    AccessedOnFault, CaseOutcome, Columns, Fields, RecordedMachine, Row, Scanned, Walker, Wanted,
    explain,
};

const RECORDED: &[u8] = include_bytes!("../fixtures/translation-recorded.csv");

/// Shows `visit` each row of the fixture with its text.
fn each_row(mut visit: impl FnMut(Row, &[u8])) {
    let mut fields = Fields::default();
    let mut columns = None;
    let mut rest = RECORDED;
    while !rest.is_empty() {
        let Scanned::Record { bytes, .. } = fields.scan(rest, true) else {
            panic!("not a record: {}", String::from_utf8_lossy(rest));
        };
        let (record, behind) = rest.split_at(bytes);
        rest = behind;
        match &columns {
            None => {
                let header = Columns::from_header(record, &fields, Wanted::Expectations);
                columns = Some(header.expect("a header"));
            }
            Some(columns) => visit(columns.row(record, &fields).expect("a row"), record),
        }
    }
}

#[test]
fn both_walkers_do_what_other_implementations_did() {
    let machine = RecordedMachine::default();
    let mut counts: BTreeMap<(String, bool, &str), u32> = BTreeMap::new();
    each_row(|row, text| {
        let expectation = row.expectation.expect("it was wanted");
        for walker in [Walker::Machine, Walker::Book] {
            let answer = machine.answer_of(walker, &row.case);

            let agrees = expectation.allows(&machine, &row.case, &answer);
            assert!(agrees, "{walker:?}: {answer:x?}\nrow {}", String::from_utf8_lossy(text));
        }
        let set = String::from_utf8_lossy(&text[row.set]).into_owned();
        let five_levels = row.case.mode.has_five_levels();
        *counts.entry((set, five_levels, expectation.out)).or_default() += 1;
    });

    // The sample is worth its name only while every kind of row is in it.
    let has =
        |set: &str, five_levels, out| counts.contains_key(&(set.to_owned(), five_levels, out));
    for set in ["S1", "S2", "S3", "S4", "S8", "R"] {
        assert!(has(set, false, "pf") && has(set, false, "ok"), "{set}: {counts:?}");
    }
    for kind in [("S5", false, "gp"), ("S5", true, "gp"), ("S1", true, "pf"), ("S4", true, "ok")] {
        assert!(has(kind.0, kind.1, kind.2), "{kind:?}: {counts:?}");
    }
}

#[test]
fn accessed_bits_after_a_fault_stay_within_what_both_kinds_of_processor_leave() {
    let none = RecordedMachine::default();
    let passed = RecordedMachine {
        accessed_on_fault: AccessedOnFault::Passed,
        ..RecordedMachine::default()
    };
    let mut differing = 0;
    each_row(|row, _| {
        let (least, most) = (none.answer(&row.case), passed.answer(&row.case));
        let range = none.accessed_range(&row.case);

        assert_eq!(least.outcome, most.outcome);
        assert!(range.contains(least.accessed) && range.contains(most.accessed));
        if let CaseOutcome::Translated(_) = least.outcome {
            assert_eq!(least, most);
        }
        differing += u32::from(least != most);
    });
    assert!(differing > 100, "{differing}");
}

#[test]
fn every_fault_has_a_reason_and_its_error_code_follows_from_it() {
    let machine = RecordedMachine::default();
    let mut checks = BTreeMap::new();
    each_row(|row, text| {
        let answer = machine.answer(&row.case);

        let explanation = explain(&machine, &row.case, &answer);

        let names: Vec<_> =
            explanation.reasons.iter().map(|reason| format!("{:?}", reason.check)).collect();
        let one_of = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.as_str()));
        let text = String::from_utf8_lossy(text);
        match answer.outcome {
            CaseOutcome::Translated(_) => assert!(names.is_empty(), "{names:?}: {text}"),
            CaseOutcome::GeneralProtection => assert_eq!(names, ["Canonical"], "{text}"),
            CaseOutcome::PageFault { code, .. } => {
                assert_eq!(code & 1 == 0, one_of(&["Present"]), "{names:?}: {text}");
                let reserved = [
                    "PhysicalWidth",
                    "ExecuteDisableReserved",
                    "PageSizeReserved",
                    "PageAlignment",
                ];
                assert_eq!(code & 8 != 0, one_of(&reserved), "{names:?}: {text}");
                assert_eq!(code & 32 != 0, one_of(&["KeyAccess", "KeyWrite"]), "{names:?}: {text}");
                assert!(!names.is_empty(), "{text}");
            }
        }
        for name in names {
            *checks.entry(name).or_insert(0) += 1;
        }
    });
    assert_eq!(checks.len(), 13, "each check but AMD's decides some row: {checks:?}");
}
