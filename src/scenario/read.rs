//! From text to a scenario, with a position for every mistake.
//!
//! Three passes: the syntax; the format's number; then the fields, and what they mean taken
//! together. Mistakes of meaning are collected; a place in the data is turned into a place in the
//! text by walking the parsed document.

use core::ops::Range;
use std::collections::BTreeMap;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::another_format::check_format;
use super::problem::Step;
use super::shape::misfits;
use super::{Contrast, Expectation, Incident, Scenario, ScenarioError, ScenarioErrors, Vocabulary};
use crate::base::nearest;
use crate::faults::PlannedFault;
use crate::world::configuration::{Component, Configuration, MachineConfiguration, hex};

/// Bytes of a scenario's text at most.
const BYTES_MAX: usize = 1 << 20;
/// Mistakes that are told of one text; who has made more mends these first.
const TOLD_MAX: usize = 20;

/// A scenario as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[allow(dead_code, reason = "compared before anything else is read")]
    format: i64,
    name: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    sources: Vec<String>,
    published: Option<String>,
    #[serde(default, with = "hex")]
    schedule: u64,
    #[serde(default = "steps_max")]
    steps_max: u64,
    #[serde(default = "boots_max")]
    boots_max: u8,
    #[serde(default)]
    weaknesses: Vec<String>,
    #[serde(default)]
    machine: MachineConfiguration,
    #[serde(default)]
    component: Vec<Component>,
    #[serde(default)]
    fault: Vec<PlannedFault>,
    #[serde(default)]
    mix: BTreeMap<String, u32>,
    expect: Option<Expectation>,
    incident: Option<Incident>,
    #[serde(default)]
    contrast: Vec<Contrast>,
}

fn steps_max() -> u64 {
    Configuration::default().steps_max
}

fn boots_max() -> u8 {
    Configuration::default().boots_max
}

impl Scenario {
    /// Reads a scenario from bytes: a file's content, whatever it is.
    ///
    /// # Errors
    ///
    /// Every mistake found, with its position.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ScenarioErrors> {
        Self::from_bytes_of("<scenario>", bytes, &Vocabulary::default())
    }

    /// Reads a scenario from a file's content; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// Every mistake found, with its position.
    pub fn from_bytes_of(
        file: &str,
        bytes: &[u8],
        vocabulary: &Vocabulary,
    ) -> Result<Self, ScenarioErrors> {
        let wrong = |at: usize, what: String, remedy: &str| {
            // Only what can be shown is shown: the text up to the mistake.
            let text = String::from_utf8_lossy(&bytes[..at.min(bytes.len())]);
            let mut error = ScenarioError::new(file, &text, text.len()..text.len(), what);
            error.remedy = Some(remedy.to_owned());
            ScenarioErrors(vec![error], 0)
        };
        if bytes.len() > BYTES_MAX {
            let what = format!("this is too large: a scenario has at most {BYTES_MAX} bytes");
            return Err(wrong(0, what, "is this the file you meant?"));
        }
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::from_toml(file, text, vocabulary),
            Err(error) => {
                let at = error.valid_up_to();
                let what = format!("byte {:#04x} is not UTF-8", bytes[at]);
                Err(wrong(at, what, "save the file as UTF-8"))
            }
        }
    }

    /// Reads a scenario from TOML; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// Every mistake found, with its position.
    pub fn from_toml(
        file: &str,
        text: &str,
        vocabulary: &Vocabulary,
    ) -> Result<Self, ScenarioErrors> {
        let one = |error| Err(ScenarioErrors(vec![error], 0));
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => return one(told(file, text, &error)),
        };
        if let Err(error) = check_format(file, text, document.get_ref(), vocabulary) {
            return one(*error);
        }
        let misfits = misfits(document.get_ref());
        let unknown: Vec<Range<usize>> =
            misfits.iter().filter(|one| one.is_field).map(|one| one.bytes.clone()).collect();
        let mut found: Vec<Found> = misfits
            .into_iter()
            .map(|misfit| Found {
                bytes: misfit.bytes,
                what: misfit.what,
                expected: misfit.expected,
                remedy: misfit.remedy,
            })
            .collect();
        // What else is wrong is told beside fields that nobody knows.
        let read = match &*unknown {
            [] => toml::from_str(text),
            unknown => {
                let mut rest = document.clone();
                leave_out(rest.get_mut(), unknown);
                Written::deserialize(toml::de::Deserializer::from(rest))
            }
        };
        let written = match read {
            Ok(written) => written,
            Err(error) if found.is_empty() => return one(told(file, text, &error)),
            Err(_) => return Err(all_told(file, text, found)),
        };
        let scenario = Self {
            name: written.name,
            about: written.about,
            sources: written.sources,
            published: written.published,
            incident: written.incident,
            configuration: Configuration {
                machine: written.machine,
                schedule: written.schedule,
                steps_max: written.steps_max,
                boots_max: written.boots_max,
                weaknesses: written.weaknesses,
                components: written.component,
            },
            plan: written.fault,
            expect: written.expect,
            mix: written.mix,
            contrasts: written.contrast,
        };
        for problem in scenario.check(vocabulary) {
            let bytes = find(document.get_ref(), &problem.path);
            // What is out of form is not told again, there or of what it is a part.
            let is_within =
                |one: &Found| bytes.start <= one.bytes.start && one.bytes.end <= bytes.end;
            if !found.iter().any(is_within) {
                found.push(Found {
                    bytes,
                    what: problem.what,
                    expected: problem.expected,
                    remedy: problem.remedy,
                });
            }
        }
        if found.is_empty() { Ok(scenario) } else { Err(all_told(file, text, found)) }
    }
}

