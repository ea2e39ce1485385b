//! What happened, step by step: what was planned, what struck, which bytes changed hands, who read
//! them, who noticed, how it ended.
//!
//! A story is told from the books and from a second run that writes down the turning points. It is a
//! pure function of the scenario: the same case is told in the same words on every machine.

use crate::authority::{Consumption, Corruption, Disclosure, Trespass};
use crate::base::{EventKind, Principal, PrincipalKind, Structure};
use crate::campaign::experiment::{PATIENCE, TURNS, vector_name};
use crate::campaign::{Judged, Registries, Trial, TrialError};
use crate::faults::PlannedFault;
use crate::injection::PointKind;
use crate::outcome::{Class, Outcome};
use crate::scenario::Scenario;
use crate::world::Rest;

use super::bug_check;
use super::ending::{availability, kebab};
use super::recorder::{Recorder, Turn, place};

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
    lines: Vec<String>,
}

/// What happened once, at the event of this number.
struct Happened {
    ordinal: u64,
    head: &'static str,
    what: String,
}

/// What the books found, taken out before the second run.
struct Found {
    trespasses: Vec<Trespass>,
    corruptions: Vec<Corruption>,
    consumptions: Vec<Consumption>,
    disclosures: Vec<Disclosure>,
}

impl Story {
    /// Runs a scenario with its plan and writes down what happens.
    ///
    /// # Errors
    ///
    /// When its world can't be built or a fault of its plan can't be made.
    pub fn of(scenario: &Scenario, registries: &Registries) -> Result<Self, TrialError> {
        let mut trial = Trial::new(scenario, registries)?;
        let Judged { outcome, class, missed } = Judged::of(scenario, &mut trial)?;
        let found = Found {
            trespasses: trial.judge.authority.trespasses().to_vec(),
            corruptions: trial.judge.authority.corruptions().to_vec(),
            consumptions: trial.judge.authority.consumptions().to_vec(),
            disclosures: trial.judge.authority.disclosures().to_vec(),
        };
        let violations = trial.watch.violations().to_vec();
        let (turns, steps) = trace(&mut trial, &scenario.plan, false)?;
        let mut happened = what_turned(&trial, &scenario.plan, &turns);
        happened.extend(what_was_found(&trial, &found));
        happened.sort_by_key(|one| one.ordinal);

        let mut lines = Vec::new();
        push(&mut lines, "scenario", &format!("{}: {}", scenario.name, scenario.about));
        if scenario.plan.is_empty() {
            push(&mut lines, "planned", "nothing: this is what the world does by itself");
        }
        for planned in &scenario.plan {
            push(&mut lines, "planned", &plan_in_words(planned));
        }
        tell(&mut lines, happened, &steps);
        for found in violations.iter().take(SORT_MAX) {
            push(&mut lines, "invariant", &format!("{}: {}", found.invariant, found.detail));
        }
        let meaning = match class {
            Class::NoEffect if scenario.plan.is_empty() => "Nothing came of it.",
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
        Ok(Self { outcome, class, missed, lines })
    }
}

impl core::fmt::Display for Story {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// The first boot of a plan, from the beginning, with its turning points or with every event; and the
/// number of the event of each step.
///
/// # Errors
///
/// When a fault can't be made.
pub fn trace(
    trial: &mut Trial,
    plan: &[PlannedFault],
    every: bool,
) -> Result<(Vec<Turn>, Vec<u64>), TrialError> {
    trial.rewind();
    for (number, planned) in plan.iter().enumerate() {
        let armed = trial.arm(number, planned)?;
        trial.world.machine.points.arm(armed);
    }
    let interval = u64::from(trial.world.configuration().machine.clock_interval);
    trial.world.set_steps_max(2 * trial.golden.clock + PATIENCE + TURNS * interval);
    let mut recorder = Recorder::new(&mut trial.judge, every);
    let rest = trial.world.run(&mut recorder, u64::MAX);
    debug_assert_ne!(rest, Rest::Paused, "only an end stops it");
    Ok(recorder.into_parts())
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

/// The turning points of the run in words.
fn what_turned(trial: &Trial, plan: &[PlannedFault], turns: &[Turn]) -> Vec<Happened> {
    let roster = trial.roster();
    let world = &trial.world;
    let first = turns.iter().find(|turn| turn.event.kind == EventKind::Strike);
    let since = if plan.is_empty() { 0 } else { first.map_or(u64::MAX, |turn| turn.ordinal) };
    let name = |principal: Principal| roster.name(principal);
    let at = |turn: &Turn| match place(world, turn.event.actor, turn.rip) {
        code if code.is_empty() => String::new(),
        code => format!(" in {code}"),
    };
    let mut happened = Vec::new();
    for turn in turns.iter().filter(|turn| turn.ordinal >= since) {
        let event = &turn.event;
        let (head, what) = match event.kind {
            EventKind::Strike => {
                let point = usize::try_from(event.old).ok().and_then(|n| PointKind::ALL.get(n));
                let point = point.map_or("a point", |point| point.name());
                let before = struck_point(trial, plan).map_or(String::new(), |argument| {
                    if argument == 0 { String::new() } else { format!(" with {argument:#x}") }
                });
                // A step that is about to run is where it strikes; anything else happens in one.
                let place = |turn: &Turn| match struck_point(trial, plan) {
                    Some(address) if event.old == PointKind::Step as u64 => {
                        format!(" {}", place(world, event.actor, address))
                    }
                    _ => at(turn),
                };
                let device = roster.kind(event.actor) == PrincipalKind::Device;
                let place = if device { String::new() } else { place(turn) };
                ("struck", format!("{} was about to {point}{before}{place}", name(event.actor)))
            }
            EventKind::Store | EventKind::DmaWrite if event.struck => (
                "instead",
                format!(
                    "{} wrote {:#x} over {:#x} at {:#x}, meant as {}",
                    name(event.actor),
                    event.value,
                    event.old,
                    event.virt,
                    event.structure
                ),
            ),
            EventKind::Load | EventKind::DmaRead if event.struck => (
                "instead",
                format!("{} read {:#x} at {:#x}", name(event.actor), event.value, event.virt),
            ),
            EventKind::Exception => (
                "noticed",
                format!(
                    "{} at {:#x}, error code {:#x}: {}{}",
                    vector_name(event.value >> 32),
                    event.virt,
                    event.value & 0xffff_ffff,
                    name(event.actor),
                    at(turn)
                ),
            ),
            EventKind::DmaRefused => {
                ("refused", format!("the IOMMU keeps {} from {:#x}", name(event.actor), event.phys))
            }
            EventKind::BugCheck => (
                "stopped",
                format!("bug check {:#x} {}", event.value, bug_check::name(event.value)),
            ),
            EventKind::Reset => ("stopped", "reset without a dump".to_owned()),
            EventKind::ProcessEnded
                if !plan.is_empty() && ended_so(trial, event.subject, event.value) =>
            {
                continue;
            }
            EventKind::ProcessEnded => {
                ("ended", format!("{} with status {:#x}", name(event.subject), event.value))
            }
            EventKind::HostRestarted => {
                ("again", format!("{} is started again", name(event.subject)))
            }
            EventKind::DeviceDisabled => {
                ("given up", format!("device {} after {} failures", event.value, event.old))
            }
            _ => continue,
        };
        happened.push(Happened { ordinal: turn.ordinal, head, what });
    }
    happened
}

/// Whether a process ended in the golden run too, and with this status.
fn ended_so(trial: &Trial, process: Principal, status: u64) -> bool {
    let (ended, before) = trial.golden.endings[usize::from(process.0 & 63)];
    ended > 0 && before == status
}

/// What the point was about, in the golden run, at which the first fault of the plan strikes.
fn struck_point(trial: &Trial, plan: &[PlannedFault]) -> Option<u64> {
    let armed = trial.arm(0, plan.first()?).ok()?;
    let wanted = armed.trigger;
    let nth = usize::try_from(wanted.nth.checked_sub(1)?).ok()?;
    let matches = |point: &&crate::injection::PointRecord| {
        point.kind == wanted.kind
            && point.principal == wanted.principal
            && wanted.routine.is_none_or(|routine| routine == point.routine)
            && wanted.caller.is_none_or(|caller| caller == point.caller)
    };
    trial.golden.points.iter().filter(matches).nth(nth).map(|point| point.argument)
}

/// What the books found, in words.
fn what_was_found(trial: &Trial, found: &Found) -> Vec<Happened> {
    let roster = trial.roster();
    let whose = |owner: Option<Principal>, structure: Structure| match owner {
        None => structure.to_string(),
        Some(owner) => format!("{structure} of {}", roster.name(owner)),
    };
    let mut happened = Vec::new();
    for one in &found.trespasses {
        let verb = match one.event.kind {
            EventKind::Store | EventKind::StoreRun | EventKind::DmaWrite => continue,
            EventKind::Step => "ran",
            _ => "read",
        };
        happened.push(Happened {
            ordinal: one.ordinal,
            head: "trespass",
            what: format!(
                "{} {verb} {} at {:#x} without leave",
                roster.name(one.event.actor),
                whose(one.owner, one.structure),
                one.event.virt
            ),
        });
    }
    for one in &found.corruptions {
        let will = if one.struck { "by the fault's doing" } else { "without leave" };
        happened.push(Happened {
            ordinal: one.ordinal,
            head: "corrupt",
            what: format!(
                "{} in frame {:#x}, byte {:#x}: {} word{} written by {} {will}",
                whose(one.owner, one.structure),
                one.phys / 4096,
                one.phys % 4096,
                one.words,
                if one.words == 1 { "" } else { "s" },
                roster.name(one.culprit)
            ),
        });
    }
    let mut told: Vec<(Principal, usize)> = Vec::new();
    for one in &found.consumptions {
        if told.contains(&(one.reader, one.corruption)) {
            continue;
        }
        told.push((one.reader, one.corruption));
        let for_whom = match one.context {
            context if context == one.reader => String::new(),
            context => format!(", working for {},", roster.name(context)),
        };
        happened.push(Happened {
            ordinal: one.ordinal,
            head: "read",
            what: format!("{}{for_whom} reads it: {}", roster.name(one.reader), one.structure),
        });
    }
    for one in &found.disclosures {
        happened.push(Happened {
            ordinal: one.ordinal,
            head: "disclosed",
            what: format!(
                "{} copied {} to where {} reads it",
                roster.name(one.actor),
                whose(one.owner, one.structure),
                roster.name(one.receiver)
            ),
        });
    }
    happened
}

/// Tells what happened, in order, with the number of the step; of each sort the first few.
fn tell(lines: &mut Vec<String>, happened: Vec<Happened>, steps: &[u64]) {
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
        let is_turn = matches!(one.head, "stopped");
        if !is_turn && (own > SORT_MAX || all - left_out > HAPPENED_MAX) {
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

/// How it ended, on both axes.
fn conclude(lines: &mut Vec<String>, outcome: &Outcome, class: Class, meaning: &str) {
    push(lines, "outcome", &format!("{class}: {meaning}"));
    let victims: Vec<String> = outcome.victims.iter().map(kebab).collect();
    let victims =
        if victims.is_empty() { String::new() } else { format!(" ({})", victims.join(", ")) };
    let deviated = match outcome.deviated.as_slice() {
        [] => String::new(),
        some => format!("; other results than in the golden run: {}", some.join(", ")),
    };
    push(lines, "integrity", &format!("{}{victims}{deviated}", kebab(&outcome.integrity)));
    push(lines, "service", &availability(outcome.availability));
    if let Some(detection) = &outcome.detection {
        let blame = if detection.blamed == detection.did {
            format!("in {}, who did it", detection.did)
        } else {
            format!("in {}, though {} did it", detection.blamed, detection.did)
        };
        push(
            lines,
            "detected",
            &format!("{} after {} events, {blame}", detection.by, detection.steps),
        );
    }
    if outcome.disclosed > 0 {
        push(lines, "disclosed", &format!("{} copies to who may not read them", outcome.disclosed));
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

/// Adds a line, or several where it is too long for one.
fn push(lines: &mut Vec<String>, head: &str, what: &str) {
    let mut line = format!("{head:HEAD$}");
    let mut is_empty = true;
    for word in what.split_whitespace() {
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
}
