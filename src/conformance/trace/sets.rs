//! Entries that a processor may remember as one: the Contiguous bit of AArch64.
//!
//! Arm ARM, "The Contiguous bit" and "Misprogramming of the Contiguous bit". A set is written entry by entry, so that it
//! is looked at when the operation returns that wrote to it.

use super::checker::Checker;
use crate::base::PhysAddr;
use crate::conformance::checks::entries;
use crate::conformance::format::Format;
use crate::conformance::may_hold::Space;
use crate::conformance::tables::{TableUse, leaf_in};

/// A set that somebody wrote to: who, where, on which way, which entry of it, and how many it has.
pub(super) type Written = (u16, Space, TableUse, u64, u64);

impl Checker {
    /// An entry is written, or its table comes into use: is it of a set, by itself or by the one beside it?
    pub(super) fn note_set(
        &mut self,
        space: Space,
        format: &dyn Format,
        way: TableUse,
        at: PhysAddr,
        [old, new]: [u64; 2],
    ) {
        let beside = self.books.word(PhysAddr::truncated(at.raw() ^ 8));
        let sets = [new, old, beside].into_iter().filter_map(|bits| format.set_of(way.level, bits));
        for set in sets.take(1) {
            let first = at.offset() / 8 / set * set;
            self.sets.insert((self.now.by, space, way, first, set));
        }
    }

    /// An operation of the processor returned: the sets that it wrote to are whole.
    pub(super) fn judge_sets(&mut self) {
        let by = self.now.by;
        let (own, others) =
            core::mem::take(&mut self.sets).into_iter().partition(|set| set.0 == by);
        self.sets = others;
        for (_, space, way, first, set) in own {
            let Some(held) = self.spaces.get(space) else { continue };
            let format = std::rc::Rc::clone(&held.format);
            let in_use =
                self.books.get(way.frame).is_some_and(|table| table.uses.contains(&(space, way)));
            let word_at = |at| self.books.word(at);
            let breach = (first..first + set).filter(|_| in_use).find_map(|index| {
                let bits = word_at(way.frame.start().plus(8 * index));
                let leaf = leaf_in(&*format, &way, index, bits)?;
                entries::whole_set(&*format, &leaf, &word_at)
            });
            if let Some(breach) = breach {
                self.report(breach, None, None, Some(format.name()));
            }
        }
    }
}
