//! Any bytes are a trace or a mistake that is told, never a panic; and a mistake lies in its line.
//!
//! The first byte chooses how the trace is written and whether a first line is put in front; the rest
//! is the trace.

use ringfence::conformance::trace::{Checker, Language};

/// The language and the lines that these bytes are.
fn input(data: &[u8]) -> (Language, String) {
    let (choice, text) = data.split_first().map_or((0, data), |(choice, text)| (*choice, text));
    let text = String::from_utf8_lossy(text);
    match choice & 3 {
        0 => (Language::Own, text.into_owned()),
        1 => (Language::Own, format!("trace 1 aarch64\n{text}")),
        2 => (Language::Own, format!("trace 1 x86-64\n{text}")),
        _ => (Language::Casemate, text.into_owned()),
    }
}

/// One case.
///
/// # Panics
///
/// When a mistake lies outside of its line.
pub fn run(data: &[u8]) {
    let _ = outcome(data);
}

/// The findings of the trace, in order, and the mistake that ended it.
///
/// # Panics
///
/// As [`run`].
#[must_use]
pub fn outcome(data: &[u8]) -> Vec<String> {
    let (language, text) = input(data);
    let mut checker = Checker::new(language);
    let mut outcomes = Vec::new();
    for line in text.lines() {
        match checker.line(line) {
            Ok(findings) => outcomes.extend(findings.iter().map(|found| found.kind().to_owned())),
            Err(mistake) => {
                let at = &mistake.at;
                assert!(at.start <= at.end && at.end <= line.len(), "{mistake:?} of {line:?}");
                outcomes.push(mistake.what);
                break;
            }
        }
    }
    outcomes
}
