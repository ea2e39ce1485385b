//! `ringfence list`: what there is.

mod reference;

use std::io::Write;

use clap::ValueEnum as _;
use serde_json::{Value, json};

use crate::faults::mix::{Fixed, Row};
use crate::faults::{Registry, mix};
use crate::invariants::Scope;
use crate::outcome::Class;
use crate::report::table::{Column, table};
use crate::scenario::{Scenario, Vocabulary, library};
use crate::world::{UNMODELLED_OPTIONS, VERIFIER_OPTIONS, WEAKNESSES, Weakness};

use super::arguments::{ListArguments, Listing};
use super::{Ended, Failure, load};

/// Lists what was asked for, one a line.
pub(super) fn list(arguments: &ListArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let Some(what) = arguments.what else { return listings(arguments.json, out) };
    let (titles, rows) = match what {
        Listing::BugChecks => return reference::bug_checks(arguments.json, out),
        Listing::Rules => return reference::rules(arguments.json, out),
        Listing::Scenarios => scenarios()?,
        Listing::Incidents => incidents()?,
        Listing::Faults => faults(),
        Listing::FaultLoads => fault_loads(),
        Listing::Invariants => invariants(),
        Listing::Weaknesses => weaknesses(),
        Listing::VerifierOptions => verifier_options(),
        Listing::Classes => (
            vec!["name", "meaning"],
            Class::ALL.iter().map(|class| texts([class.name(), class.meaning()])).collect(),
        ),
    };
    tell(&titles, &rows, arguments.json, out)?;
    if titles.contains(&"source") && !arguments.json {
        writeln!(
            out,
            "\nEach with its source and what else there is to it: `ringfence list {} --json`",
            plural(what)
        )?;
    }
    if what == Listing::Weaknesses && !arguments.json {
        writeln!(
            out,
            "\nWhat needs something shows in a world of your own that has it, the others in generated ones:\n\
             `ringfence campaign --compare weakness=no-probe`"
        )?;
    }
    Ok(Ended::Held)
}

/// What can be listed, by the words that the command takes.
fn listings(json: bool, out: &mut impl Write) -> Result<Ended, Failure> {
    let words = Listing::value_variants().iter().filter_map(|listing| {
        let value = listing.to_possible_value()?;
        let about = value.get_help().map(ToString::to_string).unwrap_or_default();
        Some(texts([value.get_name(), &about]))
    });
    tell(&["name", "about"], &words.collect::<Vec<_>>(), json, out)?;
    if !json {
        writeln!(out, "\nOne of them: `ringfence list {}`", plural(Listing::Scenarios))?;
    }
    Ok(Ended::Held)
}

/// Rows as a table, or each as an object.
fn tell(
    titles: &[&str],
    rows: &[Vec<Value>],
    json: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if json {
        for row in rows {
            let fields =
                titles.iter().zip(row).map(|(title, cell)| ((*title).to_owned(), cell.clone()));
            writeln!(out, "{}", Value::Object(fields.collect()))?;
        }
        return Ok(());
    }
    // What is long is told with `--json`.
    let is_long =
        |title: &str| matches!(title, "source" | "decided-by" | "points" | "parameters" | "types");
    let shown: Vec<usize> = (0..titles.len()).filter(|&index| !is_long(titles[index])).collect();
    let column = |title| match title {
        "about" | "meaning" | "what" | "needs" => Column::prose(title),
        _ => Column::text(title),
    };
    let columns: Vec<Column> = shown.iter().map(|&index| column(titles[index])).collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| shown.iter().map(|&index| cell(&row[index])).collect()).collect();
    write!(out, "{}", table(&columns, &cells))?;
    Ok(())
}

const fn plural(what: Listing) -> &'static str {
    match what {
        Listing::Scenarios => "scenarios",
        Listing::Incidents => "incidents",
        Listing::Faults => "faults",
        Listing::FaultLoads => "fault-loads",
        Listing::Invariants => "invariants",
        Listing::Weaknesses => "weaknesses",
        Listing::Classes => "classes",
        Listing::BugChecks => "bug-checks",
        Listing::Rules => "rules",
        Listing::VerifierOptions => "verifier-options",
    }
}

