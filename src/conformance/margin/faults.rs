//! Whether a machine is in breach of the books, and whether a single fault would bring it there.

use crate::base::{Access, Frame, Page, Ring};
use crate::conformance::breach::{Breach, Check};
use crate::conformance::checks::{frames, invalidation, isolation};
use crate::conformance::flat::{Flat, Place};
use crate::conformance::format::{Format, covers};
use crate::conformance::memory::Event;
use crate::conformance::scene::Scene;

/// Where the books let pages lead: what any of these does.
pub(super) type Books<'a> = [&'a Flat];

/// Whether the books let a page lead there. Rights are compared by the accesses that they permit.
pub(super) fn grant(
    format: &dyn Format,
    books: &Books<'_>,
    page: Page,
    (frame, rights): Place,
) -> bool {
    books.iter().any(|flat| {
        flat.get(page)
            .is_some_and(|(granted, most)| granted == frame && covers(format, most, rights))
    })
}

/// What can be done there that the books don't permit: the gravest of it.
pub(super) fn verb(
    format: &dyn Format,
    books: &Books<'_>,
    page: Page,
    (frame, rights): Place,
) -> &'static str {
    let verbs =
        [(Access::Write, "write"), (Access::Execute, "execute from"), (Access::Read, "read")];
    let is_new = |access| {
        [Ring::User, Ring::Kernel].into_iter().any(|ring| {
            let is_permitted = |rights| format.permits(rights, access, ring);
            let is_in = |flat: &&Flat| {
                flat.get(page).is_some_and(|(granted, most)| granted == frame && is_permitted(most))
            };
            is_permitted(rights) && !books.iter().any(is_in)
        })
    };
    verbs.into_iter().find(|(access, _)| is_new(*access)).map_or("use", |(_, verb)| verb)
}

/// Whose a frame is now, to be told.
fn owner(scene: &Scene, books: &Books<'_>, frame: Frame) -> String {
    match books.iter().find_map(|flat| flat.page_of(frame)) {
        Some(page) => format!(", now owned by {}", page.start()),
        None if scene.is_owned(frame) => ", now a table".to_owned(),
        None => String::new(),
    }
}

/// The breach that the machine is in, by its state.
pub(super) fn breach(scene: &Scene, books: &Books<'_>) -> Option<String> {
    if let Some(breach) = frames::reachable(scene) {
        return Some(breach.what);
    }
    let mut borders: Vec<Page> = scene.flat.borders().collect();
    borders.extend(books.iter().flat_map(|flat| flat.borders()));
    borders.sort_unstable();
    for page in borders {
        if let Some(place) = scene.flat.get(page)
            && !grant(scene.format, books, page, place)
        {
            let owner = owner(scene, books, place.0);
            let told = isolation::told(Some(place));
            return Some(format!("the tables lead {} {told}{owner}", page.start()));
        }
    }
    if scene.relaxed.uninvalidated {
        return None;
    }
    let is_own = |frame| scene.is_owned(frame);
    if let Some(way) = scene.may_hold.ways().find(|way| !is_own(way.frame)) {
        let frame = way.frame.start().raw();
        let first = way.first;
        return Some(format!(
            "processor 1 may still walk {frame:#x}, no table any more, for {first}"
        ));
    }
    let (held, format) = (&scene.may_hold, scene.format);
    let leaf = held.ungranted(format, books).map(|(held, page)| (held.what, page));
    let (leaf, page) = leaf.or_else(|| {
        let word_at = |at| scene.word(at);
        let behind = held.ungranted_behind(format, &word_at, books);
        behind.map(|(_, leaf, page)| (leaf, page))
    })?;
    let frame = Frame(leaf.page.frame().0 + (page.0 - leaf.first.page().0));
    let verb = verb(format, books, page, (frame, leaf.rights));
    let (at, owner) = (frame.start().raw(), owner(scene, books, frame));
    Some(format!("processor 1 may still {verb} {at:#x} through {}{owner}", page.start()))
}

/// What an event by itself is a breach of: 4 in the definition.
pub(super) fn of_events(breaches: &[Breach]) -> Option<String> {
    let is_one = |breach: &&Breach| matches!(breach.check, Check::Stores | Check::Frames);
    breaches.iter().find(is_one).map(|breach| breach.what.clone())
}

/// What it would be a breach of if the call ended here for good.
pub(super) fn abandoned(scene: &Scene) -> Option<String> {
    let by_the_tables = invalidation::returned(scene);
    let outside =
        isolation::returned(scene).filter(|breach| breach.kind != "a page outside is lost");
    let first = by_the_tables.or_else(|| frames::reachable(scene)).or(outside)?;
    Some(first.what)
}

/// What it would be a breach of if the first of these events, an invalidation, reached nobody.
/// `books` are those of the return.
pub(super) fn lost(scene: &Scene, events: &[Event], books: &Books<'_>) -> Option<String> {
    let (Event::Invalidate { what, .. }, rest) = events.split_first()? else { return None };
    let mut scene = scene.clone();
    let mut breaches = scene.follow(&[Event::Invalidate { what: *what, is_lost: true }]);
    breaches.extend(scene.follow(rest));
    let freed = breaches.into_iter().find(|breach| breach.check == Check::Invalidation);
    freed.map(|breach| breach.what).or_else(|| breach(&scene, books))
}

/// What the call is a breach of as it is, when it frees a table or at its end.
pub(super) fn at_the_end(scene: &Scene, events: &[Event], books: &Books<'_>) -> Option<String> {
    let mut scene = scene.clone();
    let breaches = scene.follow(events);
    let freed = breaches.into_iter().find(|breach| breach.check == Check::Invalidation);
    freed.map(|breach| breach.what).or_else(|| breach(&scene, books))
}
