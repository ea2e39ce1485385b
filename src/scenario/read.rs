//! From text to a scenario, with a position for every mistake.
//!
//! Three passes: the syntax; the format's number; then the fields, and what they mean taken
//! together. Mistakes of meaning are collected; a place in the data is turned into a place in the
//! text by walking the parsed document.

use core::ops::Range;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::check::unknown;
use super::problem::Step;
use super::{Expectation, FORMAT, Scenario, ScenarioError, ScenarioErrors, Vocabulary};
use crate::base::nearest;
use crate::faults::{PlannedFault, is_point};
use crate::world::Action;
use crate::world::configuration::{Component, Configuration, MachineConfiguration, hex};

/// Bytes of a scenario's text at most.
const BYTES_MAX: usize = 1 << 20;

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
    expect: Option<Expectation>,
}

/// Names of the fields at the top.
const FIELDS: [&str; 13] = [
    "format",
    "name",
    "about",
    "sources",
    "published",
    "schedule",
    "steps-max",
    "boots-max",
    "weaknesses",
    "machine",
    "component",
    "fault",
    "expect",
];

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
            ScenarioErrors(vec![error])
        };
        if bytes.len() > BYTES_MAX {
            let what =
                format!("{} bytes are too many; a scenario has at most {BYTES_MAX}", bytes.len());
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
        let one = |error| Err(ScenarioErrors(vec![error]));
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => return one(told(file, text, &error)),
        };
        if let Err(error) = check_format(file, text, document.get_ref(), vocabulary) {
            return one(*error);
        }
        let written: Written = match toml::from_str(text) {
            Ok(written) => written,
            Err(error) => return one(told(file, text, &error)),
        };
        let scenario = Self {
            name: written.name,
            about: written.about,
            sources: written.sources,
            published: written.published,
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
        };
        let errors: Vec<_> = scenario
            .check(vocabulary)
            .into_iter()
            .map(|problem| {
                let bytes = find(document.get_ref(), &problem.path);
                let mut error = ScenarioError::new(file, text, bytes, problem.what);
                error.expected = problem.expected;
                error.remedy = problem.remedy;
                error
            })
            .collect();
        if errors.is_empty() { Ok(scenario) } else { Err(ScenarioErrors(errors)) }
    }
}

