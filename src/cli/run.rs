//! `ringfence run`: one scenario, told as a story.

use std::io::{IsTerminal as _, Write};

use serde_json::{Value, json};

use crate::campaign::{Registries, Trial, TrialError};
use crate::counterexample::incident::{Axis, Cell, Effect};
use crate::counterexample::{IncidentStory, Story, recorder, story};
use crate::outcome::Class;
use crate::scenario::library::{Builtin, Named};
use crate::scenario::{Scenario, library, shown_in_line};

use super::arguments::RunArguments;
use super::ending::stopped_when_asked;
use super::{Ended, Failure, load};

/// Runs a scenario with its plan, or by itself when it has none.
pub(super) fn run(arguments: &RunArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    if let Named::Page(page) = library::named(&arguments.scenario) {
        return shown(page, arguments.json, out);
    }
    let scenario = load::scenario(&arguments.scenario)?;
    let registries = Registries { interrupt: stopped_when_asked()?, ..Registries::default() };
    if arguments.trace {
        trace(&scenario, &registries, arguments.json, out)?;
    }
    told(&scenario, &registries, arguments.json, out)
}

/// A page that stands in place of a scenario.
fn shown(page: Builtin, json: bool, out: &mut impl Write) -> Result<Ended, Failure> {
    if json {
        writeln!(out, "{}", json!({ "name": page.name, "page": page.text }))?;
    } else {
        write!(out, "{}", page.text)?;
    }
    Ok(Ended::Held)
}

/// Runs a scenario and tells what happened.
pub(super) fn told(
    scenario: &Scenario,
    registries: &Registries,
    json: bool,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    if scenario.incident.is_some() {
        return incident(scenario, registries, json, out);
    }
    story(scenario, registries, json, out).map(|(ended, _)| ended)
}

/// Tells what happened in a run; the story too, unless there is none because it was interrupted.
pub(super) fn story(
    scenario: &Scenario,
    registries: &Registries,
    json: bool,
    out: &mut impl Write,
) -> Result<(Ended, Option<Story>), Failure> {
    let story = match Story::of(scenario, registries) {
        Err(TrialError::Interrupted) => {
            return interrupted(&scenario.name, json, out).map(|ended| (ended, None));
        }
        story => story.map_err(|error| unresolved(scenario, &error))?,
    };
    if json {
        writeln!(out, "{}", object(scenario, &story))?;
    } else {
        write!(out, "{story}")?;
    }
    Ok((ended(registries, holds(scenario, &story)), Some(story)))
}

/// How a command ends that has told all that it was asked for; Ctrl-C may have come too late to leave
/// anything out.
pub(super) fn ended(registries: &Registries, holds: bool) -> Ended {
    match holds {
        _ if registries.interrupt.is_raised() => Ended::Interrupted,
        true => Ended::Held,
        false => Ended::Violated,
    }
}

/// Tells an incident, to a room.
fn incident(
    scenario: &Scenario,
    registries: &Registries,
    json: bool,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let told = match IncidentStory::of(scenario, registries) {
        Err(TrialError::Interrupted) => return interrupted(&scenario.name, json, out),
        told => told.map_err(|error| unresolved(scenario, &error))?,
    };
    let holds = holds(scenario, &told.story) && told.missed().next().is_none();
    if json {
        let mut object = object(scenario, &told.story);
        object["held"] = json!(holds);
        let contrasts = told.contrasts.iter().map(|one| {
            json!({
                "name": one.name,
                "source": one.source,
                "class": one.class.name(),
                "integrity": one.ending.integrity,
                "availability": one.ending.availability,
                "devices_lost": one.ending.devices_lost,
                "missed": one.missed,
            })
        });
        object["contrasts"] = contrasts.collect();
        object["counts"] = json!(told.discount.is_none());
        object["why_not"] = json!(told.discount.as_ref().map(ToString::to_string));
        let switch = scenario.incident.as_ref().and_then(|one| one.decided_by.as_deref());
        object["decided_by"] = json!(switch);
        let homes = told.containment.homes.iter();
        object["homes"] = homes
            .map(|home| {
                let mut cell = cell_of(home.name, home.endings.own());
                cell["why"] = json!(home.why);
                cell
            })
            .collect();
        let protections = told.containment.protections.iter().map(|one| {
            let pairs = told.containment.homes.iter().zip(&one.cells);
            let cells = pairs.map(|(home, endings)| {
                let mut cell = cell_of(home.name, endings.own());
                for (name, axis) in [("integrity", Axis::Data), ("availability", Axis::Service)] {
                    if let Some(Effect::BySchedule { with, without, of, .. }) =
                        axis.effect(endings, &home.endings)
                    {
                        cell["by_schedule"][name] =
                            json!({ "with": with, "without": without, "of": of });
                    }
                }
                cell
            });
            json!({ "switch": one.switch, "to": one.to, "homes": cells.collect::<Vec<_>>() })
        });
        object["protections"] = protections.collect();
        object["came_with"] = json!(told.containment.came_with);
        writeln!(out, "{object}")?;
    } else {
        write!(out, "{}", painted(&told.to_string()))?;
    }
    Ok(ended(registries, holds))
}

