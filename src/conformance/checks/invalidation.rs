//! No processor may remember what was withdrawn when the operation returns, or a way to a table
//! when its frame is freed.
//!
//! The tables can be right and the page still reachable: a processor keeps translations until it is
//! told to forget them, and may have read any that was valid for an instant. Judged on all that any
//! processor may hold, not on what one happens to. Invalidating more than needed is legal, and
//! granting more needs no invalidation.
//!
//! Not checked here: in which order entries change (`entries`, `isolation`).

use crate::base::{Page, PhysAddr};
use crate::conformance::breach::{Breach, Check};
use crate::conformance::flat::Place;
use crate::conformance::format::{Format, Rule};
use crate::conformance::may_hold::Member;
use crate::conformance::operation::{Region, size_name};
use crate::conformance::scene::{Outer, Scene};
use crate::conformance::tables::{Leaf, TableUse};

/// When a call has returned.
pub(crate) fn returned(scene: &Scene) -> Option<Breach> {
    if scene.relaxed.uninvalidated || scene.relaxed.altered {
        return None;
    }
    let (held, page) = scene.may_hold.ungranted(&scene.flat)?;
    let occasion = "returns";
    Some(stale(scene.format, occasion, held, page, scene.flat.get(page)))
}

/// When a call has returned that was made within another one: what that one has withdrawn, or is about to, it
/// may invalidate later.
pub(crate) fn returned_within(scene: &Scene, outer: &Outer) -> Option<Breach> {
    if scene.relaxed.uninvalidated || scene.relaxed.altered {
        return None;
    }
    let Region { first, pages } = scene.region;
    let [mut before, mut requested] = [outer.before.clone(), outer.requested.clone()];
    before.remove(first, pages);
    requested.remove(first, pages);
    let (held, page) = scene.may_hold.ungranted_by(&[&scene.flat, &before, &requested])?;
    Some(stale(scene.format, "returns", held, page, scene.flat.get(page)))
}

/// A page that some processor may still use as it was; `now`: where the tables lead.
pub(crate) fn stale(
    format: &dyn Format,
    occasion: &str,
    held: &Member<Leaf>,
    page: Page,
    now: Option<Place>,
) -> Breach {
    let leaf = &held.what;
    let told = match now {
        None => "now leads nowhere".to_owned(),
        Some((frame, rights)) => format!("now leads to {:#x}, {rights}", frame.start().raw()),
    };
    let was = leaf.page.plus(page.start().0.wrapping_sub(leaf.first.0));
    let what = format!(
        "{occasion} while a processor may still use {} as {:#x}, {}, of a {} page; it {told}{}",
        page.start(),
        was.raw(),
        leaf.rights,
        size_name(leaf.size),
        missing(format, held),
    );
    let is_moved = now.is_some_and(|(to, _)| to != was.frame());
    let kind = match now {
        None => "unmapped page stays reachable",
        Some(_) if is_moved => "remapped page leads to its old frame",
        Some(_) => "withdrawn right stays usable",
    };
    let rule = format.rule(Rule::Invalidation);
    let virt = Some(page.start());
    Breach { check: Check::Invalidation, kind: kind.to_owned(), what, virt, rule }
}

/// When a frame is given back: from then on somebody else may write to it.
pub(crate) fn freed(scene: &Scene, at: PhysAddr) -> Option<Breach> {
    if scene.relaxed.uninvalidated || scene.relaxed.altered || scene.relaxed.dropping {
        return None;
    }
    let held = scene.may_hold.way_to(at.frame())?;
    Some(walked(scene.format, "frees", held))
}

/// A table that some processor may still walk.
pub(crate) fn walked(format: &dyn Format, occasion: &str, held: &Member<TableUse>) -> Breach {
    let way = held.what;
    let what = format!(
        "{occasion} {:#x} while a processor may still walk it as the table for {}{}",
        way.frame.start().raw(),
        way.first,
        missing(format, held)
    );
    let rule = format.rule(Rule::Invalidation);
    let kind = "freed table may still be walked".to_owned();
    Breach { check: Check::Invalidation, kind, what, virt: Some(way.first), rule }
}

/// What an invalidation still wants, where more than one thing can be missing.
fn missing<T>(format: &dyn Format, held: &Member<T>) -> String {
    if format.has_barriers() { format!("; {}", held.missing()) } else { String::new() }
}