/// A mistake the TOML reader found, with the nearest name where a name is unknown.
fn told(file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
    let mut bytes = error.span().unwrap_or(0..0);
    let message = error.message().to_owned();
    let mut parts = message.splitn(2, ", expected ");
    let what = parts.next().unwrap_or_default().to_owned();
    let expected = parts.next().map(str::to_owned);
    let mut remedy = None;
    if let Some(name) = what.split('`').nth(1)
        && what.starts_with("unknown ")
    {
        bytes = narrowed(text, bytes, name);
        let known: Vec<&str> =
            expected.as_deref().unwrap_or_default().split('`').skip(1).step_by(2).collect();
        remedy = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    }
    let mut told = ScenarioError::new(file, text, bytes, what);
    told.expected = expected;
    told.remedy = remedy;
    told
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

/// Whether the text says that it is of the format this version reads.
fn check_format(
    file: &str,
    text: &str,
    document: &DeTable<'_>,
    vocabulary: &Vocabulary,
) -> Result<(), Box<ScenarioError>> {
    let Some(value) = document.get("format") else {
        let mut error = ScenarioError::new(file, text, 0..0, "the format is missing".to_owned());
        error.remedy = Some(format!("begin with `format = {FORMAT}`"));
        return Err(Box::new(error));
    };
    let found = value
        .get_ref()
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    if found == Some(FORMAT) {
        return Ok(());
    }
    let what = match found {
        Some(number) => format!("this is format {number}; this version reads format {FORMAT}"),
        None => "the format is no number".to_owned(),
    };
    let mut error = ScenarioError::new(file, text, value.span(), what);
    error.expected = Some(format!("format = {FORMAT}"));
    let mut lost = unresolved(document, vocabulary);
    if found.is_some() {
        lost.extend(also_unresolved(file, text, value.span(), vocabulary, &lost));
    }
    error.remedy = Some(if lost.is_empty() {
        format!("every name in it is known here: change the number to {FORMAT} to try it")
    } else {
        format!("replay it with the version that wrote it. Here {}", lost.join("; "))
    });
    Err(Box::new(error))
}

/// Mistakes told of a text of another format.
const ALSO_MAX: usize = 8;

/// What else is wrong with a text of another format, read as if it were of this one: actions, targets
/// and routines that are not known here. Names in `lost` are not told again.
fn also_unresolved(
    file: &str,
    text: &str,
    format: Range<usize>,
    vocabulary: &Vocabulary,
    lost: &[String],
) -> Vec<String> {
    let mut as_ours = text.to_owned();
    as_ours.replace_range(format, &FORMAT.to_string());
    let Err(errors) = Scenario::from_toml(file, &as_ours, vocabulary) else { return Vec::new() };
    let is_told = |what: &str| {
        what.split('`')
            .nth(1)
            .is_some_and(|name| lost.iter().any(|known| known.contains(&format!("`{name}`"))))
    };
    let rest = errors.0.into_iter().filter(|error| !is_told(&error.what));
    let told = |error: ScenarioError| {
        let what = error.what.split(';').next().unwrap_or_default();
        format!("{what} (line {})", error.line)
    };
    rest.take(ALSO_MAX).map(told).collect()
}

/// What a text of another format names that is not known here.
fn unresolved(document: &DeTable<'_>, vocabulary: &Vocabulary) -> Vec<String> {
    let mut lost = Vec::new();
    for key in document.keys().filter(|key| !FIELDS.contains(&&**key.get_ref())) {
        lost.push(format!("there is no field `{}`", key.get_ref()));
    }
    let of_tables = |table: &str, field: &str| -> Vec<String> {
        let Some(DeValue::Array(tables)) = document.get(table).map(toml::Spanned::get_ref) else {
            return Vec::new();
        };
        let named = tables.iter().filter_map(|table| table.get_ref().as_table()?.get(field));
        named.filter_map(|value| value.get_ref().as_str().map(str::to_owned)).collect()
    };
    let drivers = |name: &str| {
        vocabulary
            .kernel_drivers
            .iter()
            .chain(&vocabulary.hosted_drivers)
            .any(|known| known == name)
    };
    lost.extend(
        of_tables("component", "driver")
            .into_iter()
            .filter(|name| !drivers(name))
            .map(|name| format!("there is no driver `{name}`")),
    );
    lost.extend(lost_actions(document));
    lost.extend(
        of_tables("fault", "kind")
            .into_iter()
            .filter(|name| vocabulary.faults.get(name).is_none())
            .map(|name| format!("there is no fault `{name}`")),
    );
    if let Some(DeValue::Array(names)) = document.get("weaknesses").map(toml::Spanned::get_ref) {
        for name in names.iter().filter_map(|name| name.get_ref().as_str()) {
            if unknown(name, &vocabulary.weaknesses) {
                lost.push(format!("there is no weakness `{name}`"));
            }
        }
    }
    if let Some(DeValue::Array(faults)) = document.get("fault").map(toml::Spanned::get_ref) {
        let points = faults.iter().filter_map(|fault| {
            fault
                .get_ref()
                .as_table()?
                .get("at")?
                .get_ref()
                .as_table()?
                .get("point")?
                .get_ref()
                .as_str()
        });
        for point in points.filter(|point| !is_point(point)) {
            lost.push(format!("there is no injection point `{point}`"));
        }
    }
    lost
}

/// The items of an array; of anything else none.
fn items<'a, 'b>(
    value: Option<&'a toml::Spanned<DeValue<'b>>>,
) -> &'a [toml::Spanned<DeValue<'b>>] {
    match value.map(toml::Spanned::get_ref) {
        Some(DeValue::Array(items)) => items,
        _ => &[],
    }
}

/// Actions of a text of another format that nobody can do here.
fn lost_actions(document: &DeTable<'_>) -> Vec<String> {
    let mut lost = Vec::new();
    for component in items(document.get("component")) {
        let Some(component) = component.get_ref().as_table() else { continue };
        for action in items(component.get("actions")) {
            let name =
                action.get_ref().as_table().and_then(|action| action.get("do")?.get_ref().as_str());
            let Some(name) = name else { continue };
            // Without its fields it is never read; what is wrong with a known one is a field.
            let alone = toml::from_str::<Action>(&format!("do = {name:?}"));
            let is_unknown = alone.is_err_and(|error| error.message().contains("unknown variant"));
            let what = format!("there is no action `{name}`");
            if is_unknown && !lost.contains(&what) {
                lost.push(what);
            }
        }
    }
    lost
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
