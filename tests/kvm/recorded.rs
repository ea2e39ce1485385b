//! The rows of `tests/fixtures/translation-recorded.csv`.

use ringfence::oracles::recorded::{
    Columns, Expectation, Fields, Scanned, TranslationCase, Wanted,
};

const RECORDED: &[u8] = include_bytes!("../fixtures/translation-recorded.csv");

/// Each case, and what other implementations saw become of it.
pub(crate) fn rows() -> Vec<(TranslationCase, Expectation)> {
    let mut fields = Fields::default();
    let mut columns = None;
    let mut rows = Vec::new();
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
            Some(columns) => {
                let row = columns.row(record, &fields).expect("a row");
                rows.push((row.case, row.expectation.expect("it was wanted")));
            }
        }
    }
    rows
}
