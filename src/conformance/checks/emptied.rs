//! Tables that translate nothing are given back, by code that says it does.
//!
//! A clean-up that finds nothing to free changes no translation, so that no other check sees it: the frames are
//! lost one by one, and memory runs out in a process that maps and unmaps for long enough. A table counts
//! as empty when all its words are 0; whether one that holds the rest of an entry may go, code decides.
//!
//! Not checked here: frames that are linked nowhere, of code that frees all on drop: it may keep some in store
//! ([`frames`](super::frames) counts them then). Nor those of code with a frame allocator of its own, which
//! tells nobody what it takes back.

use crate::base::Frame;
use crate::conformance::breach::{AN_EMPTY_TABLE, Breach, Check, INTERFACE};
use crate::conformance::memory::Event;
use crate::conformance::operation::Call;
use crate::conformance::scene::Scene;
use crate::conformance::subject::{Capabilities, Capability};
use crate::conformance::tables::{Listing, TableUse};

/// When a call is done that is to give back what is empty.
pub(crate) fn returned(
    scene: &Scene,
    call: &Call,
    capabilities: Capabilities,
    before: &Listing,
    events: &[Event],
) -> Option<Breach> {
    let is_meant: &dyn Fn(Frame) -> bool = match call {
        Call::CleanUp => &|_| true,
        Call::Unmap { .. } | Call::UnmapRange { .. }
            if capabilities.has(Capability::UnmapFrees) =>
        {
            &|frame| is_emptied(frame, events)
        }
        _ => return None,
    };
    let left = scene.listing.tables.iter();
    let left = left.filter(|table| is_judged(scene, table) && is_empty(scene, table));
    if let Some(table) = left.filter(|table| is_meant(table.frame)).min_by_key(|table| table.level)
    {
        return Some(told(scene, call, table, "is left", "stays linked"));
    }
    if capabilities.has(Capability::FreesOnDrop) {
        return None;
    }
    let is_linked = |frame| scene.listing.use_of(frame).is_some();
    let mut lost = before.tables.iter().filter(|table| !is_linked(table.frame));
    let table = lost.find(|table| is_judged(scene, table) && !scene.is_of_a_lot(table.frame))?;
    Some(told(scene, call, table, "is not freed", "is linked no more, and not freed"))
}

/// A table below the root that the code allocated.
fn is_judged(scene: &Scene, table: &TableUse) -> bool {
    table.level < scene.format.levels() && scene.is_owned(table.frame)
}

fn is_empty(scene: &Scene, table: &TableUse) -> bool {
    let start = table.frame.start();
    (0..scene.format.entries(table.level)).all(|index| scene.word(start.plus(8 * index)) == 0)
}

/// Whether an entry of the table was taken out by these events.
fn is_emptied(frame: Frame, events: &[Event]) -> bool {
    let is_one = |event: &Event| matches!(*event, Event::Store { at, old, new: 0, .. } if at.frame() == frame && old != 0);
    events.iter().any(is_one)
}

fn told(scene: &Scene, call: &Call, table: &TableUse, kind: &str, how: &str) -> Breach {
    let level = scene.format.level_name(table.level);
    let what = format!(
        "reports that it is done, and the table at {:#x} for {}, level {level}, which translates \
         nothing, {how}",
        table.frame.start().raw(),
        table.first
    );
    let kind = format!("{}: {AN_EMPTY_TABLE} {kind}, level {level}", call.name());
    let virt = Some(table.first);
    Breach { virt, ..scene.breach(Check::Request, kind, what, INTERFACE) }
}
