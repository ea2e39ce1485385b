//! What happened, step by step: what was planned, what struck, which bytes changed hands, who read
//! them, who noticed, how it ended.
//!
//! A story is told from the books and from a second run that writes down the turning points. It is a
//! pure function of the scenario: the same case is told in the same words on every machine.

use std::collections::BTreeMap;

use crate::base::{EventKind, Roster, counted};
use crate::campaign::experiment::{CONTAINED, SURVIVES, is_contained};
use crate::campaign::{Judged, Origin, Registries, Trial, TrialError};
use crate::faults::PlannedFault;
use crate::invariants::{KEPT_OF_EACH, Violation};
use crate::outcome::{Availability, Class, Integrity, Outcome};
use crate::scenario::{Scenario, shown};
use crate::world::Rest;

use super::decisive::{Decisive, decisive};
use super::ending::{kebab, service};
use super::frames::overrun;
use super::happened::{Found, Happened, keep_what_stops, what_turned, what_was_found};
use super::mode_line::mode_line;
use super::picture::{drawn, last_exception};
use super::recorder::{KEPT, Turn};
use super::traced::traced;
use super::victims::victims;

pub use super::traced::{Traced, trace};

/// Columns a line of a story may take.
const WIDTH_MAX: usize = 100;
/// Columns of the word each line begins with.
const HEAD: usize = 11;
/// Lines of what happened; what comes beyond is counted.
const HAPPENED_MAX: usize = 14;
/// Lines of one sort among them.
const SORT_MAX: usize = 4;

