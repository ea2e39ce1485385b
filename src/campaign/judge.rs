//! Who watches a run: the books, the trace hash, and the few facts that outcomes need.

use crate::authority::{self, Authority};
use crate::base::{
    Digest, Event, EventKind, Principal, PrincipalKind, PrincipalSet, Roster, TraceHash, Witness,
};
use crate::invariants::{Record, RecordState};

use super::alarm::{Alarms, Anyway, FirstAlarm, Met, is_alarm};
use super::golden_accesses::GoldenAccesses;
use super::suspects::Suspects;

/// The first time a fault struck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstStrike {
    /// Number of the event.
    pub ordinal: u64,
    /// At whose injection point.
    pub by: Principal,
    /// In whose address space.
    pub context: Principal,
}

/// The plain part of what a judge remembers.
#[derive(Clone, Copy, Debug)]
struct Notes {
    trace: TraceHash,
    events: u64,
    strike: Option<FirstStrike>,
    /// What the golden run accesses in the step of the first strike, from the strike on: first and end in
    /// its list. Nothing once another strike makes of the run one of its own.
    undisturbed: (u32, u32),
    poked_elsewhere: bool,
    suspects: Suspects,
    alarm: Option<(FirstAlarm, Suspects)>,
    /// From which of its events on the golden run is what this one is held against.
    from: u64,
    met: Met,
}

/// Watches one run.
pub struct Judge {
    /// The books.
    pub authority: Authority,
    /// What the invariants look at.
    pub record: Record,
    /// What the golden run raises by itself.
    expected: Alarms,
    /// What it loads and stores.
    accesses: GoldenAccesses,
    notes: Notes,
}

/// A place to go back to.
pub struct Checkpoint {
    authority: authority::Checkpoint,
    record: RecordState,
    notes: Notes,
}

impl Judge {
    /// A judge of a world that has not begun.
    #[must_use]
    pub fn new(memory_words: usize, roster: Roster) -> Self {
        let notes = Notes {
            trace: TraceHash::default(),
            events: 0,
            strike: None,
            undisturbed: (0, 0),
            poked_elsewhere: false,
            suspects: Suspects::default(),
            alarm: None,
            from: 0,
            met: 0,
        };
        let authority = Authority::new(memory_words, roster);
        Self {
            authority,
            record: Record::new(),
            expected: Alarms::default(),
            accesses: GoldenAccesses::default(),
            notes,
        }
    }

    /// From now on, what the golden run raises by itself is no alarm, and what it stores in a step is no
    /// damage when a fault strikes that step. Going back does not undo this.
    pub(super) fn expect(&mut self, alarms: Alarms, accesses: GoldenAccesses) {
        (self.expected, self.accesses) = (alarms, accesses);
    }

