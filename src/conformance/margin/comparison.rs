//! Two prints of the same cases, before and after a commit.
//!
//! Calls are compared one by one; where the number of their stores changed, instants can't be. So a call is
//! compared by its least margin, by how many instants are in breach, by how many faults breach in all of it
//! (lost invalidations, abandoned stores, concurrent walks: each belongs to one instant), and by the most
//! flipped bits of any instant (the same bit counts at each).

use core::fmt;

use std::collections::BTreeSet;

use super::{CallMargins, Instant, Instants, Margins, SingleFault};

/// What is compared of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Summary {
    least: u8,
    breached: u64,
    faults: [u64; 4],
}

impl Summary {
    fn of(call: &CallMargins) -> Self {
        let mut summary = Self { least: 2, breached: 0, faults: [0; 4] };
        for instant in &call.instants {
            let times = match instant.when {
                Instants::After { first, last } => u64::from(last - first) + 1,
                Instants::Return | Instants::Stopped => 1,
            };
            summary.least = summary.least.min(instant.margin());
            summary.breached += times * u64::from(instant.margin() == 0);
            for (kind, sum) in SingleFault::ALL.into_iter().zip(&mut summary.faults) {
                let count = instant.faults_of(kind);
                if kind == SingleFault::FlippedBit {
                    *sum = (*sum).max(count);
                } else {
                    *sum += times * count;
                }
            }
        }
        summary
    }

    /// The figures in the order in which they are told: name, and whether more of it is worse.
    fn figures(&self) -> Vec<(&'static str, u64)> {
        let mut figures = vec![("instants in breach", self.breached)];
        figures.extend(SingleFault::ALL.into_iter().map(SingleFault::name).zip(self.faults));
        figures
    }
}

/// One call that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The case and the call.
    pub call: String,
    /// The margin got smaller: fewer faults suffice, or more single ones do.
    pub is_smaller: bool,
    /// What changed, a line each.
    pub lines: Vec<String>,
}

/// What changed between two prints.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Comparison {
    /// Calls that are in both.
    pub compared: usize,
    /// Those that are not as they were.
    pub changes: Vec<Change>,
    /// Calls that are in one print only, with which.
    pub alone: Vec<String>,
}

impl Comparison {
    /// Compares.
    #[must_use]
    pub fn of(before: &Margins, after: &Margins) -> Self {
        let mut comparison = Self::default();
        let (old, new) = (calls(before), calls(after));
        // What goes on in later calls is told where it began.
        let mut told = BTreeSet::new();
        for (name, was) in &old {
            match new.iter().find(|(other, _)| other == name) {
                Some((_, is)) => {
                    comparison.compared += 1;
                    comparison.changes.extend(change(name, was, is, &mut told));
                }
                None => comparison.alone.push(format!("only before: {name}")),
            }
        }
        let is_new = |name: &String| !old.iter().any(|(other, _)| other == name);
        let alone = new.iter().filter(|(name, _)| is_new(name));
        comparison.alone.extend(alone.map(|(name, _)| format!("only after: {name}")));
        comparison
    }

    /// Whether any margin got smaller.
    #[must_use]
    pub fn is_smaller(&self) -> bool {
        self.changes.iter().any(|change| change.is_smaller)
    }
}

fn calls(margins: &Margins) -> Vec<(String, &CallMargins)> {
    let mut calls = Vec::new();
    for case in &margins.cases {
        for call in &case.calls {
            calls.push((format!("case {} call {} {}", case.name, call.number, call.call), call));
        }
    }
    calls
}

fn change(
    name: &str,
    was: &CallMargins,
    is: &CallMargins,
    told: &mut BTreeSet<String>,
) -> Option<Change> {
    let (old, new) = (Summary::of(was), Summary::of(is));
    if old == new && was.stopped.is_some() == is.stopped.is_some() {
        return None;
    }
    let mut lines = Vec::new();
    if old.least != new.least {
        lines.push(format!("least margin {} -> {}", old.least, new.least));
    }
    let mut is_smaller = new.least < old.least;
    if let (None, Some(stopped)) = (&was.stopped, &is.stopped) {
        lines.push("returned -> stopped".to_owned());
        lines.push(format!("  it {stopped}"));
        is_smaller = true;
    }
    let goes_on_now = was.stopped.is_some() && is.stopped.is_none();
    if goes_on_now {
        lines.push("stopped -> returned".to_owned());
    }
    let figures = old.figures().into_iter().zip(new.figures());
    for (index, ((name, before), (_, now))) in figures.enumerate() {
        if before == now {
            continue;
        }
        lines.push(format!("{name} {before} -> {now}"));
        // One that goes on where it was stopped has instants that were not there to have faults.
        is_smaller |= now > before && new.least <= old.least && !goes_on_now;
        if now > before
            && let Some((why, line)) = first_told(is, index)
            && (index > 0 || told.insert(why))
        {
            lines.push(format!("  {line}"));
        }
    }
    Some(Change { call: name.to_owned(), is_smaller, lines })
}

/// The first instant at which a figure is not 0, and why: 0 for a breach, then the faults.
fn first_told(call: &CallMargins, figure: usize) -> Option<(String, String)> {
    let told = |instant: &Instant| match figure.checked_sub(1) {
        None => instant.breach.clone(),
        Some(kind) => instant.witnesses.get(kind).cloned().flatten(),
    };
    call.instants.iter().enumerate().find_map(|(index, instant)| {
        let why = told(instant)?;
        let when = between(call, index, instant);
        let line = format!("{when} the margin is {}: {why}", instant.margin());
        Some((why, line))
    })
}

/// When that is, as a sentence has it.
fn between(call: &CallMargins, index: usize, instant: &Instant) -> String {
    let name = call.call.split(' ').next().unwrap_or_default();
    let next = call.instants.get(index + 1).map(|next| next.when);
    match (instant.when, next) {
        (Instants::After { last: 0, .. }, _) => format!("before the first store of `{name}`"),
        (Instants::After { first, .. }, Some(Instants::After { first: next, .. })) => {
            format!("between stores {first} and {next} of `{name}`")
        }
        (Instants::After { first, .. }, _) => {
            format!("between store {first} of `{name}` and its return")
        }
        (Instants::Return, _) => format!("when `{name}` has returned"),
        (Instants::Stopped, _) => format!("when `{name}` was stopped"),
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let verdict = if change.is_smaller { "smaller" } else { "changed" };
            writeln!(f, "{verdict}    {}", change.call)?;
            for line in &change.lines {
                writeln!(f, "           {line}")?;
            }
        }
        for alone in &self.alone {
            writeln!(f, "alone      {alone}")?;
        }
        let smaller = self.changes.iter().filter(|change| change.is_smaller).count();
        let changed = self.changes.len();
        write!(f, "compared   {} calls: {smaller} smaller, {changed} changed", self.compared)
    }
}
