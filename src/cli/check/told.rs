//! What a trace came to, in words and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Outcome, counted};
use crate::conformance::trace::Finding;

/// One finding.
pub(super) fn finding_json(trace: &str, event: &str, finding: &Finding) -> Value {
    json!({
        "trace": trace,
        "line": finding.line(),
        "event": event,
        "processor": finding.processor(),
        "check": finding.check().name(),
        "kind": finding.kind(),
        "what": finding.what(),
        "address": finding.virt().map(|virt| format!("{virt}")),
        "entry": finding.change().map(|change| json!({
            "at": format!("{:#x}", change.at),
            "level": change.level,
            "first": format!("{}", change.first),
            "before": format!("{:#x}", change.before),
            "before_told": change.before_told,
            "after": format!("{:#x}", change.after),
            "after_told": change.after_told,
        })),
        "withdrawn": finding.since().map(|(line, processor)| json!({
            "line": line,
            "processor": processor,
        })),
        "rule": finding.rule(),
        "format": finding.format(),
    })
}

/// One trace.
pub(super) fn summary(outcome: &Outcome) -> Value {
    let kinds = outcome.tally.findings.iter().map(
        |((check, kind), count)| json!({ "check": check.name(), "kind": kind, "count": count }),
    );
    json!({
        "trace": outcome.name,
        "verdict": verdict(outcome),
        "findings": outcome.findings(),
        "kinds": kinds.collect::<Vec<_>>(),
        "held_at_end": outcome.held,
        "seen": counted(&outcome.tally),
        "recorded": outcome.tally.verdict,
        "partial": outcome.is_partial,
        "error": outcome.mistake,
    })
}

fn verdict(outcome: &Outcome) -> &'static str {
    if outcome.mistake.is_some() {
        "broken"
    } else if outcome.findings() > 0 {
        "violated"
    } else if outcome.is_unchecked() {
        "unchecked"
    } else {
        "held"
    }
}

/// The end of one trace.
pub(super) fn sum(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut text = String::new();
    // A string takes everything.
    let _ = writeln!(text, "lines      {}", tally.lines);
    let (stores, to_tables) = (tally.stores, tally.table_stores);
    let _ = writeln!(text, "stores     {stores}, {to_tables} of them to tables in use");
    let _ = writeln!(text, "roots      {}", tally.spaces);
    let _ = writeln!(text, "told       {} invalidations", tally.invalidations);
    if outcome.held > 0 {
        let held = outcome.held;
        let _ = writeln!(text, "held       {held} withdrawn translations, perhaps, at the end");
    }
    if let Some(verdict) = &tally.verdict {
        let _ = writeln!(text, "recorded   {verdict}");
    }
    let _ = writeln!(text, "findings   {}", outcome.findings());
    for ((check, kind), count) in &tally.findings {
        let _ = writeln!(text, "  {count:>6}   {check}: {kind}");
    }
    text
}

/// Many traces: a verdict each, beside the one that is recorded in it.
pub(super) fn table(outcomes: &[Outcome], has_recorded: bool) -> String {
    let name =
        |outcome: &Outcome| outcome.name.rsplit('/').next().unwrap_or(&outcome.name).to_owned();
    let width = outcomes.iter().map(|outcome| name(outcome).len()).max().unwrap_or(0).max(5);
    let mut text = String::new();
    let mut differ = 0;
    for outcome in outcomes {
        let first = outcome.tally.first.as_ref();
        let kind = first.map_or(String::new(), |(check, kind)| format!("{check}: {kind}"));
        let (name, verdict) = (name(outcome), verdict(outcome));
        // A string takes everything.
        let _ = write!(text, "{name:<width$}  {verdict:<9}");
        if has_recorded {
            let theirs = if outcome.tally.verdict.is_some() { "violated" } else { "held" };
            let agrees = theirs == verdict || (theirs == "held" && outcome.findings() == 0);
            // What was not read to its end has no verdict to compare.
            let is_broken = outcome.mistake.is_some();
            differ += u32::from(!agrees && !is_broken);
            let mark = match (is_broken, agrees) {
                (true, _) => "       ",
                (false, true) => "agrees ",
                (false, false) => "DIFFERS",
            };
            let _ = write!(text, "  {mark}");
        }
        if !kind.is_empty() {
            let _ = write!(text, "  {kind}");
        }
        if let Some(recorded) = &outcome.tally.verdict {
            let _ = write!(text, "  [{recorded}]");
        }
        text.push('\n');
    }
    let violated = outcomes.iter().filter(|outcome| outcome.findings() > 0).count();
    let _ = write!(text, "\n{} traces, {violated} violated", outcomes.len());
    let broken = outcomes.iter().filter(|outcome| outcome.mistake.is_some()).count();
    if broken > 0 {
        let _ = write!(text, ", {broken} broken");
    }
    if has_recorded {
        let _ = write!(text, ", {differ} other than recorded");
    }
    text.push('\n');
    text
}
