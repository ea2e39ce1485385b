//! Which bytes reached somebody who may not read them?
//!
//! Kernel mode may read everything, so what it loads reaches nobody yet: what it then stores where a process
//! reads does. User mode has what it loads, of its own memory too where another's content was left in it. What a
//! device reads leaves memory: it is on the disk, or sent, or
//! given out at the next request. Zeros, what nobody left, and what one wrote there oneself tell nothing; nor does
//! a copy of bytes that were written where they lie without leave: they are no longer what their owner had there.
//!
//! Nobody follows bytes any further. Who may learn what a device has read follows from the influence
//! relation: whoever uses its drivers.

use crate::base::{Event, Principal, PrincipalKind, PrincipalSet, Ring, Structure, bits_of};

use super::accesses::bytes_of;
use super::record::Disclosure;
use super::region::Region;
use super::state::LastLoad;
use super::{Authority, keep};

/// Whether the kernel keeps it in order to answer requests, and it was written for that: it may be given out where
/// that is what was meant to be read. Other processes' memory, tables and headers may not.
fn is_for_answers(from: &Region, meant: Structure) -> bool {
    meant == from.structure
        && from.residue.is_none()
        && matches!(
            meant,
            Structure::SystemBuffer
                | Structure::RequestPacket
                | Structure::ObjectBody
                | Structure::FileCache
                | Structure::DmaBuffer
                | Structure::DriverData
                | Structure::KernelStack
        )
}

impl Authority {
    /// A store of kernel mode to a process's memory: if it is the other half of a copy, was the source
    /// the process's to read?
    pub(super) fn disclose(&mut self, event: &Event, word: usize, region: &Region) {
        if !region.structure.is_user() || region.owner == Some(event.actor) {
            return;
        }
        // What lies there already is no news.
        if (event.value ^ event.old) & bits_of(event.mask) == 0 {
            return;
        }
        let LastLoad { word: source, mask, structure: meant, value } = self.state.last_load;
        let is_copy = mask == event.mask && (value ^ event.value) & bits_of(mask) == 0;
        let from = *self.regions.get(self.words[source as usize]);
        if !is_copy || value & bits_of(mask) == 0 || source as usize == word {
            return;
        }
        let is_somebodys = from.owner.is_some() || from.residue.is_some();
        if !is_somebodys || self.is_overwritten(event, source as usize) {
            return;
        }
        let readers = self.regions.rights[usize::from(self.words[source as usize])].readers;
        let processes = region.owner.map_or(PrincipalSet::NOBODY, PrincipalSet::of);
        let receivers = processes.union(region.shared_read).union(region.shared_write);
        // A child that is being made gets a copy of its parent's data.
        let unknowing = receivers
            .iter()
            .filter(|&receiver| from.residue != Some(receiver))
            .find(|&receiver| self.state.alive.contains(receiver) && !readers.contains(receiver));
        if let Some(receiver) = unknowing
            && !(is_for_answers(&from, meant) && self.may_answer(&from, source as usize, receiver))
        {
            let disclosure = Disclosure {
                actor: event.actor,
                receiver,
                owner: from.owner,
                structure: from.structure,
                is_left: false,
                source: u64::from(source) * 8,
                target: word as u64 * 8,
                ordinal: self.state.ordinal,
            };
            keep(&mut self.disclosures, disclosure);
        }
    }

    /// Whether what the kernel keeps for answers is for this process's: a packet of a request it made or
    /// took; what a driver has, or has on loan, of a driver its open requests went to. Of what only the kernel has, no
    /// books say whose answer it is.
    fn may_answer(&self, from: &Region, source: usize, receiver: Principal) -> bool {
        match from.structure {
            Structure::ObjectBody | Structure::KernelStack => true,
            Structure::RequestPacket => {
                let number = self.words[source];
                let before = self.words[..source].iter().rev();
                let first = source - before.take_while(|&&word| word == number).count();
                self.is_party(first as u64 * 8, receiver)
            }
            _ => {
                let owner = from.owner.map_or(PrincipalSet::NOBODY, PrincipalSet::of);
                let holders = owner.union(from.lent).without(Principal::KERNEL);
                holders.is_empty() || self.went_to(receiver, holders)
            }
        }
    }

    /// What was read without leave is now with who read it.
    pub(super) fn reached(&mut self, event: &Event, word: usize) {
        let from = *self.regions.get(self.words[word]);
        let is_somebodys = from.owner.is_some() || from.residue.is_some();
        if !is_somebodys || event.value & bits_of(event.mask) == 0 || self.is_its_own(event, word) {
            return;
        }
        let disclosure = Disclosure {
            actor: event.actor,
            receiver: event.actor,
            owner: from.owner,
            structure: from.structure,
            is_left: false,
            source: word as u64 * 8,
            target: 0,
            ordinal: self.state.ordinal,
        };
        keep(&mut self.disclosures, disclosure);
    }

    /// A process's user mode reads memory that it may read, and that was handed to it as another left it.
    #[cold]
    pub(super) fn learn(&mut self, event: &Event, word: usize) {
        let from = *self.regions.get(self.words[word]);
        let is_user_mode = self.state.ring(event.processor) == Some(Ring::User);
        if !is_user_mode || event.value & bits_of(event.mask) == 0 {
            return;
        }
        let disclosure = Disclosure {
            actor: event.actor,
            receiver: event.actor,
            owner: from.residue,
            structure: from.structure,
            is_left: true,
            source: word as u64 * 8,
            target: 0,
            ordinal: self.state.ordinal,
        };
        keep(&mut self.disclosures, disclosure);
    }

    /// Whether all that was read and is not zero was put there by who reads it, although it had no leave for that either.
    fn is_its_own(&self, event: &Event, word: usize) -> bool {
        let by = self.corruptions.get(usize::from(self.origins[word]));
        self.is_overwritten(event, word) && by.is_some_and(|one| one.culprit == event.actor)
    }

    /// Whether all of it that is not zero was put there by whoever had no leave.
    fn is_overwritten(&self, event: &Event, word: usize) -> bool {
        bytes_of(event.value & bits_of(event.mask)) & !self.corrupt[word] == 0
    }

    /// Who may get what is with a device: processes that made requests of a driver of its sort, file
    /// systems for the disk.
    #[must_use]
    pub fn served_by(&self, device: Principal) -> PrincipalSet {
        let wanted = match self.disk {
            Some(disk) if disk == device => PrincipalKind::FileSystem,
            _ => PrincipalKind::KernelDriver,
        };
        let drivers = self.resources.iter().filter(|one| self.roster.kind(one.driver) == wanted);
        drivers.fold(PrincipalSet::NOBODY, |set, one| set.union(one.users))
    }
}
