//! Which translations could a processor still use?
//!
//! Every translation that was valid at any instant since the last invalidation that covers it,
//! while its root was loaded. A processor may use any of them: it may load translations early, keep
//! them long, and never has to (Intel SDM volume 3A, "Details of TLB Use", "Delayed Invalidation").
//! So a frame that is reused while one of them leads to it is in danger, whether or not the cache of
//! this run happens to hold it.
//!
//! What the loaded tables grant now is not stored: ask the tables. What they *withdrew* is.
//!
//! Left out on purpose: that a translation with accessed bit 0 was never remembered, since software
//! clears that bit too; and that a page made a user-mode page loses what SMEP and SMAP take from the
//! kernel.

mod collector;
mod index;
mod listing;
mod withdrawn;

pub use withdrawn::{Withdrawn, WithdrawnKind};

use self::collector::{Collector, still_grants};
use self::listing::{Listing, slot_of};
use super::invalidation::{Invalidation, RootLoad};
use crate::base::{Frame, Page, PhysAddr, TraceHash};
use crate::machine::paging::x86_64::{
    ControlFlags, Controls, Entry, Extent, Found, Level, Next, TableUse, leaves, lookup,
};
use crate::machine::paging::{PageSize, TableMemory};

/// Members that are kept. A kernel that forgets this many invalidations has shown its bug.
const MEMBERS_MAX: usize = 1 << 14;

/// Tables that may be read to find what one change withdraws.
const READS_MAX: usize = 1 << 12;

/// The withdrawn translations that one processor may still use.
#[derive(Clone, Debug, Default)]
pub struct MayHold {
    /// Sorted, without duplicates.
    members: Vec<Withdrawn>,
    /// The tables of the loaded root; follows from memory.
    loaded: Option<Listing>,
    /// Those of roots loaded before, as long as they are true.
    known: Vec<Listing>,
    incomplete: bool,
}

/// Roots whose tables stay listed. A world has fewer processes.
const KNOWN_MAX: usize = 16;

/// Memory as it was, or will be, at one entry.
struct Patched<'a, M> {
    memory: &'a M,
    at: PhysAddr,
    value: u64,
}

impl<M: TableMemory> TableMemory for Patched<'_, M> {
    #[inline(always)]
    fn entry(&self, at: PhysAddr) -> u64 {
        if at == self.at { self.value } else { self.memory.entry(at) }
    }

    #[inline(always)]
    fn are_eight_absent(&self, at: PhysAddr) -> bool {
        at.raw() / 64 != self.at.raw() / 64 && self.memory.are_eight_absent(at)
    }

    #[inline(always)]
    fn table(&self, at: PhysAddr) -> Option<&[u64; 512]> {
        if at.frame() == self.at.frame() { None } else { self.memory.table(at) }
    }
}

/// Keys change what an access may do, not what the tables say.
fn without_keys(controls: &Controls) -> Controls {
    Controls { pkru: 0, pkrs: 0, ..*controls }
}

impl MayHold {
    /// A processor that has just loaded the root in `controls` and remembers nothing else.
    #[must_use]
    pub fn new(memory: &impl TableMemory, controls: &Controls) -> Self {
        let mut new = Self::default();
        new.relist(memory, controls);
        new
    }

    /// The members, in order.
    #[must_use]
    pub fn members(&self) -> &[Withdrawn] {
        &self.members
    }

    /// The members that lead to `frame`.
    pub fn permits(&self, frame: Frame) -> impl Iterator<Item = &Withdrawn> {
        self.members.iter().filter(move |member| member.leads_to(frame))
    }