fn cell_of(home: &str, cell: Cell) -> Value {
    json!({
        "home": home,
        "integrity": cell.map(|cell| cell.integrity),
        "availability": cell.map(|cell| cell.availability),
        "devices_lost": cell.map(|cell| cell.devices_lost),
    })
}

/// Titles in bold and ends in colour, on a terminal whose user didn't ask for none (no-color.org).
fn painted(text: &str) -> String {
    if !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        return text.to_owned();
    }
    let paint = |line: &str| {
        let style = match line.split_whitespace().next() {
            Some("stopped" | "VIOLATED" | "missed" | "corrupt") => "31",
            Some("struck" | "noticed" | "instead") => "33",
            Some("again" | "expected") => "32",
            Some(word) if word.len() == 3 && word.starts_with('I') => "1",
            Some("where" | "as" | "with" | "what") if !line.starts_with(' ') => "1",
            _ => return line.to_owned(),
        };
        format!("\u{1b}[{style}m{line}\u{1b}[0m")
    };
    text.lines().map(|line| paint(line) + "\n").collect()
}

/// Says that a run has no result: nothing is known of what becomes of it.
pub(super) fn interrupted(name: &str, json: bool, out: &mut impl Write) -> Result<Ended, Failure> {
    if json {
        writeln!(out, "{}", json!({ "name": name, "partial": true }))?;
    } else {
        let name = shown_in_line(name);
        writeln!(
            out,
            "PARTIAL: {name} was interrupted before its end; what becomes of it is not known"
        )?;
    }
    Ok(Ended::Interrupted)
}

/// Whether nothing is amiss. A violation that is expected shows that a check works; a fault that never struck
/// shows nothing, unless that is what was expected.
fn holds(scenario: &Scenario, story: &Story) -> bool {
    let is_clean = story.outcome.guarantees.is_empty() && story.golden.is_empty();
    let is_idle = !scenario.plan.is_empty() && story.outcome.activation.strikes == 0;
    let expected = scenario.expect.as_ref().and_then(|expected| expected.class.as_deref());
    story.missed.is_empty()
        && (scenario.expect.is_some() || is_clean)
        && (!is_idle || expected == Some(Class::NotActivated.name()))
}

/// What became of a scenario as an object.
pub(super) fn object(scenario: &Scenario, story: &Story) -> Value {
    json!({
        "name": scenario.name,
        "class": story.class.name(),
        "golden_violations": story.golden,
        "outcome": story.outcome,
        "missed": story.missed,
        "held": holds(scenario, story),
    })
}

/// Every event of all boots, one a line.
fn trace(
    scenario: &Scenario,
    registries: &Registries,
    json: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let wrong = |error| unresolved(scenario, &error);
    let mut trial = match Trial::new(scenario, registries) {
        // Whoever tells the story says so.
        Err(TrialError::Interrupted) => return Ok(()),
        trial => trial.map_err(wrong)?,
    };
    let traced = story::trace(&mut trial, &scenario.plan, true).map_err(wrong)?;
    for turn in &traced.turns {
        // Whoever tells the story says so.
        if registries.interrupt.is_raised() {
            break;
        }
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
