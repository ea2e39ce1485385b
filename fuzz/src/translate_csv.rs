//! Any bytes are cases or a mistake that is told, never a panic; and what becomes of a case is the
//! same by the machine's walk and by the book.
//!
//! The first byte chooses the machine, and whether a header line is put in front; the rest is the
//! file.

use ringfence::machine::paging::x86_64::Vendor;
use ringfence::oracles::recorded::columns::{EXPECTED, REQUIRED};
use ringfence::oracles::recorded::{
    AccessedOnFault, Columns, Expectation, Fields, RecordedMachine, Row, Scanned, Walker, Wanted,
    explain,
};

/// The machine and the text that these bytes are.
fn input(data: &[u8]) -> (RecordedMachine, Vec<u8>) {
    let (choice, text) = data.split_first().map_or((0, data), |(choice, text)| (*choice, text));
    let machine = RecordedMachine {
        vendor: if choice & 1 == 0 { Vendor::Intel } else { Vendor::Amd },
        accessed_on_fault: [AccessedOnFault::Unset, AccessedOnFault::Passed]
            [usize::from(choice >> 1 & 1)],
        decode_bits: [52, 40, 36, 20][usize::from(choice >> 2 & 3)],
        maxphyaddr: 36 + (choice >> 4 & 3) * 5,
        ..RecordedMachine::default()
    };
    let mut all = Vec::new();
    if choice & 0x80 != 0 {
        all.extend_from_slice(REQUIRED.join(",").as_bytes());
        all.extend_from_slice(b",mpa,pkrs,set,");
        all.extend_from_slice(EXPECTED.join(",").as_bytes());
        all.push(b'\n');
    }
    all.extend_from_slice(text);
    (machine, all)
}

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
    let (machine, text) = input(data);
    let mut outcomes = Vec::new();
    let mut fields = Fields::default();
    let mut columns: Option<Columns> = None;
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        let read = match fields.scan(rest, true) {
            Scanned::Blank { bytes } => bytes,
            Scanned::Record { bytes, lines } => {
                let record = &rest[..bytes];
                let ends = record.iter().filter(|byte| **byte == b'\n').count() as u64;
                assert!(ends == lines || ends + 1 == lines, "{lines} lines with {ends} ends");
                match &columns {
                    None => match header(record, &fields) {
                        Ok(found) => columns = Some(found),
                        Err(what) => {
                            outcomes.push(what);
                            return outcomes;
                        }
                    },
                    Some(columns) => match columns.row(record, &fields) {
                        Ok(row) => outcomes.push(answered(&machine, &row)),
                        Err(mistake) => {
                            assert!(mistake.at.start <= bytes && mistake.at.end <= bytes);
                            outcomes.push(format!("{}; {}", mistake.what, mistake.expected));
                            return outcomes;
                        }
                    },
                }
                bytes
            }
            Scanned::Malformed(malformed) => {
                outcomes.push(format!("{malformed:?}"));
                return outcomes;
            }
            Scanned::Incomplete => panic!("nothing follows, so nothing is incomplete"),
        };
        assert!(read > 0, "no progress");
        rest = &rest[read..];
    }
    outcomes
}

fn header(record: &[u8], fields: &Fields) -> Result<Columns, String> {
    let wanted = [Wanted::Expectations, Wanted::Cases];
    let [with, without] = wanted.map(|wanted| Columns::from_header(record, fields, wanted));
    with.or(without).map_err(|mistake| {
        assert!(mistake.at.end <= record.len());
        mistake.what
    })
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
