//! Who may influence whom?
//!
//! Everything here follows from claims that were found true. What once was possible stays possible:
//! an effect may show later than its cause.
//!
//! | what happened | who may influence whom directly |
//! |---|---|
//! | a section is mapped | whoever may write it → whoever may read it |
//! | a process gets code of an image that is damaged | who damaged it, by its own fault → the process |
//! | two processes have handles to one object | each the other |
//! | a process has a handle to a process | the holder → the process |
//! | a process is created by another | creator → created |
//! | a process looks another up by its number | the other, by being there or not → who looks |
//! | a request is handed to a driver host | requestor and host, each the other |
//! | two processes make requests of one driver about one file | each the other |
//! | a process is told that a device was removed, or lost its host | the hosts of that device → the process |
//! | kernel mode, or a device | → everybody |
//!
//! A critical process changes nobody's results: it may stop the system, and what everybody saw until
//! then is how their golden run begins.
//!
//! [`Authority::influences`] is the transitive closure through user mode. A third party that shares
//! anything with anybody may also see another order of things, because whoever it shares with now
//! runs at other times: [`Authority::has_shared_resources`].

use crate::base::{Event, Principal, PrincipalKind, PrincipalSet, TraceHash};

use super::Authority;
use super::books::Undo;
use super::region::Region;

/// Something that processes use through one driver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    pub(super) driver: Principal,
    file: u64,
    pub(super) users: PrincipalSet,
}

impl Resource {
    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        hash.absorb(self.file, u64::from(self.driver.0));
        hash.absorb(self.users.0, 0);
    }
}

/// The influence relation of a whole run, to be set beside another run of the same world: what a fault
/// prevents (a process is never created, a section never mapped) leaves no trace of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Influence {
    reached: Vec<PrincipalSet>,
    sharing: PrincipalSet,
    disk_users: PrincipalSet,
}

impl Authority {
    /// The influence relation as it stands.
    #[must_use]
    pub fn influence(&self) -> Influence {
        let all = || self.roster.iter().map(|(principal, _)| principal);
        let sharing = all().filter(|&one| self.has_shared_resources(one));
        Influence {
            sharing: sharing.fold(PrincipalSet::NOBODY, PrincipalSet::with),
            reached: all().map(|one| self.influences(one)).collect(),
            disk_users: self.disk_users(),
        }
    }

    /// Processes that made requests of a driver from whose memory the disk was written, and hosts of whose
    /// failure something is kept there.
    fn disk_users(&self) -> PrincipalSet {
        let of_the_disk =
            self.resources.iter().filter(|one| self.state.disk_sources.contains(one.driver));
        of_the_disk.fold(self.state.recorded, |set, resource| set.union(resource.users))
    }

    /// Whether the disk may hold, with leave, what it does not hold in the golden run, where the
    /// observations of `allowed` may differ: one of them has, in either run, something written there.
    #[must_use]
    pub fn may_change_disk(&self, allowed: PrincipalSet, golden: Option<&Influence>) -> bool {
        let before = golden.map_or(PrincipalSet::NOBODY, |golden| golden.disk_users);
        let users = self.disk_users().union(before);
        allowed.iter().any(|one| users.contains(one))
    }

    /// Everybody whose observations may differ, with leave, from those of the golden run when faults
    /// strike in `origins`: whom these influence in either run, and whoever shares anything that
    /// changes with anybody.
    #[must_use]
    pub fn may_differ(&self, origins: PrincipalSet, golden: Option<&Influence>) -> PrincipalSet {
        let now = self.influence();
        let both = core::iter::once(&now).chain(golden);
        both.fold(origins, |set, influence| {
            let reached = origins
                .iter()
                .filter_map(|one| influence.reached.get(usize::from(one.0)))
                .fold(influence.sharing, |set, one| set.union(*one));
            set.union(reached)
        })
    }

    /// Everybody whose observations `principal` may change with leave, itself included.
    #[must_use]
    pub fn influences(&self, principal: Principal) -> PrincipalSet {
        let mut reached = PrincipalSet::of(principal);
        let mut done = PrincipalSet::NOBODY;
        // Each turn finishes one principal, so there are at most as many turns as principals.
        while let Some(next) = reached.iter().find(|&next| !done.contains(next)) {
            done = done.with(next);
            if !self.roster.kind(next).is_process() {
                return self.everybody();
            }
            reached = reached.union(self.state.direct[usize::from(next.0 & 63)]);
        }
        reached
    }

