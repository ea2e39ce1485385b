//! Locks: who holds which, which guards which root, and what a processor knows of the stores of others.
//!
//! Whoever takes a lock sees every store that was made before the lock was given back. So a barrier of
//! the new holder stands for the stores of the old one as well.

use std::collections::BTreeMap;

use crate::base::PhysAddr;
use crate::conformance::may_hold::Stamp;

/// Up to which time somebody knows what each processor stored.
type Knowledge = BTreeMap<u16, u64>;

struct Held {
    by: u16,
    times: u32,
}

#[derive(Default)]
pub(super) struct Locks {
    held: BTreeMap<u64, Held>,
    /// What its last holder knew.
    handed: BTreeMap<u64, Knowledge>,
    known: BTreeMap<u16, Knowledge>,
    guards: BTreeMap<PhysAddr, u64>,
}

fn join(into: &mut Knowledge, from: &Knowledge) {
    for (processor, time) in from {
        let known = into.entry(*processor).or_default();
        *known = (*known).max(*time);
    }
}

impl Locks {
    /// Who else holds it, if somebody does.
    pub(super) fn lock(&mut self, lock: u64, by: u16, is_nested: bool) -> Option<u16> {
        match self.held.get_mut(&lock) {
            Some(held) if held.by == by && is_nested => held.times += 1,
            Some(held) => return Some(held.by),
            None => {
                self.held.insert(lock, Held { by, times: 1 });
            }
        }
        if let Some(handed) = self.handed.get(&lock) {
            join(self.known.entry(by).or_default(), handed);
        }
        None
    }

    /// Whether it was held by this processor.
    pub(super) fn unlock(&mut self, lock: u64, by: u16, time: u64) -> bool {
        let Some(held) = self.held.get_mut(&lock).filter(|held| held.by == by) else {
            return false;
        };
        held.times -= 1;
        if held.times == 0 {
            self.held.remove(&lock);
            let mut known = self.known.get(&by).cloned().unwrap_or_default();
            known.insert(by, time);
            self.handed.insert(lock, known);
        }
        true
    }

    pub(super) fn guard(&mut self, root: PhysAddr, lock: u64) {
        self.guards.insert(root, lock);
    }

    pub(super) fn unguard(&mut self, root: PhysAddr) {
        self.guards.remove(&root);
    }

    pub(super) fn guard_of(&self, root: PhysAddr) -> Option<u64> {
        self.guards.get(&root).copied()
    }

    pub(super) fn is_held(&self, lock: u64, by: u16) -> bool {
        self.held.get(&lock).is_some_and(|held| held.by == by)
    }

    /// Whether a processor knows of a store: it is its own, or came with a lock.
    pub(super) fn knows(&self, processor: u16, stored: Stamp) -> bool {
        stored.by == processor
            || self
                .known
                .get(&processor)
                .and_then(|known| known.get(&stored.by))
                .is_some_and(|time| *time >= stored.time)
    }
}
