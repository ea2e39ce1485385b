//! What a processor remembers under an identifier that it has left, and uses when that is current again.
//!
//! Intel SDM volume 3A, "Process-Context Identifiers (PCIDs)": a processor uses cached information of the current PCID
//! only. So nobody has to forget at once what is remembered under another one: before that is current again, or
//! while a move to CR3 makes it so. Where invalidations are told to all processors and wait for barriers, a
//! processor that left counts as one that is there.

use super::checker::Checker;
use super::spaces::AddressSpace;
use crate::conformance::checks::invalidation;
use crate::conformance::format::regime::Root;
use crate::conformance::may_hold::{Holders, Member, Processors, Space, Stamp};
use crate::conformance::tables::{Leaf, TableUse};

const COMES_BACK: &str = "comes back to the identifier";
const COMES_BACK_TO_TABLE: &str = "comes back to the identifier of";

impl Checker {
    /// The processors that use what they remember under the identifier of a space.
    fn attending(&self, held: &AddressSpace) -> Processors {
        if self.may_hold.waits {
            return Processors::ALL;
        }
        let is_alike = |other: &&AddressSpace| other.slot == held.slot && other.tag == held.tag;
        let alike = self.spaces.iter().map(|(_, other)| other).filter(is_alike);
        alike.fold(Processors::NONE, |all, other| all.and(other.loaded))
    }

    /// Who may hold what is withdrawn from a space.
    pub(super) fn holders(&self, held: &AddressSpace, is_global: bool) -> Holders {
        // To some everybody's global leaf is one of the space alone.
        let common =
            if is_global { self.seen.without(self.without_globals) } else { Processors::NONE };
        let all = held.active.and(common);
        let entry = all.within(self.attending(held).and(common));
        let combined = if held.is_combined { entry } else { Processors::NONE };
        Holders { entry, combined, dormant: all.without(entry) }
    }

    /// A processor has this identifier from now on: what it remembers under it must be granted, as far as
    /// whoever withdrew it has said that it is.
    pub(super) fn attend(&mut self, root: &Root) {
        if self.may_hold.waits || self.may_hold.is_empty() {
            return;
        }
        let by = self.now.by;
        let spaces = &self.spaces;
        let is_current = |space: Space| {
            let alike = |held: &AddressSpace| held.slot == root.slot && held.tag == root.tag;
            spaces.get(space).is_some_and(alike)
        };
        let heeds_global = !self.without_globals.has(by);
        let is_common = |leaf: &Leaf| leaf.global && heeds_global;
        let leaves = self.may_hold.leaves.attend(by, &is_current, &is_common);
        let ways = self.may_hold.ways.attend(by, &is_current, &|_| false);
        self.judge_woken_leaves(&leaves);
        self.judge_woken_ways(&ways);
    }

    /// The operation of this store has returned since.
    fn has_returned(&self, stored: Stamp) -> bool {
        self.returned.get(&stored.by).is_some_and(|returned| *returned > stored.time)
    }

    fn judge_woken_leaves(&mut self, woken: &[(Space, Member<Leaf>)]) {
        let binds = |held: &Member<Leaf>| held.is_reused || self.has_returned(held.stored);
        let bound: Vec<_> = woken.iter().filter(|(_, held)| binds(held)).collect();
        let found = bound.iter().find_map(|(space, held)| {
            self.stale_within(*space, held, held.what.size.bytes(), COMES_BACK)
        });
        let Some((breach, since, name)) = found else { return };
        self.report(breach, None, Some(since), Some(name));
        // Told once.
        let is_told = |space: Space, held: &Member<Leaf>| {
            bound.iter().any(|(of, woken)| *of == space && woken.what == held.what)
        };
        self.may_hold.leaves.retain(|space, held| !is_told(space, held));
    }

    fn judge_woken_ways(&mut self, woken: &[(Space, Member<TableUse>)]) {
        let is_told =
            |(space, held): &&(Space, Member<TableUse>)| self.told.contains(&(*space, held.what));
        let reused = woken.iter().filter(|way| !is_told(way)).find(|(_, held)| held.is_reused);
        if let Some((space, held)) = reused
            && let Some(format) =
                self.spaces.get(*space).map(|held| std::rc::Rc::clone(&held.format))
        {
            let breach = invalidation::walked(&*format, COMES_BACK_TO_TABLE, held);
            self.told.insert((*space, held.what));
            self.report(breach, None, Some(held.stored), Some(format.name()));
            return;
        }
        let bound: Vec<Stamp> = woken
            .iter()
            .map(|(_, held)| held.stored)
            .filter(|stored| self.has_returned(*stored))
            .collect();
        if !bound.is_empty() {
            self.judge_behind(COMES_BACK, &|stored| bound.contains(&stored), None);
        }
    }
}