    /// Whether it shares anything that changes with somebody else.
    #[must_use]
    pub fn has_shared_resources(&self, principal: Principal) -> bool {
        let direct = &self.state.direct;
        !direct[usize::from(principal.0 & 63)].without(principal).is_empty()
            || direct.iter().enumerate().any(|(other, influenced)| {
                other != usize::from(principal.0) && influenced.contains(principal)
            })
    }

    fn everybody(&self) -> PrincipalSet {
        self.roster.iter().fold(PrincipalSet::NOBODY, |set, (principal, _)| set.with(principal))
    }

    fn may_influence(&mut self, from: Principal, to: Principal) {
        let is_process = |principal| self.roster.kind(principal).is_process();
        if from != to && is_process(from) && is_process(to) {
            let direct = &mut self.state.direct[usize::from(from.0 & 63)];
            *direct = direct.with(to);
        }
    }

    fn may_influence_each_other(&mut self, one: Principal, other: Principal) {
        self.may_influence(one, other);
        self.may_influence(other, one);
    }

    /// A section is now also mapped by `newcomer`.
    pub(super) fn shared(&mut self, region: &Region, newcomer: Principal) {
        for writer in region.shared_write.iter() {
            self.may_influence(writer, newcomer);
        }
        if region.shared_write.contains(newcomer) {
            for reader in region.shared_read.union(region.shared_write).iter() {
                self.may_influence(newcomer, reader);
            }
        }
    }

    /// Code is now mapped by `newcomer` too. An image is in memory once: what a defect in the code of one process
    /// changed there while nobody else had it, is the code of whoever runs the image next. Where others had it
    /// already, it was memory itself that changed.
    pub(super) fn damage_is_shared(&mut self, first: usize, len: usize, newcomer: Principal) {
        if self.state.corrupt_words == 0 {
            return;
        }
        for word in first..first + len {
            if self.corrupt[word] == 0 {
                continue;
            }
            let by = self.corruptions.get(usize::from(self.origins[word]));
            if let Some(culprit) = by.map(|one| one.culprit) {
                self.may_influence(culprit, newcomer);
            }
        }
    }

    /// A process now has a handle to an object.
    pub(super) fn held(&mut self, process: Principal, object: u64) {
        let others = self.handles().filter(|(_, _, handle)| handle.object == object);
        let others = others.fold(PrincipalSet::NOBODY, |set, (other, _, _)| set.with(other));
        let is_a_process =
            self.state.objects.iter().position(|&known| known == object && object != 0);
        if let Some(number) = is_a_process {
            #[allow(clippy::cast_possible_truncation, reason = "64 principals")]
            self.may_influence(process, Principal(number as u8));
            return;
        }
        for other in others.iter() {
            self.may_influence_each_other(process, other);
        }
    }

    pub(super) fn created(&mut self, creator: Principal, process: Principal) {
        self.may_influence(creator, process);
    }

    /// A process was told whether another is there.
    pub(super) fn sought(&mut self, seeker: Principal, sought: Principal) {
        self.may_influence(sought, seeker);
    }

    /// A process was told that a device was removed, of which these are hosts that were lost.
    pub(super) fn told_of_removal(&mut self, process: Principal, hosts: PrincipalSet) {
        for host in hosts.iter() {
            self.may_influence(host, process);
        }
    }

    /// A request was handed to a driver, by the process that made it or to the host that takes it.
    #[allow(clippy::cast_possible_truncation, reason = "few resources")]
    pub(super) fn handover(&mut self, event: &Event) {
        let driver = event.subject;
        let mut requestor = event.context;
        let thread = self.state.thread_on(requestor, event.processor);
        self.state.asking_mut(requestor, thread).is_handed_over = true;
        if requestor == driver {
            // A host takes a packet in its own context: it is for whoever handed it over before.
            let before = self.passages.iter().rev().find(|passage| passage.phys == event.phys);
            requestor = before.map_or(requestor, |passage| passage.requestor);
        }
        self.passed_on(event, requestor);
        if !self.roster.kind(requestor).is_process() {
            return;
        }
        if self.roster.kind(driver) == PrincipalKind::DriverHost {
            self.may_influence_each_other(requestor, driver);
        }
        let known = self
            .resources
            .iter()
            .position(|resource| resource.driver == driver && resource.file == event.value);
        let index = known.unwrap_or_else(|| {
            let users = PrincipalSet::NOBODY;
            self.resources.push(Resource { driver, file: event.value, users });
            self.resources.len() - 1
        });
        let users = self.resources[index].users;
        if !users.contains(requestor) {
            self.undo.push(Undo::Users { index: index as u32, users: users.0 });
            self.resources[index].users = users.with(requestor);
            for other in users.iter() {
                self.may_influence_each_other(requestor, other);
            }
        }
    }
}
