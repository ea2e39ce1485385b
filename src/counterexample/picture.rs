//! The mode line drawn: who lives on which side of it, who did it, who was hit, who was lost.

use crate::authority::Corruption;
use crate::base::{EventKind, Principal, PrincipalKind};
use crate::campaign::Trial;
use crate::outcome::{Availability, Outcome};

use super::bug_check;
use super::recorder::Turn;

/// Columns a line may take, and columns of the word it begins with.
const WIDTH_MAX: usize = 100;
const HEAD: usize = 14;

/// The components of the last run above and below the mode line, with marks; `noticed` is whose code it went
/// wrong in, `sides` what is said of the line.
pub(super) fn drawn(
    trial: &Trial,
    outcome: &Outcome,
    noticed: Option<Principal>,
    sides: Option<&str>,
) -> Vec<String> {
    let roster = trial.roster();
    let marks = |principal: Principal| {
        let mut marks = String::new();
        let books = &trial.judge.authority;
        let is_by = |one: &Corruption| one.culprit == principal && !one.is_memorys();
        let did = books.corruptions().iter().any(is_by);
        let hit = books.corruptions().iter().any(|one| one.owners.contains(principal));
        let ended = books.observations().ending(principal);
        if trial.judge.struck().contains(principal) {
            marks.push('⚡');
        } else if did {
            marks.push('✎');
        }
        if noticed == Some(principal) {
            marks.push('✗');
        }
        if hit {
            marks.push('!');
        }
        let is_process = roster.kind(principal).is_process();
        if is_process && ended.0 > 0 && ended.1 >= 0xc000_0000 {
            marks.push('†');
        }
        if marks.is_empty() { marks } else { format!(" {marks}") }
    };
    let boxes = |keeps: fn(PrincipalKind) -> bool| {
        let here = roster.iter().filter(|(_, entry)| keeps(entry.kind));
        here.map(|(principal, entry)| format!("[ {}{} ]", entry.name, marks(principal)))
            .collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    row(&mut lines, "user mode", &boxes(PrincipalKind::is_process));
    let crossing = match sides {
        Some(told) if told.contains("damage crossed it into kernel") => "▼ damage crosses ▼",
        Some(told) if told.contains("damage crossed it into user") => "▲ damage crosses ▲",
        _ => "mode line",
    };
    let side = "═".repeat((WIDTH_MAX - HEAD - crossing.chars().count()) / 2 - 1);
    lines.push(format!("{:HEAD$}{side} {crossing} {side}", ""));
    row(
        &mut lines,
        "kernel mode",
        &boxes(|kind| !kind.is_process() && kind != PrincipalKind::Device),
    );
    row(&mut lines, "hardware", &boxes(|kind| kind == PrincipalKind::Device));
    let all = lines.join(" ");
    let legend = [
        ('⚡', "where the fault struck"),
        ('✎', "wrote what it may not"),
        ('✗', "whose code was running when it went wrong"),
        ('!', "whose bytes were damaged"),
        ('†', "ended by it"),
    ];
    let told: Vec<String> = legend
        .iter()
        .filter(|(mark, _)| all.contains(*mark))
        .map(|(mark, what)| format!("{mark} {what}"))
        .collect();
    row(&mut lines, "", &told);
    if let Availability::BugCheck { code, .. } | Availability::BootLoop { code, .. } =
        outcome.availability
    {
        let name = bug_check::name(code);
        lines.push(format!("{:HEAD$}all of it stopped with bug check {code:#x} {name}", ""));
    }
    lines
}

/// Whose code raised the last exception before the machine first stopped, or in the whole run.
pub(super) fn last_exception(turns: &[Turn]) -> Option<Principal> {
    let kind = |turn: &Turn| turn.event.kind;
    let stop =
        turns.iter().position(|turn| matches!(kind(turn), EventKind::BugCheck | EventKind::Reset));
    let before = &turns[..stop.unwrap_or(turns.len())];
    before.iter().rev().find(|turn| kind(turn) == EventKind::Exception).map(|turn| turn.event.actor)
}

/// A row of boxes, in several lines where one is too narrow.
fn row(lines: &mut Vec<String>, head: &str, boxes: &[String]) {
    let mut line = format!("{head:HEAD$}");
    let mut is_empty = true;
    for one in boxes {
        if !is_empty && line.chars().count() + 2 + one.chars().count() > WIDTH_MAX {
            lines.push(core::mem::replace(&mut line, " ".repeat(HEAD)));
            is_empty = true;
        }
        if !is_empty {
            line += "  ";
        }
        line += one;
        is_empty = false;
    }
    if !is_empty {
        lines.push(line);
    }
}
