//! Any bytes are cases or a mistake that is told, never a panic; and what becomes of a case is the
//! same by the machine's walk and by the book.
//!
//! What the bytes mean is said in `ringfence::oracles::recorded::fuzz_input`; `ringfence explain` shows it.

use ringfence::oracles::recorded::fuzz_input::{Read, each_record, recorded_file};
use ringfence::oracles::recorded::{Expectation, RecordedMachine, Row, Walker, explain};

/// One case.
///
/// # Panics
///
/// When the walkers disagree, or what a case becomes is not allowed by an expectation of just that.
pub fn run(data: &[u8]) {
    let _ = outcome(data);
}

/// How the case ends: the outcomes of its rows, in order, and the mistake that ended it.
///
/// # Panics
///
/// As [`run`].
#[must_use]
pub fn outcome(data: &[u8]) -> Vec<String> {
    let file = recorded_file(data);
    let mut outcomes = Vec::new();
    each_record(&file.text, |_, read| match read {
        Read::Header => {}
        Read::Row(row) => outcomes.push(answered(&file.machine, &row)),
        Read::Mistake(mistake) => outcomes.push(format!("{}; {}", mistake.what, mistake.expected)),
        Read::Malformed(malformed) => outcomes.push(malformed.to_string()),
    });
    outcomes
}

fn answered(machine: &RecordedMachine, row: &Row) -> String {
    let [answer, book] =
        [Walker::Machine, Walker::Book].map(|walker| machine.answer_of(walker, &row.case));
    assert_eq!(answer, book, "{:x?}", row.case);
    let own = Expectation {
        out: answer.outcome.name(),
        code: answer.outcome.error_code(),
        address: answer.outcome.address(),
        accessed: answer.accessed,
        dirtied: answer.dirtied,
    };
    assert!(own.allows(machine, &row.case, &answer), "{:x?}", row.case);
    let explanation = explain(machine, &row.case, &answer);
    let is_ok = answer.outcome.name() == "ok";
    assert_eq!(explanation.reasons.is_empty(), is_ok, "{:x?}", row.case);
    if let Some(seen) = &row.expectation {
        let _ = seen.allows(machine, &row.case, &answer);
    }
    let code = answer.outcome.error_code().map_or(String::new(), |code| format!(" {code:x}"));
    format!("{}{code}", answer.outcome.name())
}
