//! `ringfence replay`: does a stored case still show what it was stored for?

use std::io::Write;

use serde_json::json;

use crate::campaign::{Registries, TrialError};
use crate::counterexample::Story;
use crate::report::table::{WIDTH_MAX, wrap};
use crate::scenario::shown;

use super::arguments::ReplayArguments;
use super::ending::stopped_when_asked;
use super::{Ended, Failure, load, run};

/// Columns before what a line of a story says.
const MARGIN: usize = 11;

/// Runs a stored case and compares. What no longer resolves is a mistake that says so; a fault that no
/// longer strikes is missed whatever was expected, for then nothing was replayed.
pub(super) fn replay(arguments: &ReplayArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let scenario = load::scenario(&arguments.case)?;
    let registries = Registries { interrupt: stopped_when_asked()?, ..Registries::default() };
    let story = match Story::of(&scenario, &registries) {
        Err(TrialError::Interrupted) => {
            return run::interrupted(&scenario.name, arguments.json, out);
        }
        story => story.map_err(|error| run::unresolved(&scenario, &error))?,
    };
    let mut missed = story.missed.clone();
    if !scenario.plan.is_empty() && story.outcome.activation.strikes == 0 {
        let why = story.outcome.activation.missed.iter().map(|one| one.why.to_string());
        let why: Vec<String> = why.collect();
        let why = why.join("; ");
        missed.insert(0, format!("the fault never struck: {why}; nothing was replayed"));
    }
    // What the world violates by itself it violates under the fault too; each is named once.
    let mut violated: Vec<&str> = Vec::new();
    for name in story.outcome.guarantees.iter().chain(&story.golden) {
        if !violated.contains(&name.as_str()) {
            violated.push(name);
        }
    }
    if scenario.expect.is_none() && !violated.is_empty() {
        let violated = violated.join(", ");
        missed.push(format!("nothing was expected, and violated: {violated}"));
    }
    let is_reproduced = missed.is_empty();
    if arguments.json {
        let mut line = run::object(&scenario, &story);
        line["missed"] = json!(missed);
        // Where nothing is expected there is nothing to reproduce.
        line["reproduced"] = json!(scenario.expect.is_some().then_some(is_reproduced));
        line["held"] = json!(is_reproduced);
        writeln!(out, "{line}")?;
    } else {
        write!(out, "{story}")?;
        let told = match (is_reproduced, &scenario.expect) {
            (true, Some(_)) => "reproduced".to_owned(),
            (true, None) => "nothing to compare: the file has no [expect]".to_owned(),
            (false, _) => format!("NOT reproduced: {}", missed.join("; ")),
        };
        for (number, line) in wrap(&shown(&told), WIDTH_MAX - MARGIN).iter().enumerate() {
            let head = if number == 0 { "replay" } else { "" };
            writeln!(out, "{head:<MARGIN$}{line}")?;
        }
    }
    Ok(run::ended(&registries, is_reproduced))
}
