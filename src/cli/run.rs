//! `ringfence run`: one scenario, told as a story.

use std::io::Write;

use serde_json::{Value, json};

use crate::campaign::{Registries, Trial, TrialError};
use crate::counterexample::{Story, recorder, story};
use crate::scenario::Scenario;

use super::arguments::RunArguments;
use super::{Ended, Failure, load};

/// Runs a scenario with its plan, or by itself when it has none.
pub(super) fn run(arguments: &RunArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let scenario = load::scenario(&arguments.scenario)?;
    if arguments.trace {
        trace(&scenario, arguments.json, out)?;
    }
    told(&scenario, arguments.json, out)
}

/// Runs a scenario and tells what happened.
pub(super) fn told(
    scenario: &Scenario,
    json: bool,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let story = Story::of(scenario, &Registries::default())
        .map_err(|error| unresolved(scenario, &error))?;
    if json {
        writeln!(out, "{}", object(scenario, &story))?;
    } else {
        write!(out, "{story}")?;
    }
    Ok(if holds(scenario, &story) { Ended::Held } else { Ended::Violated })
}

/// Whether nothing is amiss. A violation that is expected shows that a check works.
fn holds(scenario: &Scenario, story: &Story) -> bool {
    story.missed.is_empty() && (scenario.expect.is_some() || story.outcome.guarantees.is_empty())
}

/// What became of a scenario as an object.
pub(super) fn object(scenario: &Scenario, story: &Story) -> Value {
    json!({
        "name": scenario.name,
        "class": story.class.name(),
        "outcome": story.outcome,
        "missed": story.missed,
        "held": holds(scenario, story),
    })
}

/// Every event of the first boot, one a line.
fn trace(scenario: &Scenario, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let wrong = |error| unresolved(scenario, &error);
    let mut trial = Trial::new(scenario, &Registries::default()).map_err(wrong)?;
    let (turns, _) = story::trace(&mut trial, &scenario.plan, true).map_err(wrong)?;
    for turn in &turns {
        let line = recorder::trace_line(&trial.world, turn);
        if json {
            let event = json!({
                "event": turn.ordinal,
                "step": turn.step,
                "kind": turn.event.kind.name(),
                "actor": trial.roster().name(turn.event.actor),
                "struck": turn.event.struck,
                "text": line.trim_start(),
            });
            writeln!(out, "{event}")?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    if !json {
        writeln!(out)?;
    }
    Ok(())
}

/// What of a scenario does not fit this version's worlds.
pub(super) fn unresolved(scenario: &Scenario, error: &TrialError) -> Failure {
    Failure::mistake(
        format!("{}: {error}", scenario.name),
        "correct the name, or replay the case with the version that wrote it; \
         `ringfence run standard --trace` shows routines as they are called here",
    )
}
