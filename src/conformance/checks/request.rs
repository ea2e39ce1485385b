//! What an operation reports as done is done, and what it refuses it refuses for a true reason.
//!
//! The flat reference model: a map of pages to which the same calls are applied. A refusal is judged
//! by what the processor finds, not by what the code believes: "not mapped" of a page that every
//! processor translates is false, and a page that can't be unmapped is a leak of access.
//!
//! Not checked here: pages outside the request (`isolation`).

use super::isolation::told;
use crate::base::{Page, PhysAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::flat::Flat;
use crate::conformance::operation::{Call, Region, size_name};
use crate::conformance::scene::Scene;
use crate::conformance::subject::{Mapping, Refusal};
use crate::conformance::tables::{Listing, level_of};
use crate::machine::paging::PageSize;

/// What a call answered when it was not refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Done,
    Unmapped(Option<PhysAddr>),
    Mapping(Option<Mapping>),
}

/// The model after the call.
pub(crate) fn requested(before: &Flat, call: &Call) -> Flat {
    let mut flat = before.clone();
    let region = call.region();
    let (first, pages) = (region.first, region.pages);
    match *call {
        Call::Map { to, rights, .. } | Call::MapRange { to, rights, .. } => {
            flat.insert(first, pages, to.frame(), rights);
        }
        Call::Unmap { .. } | Call::UnmapRange { .. } => flat.remove(first, pages),
        Call::Protect { rights, .. } | Call::ProtectRange { rights, .. } => {
            flat.protect(first, pages, rights);
        }
        Call::Query { .. } | Call::CleanUp | Call::Disturb { .. } => {}
    }
    flat
}

/// What the tables held when the call began.
pub(crate) struct Before<'a> {
    pub(crate) listing: &'a Listing,
    /// Pages that somebody made invalid while their bits were kept, where software may count them as taken.
    pub(crate) taken: &'a [Region],
}

impl Before<'_> {
    /// The sizes of the leaves in the region.
    fn sizes(&self, first: Page, pages: u64) -> impl Iterator<Item = (Page, PageSize)> + '_ {
        let leaves = self.listing.leaves.iter();
        leaves.map(|leaf| (leaf.first.page(), leaf.size)).filter(move |(start, size)| {
            start.0 < first.0.saturating_add(pages) && first.0 < start.0 + size.frames()
        })
    }

    fn is_taken(&self, region: &Region) -> bool {
        self.taken.iter().any(|taken| taken.meets(region))
    }

    fn has_leaf(&self, page: Page, size: PageSize) -> bool {
        self.sizes(page, 1).any(|found| found == (page, size))
    }
}

pub(crate) fn judge(
    scene: &Scene,
    call: &Call,
    outcome: &Result<Answer, Refusal>,
    before: &Before<'_>,
) -> Option<Breach> {
    match outcome {
        Ok(answer) => done(scene, call, answer, before),
        Err(refusal) => refused(scene, call, refusal, before).or_else(|| half_done(scene, call)),
    }
}

/// The first page of the region that is not as it should be.
fn wrong_page(scene: &Scene, wanted: &Flat) -> Option<Page> {
    let region = scene.region;
    let mut borders: Vec<Page> = scene.flat.borders().chain(wanted.borders()).collect();
    borders.push(region.first);
    borders.sort_unstable();
    borders.into_iter().find(|&page| region.holds(page) && scene.flat.get(page) != wanted.get(page))
}

fn done(scene: &Scene, call: &Call, answer: &Answer, before: &Before<'_>) -> Option<Breach> {
    let breach = |kind: String, what, virt| {
        Some(Breach { virt, ..scene.breach(Check::Request, kind, what, INTERFACE) })
    };
    if let Some(page) = wrong_page(scene, &scene.requested) {
        let (wanted, is) = (scene.requested.get(page), scene.flat.get(page));
        let what = format!(
            "reports that it is done, but {} leads {} instead of {}",
            page.start(),
            told(is),
            told(wanted)
        );
        let how = match (wanted, is) {
            (None, Some(_)) => "a page is left",
            (Some(_), None) => "a page is missing",
            (Some((wanted, _)), Some((is, _))) if wanted != is => "a page leads elsewhere",
            _ => "a page has other rights",
        };
        return breach(format!("{}: {how}", call.name()), what, Some(page.start()));
    }
    match (*call, answer) {
        (Call::Unmap { page, size }, Answer::Unmapped(Some(frame))) => {
            match scene.before.get(page.page()) {
                None => {
                    let what = format!(
                        "unmaps {page}, which leads nowhere, and returns {:#x}",
                        frame.raw()
                    );
                    breach("unmap of nothing succeeds".to_owned(), what, Some(page))
                }
                Some((was, _)) if was != frame.frame() && before.has_leaf(page.page(), size) => {
                    let what = format!(
                        "unmaps {page} and returns {:#x}; it led to {:#x}",
                        frame.raw(),
                        was.start().raw()
                    );
                    let kind = format!("unmap returns another frame, {}", size_name(size));
                    breach(kind, what, Some(page))
                }
                Some(_) => None,
            }
        }
        (Call::Protect { page, .. }, _) if scene.before.get(page.page()).is_none() => {
            let what = format!("gives rights to {page}, which leads nowhere, and reports success");
            breach("protect of nothing succeeds".to_owned(), what, Some(page))
        }
        _ => None,
    }
}

