//! What happens when one acts in the other?
//!
//! A world is a machine with a kernel loaded, components around it, and a schedule. It knows neither
//! the books nor the invariants: it runs, and tells a witness what happened.

pub mod action;
mod build;
pub mod components;
pub mod configuration;
pub mod directory;
pub mod driver;
mod framework;
mod link;
mod located;
mod map;
pub mod preset;
mod protection;
mod repool;
pub mod rules;
mod schedule;
mod verifier;
mod weakness;

use crate::base::{Event, EventKind, Principal, Roster, Structure, Witness};
use crate::machine::{self, Machine, Trap};

pub use action::{Action, CrashKind};
pub use build::{BuildError, CONTENT_SECTOR};
pub use configuration::{Component, Configuration, Home, MachineConfiguration};
pub use driver::{DriverDefinition, Drivers, HostDefinition, Placement};
use repool::Repool;
use schedule::Schedule;
pub use verifier::{UNMODELLED_OPTIONS, VERIFIER_OPTIONS, verifier_options};
pub use weakness::{WEAKNESSES, Weakness};

/// Why a run came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Rest {
    /// Nothing can happen any more.
    Quiescent,
    /// The kernel stopped itself, with this code; the world can be booted again.
    BugCheck(u64),
    /// The machine was reset without a dump; the world can be booted again.
    Reset,
    /// The step budget is used up.
    OutOfSteps,
    /// The caller's own bound was reached.
    Paused,
}

/// A machine with a kernel and components in it.
pub struct World {
    /// The machine. Whoever watches may read it.
    pub machine: Machine,
    roster: Roster,
    configuration: Configuration,
    schedule: Schedule,
    fresh: machine::Checkpoint,
    claims: Vec<Event>,
    boots: u8,
    rest: Option<Rest>,
    started: bool,
    /// Whose device is left out of the pool at the next boot, where the disk says so.
    repool: Repool,
    /// When the clock interrupts next; follows from time.
    next_tick: u64,
}

/// Everything needed to put a world back where it was.
pub struct Checkpoint {
    machine: machine::Checkpoint,
    boots: u8,
    rest: Option<Rest>,
    started: bool,
}

impl World {
    /// Who there is.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What it was built from.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Changes the step budget.
    pub fn set_steps_max(&mut self, steps_max: u64) {
        self.configuration.steps_max = steps_max;
    }

    /// How often it was booted so far, the first time included.
    #[must_use]
    pub fn boots(&self) -> u8 {
        self.boots
    }

    /// Runs one step, or as many as pass without anybody doing anything, and tells the witness.
    /// Returns why the world came to rest, when it did.
    pub fn step(&mut self, witness: &mut impl Witness) -> Option<Rest> {
        if self.rest.is_some() {
            return self.rest;
        }
        if !self.started {
            self.started = true;
            self.announce_boot();
        }
        let processor = self.choose();
        match processor {
            Some(processor) => {
                if self.machine.devices_are_due() {
                    self.machine.run_devices(self.schedule.draw(self.machine.clock));
                }
                self.tick(processor);
                self.machine.step(processor);
            }
            None => self.rest = self.skip_to_next_event(),
        }
        self.tell(witness);
        if self.machine.clock >= self.configuration.steps_max && self.rest.is_none() {
            self.rest = Some(Rest::OutOfSteps);
        }
        self.rest
    }

    /// Runs until the world comes to rest, or the clock reaches `until`.
    pub fn run(&mut self, witness: &mut impl Witness, until: u64) -> Rest {
        while self.machine.clock < until {
            if let Some(rest) = self.step(witness) {
                return rest;
            }
        }
        self.rest.unwrap_or(Rest::Paused)
    }

    /// Starts the machine again after it stopped: memory as the loader left it, the disk as it is, and what the
    /// loader reads there of user-mode drivers.
    ///
    /// # Panics
    ///
    /// When the machine has not stopped.
    pub fn reboot(&mut self) {
        assert!(self.machine.stopped, "only a machine that stopped is booted again");
        self.machine.reboot(&self.fresh);
        self.repool.boot(&mut self.machine);
        self.boots += 1;
        self.rest = None;
        self.announce_boot();
    }

