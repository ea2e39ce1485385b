//! What decided it where no byte changed hands: a handle given away and used, pages that stay locked, an
//! adapter that hangs.
//!
//! Each is the very operation that went wrong, and nothing else of a run shows it: no fault struck there,
//! nobody's memory was damaged, and the exception or stop it leads to comes later and elsewhere.

use crate::base::{EventKind, Principal, Roster, TERMINATE_RIGHT, counted};
use crate::kernel::layout::process;

use super::happened::Happened;
use super::recorder::Turn;

/// What decided it, and whose doing it was.
pub(super) struct Decisive {
    pub(super) happened: Vec<Happened>,
    /// Who gave the handle away, else who locked the pages, else who ended another process.
    pub(super) who: Option<Principal>,
}

/// The operations that decided a run, without those that are done `anyway`, as the golden run was told;
/// `objects` are the processes' objects, by address.
pub(super) fn decisive(
    roster: &Roster,
    turns: &[Turn],
    objects: &[(u64, Principal)],
    anyway: &[Happened],
) -> Decisive {
    let name = |principal: Principal| roster.name(principal);
    let process = |object: u64| objects.iter().rev().find(|one| one.0 == object).map(|one| one.1);
    let mut found: Vec<(Principal, Happened)> = Vec::new();
    let mut told = |turn: &Turn, head, what| {
        found.push((turn.asker, Happened { ordinal: turn.ordinal, head, what, always: true }));
    };
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
                let what = format!(
                    "{} gave {} handle {:#x} to {to_what}, rights {:#x}",
                    name(turn.asker),
                    name(event.subject),
                    event.value,
                    event.old
                );
                told(turn, "given", what);
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
                told(turn, "ends", what);
            }
            _ => {}
        }
    }
    for turn in left_locked(turns) {
        let pages = turn.event.value.saturating_sub(turn.event.old);
        let whose = process(turn.event.virt.wrapping_sub(process::LOCKED_PAGES.offset));
        let what = format!(
            "{} locked {} of {}, and nobody unlocks {}",
            name(turn.asker),
            counted(pages, "page"),
            whose.map_or("a process", name),
            if pages == 1 { "it" } else { "them" }
        );
        told(turn, "locked", what);
    }
    found.extend(hangs(roster, turns));
    let mut anyway: Vec<_> = anyway.iter().map(|one| (one.head, &*one.what)).collect();
    found.retain(|(_, one)| {
        let known = anyway.iter().position(|it| *it == (one.head, &*one.what));
        known.map(|at| anyway.swap_remove(at)).is_none()
    });
    let first = |head| found.iter().find(|(_, one)| one.head == head).map(|(who, _)| *who);
    let who = first("given").or_else(|| first("locked")).or_else(|| first("ends"));
    let mut happened: Vec<Happened> = found.into_iter().map(|(_, one)| one).collect();
    happened.sort_by_key(|one| one.ordinal);
    Decisive { happened, who }
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

/// Hangs within a minute that stop the machine ("TDR Registry Keys", `TdrLimitCount`).
const HANGS: usize = 6;

/// Each time that an adapter did not finish in time; those that the machine stopped for are always told.
fn hangs(roster: &Roster, turns: &[Turn]) -> Vec<(Principal, Happened)> {
    let mut told: Vec<(Principal, Happened)> = Vec::new();
    let mut times = 0;
    for turn in turns {
        match turn.event.kind {
            EventKind::Step => {
                times += 1;
                let whose = roster.name(turn.asker);
                let what = format!("the adapter of {whose} did not finish in time, hang {times}");
                let ordinal = turn.ordinal;
                told.push((turn.asker, Happened { ordinal, head: "hangs", what, always: false }));
            }
            EventKind::BugCheck | EventKind::Reset => {
                let those = told.iter_mut().rev().take(HANGS.min(times));
                those.for_each(|(_, one)| one.always = true);
                times = 0;
            }
            _ => {}
        }
    }
    told
}
