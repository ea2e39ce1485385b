//! Bug checks and rules: what is modelled, and by whose word.

use std::io::Write;

use serde_json::{Value, json};

use crate::base::{Basis, Rule};
use crate::kernel::bug_check::{self, BugCheck, Unreached};
use crate::report::entries::{Entry, entries};
use crate::world::{self, components};
use crate::{kernel, machine};

use super::super::{Ended, Failure};

/// Lists what the kernel can stop itself with.
pub(super) fn bug_checks(json: bool, out: &mut impl Write) -> Result<Ended, Failure> {
    let rows = bug_check::all();
    if json {
        for row in rows {
            writeln!(out, "{}", as_object(row))?;
        }
        return Ok(Ended::Held);
    }
    let told: Vec<Entry> = rows.iter().map(|row| told(row)).collect();
    write!(out, "{}", entries(&told))?;
    let unreached: Vec<Entry> = bug_check::UNREACHED.iter().map(not_reached).collect();
    writeln!(out, "\nNot reached:\n")?;
    write!(out, "{}", entries(&unreached))?;
    Ok(Ended::Held)
}

fn not_reached(what: &Unreached) -> Entry {
    let subtypes: Vec<String> = what.subtypes.iter().map(|one| format!("{one:#x}")).collect();
    let which = match what.parameter {
        0 => String::new(),
        number => format!("parameter {number} = "),
    };
    let of_it = (!subtypes.is_empty()).then(|| ("of it", which + &subtypes.join(", ")));
    let because = ("because", what.why.to_owned());
    Entry {
        head: format!("{:#x} {}", what.code, what.name),
        lines: of_it.into_iter().chain([because]).collect(),
    }
}

fn subtype(row: &BugCheck) -> Option<String> {
    row.subtype.map(|(number, value)| format!("parameter {number} = {value:#x}"))
}

fn as_object(row: &BugCheck) -> Value {
    json!({
        "name": row.name,
        "code": format!("{:#x}", row.code),
        "subtype": subtype(row),
        "when": row.when,
        "parameters": row.parameters,
        "source": row.source,
        "basis": row.basis.name(),
    })
}

fn told(row: &BugCheck) -> Entry {
    let names = row.parameters.iter().enumerate();
    let parameters: Vec<_> = names.map(|(index, name)| format!("{} {name}", index + 1)).collect();
    let subtype = subtype(row).map_or_else(String::new, |subtype| format!(", {subtype}"));
    Entry {
        head: format!("{:#x} {}{subtype}", row.code, row.name),
        lines: vec![
            ("when", row.when.to_owned()),
            ("parameters", parameters.join(", ")),
            ("source", sourced(row.source, row.basis)),
        ],
    }
}

fn sourced(source: &str, basis: Basis) -> String {
    format!("{source} ({})", basis.name())
}

/// Lists every modelled rule of kernel, machine and components.
pub(super) fn rules(json: bool, out: &mut impl Write) -> Result<Ended, Failure> {
    let parts = kernel::rules::RULES.iter().map(|part| ("kernel", part));
    let parts = parts.chain(machine::rules::RULES.iter().map(|part| ("machine", part)));
    let parts = parts.chain(components::rules::RULES.iter().map(|part| ("components", part)));
    let parts = parts.chain(world::rules::RULES.iter().map(|part| ("world", part)));
    let mut told = Vec::new();
    for (layer, (part, rules)) in parts {
        for rule in *rules {
            if json {
                writeln!(out, "{}", rule_as_object(layer, part, rule))?;
            } else {
                told.push(Entry {
                    head: format!("{layer}/{part}: {}", rule.name),
                    lines: vec![
                        ("rule", rule.about.to_owned()),
                        ("source", sourced(rule.source, rule.basis)),
                    ],
                });
            }
        }
    }
    write!(out, "{}", entries(&told))?;
    Ok(Ended::Held)
}

fn rule_as_object(layer: &str, part: &str, rule: &Rule) -> Value {
    json!({
        "name": rule.name,
        "layer": layer,
        "part": part,
        "about": rule.about,
        "source": rule.source,
        "basis": rule.basis.name(),
    })
}
