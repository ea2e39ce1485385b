//! What is still to be reached by ways to tables that were withdrawn.
//!
//! A processor that remembers the entry which named a table goes on walking it: what the table holds is in use for as
//! long as the way is held, whatever was forgotten of the leaves. Who tells it to forget leaves alone (a TLBI of the
//! last level) has told too little.
//!
//! Arm ARM, "TLB maintenance instructions": those whose names have an L are for entries of the last level of a walk.

use super::{Holders, MayHold, Member, Space, Stamp, grants, ungranted_page};
use crate::base::{Frame, Page, PhysAddr};
use crate::conformance::flat::Flat;
use crate::conformance::format::Format;
use crate::conformance::tables::{Leaf, TableUse, leaf_in, leaves_in};

impl MayHold {
    /// A frame is no table of its owner any more.
    pub(crate) fn give_back(&mut self, frame: Frame) {
        if self.way_to(frame).is_some() {
            self.given_back.insert(frame);
        }
    }

    /// An entry of a table is overwritten. `removed` says which leaf it was on a way, and is none any more: until
    /// now it was in use on those that are held. What an invalidation that is under way was told after is not.
    pub(crate) fn overwrite(
        &mut self,
        frame: Frame,
        stored: Stamp,
        removed: &dyn Fn(Space, &TableUse) -> Option<Leaf>,
    ) {
        if self.ways.is_empty() || self.given_back.contains(&frame) {
            return;
        }
        let held = self.ways.all().filter(|(_, way)| way.what.frame == frame && !way.is_told());
        let leaves: Vec<(Space, Leaf, Holders)> = held
            .filter_map(|(space, way)| Some((space, removed(space, &way.what)?, way.holders())))
            .collect();
        let is_visible = !self.waits;
        for (space, leaf, holders) in leaves {
            self.leaves.insert(space, leaf, stored, is_visible, holders);
        }
    }

    /// A leaf behind a way that some processor may still take, and its page that none of these grants like that.
    pub(crate) fn ungranted_behind(
        &self,
        format: &dyn Format,
        word_at: &dyn Fn(PhysAddr) -> u64,
        granted: &[&Flat],
    ) -> Option<(&Member<TableUse>, Leaf, Page)> {
        let is_kept = |way: &&Member<TableUse>| !self.given_back.contains(&way.what.frame);
        self.ways.iter().map(|(_, way)| way).filter(is_kept).find_map(|way| {
            let mut leaves = leaves_in(format, &way.what, word_at);
            leaves.find_map(|leaf| Some((way, leaf, ungranted_page(format, &leaf, granted)?)))
        })
    }
}

/// The leaf that an entry was on one way to its table and that its new bits do not grant.
pub(crate) fn overwritten(
    format: &dyn Format,
    table: &TableUse,
    at: PhysAddr,
    [old, new]: [u64; 2],
) -> Option<Leaf> {
    let index = at.offset() / 8;
    let was =
        (index < format.entries(table.level)).then(|| leaf_in(format, table, index, old))??;
    let is = leaf_in(format, table, index, new);
    (!is.is_some_and(|is| grants(format, &is, &was))).then_some(was)
}
