//! Runs the conformance suite on the adapters that were built in and prints a row for each.
//!
//! `unsafe` is here only where an interface under test demands it.

#[cfg(feature = "page_table_multiarch")]
mod page_table_multiarch;
#[cfg(feature = "x86_64")]
mod x86_64;

use ringfence::conformance::{Check, Report};

/// Cases for each adapter; `RINGFENCE_CASES` overrides it.
const CASES: u64 = 3000;

fn main() {
    let label = std::env::args().nth(1).unwrap_or_default();
    let tells = std::env::args().any(|argument| argument == "--tell");
    let runs: Vec<(&str, Report)> = vec![
        #[cfg(feature = "x86_64")]
        ("OffsetPageTable", x86_64::offset(CASES)),
        #[cfg(feature = "x86_64")]
        ("MappedPageTable", x86_64::mapped(CASES)),
        #[cfg(feature = "page_table_multiarch")]
        ("PageTable64", page_table_multiarch::run(CASES)),
    ];
    for (name, report) in runs {
        row(&label, name, &report);
        for finding in report.findings() {
            println!("    {}: {}", finding.check(), finding.kind());
        }
        if tells {
            println!("{report}");
        }
    }
}

/// A row of the matrix: how many kinds of findings each check has.
fn row(label: &str, name: &str, report: &Report) {
    let cells: Vec<String> = Check::ALL
        .iter()
        .map(|check| {
            let found = report.findings().iter().filter(|finding| finding.check() == *check);
            match found.count() {
                0 => "  -".to_owned(),
                count => format!("{count:>3}"),
            }
        })
        .collect();
    println!("{label:<28}{name:<17}{}  {}", cells.join(" "), report.digest());
}
