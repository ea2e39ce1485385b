//! Tables as they lie in memory: frame, index, value, and what the value is.

use std::collections::BTreeSet;

use super::repetition::{self, Part, Shape};
use super::scene::Scene;

/// Lines at most, and of one table.
const LINES_MAX: usize = 64;
const LINES_OF_A_TABLE: usize = 12;
/// Columns of a line at most, with what a report indents it by.
const COLUMNS: usize = 98;

/// Every table that the root leads to, with the words of it that are not zero.
pub(crate) fn lines(scene: &Scene) -> Vec<String> {
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    let mut left_out = 0;
    for table in &scene.listing.tables {
        if !seen.insert(table.frame) {
            continue;
        }
        let words = (0..scene.format.entries(table.level)).filter_map(|index| {
            let word = scene.word(table.frame.start().plus(8 * index));
            (word != 0).then_some((index, word))
        });
        let words: Vec<(u64, u64)> = words.collect();
        if lines.len() >= LINES_MAX {
            left_out += 1;
            continue;
        }
        let level = scene.format.level_name(table.level);
        let (at, first) = (table.frame.start().raw(), table.first);
        lines.push(format!("table {at:#x}, level {level}, from {first}"));
        let line = |(index, word): &(u64, u64)| {
            let text = scene.format.describe(table.level, *word);
            format!("  {index:>3}  {word:#018x}  {text}")
        };
        let shape = |(index, word): &(u64, u64)| {
            Some(Shape { kind: ("word", 0), numbers: [*index, *word, 0] })
        };
        let shapes: Vec<_> = words.iter().map(shape).collect();
        let (mut told, mut count) = (0, 0);
        for part in repetition::parts(&shapes) {
            if told >= LINES_OF_A_TABLE {
                break;
            }
            let (first, length, shown) = match part {
                Part::One(first) => (first, 1, 1),
                Part::Run { first, period, times } => (first, period * times, period),
            };
            let run = words.get(first..first + length).unwrap_or_default();
            lines.extend(run.iter().take(shown).map(line));
            if length > shown {
                lines.push(format!("       … and {} more, evenly, up to", length - 2 * shown));
                lines.extend(run.iter().skip(length - shown).map(line));
            }
            (told, count) = (told + 1, count + length);
        }
        if let Some(more) = words.len().checked_sub(count).filter(|more| *more > 0) {
            lines.push(format!("       … and {more} more words"));
        }
    }
    if left_out > 0 {
        lines.push(format!("… and {left_out} more tables"));
    }
    lines.into_iter().map(cut).collect()
}

fn cut(line: String) -> String {
    if line.chars().count() <= COLUMNS {
        return line;
    }
    line.chars().take(COLUMNS - 1).chain(['…']).collect()
}
