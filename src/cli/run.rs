//! `ringfence run`: one scenario, told as a story.

use std::io::Write;

use serde_json::json;

use crate::campaign::{Registries, Trial, TrialError};
use crate::counterexample::{Story, recorder, story};
use crate::scenario::Scenario;

use super::arguments::RunArguments;
use super::{Ended, Failure, load};

/// Runs a scenario with its plan, or by itself when it has none.
pub(super) fn run(arguments: &RunArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let scenario = load::scenario(&arguments.scenario)?;
    told(&scenario, arguments.json, arguments.trace, out)
}

/// Runs a scenario and tells what happened.
pub(super) fn told(
    scenario: &Scenario,
    json: bool,
    every: bool,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let registries = Registries::default();
    if every {
        trace(scenario, &registries, out)?;
    }
    let story = Story::of(scenario, &registries).map_err(|error| unresolved(scenario, &error))?;
    if json {
        let held = story.missed.is_empty();
        let line = json!({
            "name": scenario.name,
            "class": story.class.name(),
            "outcome": story.outcome,
            "missed": story.missed,
            "held": held,
        });
        writeln!(out, "{line}")?;
    } else {
        write!(out, "{story}")?;
    }
    // A violation that is expected shows that a check works.
    let is_expected = scenario.expect.is_some() && story.missed.is_empty();
    Ok(if is_expected || story.missed.is_empty() && story.outcome.guarantees.is_empty() {
        Ended::Held
    } else {
        Ended::Violated
    })
}

/// Every event of the first boot, one a line.
fn trace(
    scenario: &Scenario,
    registries: &Registries,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let wrong = |error| unresolved(scenario, &error);
    let mut trial = Trial::new(scenario, registries).map_err(wrong)?;
    let (turns, _) = story::trace(&mut trial, &scenario.plan, true).map_err(wrong)?;
    for turn in &turns {
        writeln!(out, "{}", recorder::trace_line(&trial.world, turn))?;
    }
    writeln!(out)?;
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
