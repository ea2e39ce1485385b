//! A store without leave, in words.

use crate::authority::Trespass;
use crate::base::{Principal, Roster};

/// Who stored; nobody where memory changed by itself.
pub(super) fn offender(trespass: &Trespass) -> Option<Principal> {
    let event = &trespass.event;
    (!event.is_by_nobody()).then_some(event.actor)
}

/// What was stored, where, and as what it was meant; `of` says whose it is, where that is told.
pub(super) fn told(roster: &Roster, trespass: &Trespass, of: Option<Principal>) -> String {
    let (event, structure) = (&trespass.event, trespass.structure);
    let of = of.map_or(String::new(), |owner| format!(" of {}", roster.name(owner)));
    if event.is_by_nobody() {
        return format!("{structure}{of} changed to {:#x} by itself: nobody wrote it", event.value);
    }
    format!(
        "{} wrote {:#x} to {structure}{of}, meaning {}",
        roster.name(event.actor),
        event.value,
        event.structure,
    )
}
