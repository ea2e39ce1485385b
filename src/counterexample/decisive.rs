//! What decided it where no byte changed hands: a handle given away and used, pages that stay locked, an
//! adapter that hangs.
//!
//! Each is the very operation that went wrong, and nothing else of a run shows it: no fault struck there,
//! nobody's memory was damaged, and the exception or stop it leads to comes later and elsewhere.

use crate::base::{EventKind, Principal, Roster, TERMINATE_RIGHT};
use crate::kernel::layout::process;

use super::happened::Happened;
use super::recorder::Turn;

/// What decided it, and whose doing it was.
pub(super) struct Decisive {
    pub(super) happened: Vec<Happened>,
    /// Who gave the handle away, else who locked the pages, else who ended another process.
    pub(super) who: Option<Principal>,
}

/// The operations that decided a run; `objects` are the processes' objects, by address.
pub(super) fn decisive(roster: &Roster, turns: &[Turn], objects: &[(u64, Principal)]) -> Decisive {
    let name = |principal: Principal| roster.name(principal);
    let process = |object: u64| objects.iter().rev().find(|one| one.0 == object).map(|one| one.1);
    let told =
        |turn: &Turn, head, what| Happened { ordinal: turn.ordinal, head, what, always: true };
    let (mut given, mut used) = (Vec::new(), Vec::new());
    let mut happened = Vec::new();
    for turn in turns {
        let event = &turn.event;
        match event.kind {
            // Between processes only: what drivers and the kernel open is not given by who asked for it.
            EventKind::HandleOpened
                if event.context != event.subject && roster.kind(event.subject).is_process() =>
            {
                let to_what = process(event.virt);
                let to_what =
                    to_what.map_or("an object".to_owned(), |it| format!("process {}", name(it)));
                happened.push(told(
                    turn,
                    "given",
                    format!(
                        "{} gave {} handle {:#x} to {to_what}, rights {:#x}",
                        name(turn.asker),
                        name(event.subject),
                        event.value,
                        event.old
                    ),
                ));
                given.push(turn.asker);
            }
            EventKind::HandleUsed if event.old & TERMINATE_RIGHT != 0 => {
                let Some(victim) = process(event.virt) else { continue };
                if victim == event.context {
                    continue;
                }
                let how = match event.phys {
                    0 => format!("by its handle {:#x}", event.value),
                    _ => format!("in the kernel's own name, asked by {}", name(event.context)),
                };
                let what = format!("{} was about to end {}, {how}", name(turn.asker), name(victim));
                happened.push(told(turn, "ends", what));
                used.push(turn.asker);
            }
            _ => {}
        }
    }
    let locked = left_locked(turns);
    happened.extend(locked.iter().map(|turn| {
        let pages = turn.event.value.saturating_sub(turn.event.old);
        let whose = process(turn.event.virt.wrapping_sub(process::LOCKED_PAGES.offset));
        let s = if pages == 1 { "" } else { "s" };
        told(
            turn,
            "locked",
            format!(
                "{} locked {pages} page{s} of {}, and nobody unlocks {}",
                name(turn.asker),
                whose.map_or("a process", name),
                if pages == 1 { "it" } else { "them" }
            ),
        )
    }));
    let locked = locked.first().map(|turn| turn.asker);
    happened.extend(hangs(roster, turns));
    happened.sort_by_key(|one| one.ordinal);
    Decisive { happened, who: given.first().copied().or(locked).or(used.first().copied()) }
}

/// The stores that counted pages as locked which were never counted as unlocked, before the machine stopped.
fn left_locked(turns: &[Turn]) -> Vec<&Turn> {
    let mut open: Vec<&Turn> = Vec::new();
    for turn in turns {
        let event = &turn.event;
        match event.kind {
            EventKind::BugCheck | EventKind::Reset => break,
            EventKind::Store if turn.is_of_locks && event.value > event.old => open.push(turn),
            EventKind::Store if turn.is_of_locks => {
                let mut rest = event.old.saturating_sub(event.value);
                while rest > 0
                    && let Some(at) = open.iter().rposition(|one| one.event.virt == event.virt)
                {
                    let pages = open.remove(at).event;
                    rest = rest.saturating_sub(pages.value.saturating_sub(pages.old));
                }
            }
            _ => {}
        }
    }
    open
}

/// Each time that an adapter did not finish in time; the last before the machine stopped is always told.
fn hangs(roster: &Roster, turns: &[Turn]) -> Vec<Happened> {
    let mut told: Vec<Happened> = Vec::new();
    let mut times = 0;
    for turn in turns {
        match turn.event.kind {
            EventKind::Step => {
                times += 1;
                let whose = roster.name(turn.asker);
                let what = format!("the adapter of {whose} did not finish in time, hang {times}");
                told.push(Happened { ordinal: turn.ordinal, head: "hangs", what, always: false });
            }
            EventKind::BugCheck | EventKind::Reset => {
                if let Some(last) = told.last_mut() {
                    last.always = true;
                }
                times = 0;
            }
            _ => {}
        }
    }
    told
}
