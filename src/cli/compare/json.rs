//! A comparison as objects, one a line.

use serde_json::{Value, json};

use crate::campaign::Comparison;
use crate::campaign::comparison::{Cannot, Compared};
use crate::counterexample::Story;

use super::super::table::stopped;
use super::Asked;
use super::text::{cells, difference, of_cell, told};

/// One object a configuration, one a cell of it, one a way in which pairs moved, then the summary; the
/// same for each comparison.
pub(super) fn lines(asked: &Asked, compared: &[Compared]) -> Vec<Value> {
    let pairs = asked.comparisons.iter().zip(compared);
    pairs.flat_map(|(comparison, compared)| of_one(asked.title, comparison, compared)).collect()
}

fn of_one(title: &str, comparison: &Comparison, compared: &Compared) -> Vec<Value> {
    let mut lines = Vec::new();
    let first = &compared.columns[0];
    for (column, pairs) in compared.columns.iter().zip(&compared.pairs) {
        let replay = |(seed, number)| comparison.replay_line(seed, number);
        lines.push(json!({ "configuration": {
            "name": column.name,
            "tried": column.total.tried,
            "struck": column.total.struck,
            "points": column.points,
            "golden_violations": column.golden_violations,
            "golden_violation": column.first_golden_violation.map(|(seed, invariant)| {
                json!({ "seed": seed, "invariant": invariant, "replay": comparison.replay_line(seed, 0) })
            }),
            "stop_by_themselves": column.golden_stops.iter().map(|stop| {
                json!({ "seed": stop.seed, "how": stopped(stop.rest) })
            }).collect::<Vec<_>>(),
            "violations": column.violations,
            "violation": column.first_violation.map(replay),
            "pairs_struck_in_both": pairs.both,
            "pairs_alike": pairs.alike,
            "pairs_struck_in_first_only": pairs.first_only,
            "pairs_struck_here_only": pairs.this_only,
        }}));
        for cell in cells(compared) {
            let estimate = difference(comparison, of_cell(cell), first, column);
            let (difference, low, high) = told(estimate);
            lines.push(json!({
                "configuration": column.name,
                "axis": cell.axis(),
                "cell": cell.name(),
                "count": column.total.of(cell),
                "difference": difference,
                "low": low,
                "high": high,
            }));
        }
        for (&(before, after), moves) in &pairs.moves {
            let (seed, number) = moves.first;
            lines.push(json!({ "pairs": {
                "first": first.name,
                "configuration": column.name,
                "before": before.name(),
                "after": after.name(),
                "count": moves.count,
                "replay": replay((seed, number)),
            }}));
        }
        for (turn, moves) in &pairs.turns {
            lines.push(json!({ "pairs": {
                "first": first.name,
                "configuration": column.name,
                "class": turn.class.name(),
                "axis": turn.before.axis(),
                "before": turn.before.name(),
                "after": turn.after.name(),
                "count": moves.count,
                "replay": replay(moves.first),
            }}));
        }
    }
    let names: Vec<&str> = compared.columns.iter().map(|column| &*column.name).collect();
    lines.push(json!({ "summary": {
        "comparison": title,
        "configurations": names,
        "component": comparison.component,
        "points": compared.points,
        "faults_without_a_place": compared.nowhere,
        "seeds": compared.seeds,
        "worlds": if comparison.is_generated() { compared.seeds } else { compared.seeds.min(1) },
        "violations": compared.violations(),
        "golden_violations": compared.columns.iter().map(|one| one.golden_violations).sum::<u64>(),
        "nothing_struck":
            !compared.is_partial && compared.columns.iter().all(|column| column.total.struck == 0),
        "digest": compared.digest.to_string(),
        "partial": compared.is_partial,
    }}));
    lines
}

/// One fault in every configuration.
pub(super) fn pair(
    what: &str,
    seed: u64,
    number: u32,
    stories: &[(String, Result<Story, Cannot>)],
) -> Value {
    let tries = stories.iter().map(|(name, story)| match story {
        Err(why) => json!({ "configuration": name, "cannot": why.name() }),
        Ok(story) => json!({
            "configuration": name,
            "class": story.class.name(),
            "outcome": story.outcome,
        }),
    });
    json!({ "fault": what, "seed": seed, "number": number, "tries": tries.collect::<Vec<_>>() })
}