type Rows = (Vec<&'static str>, Vec<Vec<Value>>);

fn texts<const N: usize>(cells: [&str; N]) -> Vec<Value> {
    cells.iter().map(|cell| Value::from(*cell)).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Each with what a world must have for it to show, where generated worlds have not.
fn weaknesses() -> Rows {
    let row = |weakness: &Weakness| {
        vec![json!(weakness.name), json!(weakness.about), json!(weakness.needs)]
    };
    (vec!["name", "about", "needs"], WEAKNESSES.iter().map(row).collect())
}

/// Those that there are, and the others with the reason.
fn verifier_options() -> Rows {
    let there = VERIFIER_OPTIONS.iter().map(|(name, _, about)| texts([name, "yes", about]));
    let not_there = UNMODELLED_OPTIONS.iter().map(|(name, why)| texts([name, "no", why]));
    (vec!["name", "modelled", "about"], there.chain(not_there).collect())
}

fn scenarios() -> Result<Rows, Failure> {
    let vocabulary = Vocabulary::default();
    let mut rows = Vec::new();
    for builtin in library::ALL {
        let scenario = Scenario::from_toml(builtin.name, builtin.text, &vocabulary)
            .map_err(|errors| Failure::Mistake(errors.to_string()))?;
        rows.push(texts([builtin.name, &scenario.about]));
    }
    Ok((vec!["name", "about"], rows))
}

/// The incidents, with how each ended, and whether it counts (`Scenario::discount`).
fn incidents() -> Result<Rows, Failure> {
    let vocabulary = Vocabulary::default();
    let mut rows = Vec::new();
    for builtin in library::INCIDENTS {
        let scenario = load::built_in(*builtin, &vocabulary)
            .map_err(|errors| Failure::Mistake(errors.to_string()))?;
        let counts = if scenario.discount().is_none() { "yes" } else { "no" };
        let incident = scenario.incident.unwrap_or_default();
        let expect = scenario.expect.unwrap_or_default();
        let ended = expect.availability.or(expect.class).unwrap_or_default();
        let ended = match expect.bug_check {
            Some(code) => format!("{ended} {code:#x}"),
            None => ended,
        };
        rows.push(vec![
            json!(builtin.name),
            json!(incident.date),
            json!(incident.what),
            json!(ended),
            json!(counts),
            json!(incident.decided_by),
            json!(scenario.sources),
        ]);
    }
    for page in library::PAGES {
        let title = page.text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let mut parts = title.split(" · ").skip(1);
        let (what, date) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        rows.push(vec![
            json!(page.name),
            json!(date),
            json!(what),
            json!("a page"),
            json!("no"),
            json!(null),
            json!([]),
        ]);
    }
    rows.sort_by_key(|row| cell(&row[0]));
    Ok((vec!["name", "date", "what", "ends", "counts", "decided-by", "source"], rows))
}

fn faults() -> Rows {
    let rows = Registry::default()
        .kinds()
        .iter()
        .map(|kind| {
            let points: Vec<&str> = kind.points.iter().map(|point| point.name()).collect();
            vec![
                json!(kind.name),
                json!(kind.family.name()),
                json!(kind.model.name()),
                json!(kind.about),
                json!(points),
                json!(kind.parameters),
                json!(kind.source),
            ]
        })
        .collect();
    (vec!["name", "family", "model", "about", "points", "parameters", "source"], rows)
}

/// Fault models and published loads.
fn fault_loads() -> Rows {
    let rows = mix::shareable(&Registry::default()).into_iter().map(|one| {
        let types = one.rows.iter().map(|row| {
            let Row { name, weight, kind, fixed } = *row;
            if kind == Some(name) {
                return json!({ "kind": kind, "weight": weight });
            }
            let mut told = json!({ "type": name, "kind": kind, "weight": weight });
            if let Some(fixed) = fixed.map(Fixed::name) {
                told["fixed"] = json!(fixed);
            }
            told
        });
        let kinds = one.rows.iter().filter(|row| row.kind.is_some()).count();
        vec![
            json!(one.name),
            json!(one.also),
            json!(kinds),
            json!(one.about),
            json!(types.collect::<Vec<_>>()),
            json!(one.errors),
            json!(one.source),
        ]
    });
    (vec!["name", "also", "kinds", "about", "types", "errors", "source"], rows.collect())
}

/// What is asked of every run: of each state and step, and of the run as a whole.
fn invariants() -> Rows {
    use crate::campaign::experiment::{CONTAINED, SURVIVES};
    let registry = crate::invariants::Registry::all();
    let invariants = registry.iter().map(|invariant| {
        let promised = match invariant.scope() {
            Scope::Always => "always",
            Scope::UserModePlans => "user-mode faults",
        };
        texts([invariant.name(), promised, invariant.sentence(), invariant.source()])
    });
    let own = "this crate's design: comparison with the golden run";
    let contained = "Nobody else's results change beyond the influence relation.";
    let of_whole_runs = [
        texts([CONTAINED, "user-mode faults", contained, own]),
        texts([
            SURVIVES,
            "user-mode faults",
            "The machine does not stop, but where a critical process ends.",
            own,
        ]),
    ];
    let rows = invariants.chain(of_whole_runs).collect();
    (vec!["name", "promised", "about", "source"], rows)
}