/// Leaves out the fields whose names are at these bytes, in whatever table.
fn leave_out(table: &mut DeTable<'_>, fields: &[Range<usize>]) {
    let all = core::mem::take(table).into_iter();
    *table = all.filter(|(name, _)| !fields.contains(&name.span())).collect();
    for (_, value) in table.iter_mut() {
        leave_out_of(value.get_mut(), fields);
    }
}

fn leave_out_of(value: &mut DeValue<'_>, fields: &[Range<usize>]) {
    match value {
        DeValue::Table(table) => leave_out(table, fields),
        DeValue::Array(items) => {
            items.iter_mut().for_each(|item| leave_out_of(item.get_mut(), fields));
        }
        _ => {}
    }
}

/// A mistake at some bytes of the text.
struct Found {
    bytes: Range<usize>,
    what: String,
    expected: Option<String>,
    remedy: Option<String>,
}

/// The first mistakes in the order of the text.
fn all_told(file: &str, text: &str, mut found: Vec<Found>) -> ScenarioErrors {
    found.sort_by_key(|one| one.bytes.start);
    let more = found.len().saturating_sub(TOLD_MAX);
    let told = found.into_iter().take(TOLD_MAX).map(|one| {
        let mut error = ScenarioError::new(file, text, one.bytes, one.what);
        error.expected = one.expected;
        error.remedy = one.remedy;
        error
    });
    ScenarioErrors(told.collect(), more)
}

/// A mistake the TOML reader found, or a text that stands for something and doesn't.
fn told(file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
    let message = error.message().to_owned();
    let is_deep = message.contains("recurs");
    let mut bytes = match error.span() {
        // Of a key of too many words the reader doesn't say where it is.
        None if is_deep => first_too_deep(text),
        span => span.unwrap_or(0..0),
    };
    let (what, expected) = ["; there are ", ", expected "]
        .iter()
        .find_map(|split| message.split_once(split))
        .map_or((&*message, None), |(what, expected)| (what, Some(expected)));
    let is_list = message.contains("; there are ");
    let mut what = what.to_owned();
    let mut expected = expected.map(|expected| match expected {
        // The words of a grammar.
        "literal string" => "a text between quotes, a number, true or false".to_owned(),
        "non-double-quote visible characters, `\\`" => "a visible character".to_owned(),
        list if is_list => format!("one of {list}"),
        other => other.to_owned(),
    });
    let mut remedy = None;
    if let Some(name) = what.split('`').nth(1)
        && what.starts_with("unknown ")
    {
        bytes = narrowed(text, bytes, name);
        let known = expected.as_deref().unwrap_or_default().trim_start_matches("one of ");
        remedy = nearest(name, known.split(", ").map(|word| word.trim_matches('`')))
            .map(|near| format!("did you mean `{near}`?"));
    } else if what == "duplicate key" {
        let name = text.get(bytes.clone()).unwrap_or_default();
        what = format!("`{name}` stands here a second time");
        remedy = Some("leave one of them out; tables that may repeat have [[ and ]]".to_owned());
    } else if is_deep {
        what = "this is nested too deeply".to_owned();
        expected = Some("lists in lists or tables in tables, at most four levels".to_owned());
    }
    let mut told = ScenarioError::new(file, text, bytes, what);
    told.expected = expected;
    let whole = "`ringfence explain standard` shows a whole scenario as it is written";
    told.remedy = Some(remedy.unwrap_or_else(|| whole.to_owned()));
    told
}

/// The first line that is nested too deeply: the last of the fewest that are read to be so.
fn first_too_deep(text: &str) -> Range<usize> {
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).chain([text.len()]).collect();
    let is_read = |end: &usize| {
        let error = toml::from_str::<toml::Table>(&text[..*end]).err();
        !error.is_some_and(|error| error.message().contains("recurs"))
    };
    let line = ends.partition_point(is_read).min(ends.len() - 1);
    let start = if line == 0 { 0 } else { ends[line - 1] + 1 };
    let indent = text[start..ends[line]].len() - text[start..ends[line]].trim_start().len();
    start + indent..ends[line]
}

/// The place of a name within the bytes that hold it.
fn narrowed(text: &str, bytes: Range<usize>, name: &str) -> Range<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let Some(within) = text.get(bytes.clone()) else { return bytes };
    within
        .match_indices(name)
        .find(|(at, _)| {
            !within[..*at].ends_with(is_word) && !within[at + name.len()..].starts_with(is_word)
        })
        .map_or(bytes.clone(), |(at, _)| bytes.start + at..bytes.start + at + name.len())
}

/// Where a place in the data is in the text: as near as the text goes.
fn find(document: &DeTable<'_>, path: &[Step]) -> Range<usize> {
    let Some((Step::Field(first), rest)) = path.split_first() else { return 0..0 };
    let Some(mut at) = document.get(first.as_str()) else { return 0..0 };
    for step in rest {
        let next = match (step, at.get_ref()) {
            (Step::Field(name), DeValue::Table(table)) => table.get(name.as_str()),
            (Step::Item(index), DeValue::Array(array)) => array.get(*index),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at.span()
}
