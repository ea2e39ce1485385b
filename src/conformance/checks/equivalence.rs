//! A range is its pages, and map then unmap leaves everything else as it was.
//!
//! The model shows that a range which is done leads where its pages were to lead. What it does not
//! show: that the same pages one by one are accepted too and lead to the same, and that the entries of
//! others have the same bits after something was mapped and unmapped again. That holds for an entry of any
//! kind that no walk for the pages in question meets: for what is not valid too, which may be where somebody
//! finds a page again that is out of memory.
//!
//! Not checked here: tables that stay behind empty, or are gone, and entries *on the way* to the pages. Mapping
//! may widen what those allow, count in their ignored bits, or replace an empty table; none of that has to be
//! undone, and what it does to the pages of others is seen by [`isolation`](super::isolation). Nor frames that are held and linked
//! nowhere after it: code may keep some in store. Those that are lost show when the instance is dropped.

use std::collections::BTreeMap;

use crate::base::{FRAME_BYTES, PhysAddr, VirtAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::case::Case;
use crate::conformance::flat::Flat;
use crate::conformance::format::{Decoded, Format, shift};
use crate::conformance::operation::{Call, Region};
use crate::conformance::scene::Scene;
use crate::conformance::tables::{Leaf, TableUse, TableWords, level_of};
use crate::machine::paging::PageSize;

/// Pages of a range at most that are tried one by one; longer ones stay what they are.
const PAGES_MAX: u64 = 16;

/// The case with each short range as single pages; `None` when there is none, or something else decides
/// too.
pub(crate) fn in_singles(case: &Case) -> Option<Case> {
    let is_plain = |call: &Call| !matches!(call, Call::Disturb { .. });
    let is_short = |call: &Call| call.is_range() && call.region().pages <= PAGES_MAX;
    if case.fault.is_some() || !case.calls.iter().all(is_plain) || !case.calls.iter().any(is_short)
    {
        return None;
    }
    let mut calls = Vec::new();
    for call in &case.calls {
        let each = (0..call.region().pages).map(|page| page * FRAME_BYTES);
        let size = PageSize::Kib4;
        match *call {
            Call::MapRange { first, to, rights, .. } if is_short(call) => {
                calls.extend(each.map(|distance| {
                    let (page, to) = (first.plus(distance), to.plus(distance));
                    Call::Map { page, to, size, rights }
                }))
            }
            Call::UnmapRange { first, .. } if is_short(call) => {
                calls.extend(each.map(|distance| Call::Unmap { page: first.plus(distance), size }))
            }
            Call::ProtectRange { first, rights, .. } if is_short(call) => {
                calls.extend(each.map(|distance| Call::Protect {
                    page: first.plus(distance),
                    size,
                    rights,
                }))
            }
            other => calls.push(other),
        }
    }
    Some(Case { calls, fault: None })
}

/// Compares what the two led to.
pub(crate) fn differs(ranges: &Flat, singles: &Flat) -> Option<Breach> {
    let page = ranges.difference(singles)?;
    let what = format!(
        "makes {} lead {} by ranges and {} by the same pages one by one, and refuses no call",
        page.start(),
        super::isolation::told(ranges.get(page)),
        super::isolation::told(singles.get(page))
    );
    let kind = "a range is not its pages".to_owned();
    let virt = Some(page.start());
    Some(Breach { check: Check::Equivalence, kind, what, virt, rule: INTERFACE })
}

/// The entries of all leaves, without what hardware sets, each with the page that it is for.
fn entries(scene: &Scene) -> BTreeMap<PhysAddr, (VirtAddr, u64)> {
    let leaves = scene.listing.leaves.iter();
    leaves.map(|leaf| (leaf.at, (leaf.first, unmarked(scene, leaf)))).collect()
}

fn unmarked(scene: &Scene, leaf: &Leaf) -> u64 {
    scene.format.marked(level_of(leaf.size), scene.word(leaf.at), true)
}

/// What was mapped last, to be compared when it is unmapped next.
pub(crate) struct RoundTrip {
    pub(crate) region: Region,
    pub(crate) flat: Flat,
    entries: BTreeMap<PhysAddr, (VirtAddr, u64)>,
    tables: Vec<(TableUse, TableWords)>,
}

impl RoundTrip {
    /// What to compare with if the next call unmaps what this one maps.
    pub(crate) fn start(scene: &Scene, call: &Call) -> Option<Self> {
        let region = call.region();
        let is_map = matches!(call, Call::Map { .. } | Call::MapRange { .. });
        if !is_map || scene.flat.is_any_mapped(region.first, region.pages) {
            return None;
        }
        let tables = scene.listing.tables.iter();
        let tables = tables.filter_map(|table| Some((*table, scene.table(table.frame)?)));
        let (flat, tables) = (scene.flat.clone(), tables.collect());
        Some(Self { region, flat, entries: entries(scene), tables })
    }

    /// Whether a walk for a page of the region meets the entry.
    fn is_on_the_way(&self, format: &dyn Format, table: &TableUse, index: u64) -> bool {
        let first = format.first_of(table.level, table.first, index).page();
        let pages = (1 << shift(table.level)) / FRAME_BYTES;
        Region { first, pages }.meets(&self.region)
    }
}

pub(crate) fn restored(scene: &Scene, trip: &RoundTrip) -> Option<Breach> {
    if let Some(page) = trip.flat.difference(&scene.flat) {
        let what = format!(
            "changes {}, which led {} before it was mapped and unmapped, and leads {} now",
            page.start(),
            super::isolation::told(trip.flat.get(page)),
            super::isolation::told(scene.flat.get(page))
        );
        return Some(scene.breach(
            Check::Equivalence,
            "map then unmap changes a page",
            what,
            INTERFACE,
        ));
    }
    let now = entries(scene);
    let is_there = |at, was| now.get(at).is_some_and(|(_, word)| word == was);
    // Code may copy the tables on the way and link the copies: then the entry lies elsewhere.
    let is_elsewhere = |page, was| {
        let leaf = scene.listing.leaves.iter().find(|leaf| leaf.first == page);
        leaf.is_some_and(|leaf| unmarked(scene, leaf) == was)
    };
    let mut entries = trip.entries.iter();
    let changed =
        entries.find(|(at, (page, was))| !is_there(at, was) && !is_elsewhere(*page, *was));
    let Some((at, (_, was))) = changed else { return beside(scene, trip) };
    let what = format!(
        "changes the entry at {:#x}, which was {was:#x} before something else was mapped and unmapped, and is {}",
        at.raw(),
        now.get(at).map_or("no leaf any more".to_owned(), |(_, now)| format!("{now:#x}"))
    );
    let kind = "map then unmap changes an entry";
    Some(scene.breach(Check::Equivalence, kind, what, INTERFACE))
}

/// An entry that is no leaf, is not on the way, and is not what it was.
fn beside(scene: &Scene, trip: &RoundTrip) -> Option<Breach> {
    let is_still = |table: &TableUse| {
        let key = |table: &TableUse| (table.frame, table.level, table.first);
        scene.listing.tables.iter().any(|now| key(now) == key(table))
    };
    trip.tables.iter().find_map(|(table, words)| {
        let now = scene.table(table.frame)?;
        // On one of several ways to a table an entry may be what it is not on another.
        let ways = trip.tables.iter().filter(|(other, _)| other.frame == table.frame).count();
        if now == *words || ways > 1 || !is_still(table) {
            return None;
        }
        let pairs = (0..scene.format.entries(table.level)).zip(words.iter().zip(&now));
        let mut changed = pairs.filter(|(_, (was, is))| was != is);
        changed.find_map(|(index, (was, is))| {
            let at = table.frame.start().plus(8 * index);
            let is_judged =
                !trip.is_on_the_way(scene.format, table, index) && !scene.is_reserved(at);
            changed_beside(scene, table, at, *was, *is).filter(|_| is_judged)
        })
    })
}

fn changed_beside(
    scene: &Scene,
    table: &TableUse,
    at: PhysAddr,
    was: u64,
    is: u64,
) -> Option<Breach> {
    let format = scene.format;
    let kind = match (format.decode(table.level, was), format.decode(table.level, is)) {
        // Compared above, by what is not the hardware's to write.
        (Decoded::Leaf { .. }, _) | (_, Decoded::Leaf { .. }) => return None,
        (Decoded::Table { at: before, .. }, Decoded::Table { at: now, .. }) => {
            let marked = |word| format.marked(table.level, word, false);
            if before != now || marked(was) == marked(is) {
                return None;
            }
            "map then unmap changes the entry of a table elsewhere"
        }
        // An empty table goes or comes: had there been a leaf, that would be lost.
        (Decoded::Table { .. }, _) => return None,
        (_, Decoded::Table { .. }) if was == 0 => return None,
        _ => "map then unmap changes an entry that translates nothing",
    };
    let what = format!(
        "changes the entry at {:#x}, which was {was:#x} ({}) before pages elsewhere were mapped and \
         unmapped, and is {is:#x}",
        at.raw(),
        format.describe(table.level, was),
    );
    Some(scene.breach(Check::Equivalence, kind, what, INTERFACE))
}