    /// Whether nothing was left out for lack of room. It may be false only for tables with
    /// thousands of withdrawn ranges or of ways to one table.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.incomplete
    }

    /// Whether `frame` holds a table of the loaded root, so that a store to it is a table store.
    #[must_use]
    #[inline]
    pub fn is_table(&self, frame: Frame) -> bool {
        self.loaded.as_ref().is_some_and(|listing| !listing.uses_of(frame).is_empty())
    }

    /// The entry at `at` changes from `old` to `new`: takes in what it granted and no longer does.
    /// Memory may hold either value by now. A store outside the tables costs next to nothing. Every
    /// store to a table of a root that was ever loaded must be told, whichever is loaded now.
    pub fn table_store(
        &mut self,
        memory: &impl TableMemory,
        controls: &Controls,
        at: PhysAddr,
        old: u64,
        new: u64,
    ) {
        if (old | new) & Entry::P == 0 {
            return;
        }
        let at = PhysAddr::truncated(at.raw() & !7);
        // Frames serve as tables and are reused as something else: then nobody's list has them.
        let is_listed = |listing: &Listing| !listing.uses_of(at.frame()).is_empty();
        if self.loaded.as_ref().is_some_and(|loaded| loaded.is_of(controls) && !is_listed(loaded))
            && !self.known.iter().any(is_listed)
        {
            return;
        }
        let before = Patched { memory, at, value: old };
        let after = Patched { memory, at, value: new };
        self.relist(&before, controls);
        let mut place = 0;
        while let Some(listing) = self.known.get_mut(place) {
            if listing.survives(at, old, new) {
                place += 1;
            } else {
                self.known.remove(place);
            }
        }
        let index = at.offset() / 8;
        let mut found = Collector::new(controls);
        for way in self.loaded.as_ref().map_or(&[][..], |listing| listing.uses_of(at.frame())) {
            let was = way.found(controls, index, Entry(old));
            let is = way.found(controls, index, Entry(new));
            match (was, is) {
                (Some(Found::Leaf { first, reach }), _) => found.leaf(&after, first, &reach),
                (Some(Found::Table(was)), Some(Found::Table(is)))
                    if was.at == is.at && is.rights.has(was.rights) => {}
                (Some(Found::Table(table)), _) => found.below(&before, &after, &table),
                (None, _) => {}
            }
        }
        self.take_in(found);
        if !self.loaded.as_mut().is_some_and(|listing| listing.survives(at, old, new)) {
            self.loaded = None;
            self.relist(&after, controls);
        }
    }

    /// MOV to CR3: the processor goes from the root in `before` to that in `after`. What the old
    /// root's tables grant now and the load does not invalidate becomes a member, since later
    /// changes to those tables are no longer followed.
    pub fn load_root(
        &mut self,
        memory: &impl TableMemory,
        before: &Controls,
        after: &Controls,
        load: RootLoad,
    ) {
        let invalidation = Invalidation::root_load(after, load);
        // Before its first load a processor has used no tables, whatever CR3 says.
        if self.loaded.is_some() && without_keys(before) != without_keys(after) {
            let only_global = invalidation == Some(Invalidation::Pcid { pcid: before.pcid() });
            self.freeze(memory, before, after, only_global);
        }
        if let Some(invalidation) = invalidation {
            self.invalidate(invalidation);
        }
        self.relist(memory, after);
        // What is tagged with this identifier and granted by its tables is no longer withdrawn.
        if after.flags.has(ControlFlags::PCIDE) {
            let loaded = &self.loaded;
            self.members.retain(|member| {
                let is_granted = match member.kind {
                    WithdrawnKind::Table(level) => {
                        loaded.as_ref().is_some_and(|listing| listing.index().holds(member, level))
                    }
                    WithdrawnKind::Leaf(size) => is_granted(memory, after, member, size),
                };
                member.pcid != after.pcid() || !is_granted
            });
        }
    }

    /// MOV to CR0 or CR4: the processor goes on with the same root under the controls `after`, which
    /// differ in bits that do not change what is reserved in an entry or what its bits permit.
    pub fn load_controls(
        &mut self,
        memory: &impl TableMemory,
        before: &Controls,
        after: &Controls,
    ) {
        if let Some(invalidation) = Invalidation::control_load(before, after) {
            self.invalidate(invalidation);
        }
        if self.loaded.is_some() {
            self.relist(memory, after);
        }
    }

    /// Whether there is a member that this makes it forget, or there may be one that was not followed.
    #[must_use]
    pub fn holds(&self, invalidation: Invalidation) -> bool {
        let is_covered = |member: &Withdrawn| match member.kind {
            WithdrawnKind::Table(_) => {
                invalidation.covers_table(member.first, member.pages, member.pcid)
            }
            WithdrawnKind::Leaf(_) => {
                invalidation.covers(member.first, member.pages, member.pcid, member.global)
            }
        };
        !self.is_complete() || self.members.iter().any(is_covered)
    }

    /// Forgets what must be forgotten.
    pub fn invalidate(&mut self, invalidation: Invalidation) {
        let mut parts = Vec::new();
        self.members.retain(|member| match member.kind {
            WithdrawnKind::Table(_) => {
                !invalidation.covers_table(member.first, member.pages, member.pcid)
            }
            WithdrawnKind::Leaf(size) => {
                let (pcid, global) = (member.pcid, member.global);
                let covered = invalidation.covers(member.first, member.pages, pcid, global);
                if let (true, Some(virt)) = (covered, invalidation.virt()) {
                    parts.extend(member.without(virt.page(), size).into_iter().flatten());
                }
                !covered
            }
        });
        for part in parts {
            self.insert(part);
        }
    }

    /// Forgets everything, global translations too.
    pub fn flush_all(&mut self) {
        self.members.clear();
    }

    /// Folds the members into a hash. The index follows from memory and is left out.
    pub fn absorb(&self, hash: &mut TraceHash) {
        hash.absorb(self.members.len() as u64, u64::from(self.incomplete));
        for member in &self.members {
            member.absorb(hash);
        }
    }

    /// Forgets what is known of the tables, after they were changed without a word.
    pub(crate) fn forget_tables(&mut self, memory: &impl TableMemory, controls: &Controls) {
        self.known.clear();
        if self.loaded.take().is_some() {
            self.relist(memory, controls);
        }
    }

    /// Makes sure that the loaded root's tables are listed.
    fn relist(&mut self, memory: &impl TableMemory, controls: &Controls) {
        if self.loaded.as_ref().is_some_and(|listing| listing.is_of(controls)) {
            return;
        }
        let known = self.known.iter().position(|listing| listing.is_of(controls));
        let listing = known
            .map_or_else(|| Listing::new(memory, controls), |place| self.known.swap_remove(place));
        self.incomplete |= listing.extent() == Extent::Cut;
        if let Some(left) = self.loaded.replace(listing) {
            if self.known.len() == KNOWN_MAX {
                self.known.remove(0);
            }
            self.known.push(left);
        }
    }

    /// Takes in what the root in `before` grants: all of it, or only global translations that the
    /// root in `after` does not grant too.
    fn freeze(
        &mut self,
        memory: &impl TableMemory,
        before: &Controls,
        after: &Controls,
        only_global: bool,
    ) {
        if only_global && !before.flags.has(ControlFlags::PGE) {
            return;
        }
        let top = Level::top(before);
        let mut found = Collector::new(before);
        let mut listing = self
            .loaded
            .as_mut()
            .filter(|listing| listing.is_of(before) && listing.extent() == Extent::Complete);
        let (mut passed, mut with_globals) = ([0; 8], [0; 8]);
        let extent = leaves(memory, before, &TableUse::root(before), READS_MAX, &mut |next| {
            match next {
                Found::Table(table) => {
                    let place = 8 * top.index(table.first);
                    let entry_of = |controls: &Controls| memory.entry(controls.root().plus(place));
                    // The two may differ in whether anybody went through them: the tables are the same.
                    let is_shared = only_global
                        && table.level == top.below()
                        && before.flags == after.flags
                        && (entry_of(before) ^ entry_of(after)) & !Entry::A == 0;
                    let is_bare = only_global
                        && listing.as_ref().is_some_and(|it| it.is_without_globals(table.first));
                    if is_shared || is_bare {
                        return Next::Past;
                    }
                    let (word, bit) = slot_of(before, table.first);
                    passed[word] |= bit;
                    if !only_global {
                        found.table(&table);
                    }
                }
                Found::Leaf { first, reach } => {
                    let is_global = reach.is_global(before);
                    if is_global {
                        let (word, bit) = slot_of(before, first);
                        with_globals[word] |= bit;
                    }
                    let outlives_the_load = || {
                        let now = lookup(memory, after, first);
                        !now.is_some_and(|now| still_grants(before, &reach, &now))
                    };
                    if !only_global || is_global && outlives_the_load() {
                        found.push_leaf(first, &reach);
                    }
                }
            }
            Next::Into
        });
        if let (Some(listing), Extent::Complete) = (&mut listing, extent) {
            for (word, with) in passed.iter_mut().zip(with_globals) {
                *word &= !with;
            }
            listing.found_without_globals(passed);
        }
        self.incomplete |= extent == Extent::Cut;
        self.take_in(found);
    }

    fn take_in(&mut self, found: Collector) {
        let (members, extent) = found.finish();
        self.incomplete |= extent == Extent::Cut;
        for member in members {
            self.insert(member);
        }
    }

    fn insert(&mut self, member: Withdrawn) {
        if let Err(place) = self.members.binary_search(&member) {
            if self.members.len() < MEMBERS_MAX {
                self.members.insert(place, member);
            } else {
                self.incomplete = true;
            }
        }
    }
}

/// Whether the tables grant all of a member with leaves of this size as they stand.
fn is_granted(
    memory: &impl TableMemory,
    controls: &Controls,
    member: &Withdrawn,
    size: PageSize,
) -> bool {
    (0..member.pages / size.frames()).all(|number| {
        let skipped = number * size.frames();
        let virt = Page(member.first.0.wrapping_add(skipped)).start();
        lookup(memory, controls, virt).is_some_and(|now| {
            now.page == Frame(member.frame.0.wrapping_add(skipped)).start()
                && now.size == size
                && now.rights.has(member.rights)
                && now.leaf.key() == member.key
                && now.is_global(controls) == member.global
        })
    })
}

#[cfg(test)]
mod tests;
