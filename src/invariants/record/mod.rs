//! What happened since the invariants were asked last, as far as one of them may want it.
//!
//! Loads, stores and steps come by the million and are kept only where one is out of place by
//! itself; what the books found of them is in the books.

mod waits;

use crate::authority::{Authority, Marks, Trespass};
use crate::base::{Event, EventKind, Principal, Ring, Structure, TraceHash, VirtAddr, Witness};
use crate::machine::Machine;

use super::decode;
use super::kinds::Kinds;
use waits::Waits;

const PROCESSORS: usize = 8;

/// Where the upper half of the linear addresses begins.
const FIRST_SYSTEM: u64 = 1 << 63;

/// The plain part: a checkpoint copies it.
#[derive(Clone, Copy, Debug)]
pub struct RecordState {
    user_mode: [bool; PROCESSORS],
    delivering: [bool; PROCESSORS],
    is_stopped: bool,
    marks: Marks,
    /// How many records these are.
    records: usize,
    /// How often user mappings, or what may be mapped, have changed.
    epoch: u64,
    /// At which of these changes each process went back to user mode last.
    seen: [u64; Principal::COUNT_MAX],
    waits: Waits,
}

/// A witness that keeps what the invariants look at.
#[derive(Clone, Debug)]
pub struct Record {
    state: RecordState,
    kinds: Kinds,
    events: Vec<Event>,
    suspects: Vec<Event>,
    /// How many of them came before the machine stopped.
    before_stop: usize,
    returning: Vec<usize>,
    news: Marks,
    /// Whether anything was told since all was looked at.
    is_stirred: bool,
    /// By processor, the address from which on a load or store is out of place, or may be. Follows from
    /// the state, as the next does.
    access_below: [u64; PROCESSORS],
    /// The same for a step.
    step_below: [u64; PROCESSORS],
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

impl Record {
    /// Nothing happened yet.
    #[must_use]
    pub fn new() -> Self {
        let state = RecordState {
            user_mode: [false; PROCESSORS],
            delivering: [false; PROCESSORS],
            is_stopped: false,
            marks: Marks::default(),
            records: 0,
            epoch: 1,
            seen: [0; Principal::COUNT_MAX],
            waits: Waits::NONE,
        };
        Self {
            state,
            kinds: Kinds::NONE,
            events: Vec::with_capacity(64),
            suspects: Vec::new(),
            before_stop: 0,
            returning: Vec::new(),
            news: Marks::default(),
            is_stirred: true,
            access_below: [u64::MAX; PROCESSORS],
            step_below: [u64::MAX; PROCESSORS],
        }
    }

    /// The rarer events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Steps, loads, stores and pushes that are out of place by themselves: at ring 3 beyond the user
    /// half, at ring 0 on a stack in the user half, or after the machine stopped.
    #[must_use]
    pub fn suspects(&self) -> &[Event] {
        &self.suspects
    }

    /// Those of the suspects that came after the machine had stopped.
    #[must_use]
    pub fn after_stop(&self) -> &[Event] {
        if self.state.is_stopped { &self.suspects[self.before_stop..] } else { &[] }
    }

    /// Processors that went back to user mode while mappings, or the books about them, had changed.
    #[must_use]
    pub fn returning(&self) -> &[usize] {
        &self.returning
    }

    /// Where the records of the books began that are new.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.state.marks
    }

    /// Who waits for a driver host that must answer in time, or which host is waited for, and since which
    /// step.
    pub fn waits(&self) -> impl Iterator<Item = (Principal, u64)> {
        self.state.waits.all()
    }

    /// Since which step a processor has neither changed its mode nor taken an interrupt; at the earliest
    /// since the first of the [`waits`](Self::waits) began. Of no meaning where nobody waits.
    #[must_use]
    pub fn turned(&self, processor: usize) -> u64 {
        self.state.waits.turned(processor)
    }

