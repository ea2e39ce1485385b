//! `ringfence explain`: a case or a fuzz artefact in a form that can be read.

use std::io::Write;
use std::path::Path;

use crate::counterexample::{story, test_text};
use crate::scenario::{Scenario, Vocabulary, fuzz_input, library};

use super::arguments::{ExplainArguments, FuzzTarget};
use super::{Ended, Failure, load};

/// Shows what a file holds: by the fuzz target it is of, or else as a scenario.
pub(super) fn explain(
    arguments: &ExplainArguments,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let name = &arguments.case;
    if library::find(name).is_some() {
        return shown(&load::scenario(name)?, out);
    }
    let bytes = load::bytes(name)?;
    match arguments.target.or_else(|| of_folder(Path::new(name))) {
        Some(FuzzTarget::World) => shown(&fuzz_input::scenario(&bytes), out),
        Some(FuzzTarget::Translate) => {
            for line in fuzz_input::translation_in_words(&bytes) {
                writeln!(out, "{line}")?;
            }
            Ok(Ended::Held)
        }
        Some(FuzzTarget::Tlb) => {
            for line in fuzz_input::tlb::tlb_sequence_in_words(&bytes) {
                writeln!(out, "{line}")?;
            }
            Ok(Ended::Held)
        }
        Some(FuzzTarget::ScenarioText) => {
            match Scenario::from_bytes_of(name, &bytes, &Vocabulary::default()) {
                Ok(scenario) => shown(&scenario, out),
                Err(errors) => {
                    writeln!(out, "{errors}")?;
                    Ok(Ended::Held)
                }
            }
        }
        None => shown(&load::scenario(name)?, out),
    }
}

/// The target whose corpus or artefacts a file is among.
fn of_folder(path: &Path) -> Option<FuzzTarget> {
    let folder = path.parent()?.file_name()?.to_str()?;
    match folder {
        "translate" => Some(FuzzTarget::Translate),
        "tlb" => Some(FuzzTarget::Tlb),
        "world" => Some(FuzzTarget::World),
        "scenario_text" => Some(FuzzTarget::ScenarioText),
        _ => None,
    }
}

/// A scenario: its plan in words, its text, and the test it makes.
fn shown(scenario: &Scenario, out: &mut impl Write) -> Result<Ended, Failure> {
    writeln!(out, "# {}", scenario.name)?;
    for planned in &scenario.plan {
        writeln!(out, "# planned: {}", story::plan_in_words(planned))?;
    }
    writeln!(out, "{}", scenario.to_toml())?;
    writeln!(out, "# As a test:")?;
    for line in test_text::test(scenario).lines() {
        writeln!(out, "# {line}")?;
    }
    Ok(Ended::Held)
}
