//! Which thread of a process is it?
//!
//! A process may have a second thread, which asks, is answered and sees for itself. Which of the two a processor
//! runs the kernel says, and it must be one that its process has. What is told of the second one is kept here,
//! and all that is told of a process without one goes by the process alone.

use crate::base::{Event, Principal, TraceHash};

use super::Authority;
use super::record::Falsehood;
use super::state::{Asking, State};

/// Processes with a second thread at most: each takes two of the kernel's sixteen stacks.
pub(super) const SECONDS: usize = 8;

/// The second thread of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    process: Principal,
    /// Its object's address; 0 where there is none.
    object: u64,
    asking: Asking,
    returned: u64,
}

impl Second {
    pub(super) const NONE: Self =
        Self { process: Principal::KERNEL, object: 0, asking: Asking::NOTHING, returned: 0 };
}

impl State {
    /// Which thread of a process runs on a processor: 0 the first, also where the process does not run there;
    /// else the place of the second and one more.
    pub(super) fn thread_on(&self, process: Principal, processor: u8) -> u8 {
        let running = self.running[usize::from(processor) % self.running.len()];
        let second = self.seconds.get(usize::from(running).wrapping_sub(1));
        let is_its = second.is_some_and(|one| one.object != 0 && one.process == process);
        if is_its { running } else { 0 }
    }

    /// What a thread of a process asks for.
    pub(super) fn asking(&self, process: Principal, thread: u8) -> &Asking {
        match thread {
            0 => &self.asking[usize::from(process.0 & 63)],
            second => &self.seconds[usize::from(second - 1) % SECONDS].asking,
        }
    }

    pub(super) fn asking_mut(&mut self, process: Principal, thread: u8) -> &mut Asking {
        match thread {
            0 => &mut self.asking[usize::from(process.0 & 63)],
            second => &mut self.seconds[usize::from(second - 1) % SECONDS].asking,
        }
    }

    /// When the last operation of a thread of a process returned.
    pub(super) fn returned(&self, process: Principal, thread: u8) -> u64 {
        match thread {
            0 => self.returned[usize::from(process.0 & 63)],
            second => self.seconds[usize::from(second - 1) % SECONDS].returned,
        }
    }

    pub(super) fn returned_mut(&mut self, process: Principal, thread: u8) -> &mut u64 {
        match thread {
            0 => &mut self.returned[usize::from(process.0 & 63)],
            second => &mut self.seconds[usize::from(second - 1) % SECONDS].returned,
        }
    }

    /// The place of a process's second thread.
    fn place_of(&self, process: Principal) -> Option<usize> {
        self.seconds.iter().position(|one| one.object != 0 && one.process == process)
    }

    /// Whether an object is this thread of a process.
    pub(super) fn is_thread(&self, process: Principal, thread: u8, object: u64) -> bool {
        match thread {
            0 => self.threads[usize::from(process.0 & 63)] == object,
            second => self.seconds[usize::from(second - 1) % SECONDS].object == object,
        }
    }

    /// Whether an object is a thread of a process.
    pub(super) fn is_thread_of(&self, process: Principal, object: u64) -> bool {
        let second = self.place_of(process).map(|place| self.seconds[place].object);
        object != 0
            && (self.threads[usize::from(process.0 & 63)] == object || second == Some(object))
    }

    /// The second threads, as far as they decide what comes, but for what is asked and was returned.
    pub(super) fn absorb_threads(&self, hash: &mut TraceHash) {
        for second in self.seconds.iter().filter(|one| one.object != 0) {
            hash.absorb(u64::from(second.process.0), second.object);
            hash.absorb(u64::from_le_bytes(self.running), 0);
        }
    }

    /// Who has a second thread, and its number for [`asking`](Self::asking).
    pub(super) fn second_threads(&self) -> impl Iterator<Item = (Principal, u8)> + use<'_> {
        let there = (1..).zip(&self.seconds).filter(|(_, one)| one.object != 0);
        there.map(|(number, one)| (one.process, number))
    }
}

impl Authority {
    pub(super) fn thread_created(&mut self, event: &Event) {
        let (process, object) = (event.subject, event.virt);
        let first = &mut self.state.threads[usize::from(process.0 & 63)];
        if *first == 0 {
            *first = object;
            return;
        }
        let free = self.state.seconds.iter().position(|one| one.object == 0);
        match (self.state.place_of(process), free) {
            (None, Some(place)) => {
                let returned = self.state.ordinal;
                self.state.seconds[place] = Second { process, object, returned, ..Second::NONE };
            }
            _ => self.false_claim(event, Falsehood::NoSuchChange, Some(process)),
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "few places")]
    pub(super) fn thread_ended(&mut self, event: &Event) {
        let process = event.subject;
        if !self.state.is_thread_of(process, event.virt) {
            return self.false_claim(event, Falsehood::NoSuchChange, Some(process));
        }
        let first = usize::from(process.0 & 63);
        if self.state.threads[first] == event.virt {
            self.state.threads[first] = 0;
            self.state.asking[first] = Asking::NOTHING;
            self.blocks_outlive(process, 0);
        } else if let Some(place) = self.state.place_of(process) {
            self.state.seconds[place] = Second::NONE;
            self.blocks_outlive(process, place as u8 + 1);
        }
    }

    /// A process has ended, and with it whatever thread was its last.
    pub(super) fn threads_gone(&mut self, process: Principal) {
        if let Some(place) = self.state.place_of(process) {
            self.state.seconds[place] = Second::NONE;
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "few places")]
    pub(super) fn thread_chosen(&mut self, event: &Event) {
        let process = event.subject;
        let second = self.state.place_of(process);
        let second = second.filter(|&place| self.state.seconds[place].object == event.virt);
        let is_system = process == Principal::KERNEL;
        if !is_system && !self.state.is_thread_of(process, event.virt) {
            self.false_claim(event, Falsehood::NoSuchChange, Some(process));
        }
        let place = usize::from(event.processor) % self.state.running.len();
        self.state.running[place] = second.map_or(0, |place| place as u8 + 1);
    }
}
