//! What do the books say?

use crate::base::{Access, PhysAddr, Principal, PrincipalSet, Roster, Structure};

use super::Authority;
use super::observation::Observations;
use super::record::{
    Consumption, Corruption, Disclosure, FalseClaim, Marks, Residue, TableStore, Trespass,
    Withdrawal,
};
use super::region::Region;

impl Authority {
    /// Who there is.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Events seen so far.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.state.ordinal
    }

    /// The entry of the word at an address; nobody's outside memory.
    #[must_use]
    pub fn region_at(&self, phys: PhysAddr) -> &Region {
        let number = self.word_of(phys.raw()).map_or(0, |word| self.words[word]);
        self.regions.get(number)
    }

    /// Whose the word at an address is.
    #[must_use]
    pub fn owner_of(&self, phys: PhysAddr) -> Option<Principal> {
        self.region_at(phys).owner
    }

    /// Whose the word at an address is, of all who share its code: see [`Region::owners`].
    #[must_use]
    pub fn owners_of(&self, phys: PhysAddr) -> PrincipalSet {
        self.region_at(phys).owners()
    }

    /// What the word at an address is.
    #[must_use]
    pub fn structure_of(&self, phys: PhysAddr) -> Structure {
        self.region_at(phys).structure
    }

    /// Whether a principal may read the word at an address.
    #[must_use]
    pub fn may_read(&self, principal: Principal, phys: PhysAddr) -> bool {
        self.word_of(phys.raw()).is_some_and(|word| {
            self.regions.rights[usize::from(self.words[word])].readers.contains(principal)
        })
    }

    /// Whether a principal may write the word at an address, as the structure it is.
    #[must_use]
    pub fn may_write(&self, principal: Principal, phys: PhysAddr) -> bool {
        self.word_of(phys.raw()).is_some_and(|word| {
            self.regions.rights[usize::from(self.words[word])].writers.contains(principal)
        })
    }

    /// Whether a process may have the word at an address within reach of its user mode, with this
    /// kind of access.
    #[must_use]
    pub fn may_reach(&self, process: Principal, phys: PhysAddr, access: Access) -> bool {
        match access {
            Access::Write => self.may_write(process, phys),
            Access::Read | Access::Execute => self.may_read(process, phys),
        }
    }

    /// Words that a principal owns.
    #[must_use]
    pub fn words_owned(&self, principal: Principal) -> u64 {
        u64::from(self.state.owned[usize::from(principal.0 & 63)])
    }

    /// Words that are nobody's within `words` words from `phys` on.
    #[must_use]
    pub fn words_free(&self, phys: PhysAddr, words: usize) -> usize {
        let Some(first) = self.word_of(phys.raw()) else { return 0 };
        let end = (first + words).min(self.words.len());
        self.words[first..end].iter().filter(|&&number| self.regions.get(number).is_free()).count()
    }

    /// Processes that exist.
    #[must_use]
    pub fn alive(&self) -> PrincipalSet {
        self.state.alive
    }

    /// The process that exists and has its object there.
    #[must_use]
    pub fn process_with(&self, object: u64) -> Option<Principal> {
        let mut alive = self.state.alive.iter();
        alive.find(|process| self.state.objects[usize::from(process.0 & 63)] == object)
    }

    /// Where a process that exists has its object.
    #[must_use]
    pub fn object_of(&self, process: Principal) -> Option<u64> {
        let is_alive = self.state.alive.contains(process);
        is_alive.then(|| self.state.objects[usize::from(process.0 & 63)])
    }

    /// Processes that have ended and were not created again.
    #[must_use]
    pub fn ended(&self) -> PrincipalSet {
        self.state.ended
    }

    /// Processes with which the system stops.
    #[must_use]
    pub fn critical(&self) -> PrincipalSet {
        self.state.critical
    }

    /// Driver hosts that were restarted since the run began.
    #[must_use]
    pub fn restarted(&self) -> PrincipalSet {
        self.state.restarted
    }

    /// Devices that were given up: bit n is device n.
    #[must_use]
    pub fn devices_disabled(&self) -> u64 {
        self.state.disabled
    }

    /// Devices that lost a host, whether it was started again or they were given up: bit n is device n.
    #[must_use]
    pub fn devices_lost(&self) -> u64 {
        let (lost, given_up) = (self.state.lost, self.state.given_up);
        let all = lost.iter().zip(&given_up).enumerate();
        let those = all.filter(|(_, (lost, given_up))| !lost.is_empty() || !given_up.is_empty());
        those.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// Corrupt words there are now.
    #[must_use]
    pub fn corrupt_words(&self) -> u64 {
        u64::from(self.state.corrupt_words)
    }

    /// Which bytes of the word at an address are corrupt.
    #[must_use]
    pub fn corrupt_bytes(&self, phys: PhysAddr) -> u8 {
        self.word_of(phys.raw()).map_or(0, |word| self.corrupt[word])
    }

    /// The corrupt words there are now, with the corruption that made them. Reads all of the map
    /// unless there are none.
    pub fn corrupt_places(&self) -> impl Iterator<Item = (PhysAddr, &Corruption)> {
        // Few are: most of the map is passed over so many words at a time.
        const TOGETHER: usize = 64;
        let all = if self.state.corrupt_words == 0 { &[][..] } else { &self.corrupt[..] };
        let masks = all.chunks(TOGETHER).enumerate();
        let masks = masks.filter(|(_, masks)| masks.iter().fold(0, |any, mask| any | mask) != 0);
        let words = masks.flat_map(|(chunk, masks)| {
            let corrupt = masks.iter().enumerate().filter(|(_, mask)| **mask != 0);
            corrupt.map(move |(word, _)| chunk * TOGETHER + word)
        });
        words.filter_map(|word| {
            let corruption = self.corruptions.get(usize::from(self.origins[word]))?;
            Some((PhysAddr::truncated(word as u64 * 8), corruption))
        })
    }

    /// Whether bytes that the corruption of this number made corrupt are so still.
    #[must_use]
    pub fn is_corrupt_still(&self, number: usize) -> bool {
        let Some(one) = self.corruptions.get(number) else { return false };
        let Some(first) = self.word_of(one.phys) else { return false };
        let end = self
            .corrupt
            .len()
            .min(first.saturating_add(usize::try_from(one.words).unwrap_or(usize::MAX)));
        (first..end)
            .any(|word| self.corrupt[word] != 0 && usize::from(self.origins[word]) == number)
    }

    /// Reads of corrupt bytes so far, those not recorded included.
    #[must_use]
    pub fn consumption_count(&self) -> u64 {
        self.state.consumed
    }

    /// How often a fault struck, damage changed or somebody read it: another number says that there is
    /// something new of these.
    #[inline]
    #[must_use]
    pub fn noted(&self) -> u32 {
        self.state.noted
    }

    /// Stores, loads and transfers that were not granted.
    #[must_use]
    pub fn trespasses(&self) -> &[Trespass] {
        &self.trespasses
    }

    /// What became corrupt, by which store.
    #[must_use]
    pub fn corruptions(&self) -> &[Corruption] {
        &self.corruptions
    }

    /// The first reads of corrupt bytes.
    #[must_use]
    pub fn consumptions(&self) -> &[Consumption] {
        &self.consumptions
    }

    /// Claims that were not true.
    #[must_use]
    pub fn false_claims(&self) -> &[FalseClaim] {
        &self.false_claims
    }

    /// Stores to page tables.
    #[must_use]
    pub fn table_stores(&self) -> &[TableStore] {
        &self.table_stores
    }

    /// What was taken from whoever could reach it in user mode.
    #[must_use]
    pub fn withdrawals(&self) -> &[Withdrawal] {
        &self.withdrawals
    }

    /// Withdrawals whose operation has returned, in the order in which they became binding.
    #[must_use]
    pub fn bound(&self) -> &[Withdrawal] {
        &self.bound
    }

    /// What reached who may not read it: copies into the memory of processes, and reads.
    #[must_use]
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// Memory handed to a process before another's content was overwritten.
    #[must_use]
    pub fn residues(&self) -> &[Residue] {
        &self.residues
    }

    /// What each principal saw.
    #[must_use]
    pub fn observations(&self) -> &Observations {
        &self.observations
    }

    /// How many records there are in the lists that [`marks`](Self::marks) is about: another number
    /// says that there is something new.
    #[inline]
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.trespasses.len()
            + self.false_claims.len()
            + self.table_stores.len()
            + self.bound.len()
            + self.disclosures.len()
            + self.residues.len()
            + self.consumptions.len()
    }

    /// The present ends of the lists of records.
    #[must_use]
    pub fn marks(&self) -> Marks {
        Marks {
            trespasses: self.trespasses.len(),
            false_claims: self.false_claims.len(),
            table_stores: self.table_stores.len(),
            bound: self.bound.len(),
            disclosures: self.disclosures.len(),
            residues: self.residues.len(),
            consumptions: self.consumptions.len(),
        }
    }
}
