//! Which withdrawn translations could a processor still use, in any format?
//!
//! The same set as [`crate::machine::tlb::MayHold`], for tables of any format and any number of
//! processors and address spaces: everything that was valid at any instant since an invalidation
//! covered it and that the tables no longer grant. Where the architecture wants barriers, an
//! invalidation counts only if a barrier before it made the store visible, and from the barrier on
//! that completes it.

mod members;
mod processors;
mod ways;

pub(crate) use members::{Holders, Member, Members, Notice, Parts, Space, Spanning, Stamp};
pub(crate) use processors::{PROCESSORS_MAX, Processors};
pub(crate) use ways::overwritten;

use std::collections::BTreeSet;

use super::flat::Flat;
use super::format::{Format, Met, WaysForgotten, covers};
use super::memory::{Barrier, Invalidation};
use super::tables::{Leaf, Listing, TableUse, level_of, span_of};
use crate::base::{Frame, Page, VirtAddr};

impl Spanning for Leaf {
    fn first(&self) -> VirtAddr {
        self.first
    }
    fn bytes(&self) -> u64 {
        self.size.bytes()
    }
}

impl Spanning for TableUse {
    fn first(&self) -> VirtAddr {
        self.first
    }
    fn bytes(&self) -> u64 {
        span_of(self.level)
    }
}

/// What a processor may still remember and what it meets in its place.
pub(crate) struct Meeting {
    pub(crate) virt: VirtAddr,
    pub(crate) was: Met,
    pub(crate) is: Met,
    /// Why they must not meet.
    pub(crate) why: &'static str,
    /// What the break still wants.
    pub(crate) missing: &'static str,
    /// The store that broke.
    pub(crate) stored: Stamp,
}

#[derive(Clone, Default)]
pub(crate) struct MayHold {
    pub(crate) leaves: Members<Leaf>,
    pub(crate) ways: Members<TableUse>,
    /// Invalidations count only between barriers.
    pub(crate) waits: bool,
    /// Tables that were given back while a way to them was held: that was wrong then, and what they hold since
    /// is somebody else's.
    given_back: BTreeSet<Frame>,
}

/// The suite knows one address space, and nothing of single processors.
const SPACE: Space = 0;
const PROCESSOR: u16 = 0;

impl MayHold {
    /// Takes in what the tables granted and no longer do.
    pub(crate) fn change(&mut self, format: &dyn Format, before: &Listing, after: &Listing) {
        let (entry, none) = (Processors::one(PROCESSOR), Processors::NONE);
        let holders = Holders { entry, combined: none, dormant: none };
        let mut now = after.leaves.iter().peekable();
        for leaf in &before.leaves {
            while now.next_if(|other| other.first < leaf.first).is_some() {}
            let is_granted = now.peek().is_some_and(|other| grants(format, other, leaf));
            if !is_granted {
                self.leaves.insert(SPACE, *leaf, Stamp::default(), !self.waits, holders);
            }
        }
        for table in &before.tables {
            if !after.tables.contains(table) {
                self.given_back.remove(&table.frame);
                self.ways.insert(SPACE, *table, Stamp::default(), !self.waits, holders);
            }
        }
    }

    pub(crate) fn invalidate(&mut self, format: &dyn Format, what: Invalidation) {
        let (by, whom) = (PROCESSOR, Processors::one(PROCESSOR));
        let notice = Notice { by, whom, parts: Parts::BOTH };
        match what {
            Invalidation::All => {
                self.tell(notice, None, &|_, _, _| true, Some(WaysForgotten::All));
            }
            Invalidation::Space => {
                self.tell(notice, None, &|_, global, _| !global, Some(WaysForgotten::All));
            }
            Invalidation::LastLevel(virt) => {
                self.tell(notice, Some((virt, 1)), &|_, _, _| true, None);
            }
            Invalidation::Page(virt) => {
                let ways = Some(format.ways_forgotten());
                self.tell(notice, Some((virt, 1)), &|_, _, _| true, ways);
            }
        }
    }

    /// Somebody is told to forget translations of `range`, or all, and ways to tables as `ways` says.
    /// `is_meant` decides by space, whether it is global, and the level of a leaf.
    pub(crate) fn tell(
        &mut self,
        notice: Notice,
        range: Option<(VirtAddr, u64)>,
        is_meant: &dyn Fn(Space, bool, Option<u8>) -> bool,
        ways: Option<WaysForgotten>,
    ) {
        let waits = self.waits;
        let leaf = |space, leaf: &Leaf| is_meant(space, leaf.global, Some(level_of(leaf.size)));
        self.leaves.tell(notice, range, &leaf, waits);
        let way = |space, _: &TableUse| is_meant(space, false, None);
        match ways {
            None => {}
            Some(WaysForgotten::All) => self.ways.tell(notice, None, &way, waits),
            Some(WaysForgotten::OfAddress) => self.ways.tell(notice, range, &way, waits),
        }
    }