    /// Whether the machine has stopped and not booted again.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state.is_stopped
    }

    /// The privilege of a processor as the mode switches tell it.
    #[must_use]
    pub fn ring(&self, processor: usize) -> Ring {
        let user_mode = self.state.user_mode.get(processor).copied().unwrap_or(false);
        if user_mode { Ring::User } else { Ring::Kernel }
    }

    /// The state to go back to. To be asked between steps, after the invariants.
    #[must_use]
    pub fn checkpoint(&self) -> RecordState {
        self.state
    }

    /// Goes back.
    pub fn restore(&mut self, state: &RecordState) {
        self.state = *state;
        self.news = state.marks;
        self.kinds = Kinds::NONE;
        self.events.clear();
        self.suspects.clear();
        self.before_stop = 0;
        self.is_stirred = true;
        self.bound_all();
    }

    fn bound_all(&mut self) {
        (0..PROCESSORS).for_each(|processor| self.bound(processor));
    }

    /// To be called after each change of what the state says of a processor.
    fn bound(&mut self, processor: usize) {
        let below = match (self.state.is_stopped, self.state.user_mode[processor]) {
            (true, _) => 0,
            (false, true) => FIRST_SYSTEM,
            (false, false) => u64::MAX,
        };
        self.access_below[processor] = below;
        self.step_below[processor] = if self.state.delivering[processor] { 0 } else { below };
    }

    /// Takes in what decides which news there will be. To be asked between steps.
    pub fn absorb(&self, hash: &mut TraceHash) {
        let state = &self.state;
        for (user_mode, delivering) in state.user_mode.iter().zip(state.delivering) {
            hash.absorb(u64::from(*user_mode), u64::from(delivering));
        }
        let has_seen = (0..).zip(state.seen).filter(|(_, seen)| *seen == state.epoch);
        let has_seen = has_seen.fold(0, |set: u64, (principal, _)| set | 1 << principal);
        hash.absorb(has_seen, u64::from(state.is_stopped));
        for word in state.waits.words() {
            hash.absorb(word, 0);
        }
    }

    /// Takes stock after a step: which kinds of news there are.
    #[inline]
    pub(super) fn settle(&mut self, machine: &Machine, authority: &Authority) -> Kinds {
        self.is_stirred = false;
        let records = authority.record_count();
        if records != self.state.records {
            self.state.records = records;
            self.news = authority.marks();
            self.books_news(machine, authority);
        }
        for (state, &user_mode) in machine.processors.iter().zip(&self.state.user_mode) {
            if user_mode != (state.registers.ring == Ring::User) {
                self.kinds = self.kinds.with(Kinds::MODE_MISMATCH);
            }
        }
        if self.kinds.meets(Kinds::of(&[EventKind::ModeSwitch])) {
            self.returns(machine);
        }
        if self.state.waits.concerns(self.kinds) {
            self.state.waits.settle(&self.events, machine.clock, authority);
        }
        self.kinds
    }

    #[cold]
    fn books_news(&mut self, machine: &Machine, authority: &Authority) {
        let (old, new) = (self.state.marks, self.news);
        let lists = [
            (old.trespasses != new.trespasses, Kinds::TRESPASS),
            (old.false_claims != new.false_claims, Kinds::FALSE_CLAIM),
            (old.table_stores != new.table_stores, Kinds::TABLE_STORE),
            (old.bound != new.bound, Kinds::BOUND),
            (old.disclosures != new.disclosures, Kinds::DISCLOSURE),
            (old.residues != new.residues, Kinds::RESIDUE),
        ];
        for (is_new, kind) in lists {
            if is_new {
                self.kinds = self.kinds.with(kind);
            }
        }
        let stores = authority.table_stores().get(old.table_stores..).unwrap_or_default();
        let is_for_user = stores.iter().any(|store| {
            store.is_fill || decode::is_for_user(store.old) || decode::is_for_user(store.value)
        });
        if is_for_user || old.bound != new.bound {
            self.state.epoch += 1;
        }
        // User mode that wrote a table has it at once, and may never enter the kernel to return from it.
        let trespasses = authority.trespasses().get(old.trespasses..).unwrap_or_default();
        let is_by_user =
            |one: &&Trespass| one.ring == Some(Ring::User) && one.structure == Structure::PageTable;
        for one in trespasses.iter().filter(is_by_user) {
            self.looks_at(machine, usize::from(one.event.processor));
        }
    }

    /// The root that a processor has loaded is news to its process, unless it was looked at as it is.
    fn looks_at(&mut self, machine: &Machine, processor: usize) {
        let Some(state) = machine.processors.get(processor) else { return };
        let seen = &mut self.state.seen[usize::from(state.registers.context.0 & 63)];
        if *seen != self.state.epoch {
            *seen = self.state.epoch;
            self.returning.push(processor);
            self.kinds = self.kinds.with(Kinds::RETURNING);
        }
    }

    fn returns(&mut self, machine: &Machine) {
        for place in 0..self.events.len() {
            let event = self.events[place];
            if event.kind == EventKind::ModeSwitch && event.value == 3 {
                self.looks_at(machine, usize::from(event.processor));
            }
        }
    }

    /// Everything up to now was looked at.
    pub(super) fn advance(&mut self) {
        self.state.marks = self.news;
        self.state.waits.advance();
        self.kinds = Kinds::NONE;
        self.events.clear();
        self.suspects.clear();
        self.before_stop = 0;
        self.returning.clear();
    }

    #[cold]
    fn suspect(&mut self, event: &Event) {
        self.suspects.push(*event);
        self.kinds = self.kinds.with(Kinds::SUSPECT);
    }

    #[inline(never)]
    fn rarer(&mut self, event: &Event) {
        let processor = usize::from(event.processor) % PROCESSORS;
        match event.kind {
            EventKind::ModeSwitch => {
                self.state.user_mode[processor] = event.value == 3;
                self.state.delivering[processor] = false;
                self.bound(processor);
            }
            EventKind::Exception | EventKind::Interrupt => {
                self.state.delivering[processor] = true;
                self.bound(processor);
            }
            EventKind::BugCheck | EventKind::Reset if !self.state.is_stopped => {
                self.state.is_stopped = true;
                self.before_stop = self.suspects.len();
                self.bound_all();
            }
            EventKind::Boot => {
                self.state.is_stopped = false;
                self.state.user_mode = [false; PROCESSORS];
                self.state.delivering = [false; PROCESSORS];
                self.bound_all();
            }
            _ => {}
        }
        self.kinds = self.kinds.with(Kinds::of(&[event.kind]));
        self.events.push(*event);
    }
}

