//! Recorded traces: what holds is silent, what does not is found at its line, and bad input is told.

mod aarch64;
mod casemate;
#[cfg(feature = "cli")]
mod command;
mod input;
#[cfg(feature = "cli")]
mod live;
mod pcids;
mod sets;
mod ways;
mod x86_64;

use ringfence::conformance::trace::{Checker, Finding, Language};

/// What is found in a trace of ringfence's own format.
fn findings(lines: &str) -> Vec<Finding> {
    judged(Language::Own, lines)
}

fn judged(language: Language, lines: &str) -> Vec<Finding> {
    let mut checker = Checker::new(language);
    let mut findings = Vec::new();
    for line in lines.lines() {
        let found = checker.line(line);
        findings.extend(found.unwrap_or_else(|mistake| panic!("{line}: {mistake:?}")).to_vec());
    }
    findings
}

#[track_caller]
fn assert_silent(lines: &str) {
    let found = findings(lines);
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", told.join("\n\n"));
}

/// The first finding is of this kind, at the last line.
#[track_caller]
fn assert_found(lines: &str, kind: &str) -> Finding {
    let found = findings(lines);
    let first = found.first().unwrap_or_else(|| panic!("nothing found in\n{lines}")).clone();
    assert!(first.kind().contains(kind), "{first}");
    let last = lines.trim_end().lines().count() as u64;
    assert_eq!(first.line(), last, "{first}");
    first
}