/// An experiment with what became of it, ready to be told.
#[derive(Clone, Debug)]
pub struct Story {
    /// What became of it.
    pub outcome: Outcome,
    /// The class of that.
    pub class: Class,
    /// What of the scenario's expectation was missed.
    pub missed: Vec<String>,
    /// Invariants that the golden run violates by itself, of a scenario with a fault.
    pub golden: Vec<String>,
    parts: Vec<(&'static str, String)>,
    picture: Vec<String>,
}

impl Story {
    /// Runs a scenario with its plan and writes down what happens.
    ///
    /// # Errors
    ///
    /// When its world can't be built, a fault of its plan can't be made, or it was interrupted.
    pub fn of(scenario: &Scenario, registries: &Registries) -> Result<Self, TrialError> {
        let mut trial = Trial::new(scenario, registries)?;
        let Judged { outcome, class, missed } = Judged::of(scenario, &mut trial)?;
        let known = (!scenario.plan.is_empty()).then_some(&trial.golden.own_doing);
        let found = Found::by(&trial.judge.authority, known);
        let violations = trial.watch.violations().to_vec();
        let unasked = unasked(&trial, &outcome);
        let told = trial.judge.trace();
        let Traced {
            turns,
            steps,
            objects,
            left_out,
            alterations,
            left,
            standing,
            overwritten,
            ..
        } = traced(&mut trial, &scenario.plan)?;
        debug_assert_eq!(trial.judge.trace().digest(), told.digest(), "the same run again");
        let turns = if scenario.plan.is_empty() { turns } else { of_the_fault(&trial, turns) };
        let mut decided = decisive(trial.roster(), &turns, &objects, &[]);
        // Two runs more where there is something of which to ask whether it is done anyway.
        if !decided.happened.is_empty()
            && let Some(strike) = trial.judge.strike()
            && trial.golden.rest == Rest::Quiescent
        {
            let Traced { turns: mut anyway, objects: known, .. } = traced(&mut trial, &[])?;
            anyway.retain(|turn| turn.ordinal >= strike.ordinal);
            let anyway = decisive(trial.roster(), &anyway, &known, &[]).happened;
            decided = decisive(trial.roster(), &turns, &objects, &anyway);
            traced(&mut trial, &scenario.plan)?;
        }
        let Decisive { happened: operations, who } = decided;
        let who = who.filter(|_| outcome.availability != Availability::Unaffected);
        let noticed = last_exception(&turns).or(who);
        let sides = mode_line(&trial, &outcome, noticed);
        let picture = drawn(&trial, &outcome, noticed, sides.as_deref());
        let mut happened = what_turned(&trial, &scenario.plan, &found, &turns, &alterations, &left);
        happened.extend(operations);
        happened.extend(what_was_found(&trial, &found, &turns));
        happened.extend(overrun(&trial, &overwritten));
        happened.sort_by_key(|one| one.ordinal);
        keep_what_stops(&mut happened);

        let mut lines = Vec::new();
        push(&mut lines, "scenario", &format!("{}: {}", scenario.name, scenario.about));
        if scenario.plan.is_empty() {
            push(&mut lines, "planned", "nothing: this is what the world does by itself");
        }
        for planned in &scenario.plan {
            push(&mut lines, "planned", &plan_in_words(planned));
        }
        let by_itself = if scenario.plan.is_empty() { &[] } else { &*trial.golden.violations };
        let mut golden: Vec<String> = Vec::new();
        for found in by_itself.iter().filter(|found| !is_named(&mut golden, found)) {
            let what = format!("violates {} without a fault: {}", found.invariant, found.detail);
            push(&mut lines, "golden run", &what);
        }
        tell(&mut lines, happened, &steps);
        if trial.golden.rest == Rest::Quiescent {
            for what in &standing {
                push(&mut lines, "cut off", what);
            }
        }
        let is_hung =
            matches!(outcome.availability, Availability::Hang | Availability::ProcessHung);
        for (head, what) in left.cut_off(trial.roster(), !scenario.plan.is_empty(), is_hung) {
            push(&mut lines, head, &what);
        }
        if left_out > 0 {
            let what = format!("{left_out} turning points came after the first {KEPT}: not told");
            push(&mut lines, "cut", &what);
        }
        if is_hung {
            let mut waiting = left.never_finished(trial.roster(), &trial.golden.observations);
            if waiting.is_empty() && outcome.availability == Availability::Hang {
                waiting.push("no process: the machine never came to rest".to_owned());
            }
            for what in waiting {
                push(&mut lines, "unfinished", &what);
            }
        }
        for what in left.never_made(trial.roster(), &trial.golden.observations) {
            push(&mut lines, "never made", &what);
        }
        for what in left.seen_by(&outcome.deviated, trial.roster(), &trial.golden.observations) {
            push(&mut lines, "differs", &what);
        }
        let own = left.told_by_leave(&outcome, trial.roster(), &trial.golden.observations);
        for what in own {
            push(&mut lines, "differs", &what);
        }
        let is_own =
            outcome.stored_by_leave && matches!(class, Class::OwnDamage | Class::OtherOrder);
        if outcome.integrity == Integrity::Durable || is_own {
            for what in left.stored() {
                push(&mut lines, "differs", &what);
            }
        }
        if class == Class::Latent {
            for what in left.in_memory() {
                push(&mut lines, "differs", &what);
            }
        }
        let own =
            violations.iter().filter(|one| !by_itself.iter().any(|known| one.follows_from(known)));
        tell_violations(&mut lines, own, &outcome);
        if let Some(why) = unasked {
            push(&mut lines, "not asked", &format!("{SURVIVES}: {why}"));
        }
        if let Some(sides) = sides {
            push(&mut lines, "mode line", &sides);
        }
        let meaning = match class {
            Class::NoEffect if scenario.plan.is_empty() => match trial.golden.rest {
                Rest::OutOfSteps => "Nothing came of it before it was cut off.",
                _ => "Nothing came of it.",
            },
            class => class.meaning(),
        };
        conclude(&mut lines, &outcome, class, meaning);
        for what in &missed {
            push(&mut lines, "missed", what);
        }
        if scenario.expect.is_some() && missed.is_empty() {
            push(&mut lines, "expected", "all of that was expected");
        }
        if let Some(published) = &scenario.published {
            push(&mut lines, "published", published);
        }
        Ok(Self { outcome, class, missed, golden, parts: lines, picture })
    }

