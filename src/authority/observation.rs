//! What did each principal see?
//!
//! Each principal's own sequence of operation, status and bytes, without addresses, time or the
//! order among principals: what a program could tell its user. Of a process, how it ended closes the
//! sequence: whoever waits for it is told that status ("GetExitCodeProcess function", Microsoft Learn).
//!
//! What a second thread of a process sees is a sequence of its own: in which order two threads come to something is
//! nobody's promise, and how far the one has come when the other ends their process is none either.

use crate::base::{Digest, Event, Principal, TraceHash};

use super::Authority;
use super::books::Undo;

/// Observations of one principal that are kept as they are, to name the first difference.
const KEPT: usize = 64;

/// What a principal could see of one finished operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// Which operation.
    pub operation: u64,
    /// How it ended.
    pub status: u64,
    /// A hash of the bytes it got.
    pub bytes: u64,
}

/// How a process ended: how often it did, and its last status.
pub type Ending = (u8, u64);

/// What one principal saw, and how that ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    hash: TraceHash,
    count: u64,
    first: Vec<Observation>,
    ending: Ending,
    /// What second threads of the process saw, one after the other.
    second: Option<Box<Seen>>,
}

impl Seen {
    /// How many operations it saw the end of.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The fingerprint of all of them.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.hash.digest()
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> &[Observation] {
        &self.first
    }

    /// How it ended, if it is a process.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Whether it ended just as `golden` says. With `is_cut` the run was ended from outside, and it may
    /// not have come to its end.
    #[must_use]
    pub fn ends_alike(&self, golden: &Self, is_cut: bool) -> bool {
        self.ending == golden.ending || is_cut && self.ending.0 < golden.ending.0
    }

    /// Whether it saw just what `golden` says, and ended so. With `is_cut` the run was ended from outside,
    /// and as much as was kept of a shorter sequence must be how `golden` begins.
    #[must_use]
    pub fn agrees(&self, golden: &Self, is_cut: bool) -> bool {
        if !self.ends_alike(golden, is_cut) || self.second_difference(golden).is_some() {
            return false;
        }
        if self.count == golden.count {
            return self.hash == golden.hash;
        }
        is_cut && self.count < golden.count && self.first_difference(golden).is_none()
    }

    /// As [`agrees`](Self::agrees), where the golden run may have been ended from outside too, as by a machine
    /// that stops in it: what is seen longer than it lasted has nothing to be held against.
    #[must_use]
    pub fn fits(&self, golden: &Self, is_cut: bool, is_golden_cut: bool) -> bool {
        self.agrees(golden, is_cut) || is_golden_cut && golden.agrees(self, true)
    }

    /// The number of the first observation that differs, among those kept of both. A sequence that
    /// merely ends earlier does not differ here.
    #[must_use]
    pub fn first_difference(&self, golden: &Self) -> Option<usize> {
        self.first.iter().zip(&golden.first).position(|(one, other)| one != other)
    }

    /// The same of what second threads saw.
    #[must_use]
    pub fn second_difference(&self, golden: &Self) -> Option<usize> {
        self.second.as_deref()?.first_difference(golden.second.as_deref()?)
    }

    fn retract(&mut self, hash: TraceHash) {
        self.hash = hash;
        self.count -= 1;
        if self.count < KEPT as u64 {
            self.first.pop();
        }
    }

    /// What second threads of the process saw.
    #[must_use]
    pub fn second(&self) -> Option<&Self> {
        self.second.as_deref()
    }

    /// Whether the first observation that differs is of the same operation, ended the same way with other
    /// bytes. One that is not kept is unknown, and no such thing.
    #[must_use]
    pub fn got_other_bytes(&self, golden: &Self) -> bool {
        self.first_difference(golden).is_some_and(|place| {
            let (one, other) = (self.first[place], golden.first[place]);
            (one.operation, one.status) == (other.operation, other.status)
        })
    }
}

/// What each principal saw, by number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observations(Vec<Seen>);

impl Observations {
    pub(super) fn new(principals: usize) -> Self {
        Self(vec![Seen::default(); principals])
    }

    /// How a process ended.
    #[must_use]
    pub fn ending(&self, process: Principal) -> Ending {
        self.of(process).map_or((0, 0), Seen::ending)
    }

    pub(super) fn set_ending(&mut self, process: Principal, ending: Ending) {
        if let Some(seen) = self.0.get_mut(usize::from(process.0)) {
            seen.ending = ending;
        }
    }

    /// What one principal saw; `None` for a number nobody has.
    #[must_use]
    pub fn of(&self, principal: Principal) -> Option<&Seen> {
        self.0.get(usize::from(principal.0))
    }

    pub(super) fn retract(&mut self, principal: Principal, is_second: bool, hash: TraceHash) {
        let seen = &mut self.0[usize::from(principal.0)];
        if !is_second {
            return seen.retract(hash);
        }
        if let Some(second) = &mut seen.second {
            second.retract(hash);
            seen.second.take_if(|second| second.count == 0);
        }
    }
}

impl Authority {
    pub(super) fn observe_end(&mut self, event: &Event) {
        let process = event.subject;
        let ending = self.observations.ending(process);
        self.undo.push(Undo::Ended { process, ending });
        self.observations.set_ending(process, (ending.0.saturating_add(1), event.value));
    }

    pub(super) fn observe(&mut self, event: &Event) {
        let is_second = self.state.thread_on(event.actor, event.processor) != 0;
        let Some(mut seen) = self.observations.0.get_mut(usize::from(event.actor.0)) else {
            return;
        };
        if is_second {
            seen = seen.second.get_or_insert_default();
        }
        self.undo.push(Undo::Observed { principal: event.actor, is_second, hash: seen.hash });
        seen.hash.absorb(event.value, event.old);
        seen.hash.absorb(event.virt, seen.count);
        seen.count += 1;
        if seen.first.len() < KEPT {
            let (operation, status, bytes) = (event.value, event.old, event.virt);
            seen.first.push(Observation { operation, status, bytes });
        }
    }
}