fn refused(scene: &Scene, call: &Call, refusal: &Refusal, before: &Before<'_>) -> Option<Breach> {
    let region = scene.region;
    let (first, pages) = (region.first, region.pages);
    let single = match *call {
        Call::Map { size, .. } | Call::Unmap { size, .. } | Call::Protect { size, .. } => {
            Some(size)
        }
        _ => None,
    };
    let is_any = scene.before.is_any_mapped(first, pages);
    // A large page that somebody hid may count as taken, as one that is there.
    let is_map = matches!(call, Call::Map { .. } | Call::MapRange { .. });
    let is_in_the_way = is_map && before.is_taken(&region);
    let is_true = match refusal {
        Refusal::OtherSize if is_in_the_way => true,
        Refusal::Declined(_) => true,
        Refusal::Unsupported => false,
        Refusal::OutOfFrames => scene.had_no_frame,
        // A table that translates nothing may lie where the leaf would have to be.
        Refusal::AlreadyMapped => {
            is_any || is_in_the_way || is_table_in_the_way(before, first, single)
        }
        Refusal::NotMapped => match single {
            Some(size) => !before.has_leaf(first, size),
            None => !scene.before.is_all_mapped(first, pages),
        },
        Refusal::OtherSize => match single {
            Some(size) => {
                before.sizes(first, pages).any(|(_, found)| found != size)
                    || is_table_in_the_way(before, first, single)
                    || (!is_any && !matches!(call, Call::Map { .. }))
            }
            None => before.sizes(first, pages).any(|(_, found)| found != PageSize::Kib4),
        },
    };
    if is_true || matches!(call, Call::Query { .. }) {
        return None;
    }
    let size = single.map_or("pages", size_name);
    let what = format!(
        "answers {} with \"{refusal}\", which is not so: {} leads {}{}",
        call.name(),
        first.start(),
        told(scene.before.get(first)),
        match before.sizes(first, 1).next() {
            Some((_, size)) => format!(" by a {} page", size_name(size)),
            None => String::new(),
        }
    );
    let kind = format!("{} {size}: false refusal, {refusal}", call.name());
    let virt = Some(first.start());
    Some(Breach { virt, ..scene.breach(Check::Request, kind, what, INTERFACE) })
}

fn is_table_in_the_way(before: &Before<'_>, first: Page, size: Option<PageSize>) -> bool {
    size.is_some_and(|size| {
        let below = level_of(size) - 1;
        let mut tables = before.listing.tables.iter();
        below > 0 && tables.any(|table| table.level == below && table.first.page() == first)
    })
}

/// A refused call changes nothing; a refused range may have been done in part, page by page.
fn half_done(scene: &Scene, call: &Call) -> Option<Breach> {
    let region = scene.region;
    let mut borders: Vec<Page> = scene
        .flat
        .borders()
        .chain(scene.before.borders())
        .chain(scene.requested.borders())
        .collect();
    borders.push(region.first);
    borders.sort_unstable();
    let is_legal = |page| {
        let now = scene.flat.get(page);
        now == scene.before.get(page) || (call.is_range() && now == scene.requested.get(page))
    };
    let page = borders.into_iter().find(|&page| region.holds(page) && !is_legal(page))?;
    let what = format!(
        "refuses, and has changed {}: it led {} and now leads {}",
        page.start(),
        told(scene.before.get(page)),
        told(scene.flat.get(page))
    );
    let kind = format!("{}: refused and changed all the same", call.name());
    let virt = Some(page.start());
    Some(Breach { virt, ..scene.breach(Check::Request, kind, what, INTERFACE) })
}