impl Witness for Record {
    fn event(&mut self, event: &Event) {
        self.is_stirred = true;
        let processor = usize::from(event.processor) % PROCESSORS;
        let is_system = VirtAddr(event.virt).is_system();
        match event.kind {
            EventKind::Step | EventKind::Load | EventKind::Store => {
                if event.kind == EventKind::Step {
                    self.state.delivering[processor] = false;
                    self.bound(processor);
                }
                let is_beyond = is_system
                    && self.state.user_mode[processor]
                    && !self.state.delivering[processor];
                if is_beyond || self.state.is_stopped {
                    self.suspect(event);
                }
            }
            EventKind::KernelPush => {
                if !is_system || self.state.is_stopped {
                    self.suspect(event);
                }
            }
            _ => self.rarer(event),
        }
    }
}

// What the books too say is in order need not be told to the record.
impl Record {
    /// Whether nothing needs to be written down of a load or store, as far as the record is concerned.
    #[inline(always)]
    #[must_use]
    pub fn is_in_place(&self, event: &Event) -> bool {
        event.virt < self.access_below[usize::from(event.processor) % PROCESSORS]
    }

    /// The same of a step.
    #[inline(always)]
    #[must_use]
    pub fn step_is_in_place(&self, event: &Event) -> bool {
        event.virt < self.step_below[usize::from(event.processor) % PROCESSORS]
    }

    /// The same of a push.
    #[inline(always)]
    #[must_use]
    pub fn push_is_in_place(&self, event: &Event) -> bool {
        VirtAddr(event.virt).is_system() && !self.state.is_stopped
    }

    /// Whether nothing was told since the invariants were asked last, and every processor is in the
    /// mode that it was switched to: then there is no news, in the books either.
    #[inline(always)]
    pub(super) fn is_quiet(&self, machine: &Machine) -> bool {
        let mut modes = machine.processors.iter().zip(&self.state.user_mode);
        !self.is_stirred
            && modes.all(|(state, &user_mode)| user_mode == (state.registers.ring == Ring::User))
    }
}
