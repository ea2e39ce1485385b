//! What decides what the books will say of what comes?
//!
//! Two books with the same prospects say the same of the same events, whatever they have written down
//! before. So a run that is in all respects where another was can be given up: what follows is known.

use crate::base::{Digest, Principal, TraceHash};

use super::Authority;
use super::region::Region;

impl Authority {
    /// A fingerprint of all that decides what the books will say. `None` while some bytes are corrupt:
    /// then it matters who reads them.
    #[must_use]
    pub fn prospects(&mut self) -> Option<Digest> {
        if self.corrupt_words() != 0 {
            return None;
        }
        let mut hash = TraceHash::default();
        let [high, low] = Digest(self.prints.of(&self.words, &self.regions)).words();
        hash.absorb(high, low);
        for ((process, value), handle) in &self.handles {
            hash.absorb(u64::from(process.0), *value);
            hash.absorb(handle.object, handle.rights << 8 | handle.marks());
        }
        self.state.absorb(&mut hash);
        for (principal, _) in self.roster.iter() {
            self.absorb_asking(principal, 0, &mut hash);
            if let Some(seen) = self.observations.of(principal) {
                let [high, low] = seen.digest().words();
                hash.absorb(high, low);
                let (ends, status) = seen.ending();
                hash.absorb(seen.count() << 8 | u64::from(ends), status);
                if let Some(second) = seen.second() {
                    let [high, low] = second.digest().words();
                    hash.absorb(high, low);
                }
            }
        }
        for (process, thread) in self.state.second_threads() {
            self.absorb_asking(process, thread, &mut hash);
        }
        for resource in &self.resources {
            resource.absorb(&mut hash);
        }
        for passage in &self.passages {
            passage.absorb(&mut hash);
        }
        self.absorb_blocks(&mut hash);
        // Lists that are full take nothing more.
        hash.absorb(self.table_stores.len() as u64, self.withdrawals.len() as u64);
        hash.absorb(self.bound.len() as u64, self.residues.len() as u64);
        hash.absorb(self.uses.len() as u64, self.resources.len() as u64);
        Some(hash.digest())
    }

    /// What a process asks for, and what was taken from whomever since its last return: both count at
    /// its next return only.
    fn absorb_asking(&self, process: Principal, thread: u8, hash: &mut TraceHash) {
        let asking = self.state.asking(process, thread);
        if asking.is_open {
            hash.absorb(asking.start, asking.length);
            let handed_over = u64::from(asking.is_handed_over) << 32 | asking.taken << 33;
            hash.absorb(handed_over | u64::from(asking.target), u64::from(asking.rights));
            let (which, values) = asking.changed;
            hash.absorb(u64::from(asking.marks), u64::from(which) << 8 | u64::from(values));
            for used in self.uses.get(asking.uses_from..).unwrap_or_default() {
                used.absorb(hash);
            }
        }
        let since = self.state.returned(process, thread);
        let newly = self.withdrawals.iter().rev().take_while(|one| one.ordinal > since);
        for withdrawal in newly.filter(|one| one.context == process && one.thread == thread) {
            hash.absorb(withdrawal.phys, withdrawal.words);
            hash.absorb(u64::from(withdrawal.from.0), u64::from(process.0));
        }
    }
}

impl Region {
    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        let one = |principal: Option<Principal>| principal.map_or(0, |one| 1 + u64::from(one.0));
        hash.absorb(one(self.owner) | one(self.residue) << 8, self.structure as u64);
        hash.absorb(self.lent.0, self.shared_read.0);
        hash.absorb(self.shared_write.0, self.dma_read.0);
        hash.absorb(self.dma_write.0, 0);
    }
}
