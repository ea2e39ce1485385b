//! A text of another format: that it is one, and what it names that is not known here.

use core::ops::Range;

use toml::de::{DeTable, DeValue};

use super::check::unknown;
use super::form::{ACTIONS, TOP};
use super::{FORMAT, Scenario, ScenarioError, Vocabulary};
use crate::faults::is_point;

/// Whether the text says that it is of the format this version reads.
pub(super) fn check_format(
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
    // A number that is larger than any is one all the same.
    let number = value.get_ref().as_integer().map(ToString::to_string);
    let what = match &number {
        Some(number) => format!("this is format {number}; this version reads format {FORMAT}"),
        None => "the format is no number".to_owned(),
    };
    let mut error = ScenarioError::new(file, text, value.span(), what);
    error.expected = Some(format!("format = {FORMAT}"));
    let mut lost = unresolved(document, vocabulary);
    if number.is_some() {
        let as_ours = read_as_ours(document, text, value.span(), vocabulary);
        lost.extend(also_unresolved(file, &as_ours, vocabulary, &lost));
    }
    let quoted = value.get_ref().as_str().and_then(|text| text.trim().parse().ok());
    error.remedy = Some(if quoted == Some(FORMAT) {
        format!("leave out the quotes: {FORMAT}")
    } else if lost.is_empty() && number.is_none() {
        format!("write format = {FORMAT}: every name in it is known here")
    } else if lost.is_empty() {
        format!("every name in it is known here: change the number to {FORMAT} to try it")
    } else {
        format!("replay it with the version that wrote it. Here {}", lost.join("; "))
    });
    Err(Box::new(error))
}

/// Mistakes told of a text of another format.
const ALSO_MAX: usize = 8;

/// The text as if it were of this format, with a point that is known for each that is not: nothing else is read
/// where one is not.
fn read_as_ours(
    document: &DeTable<'_>,
    text: &str,
    format: Range<usize>,
    vocabulary: &Vocabulary,
) -> String {
    let mut replaced = vec![(format, FORMAT.to_string())];
    for fault in items(document.get("fault")).iter().filter_map(|fault| fault.get_ref().as_table())
    {
        let at = fault.get("at").and_then(|at| at.get_ref().as_table());
        let Some(point) = at.and_then(|at| at.get("point")) else { continue };
        if point.get_ref().as_str().is_none_or(is_point) {
            continue;
        }
        let kind =
            fault.get("kind").and_then(|kind| vocabulary.faults.get(kind.get_ref().as_str()?));
        let fitting = kind.and_then(|kind| kind.points.iter().next());
        let fitting = fitting.map_or("step", |point| point.name());
        replaced.push((point.span(), format!("\"{fitting}\"")));
    }
    replaced.sort_by_key(|(bytes, _)| core::cmp::Reverse(bytes.start));
    let mut as_ours = text.to_owned();
    for (bytes, by) in replaced {
        as_ours.replace_range(bytes, &by);
    }
    as_ours
}

/// What else is wrong with a text of another format, read as if it were of this one: actions, targets
/// and routines that are not known here. Names in `lost` are not told again.
fn also_unresolved(
    file: &str,
    as_ours: &str,
    vocabulary: &Vocabulary,
    lost: &[String],
) -> Vec<String> {
    let Err(errors) = Scenario::from_toml(file, as_ours, vocabulary) else { return Vec::new() };
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
    for key in document.keys().filter(|key| !TOP.iter().any(|field| field.name == *key.get_ref())) {
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
            let is_unknown = ACTIONS.iter().all(|(known, _)| *known != name);
            let what = format!("there is no action `{name}`");
            if is_unknown && !lost.contains(&what) {
                lost.push(what);
            }
        }
    }
    lost
}