    /// One processor waits at a barrier.
    pub(crate) fn barrier(&mut self, barrier: Barrier) {
        if barrier != Barrier::Order {
            self.show(&|_| true, Processors::ALL);
        }
        if barrier == Barrier::All {
            self.complete(PROCESSOR, Processors::ALL);
        }
    }

    pub(crate) fn show(&mut self, is_known: &dyn Fn(Stamp) -> bool, whom: Processors) {
        self.leaves.show(is_known, whom);
        self.ways.show(is_known, whom);
    }

    pub(crate) fn complete(&mut self, by: u16, whom: Processors) {
        self.leaves.complete(by, whom);
        self.ways.complete(by, whom);
    }

    pub(crate) fn clear(&mut self) {
        self.leaves.clear();
        self.ways.clear();
        self.given_back.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leaves.is_empty() && self.ways.is_empty()
    }

    /// A translation that some processor may still use and none of these grants, with its page.
    pub(crate) fn ungranted(
        &self,
        format: &dyn Format,
        granted: &[&Flat],
    ) -> Option<(&Member<Leaf>, Page)> {
        self.leaves
            .iter()
            .find_map(|(_, member)| Some((member, ungranted_page(format, &member.what, granted)?)))
    }

    /// Ways to tables that some processor may still take and the tables do not name.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &TableUse> {
        self.ways.iter().map(|(_, member)| &member.what)
    }

    /// A way to the table in `frame` that some processor may still take.
    pub(crate) fn way_to(&self, frame: Frame) -> Option<&Member<TableUse>> {
        self.ways.iter().map(|(_, member)| member).find(|member| member.what.frame == frame)
    }

    /// Drops what is granted again.
    pub(crate) fn settle(&mut self, now: &Listing) {
        self.ways.retain(|_, way| !now.tables.contains(&way.what));
    }

    /// What is met in `now` and not in `before`, while what it replaces may still be held.
    pub(crate) fn meeting(
        &self,
        format: &dyn Format,
        before: &Listing,
        now: &Listing,
    ) -> Option<Meeting> {
        if self.is_empty() || !format.has_barriers() {
            return None;
        }
        let tables = now.tables.iter().filter(|table| !before.tables.contains(table));
        let of_tables = tables.filter_map(|table| {
            self.meets(format, SPACE, table.first, table.bytes(), met_table(format, table))
        });
        let mut old = before.leaves.iter().peekable();
        let leaves = now.leaves.iter().filter(|leaf| {
            while old.next_if(|other| other.first < leaf.first).is_some() {}
            old.peek().is_none_or(|other| other != leaf)
        });
        let of_leaves = leaves
            .filter_map(|leaf| self.meets(format, SPACE, leaf.first, leaf.bytes(), met_leaf(leaf)));
        of_tables.chain(of_leaves).next()
    }

    /// Whether an entry for this range meets what some processor may still hold in its place.
    pub(crate) fn meets(
        &self,
        format: &dyn Format,
        space: Space,
        first: VirtAddr,
        bytes: u64,
        is: Met,
    ) -> Option<Meeting> {
        let leaves = self.leaves.overlapping(space, first, bytes);
        let leaves = leaves
            .map(|held| (held.what.first, met_leaf(&held.what), (held.missing(), held.stored)));
        let ways = self.ways.overlapping(space, first, bytes);
        let ways = ways.filter(|held| held.what.first == first);
        let ways =
            ways.map(|held| (first, met_table(format, &held.what), (held.missing(), held.stored)));
        leaves.chain(ways).find_map(|(start, was, (missing, stored))| {
            let why = format.conflict(was, is)?;
            Some(Meeting { virt: first.max(start), was, is, why, missing, stored })
        })
    }
}

/// The first page of a leaf that none of these grants as it does.
fn ungranted_page(format: &dyn Format, leaf: &Leaf, granted: &[&Flat]) -> Option<Page> {
    let (first, pages) = (leaf.first.page(), leaf.size.frames());
    let borders = granted.iter().flat_map(|flat| flat.borders());
    let inside = borders.filter(|page| page.0.wrapping_sub(first.0) < pages);
    core::iter::once(first).chain(inside).find(|page| {
        let frame = Frame(leaf.page.frame().0 + (page.0 - first.0));
        let grants = |flat: &&Flat| {
            flat.get(*page)
                .is_some_and(|(to, rights)| to == frame && covers(format, rights, leaf.rights))
        };
        !granted.iter().any(grants)
    })
}

/// Whether the tables with `now` in them still grant `leaf`.
pub(crate) fn grants(format: &dyn Format, now: &Leaf, leaf: &Leaf) -> bool {
    now.first == leaf.first
        && now.size == leaf.size
        && now.page == leaf.page
        && covers(format, now.rights, leaf.rights)
}

pub(crate) fn met_leaf(leaf: &Leaf) -> Met {
    Met { level: level_of(leaf.size), bits: leaf.bits }
}

/// The entry that names a table, as far as the table itself tells.
pub(crate) fn met_table(format: &dyn Format, table: &TableUse) -> Met {
    Met { level: table.level + 1, bits: format.table(table.frame.start()) }
}
