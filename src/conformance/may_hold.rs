//! Which withdrawn translations could a processor still use, in any format?
//!
//! The same set as [`crate::machine::tlb::MayHold`], for tables of any format: everything that was
//! valid at any instant since an invalidation covered it and that the tables no longer grant.

use super::flat::Flat;
use super::format::{Format, WaysForgotten};
use super::memory::Invalidation;
use super::tables::{Leaf, Listing, TableUse, span_of};
use crate::base::{Frame, Page, VirtAddr};

#[derive(Clone, Default)]
pub(crate) struct MayHold {
    leaves: Vec<Leaf>,
    ways: Vec<TableUse>,
}

const fn covers(first: VirtAddr, bytes: u64, virt: VirtAddr) -> bool {
    virt.0.wrapping_sub(first.0) < bytes
}

impl MayHold {
    /// Takes in what the tables granted and no longer do.
    pub(crate) fn change(&mut self, before: &Listing, after: &Listing) {
        let mut now = after.leaves.iter().peekable();
        for leaf in &before.leaves {
            while now.next_if(|other| other.first < leaf.first).is_some() {}
            let is_granted = now.peek().is_some_and(|other| {
                other.first == leaf.first
                    && other.size == leaf.size
                    && other.page == leaf.page
                    && other.rights.has(leaf.rights)
            });
            if !is_granted && !self.leaves.contains(leaf) {
                self.leaves.push(*leaf);
            }
        }
        for table in &before.tables {
            if !after.tables.contains(table) && !self.ways.contains(table) {
                self.ways.push(*table);
            }
        }
    }

    pub(crate) fn invalidate(&mut self, format: &dyn Format, what: Invalidation) {
        match what {
            Invalidation::All => self.clear(),
            Invalidation::Space => {
                self.leaves.retain(|leaf| leaf.global);
                self.ways.clear();
            }
            Invalidation::LastLevel(virt) => {
                self.leaves.retain(|leaf| !covers(leaf.first, leaf.size.bytes(), virt));
            }
            Invalidation::Page(virt) => {
                self.leaves.retain(|leaf| !covers(leaf.first, leaf.size.bytes(), virt));
                self.ways.retain(|way| {
                    format.ways_forgotten() == WaysForgotten::OfAddress
                        && !covers(way.first, span_of(way.level), virt)
                });
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.leaves.clear();
        self.ways.clear();
    }

    /// A translation that some processor may still use and the tables do not grant, with its page.
    pub(crate) fn ungranted(&self, granted: &Flat) -> Option<(&Leaf, Page)> {
        self.ungranted_by(&[granted])
    }

    /// A translation that some processor may still use and none of these grants, with its page.
    pub(crate) fn ungranted_by(&self, granted: &[&Flat]) -> Option<(&Leaf, Page)> {
        self.leaves.iter().find_map(|leaf| {
            let (first, pages) = (leaf.first.page(), leaf.size.frames());
            let borders = granted.iter().flat_map(|flat| flat.borders());
            let inside = borders.filter(|page| page.0.wrapping_sub(first.0) < pages);
            core::iter::once(first).chain(inside).find_map(|page| {
                let frame = Frame(leaf.page.frame().0 + (page.0 - first.0));
                let grants = |flat: &&Flat| {
                    flat.get(page)
                        .is_some_and(|(to, rights)| to == frame && rights.has(leaf.rights))
                };
                (!granted.iter().any(grants)).then_some((leaf, page))
            })
        })
    }

    /// Ways to tables that some processor may still take and the tables do not name.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &TableUse> {
        self.ways.iter()
    }

    /// A way to the table in `frame` that some processor may still take.
    pub(crate) fn way_to(&self, frame: Frame) -> Option<&TableUse> {
        self.ways.iter().find(|way| way.frame == frame)
    }

    /// Drops what is granted again.
    pub(crate) fn settle(&mut self, now: &Listing) {
        self.ways.retain(|way| !now.tables.contains(way));
    }
}
