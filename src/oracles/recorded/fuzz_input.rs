//! What a fuzzer's bytes mean: any bytes are a file of cases and the machine they run on.
//!
//! The fuzz target `translate_csv` and `ringfence explain` read it here, so that what is explained is
//! what was run.

use super::columns::{Columns, EXPECTED, Mistake, REQUIRED, Row, Wanted};
use super::csv::{Fields, Malformed, Scanned};
use super::machine::{AccessedOnFault, RecordedMachine};
use crate::machine::paging::x86_64::Vendor;

/// A file of cases with the machine they run on.
pub struct RecordedFile {
    /// The machine.
    pub machine: RecordedMachine,
    /// The file.
    pub text: Vec<u8>,
}

/// A file. Input: a byte that chooses vendor (bit 0), what a fault leaves behind (bit 1), how many
/// bits memory decodes (bits 2 and 3), MAXPHYADDR (bits 4 and 5), and whether a header line is put in
/// front (bit 7); then the text.
#[must_use]
pub fn recorded_file(data: &[u8]) -> RecordedFile {
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
    RecordedFile { machine, text: all }
}

/// One record of a file, read.
pub enum Read {
    /// The header line; the columns it names follow as rows.
    Header,
    /// A case.
    Row(Row),
    /// What is wrong with the record. Nothing is read after it.
    Mistake(Mistake),
    /// Why it is not comma-separated values. Nothing is read after it.
    Malformed(Malformed),
}

/// Reads a file record by record, as `ringfence translate` does: each with its bytes. The header may
/// name the columns of expectations or not.
///
/// # Panics
///
/// When reading makes no progress or a mistake is placed outside of its record.
pub fn each_record(text: &[u8], mut each: impl FnMut(&[u8], Read)) {
    let mut fields = Fields::default();
    let mut columns: Option<Columns> = None;
    let mut rest = text;
    while !rest.is_empty() {
        let bytes = match fields.scan(rest, true) {
            Scanned::Blank { bytes } => bytes,
            Scanned::Record { bytes, lines } => {
                let record = &rest[..bytes];
                let ends = record.iter().filter(|byte| **byte == b'\n').count() as u64;
                assert!(ends == lines || ends + 1 == lines, "{lines} lines with {ends} ends");
                let read = match &columns {
                    None => header(record, &fields).map(|found| {
                        columns = Some(found);
                        Read::Header
                    }),
                    Some(columns) => columns.row(record, &fields).map(Read::Row),
                };
                match read {
                    Ok(read) => each(record, read),
                    Err(mistake) => {
                        assert!(mistake.at.start <= bytes && mistake.at.end <= bytes);
                        return each(record, Read::Mistake(mistake));
                    }
                }
                bytes
            }
            Scanned::Malformed(malformed) => return each(rest, Read::Malformed(malformed)),
            Scanned::Incomplete => unreachable!("nothing follows, so nothing is incomplete"),
        };
        assert!(bytes > 0, "no progress");
        rest = &rest[bytes..];
    }
}

fn header(record: &[u8], fields: &Fields) -> Result<Columns, Mistake> {
    let [with, without] = [Wanted::Expectations, Wanted::Cases]
        .map(|wanted| Columns::from_header(record, fields, wanted));
    with.or(without)
}