    /// Remembers the present state.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            machine: self.machine.checkpoint(),
            boots: self.boots,
            rest: self.rest,
            started: self.started,
        }
    }

    /// Goes back to a checkpoint; costs what was changed since.
    pub fn restore(&mut self, checkpoint: &Checkpoint) {
        self.machine.restore(&checkpoint.machine);
        self.boots = checkpoint.boots;
        self.rest = checkpoint.rest;
        self.started = checkpoint.started;
    }

    /// Another world in the same state, built anew from the configuration, memory, registers and
    /// devices: every object of kernel and components is dropped on the way.
    ///
    /// # Panics
    ///
    /// When the configuration no longer builds, which it did before.
    #[must_use]
    pub fn rebuilt(&self, drivers: &Drivers) -> Self {
        let mut other =
            Self::build_with(&self.configuration, drivers).expect("it was built before");
        other.machine.adopt(&self.machine.raw_state());
        // What has happened and was not told yet: a boot that was announced and not begun.
        other.machine.events.clone_from(&self.machine.events);
        other.boots = self.boots;
        other.rest = self.rest;
        other.started = self.started;
        other
    }

    /// The processor whose turn it is; `None` when all of them wait for an interrupt.
    #[inline]
    fn choose(&self) -> Option<usize> {
        let processors = &self.machine.processors;
        let count = processors.len();
        let mut number = self.schedule.draw(self.machine.clock);
        for _ in 0..count {
            let registers = &processors[number].registers;
            if !registers.halted || registers.pending != 0 {
                return Some(number);
            }
            number = if number + 1 == count { 0 } else { number + 1 };
        }
        None
    }

    /// Lets the clock interrupt a processor that works, when it is time.
    #[inline]
    fn tick(&mut self, processor: usize) {
        let interval = u64::from(self.configuration.machine.clock_interval);
        let clock = self.machine.clock;
        // The next one is known until it has passed, or time was turned back by more than that.
        if self.next_tick.wrapping_sub(clock) >= interval {
            self.next_tick = match interval {
                0 => return,
                _ => clock - clock % interval + interval - 1,
            };
        }
        if clock == self.next_tick {
            if self.configuration.machine.has_watchdogs() {
                self.machine.raise_non_maskable();
            }
            if !self.machine.processors[processor].registers.halted {
                self.machine.raise_interrupt(processor, Trap::CLOCK);
            }
        }
    }

    /// Nobody can do anything until a device is done: time passes.
    fn skip_to_next_event(&mut self) -> Option<Rest> {
        let due =
            self.machine.devices.iter().filter_map(|device| device.busy).map(|(_, due)| due).min();
        let Some(due) = due else { return Some(Rest::Quiescent) };
        self.machine.clock = self.machine.clock.max(due);
        self.machine.run_devices(self.schedule.draw(self.machine.clock));
        None
    }

    /// Hands over what happened, and takes note of an end.
    #[inline]
    fn tell(&mut self, witness: &mut impl Witness) {
        witness.turn(&self.machine.events);
        if self.machine.stopped {
            self.note_stop();
        }
        self.machine.events.clear();
    }

    #[cold]
    fn note_stop(&mut self) {
        for event in &self.machine.events {
            match event.kind {
                // The world goes on while a processor does.
                EventKind::BugCheck if self.machine.stopped => {
                    self.rest = Some(Rest::BugCheck(event.value));
                }
                EventKind::Reset => self.rest = Some(Rest::Reset),
                _ => {}
            }
        }
    }

    /// Says that the machine starts, and repeats what the loader handed out.
    fn announce_boot(&mut self) {
        let blank = Event {
            kind: EventKind::Boot,
            actor: Principal::KERNEL,
            context: Principal::KERNEL,
            subject: Principal::KERNEL,
            structure: Structure::Free,
            mask: 0,
            processor: 0,
            struck: false,
            phys: 0,
            virt: 0,
            value: u64::from(self.boots),
            old: 0,
        };
        self.machine.events.push(blank);
        self.machine.events.extend_from_slice(&self.claims);
    }
}