    /// What is told, each with the word it begins with.
    #[must_use]
    pub fn parts(&self) -> &[(&'static str, String)] {
        &self.parts
    }

    /// The components above and below the mode line, with marks of who did what to whom.
    #[must_use]
    pub fn picture(&self) -> &[String] {
        &self.picture
    }
}

/// The turning points from the first strike on, without exceptions and refusals that the golden run raises as
/// well: nobody notices a fault by them. A golden run that stops is told with what leads to that.
fn of_the_fault(trial: &Trial, mut turns: Vec<Turn>) -> Vec<Turn> {
    let strike = turns.iter().find(|turn| turn.event.kind == EventKind::Strike);
    let Some(strike) = strike.map(|turn| turn.ordinal) else { return turns };
    if trial.golden.rest != Rest::Quiescent {
        return turns;
    }
    let mut anyway = trial.judge.raised_anyway(strike);
    turns.retain(|turn| {
        turn.ordinal >= strike
            && (!anyway.raises(&turn.event)
                || !matches!(turn.event.kind, EventKind::Exception | EventKind::DmaRefused))
    });
    turns
}

/// Whether an invariant is among the names; afterwards it is.
fn is_named(names: &mut Vec<String>, found: &Violation) -> bool {
    let is_known = names.iter().any(|name| name == found.invariant);
    if !is_known {
        names.push(found.invariant.to_owned());
    }
    is_known
}

impl core::fmt::Display for Story {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (head, what) in &self.parts {
            for line in wrapped(head, what) {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

/// A planned fault in a sentence.
#[must_use]
pub fn plan_in_words(planned: &PlannedFault) -> String {
    let at = &planned.at;
    let routine = at.routine.as_ref().map_or(String::new(), |name| format!(" in {name}"));
    let caller = at.caller.as_ref().map_or(String::new(), |name| format!(" called by {name}"));
    let again = if planned.recurs() { " and at every later one" } else { "" };
    let told = toml::to_string(&planned.parameters).unwrap_or_default();
    let told: Vec<String> = told.lines().map(|line| line.replace('"', "")).collect();
    let told = if told.is_empty() { String::new() } else { format!("; {}", told.join(", ")) };
    format!(
        "{} at {} {} of {}{routine}{caller}{again}{told}",
        planned.kind, at.point, at.nth, planned.who
    )
}

/// In which row of a campaign's table a planned fault is counted when it strikes.
#[must_use]
pub fn row_in_words(planned: &PlannedFault, roster: &Roster) -> String {
    let who = &planned.who;
    let Some(principal) = roster.named(who) else {
        return format!("none, there is nobody called {who}");
    };
    let kind = roster.kind(principal);
    let row = Origin::of(kind);
    match &*planned.kind {
        "bit-flip" => Origin::Hardware.to_string(),
        "corrupted-code-byte" | "corrupted-dispatch-entry" if kind.is_process() => {
            format!("{row}, or {} where what changes is not {who}'s own", Origin::Hardware)
        }
        _ => row.to_string(),
    }
}

/// Tells what happened, in order, with the number of the step; of each sort the first few.
fn tell(lines: &mut Parts, happened: Vec<Happened>, steps: &[u64]) {
    let mut told: Vec<(&str, usize)> = Vec::new();
    let mut left_out = 0;
    for one in happened {
        let count = match told.iter_mut().find(|(head, _)| *head == one.head) {
            Some((_, count)) => count,
            None => {
                told.push((one.head, 0));
                &mut told.last_mut().expect("it was just pushed").1
            }
        };
        *count += 1;
        let all: usize = told.iter().map(|(_, count)| count).sum();
        let own = told.iter().find(|(head, _)| *head == one.head).map_or(0, |(_, count)| *count);
        let is_turn = matches!(one.head, "stopped" | "boots");
        if !is_turn && !one.always && (own > SORT_MAX || all - left_out > HAPPENED_MAX) {
            left_out += 1;
            continue;
        }
        let step = steps.partition_point(|&step| step <= one.ordinal);
        push(lines, one.head, &format!("step {step}: {}", one.what));
    }
    if left_out > 0 {
        push(lines, "…", &format!("and {left_out} more of these"));
    }
}

/// Tells what was violated: each invariant once at least, of all the first few.
fn tell_violations<'a>(
    lines: &mut Parts,
    found: impl Iterator<Item = &'a Violation>,
    outcome: &Outcome,
) {
    let mut named: Vec<String> = Vec::new();
    let (mut first, mut further) = (Vec::new(), Vec::new());
    // What is said in the same words is said once.
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for one in found {
        let what = format!("{}: {}", one.invariant, one.detail);
        let times = times.entry(what.clone()).or_default();
        *times += 1;
        if *times == 1 {
            let list = if is_named(&mut named, one) { &mut further } else { &mut first };
            list.push(what);
        }
    }
    let room = SORT_MAX.saturating_sub(first.len());
    let left_out = further.len().saturating_sub(room);
    for what in first.iter().chain(further.iter().take(room)) {
        match times.get(what) {
            Some(2) => push(lines, "invariant", &format!("{what} (twice)")),
            // No more than so many are kept.
            Some(&times) if times >= KEPT_OF_EACH => {
                push(lines, "invariant", &format!("{what} ({times} times or more)"));
            }
            Some(&times) if times > 2 => {
                push(lines, "invariant", &format!("{what} ({times} times)"));
            }
            _ => push(lines, "invariant", what),
        }
    }
    if left_out > 0 {
        push(lines, "…", &format!("and {left_out} more of these"));
    }
    // These follow from the run as a whole.
    let is_violated = |name: &str| outcome.guarantees.iter().any(|one| one == name);
    if is_violated(CONTAINED) {
        let what = match outcome.deviated.as_slice() {
            [] => {
                "somebody else waits, or the disk was left other than in the golden run".to_owned()
            }
            some => format!("other results than in the golden run: {}", some.join(", ")),
        };
        push(lines, "invariant", &format!("{CONTAINED}: {what}"));
    }
    if is_violated(SURVIVES) {
        push(lines, "invariant", &format!("{SURVIVES}: the machine stopped"));
    }
}

/// Why it is not asked whether a fault of user mode stopped the machine, where it did stop.
fn unasked(trial: &Trial, outcome: &Outcome) -> Option<&'static str> {
    let is_promised = outcome.activation.strikes > 0 && is_contained(&trial.world, &trial.judge);
    let is_stopped = matches!(
        outcome.availability,
        Availability::BugCheck { .. } | Availability::Reset | Availability::BootLoop { .. }
    );
    match trial.golden.rest {
        _ if !is_promised || !is_stopped => None,
        Rest::Quiescent => None,
        Rest::OutOfSteps | Rest::Paused => {
            Some("this world is cut off without a fault as well, and might stop later")
        }
        Rest::BugCheck(_) | Rest::Reset => Some("this world stops without a fault as well"),
    }
}

/// How it ended, on both axes.
fn conclude(lines: &mut Parts, outcome: &Outcome, class: Class, meaning: &str) {
    push(lines, "outcome", &format!("{class}: {meaning}"));
    let victims = victims(outcome);
    let deviated = match outcome.deviated.as_slice() {
        [] => String::new(),
        some => format!("; other results than in the golden run: {}", some.join(", ")),
    };
    for missed in &outcome.activation.missed {
        push(lines, "no strike", &format!("fault {}: {}", missed.number + 1, missed.why));
    }
    // What differs was not stored, or stored by who may.
    let uncorrupted = if class == Class::Latent { ": no byte is corrupt" } else { "" };
    let integrity = kebab(&outcome.integrity);
    push(lines, "integrity", &format!("{integrity}{uncorrupted}{victims}{deviated}"));
    push(lines, "service", &service(outcome));
    if let Some(detection) = &outcome.detection {
        let (blamed, did) = (&detection.blamed, &detection.did);
        let mut suspects = did.split(" or ").flat_map(|some| some.split(", "));
        let blame = if blamed == did {
            format!("in {did}, who did it")
        } else if suspects.any(|one| one == blamed) {
            format!("in {blamed}; {did} did it")
        } else {
            format!("in {blamed}, though {did} did it")
        };
        push(
            lines,
            "detected",
            &format!("{} after {}, {blame}", detection.by, counted(detection.events, "event")),
        );
    }
    if outcome.disclosed > 0 {
        let them = if outcome.disclosed == 1 { "it" } else { "them" };
        let words = counted(outcome.disclosed, "word");
        let told = format!("{words} reached who may not read {them}");
        push(lines, "disclosed", &told);
    }
    if outcome.guarantees.is_empty() {
        push(lines, "guarantees", "all held");
    } else {
        push(lines, "VIOLATED", &outcome.guarantees.join(", "));
    }
    if !outcome.exposures.is_empty() {
        push(lines, "exposures", &outcome.exposures.join(", "));
    }
}

/// What a story is told in: words to begin with, and what there is to say.
type Parts = Vec<(&'static str, String)>;

fn push(parts: &mut Parts, head: &'static str, what: &str) {
    parts.push((head, what.to_owned()));
}

/// A line, or several where it is too long for one.
fn wrapped(head: &str, what: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = format!("{head:HEAD$}");
    let mut is_empty = true;
    for word in shown(what).split_whitespace() {
        let width = line.chars().count();
        if !is_empty && width + 1 + word.chars().count() > WIDTH_MAX {
            lines.push(core::mem::replace(&mut line, " ".repeat(HEAD)));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}
