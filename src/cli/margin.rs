//! `ringfence margin compare`: did page-table code come nearer to a breach?

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::conformance::margin::{Comparison, Margins};
use crate::scenario::shown;

use super::arguments::{MarginArguments, MarginCommand};
use super::{Ended, Failure};

/// Compares two prints.
pub(super) fn margin(arguments: &MarginArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let MarginCommand::Compare { before, after, json } = &arguments.command;
    let (old, new) = (read(before)?, read(after)?);
    if old.format != new.format {
        return Err(Failure::mistake(
            format!(
                "{} is of the table format `{}`, {} of `{}`",
                before.display(),
                old.format.escape_debug(),
                after.display(),
                new.format.escape_debug()
            ),
            "compare prints of one table format",
        ));
    }
    let comparison = Comparison::of(&old, &new);
    if comparison.compared == 0 {
        return Err(Failure::mistake(
            format!("no call is in both {} and {}", before.display(), after.display()),
            "print both with the same seed, number of cases and declared capabilities",
        ));
    }
    if *json {
        for line in objects(&comparison) {
            writeln!(out, "{line}")?;
        }
    } else {
        writeln!(out, "{}", shown(&comparison.to_string()))?;
    }
    Ok(if comparison.is_smaller() { Ended::Violated } else { Ended::Held })
}

/// One object a call that changed, one a call that is in one print only, then the summary.
fn objects(comparison: &Comparison) -> Vec<Value> {
    let Comparison { compared, changes, alone } = comparison;
    let changed = changes.iter().map(|change| {
        json!({ "call": change.call, "smaller": change.is_smaller, "changes": change.lines })
    });
    let mut lines: Vec<Value> = changed.collect();
    lines.extend(alone.iter().map(|call| json!({ "alone": call })));
    lines.push(json!({ "summary": {
        "compared": compared,
        "smaller": changes.iter().filter(|change| change.is_smaller).count(),
        "changed": changes.len(),
        "alone": alone.len(),
        "held": !comparison.is_smaller(),
    }}));
    lines
}

fn read(path: &Path) -> Result<Margins, Failure> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::mistake(
            format!("can't read {name}: {error}"),
            "give a file that holds what `Suite::margins` printed",
        )
    })?;
    Margins::parse(&text).map_err(|error| {
        let line = text.lines().nth(error.line - 1).unwrap_or("");
        let (number, column) = (error.line, error.column);
        let blank = " ".repeat(number.to_string().len());
        let before = " ".repeat(column - 1);
        Failure::Mistake(format!(
            "error: not a print of margins\n{blank}--> {name}:{number}:{column}\n{blank} |\n{number} | {line}\n\
             {blank} | {before}^\n{blank} = expected: {}\n{blank} = help: print it anew with \
             `Suite::margins`, and only that into the file",
            error.expected
        ))
    })
}
