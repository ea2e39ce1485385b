//! Which requests are open, and who has them?
//!
//! A request is open from its first hand-over until its packet goes back to the pool. Whoever got it
//! last has it; a driver host that ends has none any more, and neither has anybody who waited for
//! that host.

use crate::base::{Event, Principal, PrincipalKind, PrincipalSet, Structure, TraceHash};

use super::{Authority, RECORDS_MAX, keep};

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Somebody has it.
    Held,
    /// The host that had it, or for which it waited, has ended.
    Orphaned,
    /// Its packet went back to the pool.
    Freed,
}

/// One thing that happened to a request; the last about a packet counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Passage {
    /// Where the packet is.
    pub(super) phys: u64,
    /// Whose request it is.
    pub(super) requestor: Principal,
    /// Who got it last.
    pub(super) holder: Principal,
    /// For which device object.
    device: u64,
    fate: Fate,
}

impl Passage {
    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        let who = u64::from(self.requestor.0) | u64::from(self.holder.0) << 8;
        hash.absorb(self.phys, self.device);
        hash.absorb(who, self.fate as u64);
    }
}

/// A request that nobody will ever answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Orphan {
    /// Where its packet is.
    pub phys: u64,
    /// Whose request it is.
    pub requestor: Principal,
    /// Who had it last.
    pub holder: Principal,
}

impl Authority {
    /// Requests of this boot whose packet is still there although the driver host that had it, or
    /// for which it waited, has ended. Empty where there were too many requests to follow.
    #[must_use]
    pub fn orphans(&self) -> Vec<Orphan> {
        if self.passages.len() == RECORDS_MAX {
            return Vec::new();
        }
        let open = self.open_requests();
        let orphans = open.iter().filter(|passage| passage.fate == Fate::Orphaned);
        let plain = |passage: &Passage| {
            let Passage { phys, requestor, holder, .. } = *passage;
            Orphan { phys, requestor, holder }
        };
        orphans.map(plain).collect()
    }

    /// Whether the request that a process has open was taken by a driver host. A process has one thread, and
    /// so one request at a time. Not known, and `false`, where there were too many requests to follow.
    #[must_use]
    pub fn is_answered_by_host(&self, process: Principal) -> bool {
        if self.passages.len() == RECORDS_MAX {
            return false;
        }
        let passages = self.passages.get(self.state.requests_from..).unwrap_or_default();
        let last = passages.iter().rev().find(|passage| passage.requestor == process);
        last.is_some_and(|passage| {
            passage.fate == Fate::Held
                && self.roster.kind(passage.holder) == PrincipalKind::DriverHost
        })
    }

    /// Whether the request with this packet is one that a process made, or took. Not known, and `true`, where there
    /// were too many requests to follow, or none of this packet.
    pub(super) fn is_party(&self, packet: u64, process: Principal) -> bool {
        let passages = self.passages.get(self.state.requests_from..).unwrap_or_default();
        let last = passages.iter().rev().find(|passage| passage.phys == packet);
        self.passages.len() == RECORDS_MAX
            || last.is_none_or(|last| last.requestor == process || last.holder == process)
    }

    /// Whether a request that a process made, or took, and that is open went to one of these. Not known, and
    /// `true`, where there were too many to follow.
    pub(super) fn went_to(&self, process: Principal, drivers: PrincipalSet) -> bool {
        let passages = self.passages.get(self.state.requests_from..).unwrap_or_default();
        let mut backwards = passages.iter().enumerate().rev();
        self.passages.len() == RECORDS_MAX
            || backwards.any(|(index, passage)| {
                let later = || passages[index + 1..].iter().filter(|one| one.phys == passage.phys);
                drivers.contains(passage.holder)
                    && passage.fate != Fate::Freed
                    && (passage.requestor == process || later().any(|one| one.holder == process))
                    && later().all(|one| one.fate != Fate::Freed)
            })
    }

    /// The last that is known of every packet that is not free, in order.
    fn open_requests(&self) -> Vec<Passage> {
        let passages = self.passages.get(self.state.requests_from..).unwrap_or_default();
        let is_last = |(index, passage): &(usize, &Passage)| {
            passages[index + 1..].iter().all(|later| later.phys != passage.phys)
        };
        let last = passages.iter().enumerate().filter(is_last).map(|(_, passage)| *passage);
        last.filter(|passage| passage.fate != Fate::Freed).collect()
    }

    /// A packet was handed over.
    pub(super) fn passed_on(&mut self, event: &Event, requestor: Principal) {
        let passage = Passage {
            phys: event.phys,
            requestor,
            holder: event.subject,
            device: event.value,
            fate: Fate::Held,
        };
        keep(&mut self.passages, passage);
    }

    /// Memory goes back to the pool: if it was a packet, the request is over.
    pub(super) fn packet_freed(&mut self, first: usize) {
        if self.regions.get(self.words[first]).structure != Structure::RequestPacket {
            return;
        }
        let phys = first as u64 * 8;
        let known = self.passages.iter().rev().find(|passage| passage.phys == phys);
        if let Some(&passage) = known {
            keep(&mut self.passages, Passage { fate: Fate::Freed, ..passage });
        }
    }

    /// A process has ended: what it had, or would have got, is nobody's. Whoever cleans up after it
    /// says so afterwards.
    pub(super) fn holder_ended(&mut self, process: Principal) {
        if self.roster.kind(process) != PrincipalKind::DriverHost {
            return;
        }
        let taken = self.passages.iter().filter(|passage| passage.holder == process);
        let devices: Vec<u64> = taken.map(|passage| passage.device).collect();
        for passage in self.open_requests() {
            if devices.contains(&passage.device) {
                keep(&mut self.passages, Passage { fate: Fate::Orphaned, ..passage });
            }
        }
    }
}
