//! `ringfence explain`: a case or a fuzz artefact in a form that can be read.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use crate::counterexample::{story, test_text};
use crate::scenario::{Scenario, fuzz_input, library, shown, shown_in_line};

use super::arguments::{ExplainArguments, FuzzTarget};
use super::{Ended, Failure, artefacts, load};

/// Shows what a file holds: by the fuzz target it is of, or else as a scenario.
pub(super) fn explain(
    arguments: &ExplainArguments,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let name = &arguments.case;
    if library::named(name) != library::Named::Nothing {
        return whole(&load::scenario(name)?, arguments.json, out);
    }
    let bytes = load::bytes(name)?;
    match arguments.target.or_else(|| of_folder(Path::new(name))) {
        Some(FuzzTarget::World) => whole(&fuzz_input::scenario(&bytes), arguments.json, out),
        Some(FuzzTarget::Translate) => lines(
            "translate",
            &fuzz_input::translation::translation_in_words(&bytes),
            arguments.json,
            out,
        ),
        Some(FuzzTarget::Tlb) => {
            lines("tlb", &fuzz_input::tlb::tlb_sequence_in_words(&bytes), arguments.json, out)
        }
        Some(FuzzTarget::TranslateCsv) => {
            lines("translate_csv", &artefacts::cases_in_words(&bytes), arguments.json, out)
        }
        Some(FuzzTarget::Image) => {
            lines("image", &artefacts::image_in_words(&bytes), arguments.json, out)
        }
        Some(FuzzTarget::Trace) => lines("trace", &traced(&bytes), arguments.json, out),
        None | Some(FuzzTarget::ScenarioText) => whole(&load::scenario(name)?, arguments.json, out),
    }
}

/// The lines of a trace as `ringfence check` takes them: the first byte says how they are written.
fn traced(bytes: &[u8]) -> Vec<String> {
    let (choice, text) = bytes.split_first().map_or((0, bytes), |(choice, text)| (*choice, text));
    let first = match choice & 3 {
        0 => None,
        1 => Some("trace 1 aarch64"),
        2 => Some("trace 1 x86-64"),
        _ => Some("# for ringfence check --format casemate"),
    };
    let text = String::from_utf8_lossy(text).into_owned();
    first.into_iter().chain(text.lines()).map(str::to_owned).collect()
}

/// What bytes mean to a target, one line each.
fn lines(
    target: &str,
    lines: &[String],
    json: bool,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    if json {
        writeln!(out, "{}", json!({ "target": target, "lines": lines }))?;
    } else {
        for line in lines {
            writeln!(out, "{}", shown_in_line(line))?;
        }
    }
    Ok(Ended::Held)
}

/// The target whose corpus or artefacts a file is among.
fn of_folder(path: &Path) -> Option<FuzzTarget> {
    let folder = path.parent()?.file_name()?.to_str()?;
    match folder {
        "translate" => Some(FuzzTarget::Translate),
        "tlb" => Some(FuzzTarget::Tlb),
        "world" => Some(FuzzTarget::World),
        "trace" => Some(FuzzTarget::Trace),
        "scenario_text" => Some(FuzzTarget::ScenarioText),
        "translate_csv" => Some(FuzzTarget::TranslateCsv),
        "image" => Some(FuzzTarget::Image),
        _ => None,
    }
}

/// A scenario: its plan in words, its text, and the test it makes.
fn whole(scenario: &Scenario, json: bool, out: &mut impl Write) -> Result<Ended, Failure> {
    let planned: Vec<String> = scenario.plan.iter().map(story::plan_in_words).collect();
    let roster = scenario.configuration.roster();
    let rows: Vec<String> =
        scenario.plan.iter().map(|planned| story::row_in_words(planned, &roster)).collect();
    if json {
        let line = json!({
            "name": scenario.name,
            "planned": planned,
            "rows": rows,
            "scenario": scenario.to_toml(),
            "test": test_text::test(scenario),
        });
        writeln!(out, "{line}")?;
        return Ok(Ended::Held);
    }
    writeln!(out, "# {}", shown_in_line(&scenario.name))?;
    for (planned, row) in planned.iter().zip(rows) {
        writeln!(out, "# planned: {}", shown_in_line(planned))?;
        writeln!(out, "# counted in the row: {}", shown_in_line(&row))?;
    }
    writeln!(out, "{}", shown(&scenario.to_toml()))?;
    writeln!(out, "# As a test:")?;
    for line in test_text::test(scenario).lines() {
        writeln!(out, "# {}", shown(line))?;
    }
    Ok(Ended::Held)
}
