//! Who refers to what there is, other than by a handle?
//!
//! A process that exists has its own object and its threads'; what the boot made stays for good; and
//! whoever is in the middle of a request holds what it was let use for that. Nobody else is known to
//! hold a reference.

use crate::base::{Event, PhysAddr, Principal, Structure};

use super::{Authority, RECORDS_MAX};

impl Authority {
    /// Where objects begin within `words` words from `phys` on: a header with a body behind it. What is left of
    /// a block behind the body has no body.
    #[must_use]
    pub fn headers(&self, phys: PhysAddr, words: usize) -> Vec<u64> {
        let Some(first) = self.word_of(phys.raw()) else { return Vec::new() };
        let mut runs = self.runs(first, words.min(self.words.len() - first));
        let (mut found, mut before) = (Vec::new(), None);
        while let Some((first, _, number)) = runs.next(self) {
            match self.regions.get(number).structure {
                Structure::ObjectHeader => before = Some(first as u64 * 8),
                Structure::Process | Structure::Thread | Structure::ObjectBody => {
                    found.extend(before.take());
                }
                _ => before = None,
            }
        }
        found
    }

    /// How many references an object has by what it is: one for a process that exists, for a thread of
    /// one, and for what the boot made.
    #[must_use]
    pub fn references_due(&self, object: u64) -> u64 {
        let is_of = |process: Principal| {
            self.state.objects[usize::from(process.0 & 63)] == object
                || self.state.is_thread_of(process, object)
        };
        u64::from(self.boot_objects.contains(&object) || self.state.alive.iter().any(is_of))
    }

    /// How many references to an object those may hold who are in the middle of a request. `None` where
    /// there were too many requests to follow.
    #[must_use]
    pub fn references_under_way(&self, object: u64) -> Option<u64> {
        let is_followed = self.uses.len() < RECORDS_MAX;
        is_followed.then(|| {
            let firsts = self.state.alive.iter().map(|process| (process, 0));
            let threads = firsts.chain(self.state.second_threads());
            let asking =
                threads.filter(|&(process, thread)| self.state.asking(process, thread).is_open);
            let uses = asking.flat_map(|(process, thread)| self.used_by(process, thread));
            uses.filter(|used| used.object() == object).count() as u64
        })
    }

    /// The boot made an object.
    pub(super) fn made_at_boot(&mut self, event: &Event) {
        if event.structure == Structure::ObjectHeader && !self.boot_objects.contains(&event.virt) {
            self.boot_objects.push(event.virt);
        }
    }

    /// What the boot made for a process goes with it, unless it is the system's.
    pub(super) fn booted(&mut self, process: &Event) {
        if process.subject != Principal::KERNEL {
            let own = [process.virt, process.old];
            self.boot_objects.retain(|object| !own.contains(object));
        }
    }
}
