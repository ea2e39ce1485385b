//! Two prints of the same cases, before and after a commit.
//!
//! Calls are compared one by one; where the number of their stores changed, instants can't be. So a call is
//! compared by its least margin, by how many instants are in breach, by how many faults breach in all of it
//! (lost invalidations, abandoned stores, concurrent walks: each belongs to one instant), and by the most
//! flipped bits of any instant (the same bit counts at each).

use core::fmt;

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
                Instants::Return => 1,
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
        for (name, was) in &old {
            match new.iter().find(|(other, _)| other == name) {
                Some((_, is)) => {
                    comparison.compared += 1;
                    comparison.changes.extend(change(name, was, is));
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

fn change(name: &str, was: &CallMargins, is: &CallMargins) -> Option<Change> {
    let (old, new) = (Summary::of(was), Summary::of(is));
    if old == new {
        return None;
    }
    let mut lines = Vec::new();
    if old.least != new.least {
        lines.push(format!("least margin {} -> {}", old.least, new.least));
    }
    let mut is_smaller = new.least < old.least;
    let figures = old.figures().into_iter().zip(new.figures());
    for (index, ((name, before), (_, now))) in figures.enumerate() {
        if before == now {
            continue;
        }
        lines.push(format!("{name} {before} -> {now}"));
        is_smaller |= now > before && new.least <= old.least;
        if now > before
            && let Some(told) = first_told(is, index)
        {
            lines.push(format!("  {told}"));
        }
    }
    Some(Change { call: name.to_owned(), is_smaller, lines })
}

/// The first instant at which a figure is not 0, and why: 0 for a breach, then the faults.
fn first_told(call: &CallMargins, figure: usize) -> Option<String> {
    let told = |instant: &Instant| match figure.checked_sub(1) {
        None => instant.breach.clone(),
        Some(kind) => instant.witnesses.get(kind).cloned().flatten(),
    };
    call.instants.iter().find_map(|instant| Some(format!("{}: {}", instant.when, told(instant)?)))
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
