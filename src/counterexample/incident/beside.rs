//! Two stories side by side.

use super::super::story::Story;
use crate::scenario::shown;

/// Columns of the left one, of the gap, and of the right one: a terminal's hundred together.
const LEFT: usize = 48;
const GAP: &str = "  │ ";
const RIGHT: usize = 48;
/// What of a story is told beside another: what turned, and how it ended.
const HEADS: [&str; 19] = [
    "given",
    "ends",
    "locked",
    "hangs",
    "struck",
    "instead",
    "overrun",
    "noticed",
    "refused",
    "stopped",
    "boots",
    "corrupt",
    "read",
    "disclosed",
    "ended",
    "again",
    "given up",
    "integrity",
    "service",
];
/// Entries of a side at most.
const SIDE_MAX: usize = 9;

/// A story, and another of this name beside it.
#[must_use]
pub fn beside(story: &Story, name: &str, other: &Story) -> String {
    side_by_side("as it was", story, name, other)
}

/// Two stories beside each other, each under its name.
#[must_use]
pub fn side_by_side(name: &str, story: &Story, other_name: &str, other: &Story) -> String {
    let (mut left, mut right) = (side(name, story), side(other_name, other));
    let height = left.len().max(right.len());
    left.resize(height, String::new());
    right.resize(height, String::new());
    let mut text = String::new();
    for (left, right) in left.iter().zip(&right) {
        let line = format!("{left:LEFT$}{GAP}{right}");
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// One side, line by line.
fn side(title: &str, story: &Story) -> Vec<String> {
    let told: Vec<&(&str, String)> =
        story.parts().iter().filter(|(head, _)| HEADS.contains(head)).collect();
    let (ending, turns): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|(head, _)| matches!(*head, "integrity" | "service"));
    let mut lines = wrapped(&title.to_uppercase(), "");
    // A machine that stops at every boot is told once.
    let boot = turns.iter().position(|(head, _)| *head == "boots").unwrap_or(turns.len());
    let kept = boot.min(SIDE_MAX);
    let more = boot - kept;
    for (head, what) in turns.iter().take(kept) {
        lines.extend(wrapped(&format!("{head}: {what}"), "  "));
    }
    if boot < turns.len() {
        lines.push("boots: and the same again".to_owned());
    }
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    for (head, what) in ending {
        lines.extend(wrapped(&format!("→ {head}: {what}"), "  "));
    }
    lines
}

/// A text in lines as wide as a side, all but the first indented.
fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let width = LEFT.min(RIGHT);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in shown(text).split_whitespace() {
        let needed = line.chars().count() + 1 + word.chars().count();
        if !line.trim().is_empty() && needed > width {
            lines.push(core::mem::replace(&mut line, indent.to_owned()));
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
