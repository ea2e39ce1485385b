//! No processor may remember what was withdrawn when the operation returns, or a way to a table
//! when its frame is freed.
//!
//! The tables can be right and the page still reachable: a processor keeps translations until it is
//! told to forget them, and may have read any that was valid for an instant. Judged on all that any
//! processor may hold, not on what one happens to. Invalidating more than needed is legal, and
//! granting more needs no invalidation.
//!
//! Not checked here: in which order entries change (`entries`, `isolation`).

use crate::base::PhysAddr;
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::Rule;
use crate::conformance::operation::size_name;
use crate::conformance::scene::Scene;

/// When a call has returned.
pub(crate) fn returned(scene: &Scene) -> Option<Breach> {
    if scene.relaxed.uninvalidated || scene.relaxed.altered {
        return None;
    }
    let (leaf, page) = scene.may_hold.ungranted(&scene.flat)?;
    let now = match scene.flat.get(page) {
        None => "now leads nowhere".to_owned(),
        Some((frame, rights)) => format!("now leads to {:#x}, {rights}", frame.start().raw()),
    };
    let what = format!(
        "returns while a processor may still use {} as {:#x}, {}, of a {} page; it {now}",
        page.start(),
        leaf.page.plus(page.start().0.wrapping_sub(leaf.first.0)).raw(),
        leaf.rights,
        size_name(leaf.size),
    );
    let is_moved = scene.flat.get(page).is_some_and(|(to, _)| {
        to.start().raw() != leaf.page.plus(page.start().0.wrapping_sub(leaf.first.0)).raw()
    });
    let kind = match scene.flat.get(page) {
        None => "unmapped page stays reachable",
        Some(_) if is_moved => "remapped page leads to its old frame",
        Some(_) => "withdrawn right stays usable",
    };
    let rule = scene.format.rule(Rule::Invalidation);
    let virt = Some(page.start());
    Some(Breach { virt, ..scene.breach(Check::Invalidation, kind, what, rule) })
}

/// When a frame is given back: from then on somebody else may write to it.
pub(crate) fn freed(scene: &Scene, at: PhysAddr) -> Option<Breach> {
    if scene.relaxed.uninvalidated || scene.relaxed.altered || scene.relaxed.dropping {
        return None;
    }
    let way = scene.may_hold.way_to(at.frame())?;
    let what = format!(
        "frees {:#x} while a processor may still walk it as the table for {}",
        at.raw(),
        way.first
    );
    let rule = scene.format.rule(Rule::Invalidation);
    let virt = Some(way.first);
    let kind = "freed table may still be walked";
    Some(Breach { virt, ..scene.breach(Check::Invalidation, kind, what, rule) })
}
