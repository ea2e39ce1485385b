//! No processor may remember what was withdrawn when the operation returns, or a way to a table
//! when its frame is freed.
//!
//! The tables can be right and the page still reachable: a processor keeps translations until it is
//! told to forget them, and may have read any that was valid for an instant. Judged on all that any
//! processor may hold, not on what one happens to, and on all that it finds by the ways to tables it
//! may hold. Invalidating more than needed is legal, and
//! granting more needs no invalidation.
//!
//! Not checked here: in which order entries change (`entries`, `isolation`).

use crate::base::{Page, PhysAddr};
use crate::conformance::breach::{Breach, Check};
use crate::conformance::flat::{Flat, Place};
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
    withdrawn(scene, &[&scene.flat])
}

/// What some processor may still use or reach, and none of these grants.
fn withdrawn(scene: &Scene, granted: &[&Flat]) -> Option<Breach> {
    let (held, format, occasion) = (&scene.may_hold, scene.format, "returns");
    if let Some((leaf, page)) = held.ungranted(format, granted) {
        return Some(stale(format, occasion, leaf, page, scene.flat.get(page)));
    }
    let word_at = |at| scene.word(at);
    let (way, leaf, page) = held.ungranted_behind(format, &word_at, granted)?;
    Some(reachable(format, occasion, way, &leaf, page, scene.flat.get(page)))
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
    withdrawn(scene, &[&scene.flat, &before, &requested])
}

/// A page that some processor may still use as it was; `now`: where the tables lead.
pub(crate) fn stale(
    format: &dyn Format,
    occasion: &str,
    held: &Member<Leaf>,
    page: Page,
    now: Option<Place>,
) -> Breach {
    usable(format, occasion, ["", ""], &held.what, (page, now), &missing(format, held))
}

/// The same of a page in a table that some processor may still walk.
pub(crate) fn reachable(
    format: &dyn Format,
    occasion: &str,
    held: &Member<TableUse>,
    leaf: &Leaf,
    page: Page,
    now: Option<Place>,
) -> Breach {
    let table = held.what.frame.start().raw();
    let by = format!(", by walking the table at {table:#x} as it was named");
    usable(format, occasion, [" through a table", &by], leaf, (page, now), &missing(format, held))
}

fn usable(
    format: &dyn Format,
    occasion: &str,
    [how, by]: [&str; 2],
    leaf: &Leaf,
    (page, now): (Page, Option<Place>),
    missing: &str,
) -> Breach {
    let told = match now {
        None => "now leads nowhere".to_owned(),
        Some((frame, rights)) => format!("now leads to {:#x}, {rights}", frame.start().raw()),
    };
    let was = leaf.page.plus(page.start().0.wrapping_sub(leaf.first.0));
    let what = format!(
        "{occasion} while a processor may still use {} as {:#x}, {}, of a {} page{by}; it {told}{missing}",
        page.start(),
        was.raw(),
        leaf.rights,
        size_name(leaf.size),
    );
    let is_moved = now.is_some_and(|(to, _)| to != was.frame());
    let kind = match now {
        None => "unmapped page stays reachable",
        Some(_) if is_moved => "remapped page leads to its old frame",
        Some(_) => "withdrawn right stays usable",
    };
    let rule = format.rule(Rule::Invalidation);
    let virt = Some(page.start());
    Breach { check: Check::Invalidation, kind: format!("{kind}{how}"), what, virt, rule }
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
