//! `ringfence check`: recorded traces of page-table code, judged store by store.

pub(super) mod arguments;
mod lines;
mod told;

use std::io::Write;

use serde_json::json;

use crate::conformance::trace::{Checker, Language, Tally};

use self::arguments::{CheckArguments, LanguageName};
use self::lines::Lines;
use super::{Ended, Failure};

/// What one trace came to.
struct Outcome {
    name: String,
    tally: Tally,
    held: usize,
}

impl Outcome {
    fn findings(&self) -> u64 {
        self.tally.findings.values().sum()
    }

    /// Nothing was ever a table in use: nothing was checked.
    const fn is_unchecked(&self) -> bool {
        self.tally.spaces == 0
    }
}

/// Judges each trace.
pub(super) fn check(arguments: &CheckArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let is_one = arguments.traces.len() == 1;
    let mut outcomes = Vec::new();
    for name in &arguments.traces {
        let outcome = one(name, arguments, is_one, out)?;
        if arguments.json {
            writeln!(out, "{}", told::summary(&outcome))?;
        } else if is_one {
            write!(out, "{}", told::sum(&outcome))?;
        }
        outcomes.push(outcome);
    }
    if !is_one && !arguments.json {
        write!(out, "{}", told::table(&outcomes, arguments.format == LanguageName::Casemate))?;
    }
    if outcomes.iter().any(|outcome| outcome.findings() > 0) {
        return Ok(Ended::Violated);
    }
    match outcomes.iter().find(|outcome| outcome.is_unchecked()) {
        Some(outcome) => Err(Failure::mistake(
            format!("{} names no root of tables: nothing was checked", outcome.name),
            "print a `set` line for each processor's root registers, at the beginning too",
        )),
        None => Ok(Ended::Held),
    }
}

fn one(
    name: &str,
    arguments: &CheckArguments,
    is_told: bool,
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let language = match arguments.format {
        LanguageName::Own => Language::Own,
        LanguageName::Casemate => Language::Casemate,
    };
    let mut lines = Lines::open(name)?;
    let mut checker = Checker::new(language);
    let mut left = arguments.findings;
    while let Some(line) = lines.next()? {
        let findings = checker.line(line).map_err(|mistake| lines.told(&mistake))?;
        for finding in findings {
            if left == 0 {
                break;
            }
            left -= 1;
            let event = lines.shown();
            if arguments.json {
                writeln!(out, "{}", told::finding_json(lines.name(), &event, finding))?;
            } else if is_told {
                writeln!(out, "event      {}:{}  {event}", lines.name(), finding.line())?;
                writeln!(out, "{finding}\n")?;
            }
        }
    }
    if checker.tally().lines == 0 {
        return Err(Failure::mistake(
            format!("{} is empty", lines.name()),
            "its first line must name the architecture: trace 1 aarch64, or trace 1 x86-64",
        ));
    }
    Ok(Outcome {
        name: lines.name().to_owned(),
        tally: checker.tally().clone(),
        held: checker.held(),
    })
}

/// A number of things for a summary in JSON.
fn counted(tally: &Tally) -> serde_json::Value {
    json!({
        "lines": tally.lines,
        "stores": tally.stores,
        "table_stores": tally.table_stores,
        "invalidations": tally.invalidations,
        "spaces": tally.spaces,
    })
}