    /// Which alarms the golden run raises too, from the first strike on, at the event of this number.
    #[must_use]
    pub fn raised_anyway(&self, strike: u64) -> Anyway<'_> {
        Anyway::since(strike, &self.expected)
    }

    /// Whether the golden run makes this load or store too, in the step at whose event of number `strike` a fault
    /// struck for the first time, and after it.
    #[must_use]
    pub fn is_made_anyway(&self, strike: u64, event: &Event) -> bool {
        self.accesses.has(self.accesses.left_at(strike), event)
    }

    fn is_undisturbed(&self, event: &Event) -> bool {
        let (first, end) = self.notes.undisturbed;
        event.struck && first < end && self.accesses.has(first..end, event)
    }

    /// The rolling hash over all events.
    #[must_use]
    pub fn trace(&self) -> TraceHash {
        self.notes.trace
    }

    /// Events seen.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.notes.events
    }

    /// The first strike.
    #[must_use]
    pub fn strike(&self) -> Option<FirstStrike> {
        self.notes.strike
    }

    /// At whose injection points faults struck, but for those at which memory itself changed: who was about to
    /// act then has no part in it.
    #[must_use]
    pub fn struck(&self) -> PrincipalSet {
        self.notes.suspects.acted
    }

    /// Whether memory itself changed, or a fault changed it behind everybody's back outside what the struck
    /// principal owns: no architecture contains that.
    #[must_use]
    pub fn was_poked_elsewhere(&self) -> bool {
        self.notes.poked_elsewhere
    }

    /// In whom faults struck so far.
    #[must_use]
    pub fn suspects(&self) -> Suspects {
        self.notes.suspects
    }

    /// What noticed first, beside what the golden run raises as well, and who may have done it.
    #[must_use]
    pub fn alarm(&self) -> Option<(FirstAlarm, Suspects)> {
        self.notes.alarm
    }

    /// A fingerprint of all that decides what it will say of events to come. `None` while some bytes
    /// are corrupt.
    #[must_use]
    pub fn prospects(&mut self) -> Option<Digest> {
        let mut hash = TraceHash::default();
        let [high, low] = self.authority.prospects()?.words();
        hash.absorb(high, low);
        self.record.absorb(&mut hash);
        Some(hash.digest())
    }

    /// Remembers the present state.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            authority: self.authority.checkpoint(),
            record: self.record.checkpoint(),
            notes: self.notes,
        }
    }

    /// Goes back.
    pub fn restore(&mut self, checkpoint: &Checkpoint) {
        self.authority.restore(&checkpoint.authority);
        self.record.restore(&checkpoint.record);
        self.notes = checkpoint.notes;
    }

    #[cold]
    fn rare(&mut self, event: &Event) {
        let notes = &mut self.notes;
        match event.kind {
            EventKind::Strike => {
                notes.suspects.strikes(event, notes.events);
                notes.undisturbed = (0, 0);
                if notes.strike.is_none() {
                    let left = self.accesses.left_at(notes.events);
                    notes.undisturbed = (left.start, left.end);
                    notes.strike = Some(FirstStrike {
                        ordinal: notes.events,
                        by: event.actor,
                        context: event.context,
                    });
                    (notes.from, notes.met) = (notes.events, 0);
                }
            }
            _ if is_alarm(event)
                // A process may end with whatever status it likes.
                && (event.kind != EventKind::ProcessEnded
                    || self.authority.roster().kind(event.subject) == PrincipalKind::DriverHost)
                && notes.strike.is_some()
                && notes.alarm.is_none()
                && !self.expected.expect(event, notes.from, &mut notes.met) =>
            {
                notes.alarm = Some((FirstAlarm::of(event, notes.events), notes.suspects));
            }
            // The next boot may go as the first did.
            EventKind::Boot => (notes.from, notes.met) = (0, 0),
            EventKind::Store if event.is_by_nobody() => {
                let at = crate::base::PhysAddr::truncated(event.phys);
                let owners = self.authority.owners_of(at);
                if event.is_by_memory() || owners != PrincipalSet::of(event.actor) {
                    notes.poked_elsewhere = true;
                    notes.suspects.is_memory(event);
                }
            }
            _ => {}
        }
    }
}

/// Kinds of event that need a closer look than the hash.
const RARE: u64 = 1 << EventKind::Strike as u64
    | 1 << EventKind::Exception as u64
    | 1 << EventKind::BugCheck as u64
    | 1 << EventKind::Reset as u64
    | 1 << EventKind::DmaRefused as u64
    | 1 << EventKind::ProcessEnded as u64
    | 1 << EventKind::Boot as u64;

impl Judge {
    /// What books and record do with an event that may concern them.
    #[inline(never)]
    fn take(&mut self, event: &Event) {
        if RARE >> event.kind as u64 & 1 == 1 || event.struck {
            self.rare(event);
        }
        if self.is_undisturbed(event) {
            self.authority.event(&Event { struck: false, ..*event });
        } else {
            self.authority.event(event);
        }
        self.record.event(event);
    }
}

impl Witness for Judge {
    fn event(&mut self, event: &Event) {
        self.turn(core::slice::from_ref(event));
    }

    // Nearly all events are granted and in their place. Books and record say so of each by itself,
    // in few instructions; only of the others do they take note. The hash has a loop of its own: the
    // two would be in each other's way.
    #[inline]
    fn turn(&mut self, events: &[Event]) {
        let mut trace = self.notes.trace;
        for event in events {
            trace.absorb_event(event.words());
        }
        self.notes.trace = trace;
        let before = self.notes.events;
        for (number, event) in (before + 1..).zip(events) {
            let (record, authority) = (&self.record, &mut self.authority);
            let passes = match event.kind {
                EventKind::Load => record.is_in_place(event) && authority.load_passes(event),
                EventKind::Store => record.is_in_place(event) && authority.store_passes(event),
                EventKind::Step => record.step_is_in_place(event) && authority.step_passes(event),
                EventKind::KernelPush => record.push_is_in_place(event) && authority.push_passes(),
                _ => false,
            };
            if !passes {
                self.notes.events = number;
                self.take(event);
            }
        }
        self.notes.events = before + events.len() as u64;
    }
}
