//! Every single flipped bit of every entry of the tables in use, judged by what the tables then grant.
//!
//! Each flip is judged by itself and as it is found by a walk: what processors remember does not change.

use std::collections::BTreeSet;

use super::faults::{Books, grant, verb};
use crate::base::{Frame, Page};
use crate::conformance::format::{Decoded, Format};
use crate::conformance::rights::Rights;
use crate::conformance::scene::Scene;
use crate::conformance::tables::TableUse;

/// Tables that are read behind one flipped entry at most: tables that name each other have no end.
const USES_MAX: u32 = 512;

/// How many flips breach, and the first of them.
#[derive(Clone, Default)]
pub(super) struct Flips {
    pub(super) count: u64,
    pub(super) witness: Option<String>,
}

/// Tries them all.
pub(super) fn all(scene: &Scene, books: &Books<'_>) -> Flips {
    let mut flips = Flips::default();
    let mut done = BTreeSet::new();
    for table in &scene.listing.tables {
        if !done.insert(table.frame) {
            continue;
        }
        let ways: Vec<&TableUse> =
            scene.listing.tables.iter().filter(|way| way.frame == table.frame).collect();
        for index in 0..scene.format.entries(table.level) {
            let at = table.frame.start().plus(8 * index);
            if scene.is_reserved(at) {
                continue;
            }
            let old = scene.word(at);
            for bit in 0..64 {
                let new = old ^ 1 << bit;
                let told = ways.iter().find_map(|way| {
                    let format = scene.format;
                    if format.decode(way.level, old) == format.decode(way.level, new) {
                        return None;
                    }
                    let mut left = USES_MAX;
                    through(scene, books, way, (index, new), &mut left)
                });
                let Some(told) = told else { continue };
                flips.count += 1;
                flips.witness.get_or_insert_with(|| {
                    format!(
                        "bit {bit} of the entry at {:#x}, level {}: {told}",
                        at.raw(),
                        table.level
                    )
                });
            }
        }
    }
    flips
}

/// What an entry of a table grants that the books don't.
fn through(
    scene: &Scene,
    books: &Books<'_>,
    way: &TableUse,
    (index, bits): (u64, u64),
    left: &mut u32,
) -> Option<String> {
    let format = scene.format;
    let first = format.first_of(way.level, way.first, index);
    match format.decode(way.level, bits) {
        Decoded::Invalid | Decoded::Malformed | Decoded::Inaccessible => None,
        Decoded::Leaf { page, size, permissions, .. } => {
            let rights = format.rights(permissions.within(way.limit));
            ungranted(format, books, (first.page(), size.frames()), page.frame(), rights)
        }
        Decoded::Table { at, .. } if scene.listing.use_of(at.frame()).is_none() => {
            Some(format!("{:#x}, no table in use, is walked for {first}", at.raw()))
        }
        Decoded::Table { at, limit } => {
            *left = left.checked_sub(1)?;
            let limit = way.limit.within(limit);
            let below = TableUse { frame: at.frame(), level: way.level - 1, first, limit };
            (0..format.entries(below.level)).find_map(|index| {
                let bits = scene.word(at.frame().start().plus(8 * index));
                through(scene, books, &below, (index, bits), left)
            })
        }
    }
}

/// The first of these pages that the books don't let lead there.
fn ungranted(
    format: &dyn Format,
    books: &Books<'_>,
    (first, pages): (Page, u64),
    frame: Frame,
    rights: Rights,
) -> Option<String> {
    let is_inside = |page: &Page| page.0.wrapping_sub(first.0) < pages;
    let borders = books.iter().filter(|_| pages > 1).flat_map(|flat| flat.borders());
    let mut pages = core::iter::once(first).chain(borders.filter(is_inside));
    let place = |page: Page| (Frame(frame.0 + (page.0 - first.0)), rights);
    let page = pages.find(|page| !grant(format, books, *page, place(*page)))?;
    let (at, verb) = (place(page).0.start().raw(), verb(format, books, page, place(page)));
    Some(format!("{} could {verb} {at:#x}", page.start()))
}
