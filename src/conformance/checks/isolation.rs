//! Pages outside the request are unchanged, at every instant, and no right ever grows.
//!
//! What was asked for can be done right and a neighbour be lost: a large page that is split, a table
//! that is shared, a limit in an upper entry that is loosened. Between two stores a page of the
//! request may lead where it led, where it is to lead, or nowhere; a page outside may lead where it
//! led or nowhere, since a large page may have to be broken before it is made anew. It may grant less
//! than it did, or than it is to, as long as it leads there: rights are changed bit by bit or entry by
//! entry, and whoever meets too few meets a page fault, as he does when it leads nowhere. But what it
//! did and what it is to must not be granted at once: a page that was writable and becomes executable
//! is never both.
//!
//! Not checked here: whether the request was done (`request`).

use std::collections::BTreeMap;

use crate::base::{Page, PhysAddr, VirtAddr};
use crate::conformance::breach::{AN_INSTANT, Breach, Check, SEEN_IN_HALVES, TO_THE_END};
use crate::conformance::flat::{Flat, Place};
use crate::conformance::format::{Format, Rule, covers};
use crate::conformance::memory::{Event, StoreKind};
use crate::conformance::scene::Scene;

pub(crate) fn told(place: Option<Place>) -> String {
    match place {
        None => "nowhere".to_owned(),
        Some((frame, rights)) => format!("to {:#x}, {rights}", frame.start().raw()),
    }
}

fn kind_of(format: &dyn Format, before: Option<Place>, now: Option<Place>) -> &'static str {
    match (before, now) {
        (_, None) => "is lost",
        (None, Some(_)) => "appears",
        (Some((was, _)), Some((is, _))) if was != is => "leads elsewhere",
        (Some((_, had)), Some((_, has))) if covers(format, had, has) => "loses rights",
        (Some(_), Some(_)) => "gains rights",
    }
}

/// Whether a page may lead there between two stores.
fn is_granted(scene: &Scene, page: Page, place: Place) -> bool {
    [&scene.before, &scene.requested].into_iter().any(|flat| {
        flat.get(page)
            .is_some_and(|granted| granted.0 == place.0 && covers(scene.format, granted.1, place.1))
    })
}

/// Between two stores.
pub(crate) fn meanwhile(scene: &Scene, now: &Flat) -> Option<Breach> {
    let mut borders: Vec<Page> =
        now.borders().chain(scene.before.borders()).chain(scene.requested.borders()).collect();
    borders.sort_unstable();
    borders.dedup();
    let is_wrong = |page| now.get(page).is_some_and(|place| !is_granted(scene, page, place));
    let wrong = borders.into_iter().find(|&page| is_wrong(page))?;
    let (before, place) = (scene.before.get(wrong), now.get(wrong));
    let what = format!(
        "lets {} lead {} {AN_INSTANT}; before the call it led {}, afterwards it is to lead {}",
        wrong.start(),
        told(place),
        told(before),
        told(scene.requested.get(wrong)),
    );
    let kind = format!("{AN_INSTANT} a page {}", kind_of(scene.format, before, place));
    let rule = scene.format.rule(Rule::Order);
    Some(Breach { virt: Some(wrong.start()), ..scene.breach(Check::Isolation, kind, what, rule) })
}

/// Whether what was seen between two stores has become another wrong, or the same, by now.
pub(crate) fn is_wrong_still(scene: &Scene, breach: &Breach) -> bool {
    let page = breach.virt.filter(|_| breach.kind.starts_with(AN_INSTANT)).map(VirtAddr::page);
    page.is_some_and(|page| {
        scene.flat.get(page).is_some_and(|place| !is_granted(scene, page, place))
    })
}

/// The same as it is told when the call has ended and it is wrong still.
pub(crate) fn lasting(breach: Breach) -> Breach {
    let what = breach.what.replacen(AN_INSTANT, TO_THE_END, 1);
    let kind = breach.kind.trim_start_matches(AN_INSTANT).trim_start();
    Breach { kind: format!("{kind} {TO_THE_END}"), what, ..breach }
}

/// Within a store that a compiler may tear.
pub(crate) fn torn(
    scene: &mut Scene,
    at: PhysAddr,
    old: u64,
    new: u64,
    breaches: &mut Vec<Breach>,
) {
    const LOW: u64 = 0xffff_ffff;
    if scene.relaxed.altered || scene.relaxed.dropping || scene.listing.use_of(at.frame()).is_none()
    {
        return;
    }
    for half in [old & !LOW | new & LOW, old & LOW | new & !LOW] {
        if half == old || half == new {
            continue;
        }
        let flat = scene.flat_with(at, half);
        if let Some(breach) = meanwhile(scene, &flat) {
            let kind = SEEN_IN_HALVES.to_owned();
            let what = format!("stores {new:#x} by an ordinary assignment, and {}", breach.what);
            breaches.push(Breach { kind, what, ..breach });
            return;
        }
    }
}

/// When the call has returned: the first page outside the request that is not as before.
pub(crate) fn returned(scene: &Scene) -> Option<Breach> {
    let mut borders: Vec<Page> = scene.flat.borders().chain(scene.before.borders()).collect();
    borders.push(Page(scene.region.first.0.wrapping_add(scene.region.pages)));
    borders.sort_unstable();
    let wrong = borders.into_iter().find(|&page| {
        !scene.region.holds(page) && scene.flat.get(page) != scene.before.get(page)
    })?;
    let (before, now) = (scene.before.get(wrong), scene.flat.get(wrong));
    let what = format!(
        "changes {}, outside of the request: it led {} and now leads {}",
        wrong.start(),
        told(before),
        told(now)
    );
    let kind = format!("a page outside {}", kind_of(scene.format, before, now));
    let rule = scene.format.rule(Rule::Translation);
    Some(Breach { virt: Some(wrong.start()), ..scene.breach(Check::Isolation, kind, what, rule) })
}

/// A leaf outside the request whose entry was rewritten with other bits: memory type, global, what
/// belongs to software. Accessed and dirty flags don't count.
pub(crate) fn rewritten(scene: &Scene, events: &[Event]) -> Option<Breach> {
    // A call may store thousands of entries, with as many leaves.
    let mut leaves = BTreeMap::new();
    for leaf in &scene.listing.leaves {
        leaves.entry(leaf.at).or_insert(leaf);
    }
    events.iter().find_map(|event| {
        let Event::Store { at, old, kind, .. } = *event else { return None };
        if kind == StoreKind::Hardware {
            return None;
        }
        let leaf = leaves.get(&at)?;
        if scene.region.holds(leaf.first.page())
            || scene.region.holds(Page(leaf.first.page().0 + leaf.size.frames() - 1))
        {
            return None;
        }
        let way = scene.listing.use_of(at.frame())?;
        let format = scene.format;
        let new = scene.word(at);
        let same = format.marked(way.level, old, true) == format.marked(way.level, new, true);
        let was_there = format.decode(way.level, old) == format.decode(way.level, new);
        if same || !was_there {
            return None;
        }
        let what = format!(
            "rewrites the entry of {}, outside of the request: {} becomes {}",
            leaf.first,
            format.describe(way.level, old),
            format.describe(way.level, new)
        );
        let rule = format.rule(Rule::Translation);
        let kind = "an entry outside gets other bits";
        let virt = Some(leaf.first);
        Some(Breach { virt, ..scene.breach(Check::Isolation, kind, what, rule) })
    })
}
