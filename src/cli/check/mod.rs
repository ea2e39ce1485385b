//! `ringfence check`: recorded traces of page-table code, judged store by store.

pub(super) mod arguments;
mod lines;
mod told;

use std::io::Write;

use serde_json::json;

use crate::campaign::Interrupt;
use crate::conformance::trace::{Checker, Language, Tally};
use crate::scenario::shown;

use self::arguments::{CheckArguments, LanguageName};
use self::lines::Lines;
use super::ending::stopped_when_asked;
use super::{Ended, Failure};

/// What one trace came to.
struct Outcome {
    name: String,
    tally: Tally,
    held: usize,
    /// Why it was not read to its end.
    mistake: Option<String>,
    /// Somebody pressed Ctrl-C: it may go on.
    is_partial: bool,
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
    let mut found = 0;
    match all(arguments, &mut found, out) {
        // A finding that nobody reads any more is one.
        Err(Failure::ClosedPipe) if found > 0 => Ok(Ended::Violated),
        ended => ended,
    }
}

fn all(
    arguments: &CheckArguments,
    found: &mut u64,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let is_one = arguments.traces.len() == 1;
    let stop = stopped_when_asked()?;
    let mut outcomes = Vec::new();
    for name in &arguments.traces {
        if stop.is_raised() {
            break;
        }
        let outcome = one(name, arguments, is_one, &stop, found, out)?;
        if arguments.json {
            writeln!(out, "{}", told::summary(&outcome))?;
        } else if is_one && outcome.mistake.is_none() {
            write!(out, "{}", shown(&told::sum(&outcome)))?;
        }
        outcomes.push(outcome);
    }
    if !is_one && !arguments.json {
        let table = told::table(&outcomes, arguments.format == LanguageName::Casemate);
        write!(out, "{}", shown(&table))?;
    }
    let mistakes: Vec<&str> =
        outcomes.iter().filter_map(|outcome| outcome.mistake.as_deref()).collect();
    if !mistakes.is_empty() {
        return Err(Failure::Mistake(mistakes.join("\n\n")));
    }
    if stop.is_raised() {
        out.flush()?;
        let lines: u64 = outcomes.iter().map(|outcome| outcome.tally.lines).sum();
        let _ = writeln!(std::io::stderr(), "PARTIAL: interrupted, {lines} lines were judged");
        return Ok(Ended::Interrupted);
    }
    if outcomes.iter().any(|outcome| outcome.findings() > 0) {
        return Ok(Ended::Violated);
    }
    match outcomes.iter().find(|outcome| outcome.is_unchecked()) {
        Some(outcome) => Err(Failure::mistake(
            format!("{} names no root of tables: nothing was checked", outcome.name),
            match arguments.format {
                LanguageName::Own => {
                    "print a `set` line for each processor's root registers, at the beginning too"
                }
                LanguageName::Casemate => "a `sysreg-write` of vttbr_el2 or ttbr0_el2 names a root",
            },
        )),
        None => Ok(Ended::Held),
    }
}

/// One trace, and each of its findings as it comes: whoever ends a live trace has them.
fn one(
    name: &str,
    arguments: &CheckArguments,
    is_told: bool,
    stop: &Interrupt,
    found: &mut u64,
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let language = match arguments.format {
        LanguageName::Own => Language::Own,
        LanguageName::Casemate => Language::Casemate,
    };
    let mut checker = Checker::new(language);
    let told = judged(name, &mut checker, arguments, is_told, stop, found, out);
    let (name, mistake) = match told {
        Ok(name) => (name, None),
        Err(Failure::Mistake(mistake)) => (name.to_owned(), Some(mistake)),
        Err(failure @ Failure::ClosedPipe) => return Err(failure),
    };
    let is_partial = stop.is_raised();
    Ok(Outcome { name, tally: checker.tally().clone(), held: checker.held(), mistake, is_partial })
}

/// Judges each line, and gives what the trace is called.
fn judged(
    name: &str,
    checker: &mut Checker,
    arguments: &CheckArguments,
    is_told: bool,
    stop: &Interrupt,
    found: &mut u64,
    out: &mut impl Write,
) -> Result<String, Failure> {
    let mut lines = Lines::open(name, stop.clone())?;
    let mut left = arguments.findings;
    while let Some(line) = lines.next()? {
        let findings = checker.line(line).map_err(|mistake| lines.told(&mistake))?;
        let is_quiet = findings.is_empty();
        for finding in findings {
            *found += 1;
            if left == 0 {
                break;
            }
            left -= 1;
            let event = lines.shown();
            if arguments.json {
                writeln!(out, "{}", told::finding_json(lines.name(), &event, finding))?;
            } else if is_told {
                writeln!(out, "event      {}:{}  {event}", shown(lines.name()), finding.line())?;
                writeln!(out, "{}\n", shown(&finding.to_string()))?;
            }
        }
        if !is_quiet {
            out.flush()?;
        }
    }
    if checker.tally().lines == 0 && !stop.is_raised() {
        return Err(Failure::mistake(
            format!("{} is empty", lines.name()),
            "its first line must name the architecture: trace 1 aarch64, or trace 1 x86-64",
        ));
    }
    Ok(lines.name().to_owned())
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
