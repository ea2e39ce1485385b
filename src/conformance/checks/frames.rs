//! Every frame that is allocated is freed once, and never while it is reachable.
//!
//! A frame that is freed twice will belong to two owners; one that is freed while an entry names it
//! is walked by processors with its next owner's bytes as entries. A leak shows only when the
//! instance is gone.
//!
//! Not checked here: whether a processor may still remember the way to a freed table; that is
//! [`invalidation`](super::invalidation).

use crate::base::{FRAME_BYTES, PhysAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::format::Rule;
use crate::conformance::memory::Memory;
use crate::conformance::scene::Scene;

pub(crate) fn freed(scene: &Scene, at: PhysAddr) -> Option<Breach> {
    if scene.relaxed.altered {
        return None;
    }
    if !at.raw().is_multiple_of(FRAME_BYTES) || !scene.is_owned(at.frame()) {
        let what = format!("frees {:#x}, which it has not allocated or freed before", at.raw());
        return Some(scene.breach(Check::Frames, "frees what is not its own", what, INTERFACE));
    }
    let is_reachable = !scene.relaxed.dropping;
    let way = scene.listing.use_of(at.frame()).filter(|_| is_reachable)?;
    let what = format!(
        "frees {:#x} while an entry still names it as the table for {}",
        at.raw(),
        way.first
    );
    let rule = scene.format.rule(Rule::Translation);
    let virt = Some(way.first);
    Some(Breach { virt, ..scene.breach(Check::Frames, "frees a reachable table", what, rule) })
}

/// A table that is reachable and not owned, when a call has returned.
pub(crate) fn reachable(scene: &Scene) -> Option<Breach> {
    let way = scene.listing.tables.iter().find(|way| !scene.is_owned(way.frame))?;
    let what = format!(
        "leaves {:#x} reachable as a table for {}, a frame that is not its own",
        way.frame.start().raw(),
        way.first
    );
    let rule = scene.format.rule(Rule::Translation);
    let virt = Some(way.first);
    let kind = "reachable frame is not its own";
    Some(Breach { virt, ..scene.breach(Check::Frames, kind, what, rule) })
}

/// A frame that is still owned when the instance is gone.
pub(crate) fn leaked(scene: &Scene) -> Option<Breach> {
    let mut left = scene.owned.iter().enumerate().filter(|(_, owned)| **owned);
    let (number, _) = left.next()?;
    let what = format!(
        "is dropped and has not freed {:#x}{}",
        Memory::frame(number as u64).start().raw(),
        match left.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        }
    );
    Some(scene.breach(Check::Frames, "leaks on drop", what, INTERFACE))
}
