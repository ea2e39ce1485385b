//! Who waits for a driver host that must answer in time, and since when.
//!
//! Two waits: that of a process which somebody has asked to be ended, while a host has its request; and
//! that for a host which the boot or the kernel makes, until it asks for anything. Both are
//! known from what was asked and from the books, not from what the kernel keeps of deadlines.
//!
//! While anybody waits it is known too since when each processor has neither changed its mode nor taken an
//! interrupt: a driver that it has been with for long is what the kernel waits for.
//!
//! Source: Microsoft Learn, "Host Process Timeouts in UMDF".

use crate::authority::Authority;
use crate::base::{Event, EventKind, Principal, PrincipalKind, PrincipalSet, TERMINATE_RIGHT};

use super::super::kinds::Kinds;
use super::PROCESSORS;

/// What can begin a wait.
const BEGINS: Kinds = Kinds::of(&[
    EventKind::HandleUsed,
    EventKind::ProcessCreated,
    EventKind::ProcessEnded,
    EventKind::Boot,
]);
/// What can change one that is under way.
const GOES_ON: Kinds =
    Kinds::of(&[EventKind::Request, EventKind::RequestHandover, EventKind::Release]);
/// What shows that a processor goes on.
const TURNS: Kinds = Kinds::of(&[EventKind::ModeSwitch, EventKind::Interrupt]);

/// The waits, and what they may come of. Plain data: a checkpoint copies it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// Processes that somebody has asked to be ended and that have not ended.
    sentenced: PrincipalSet,
    /// Hosts that were made and have not asked for anything.
    starting: PrincipalSet,
    /// When a wait began, by whom it is for; 0 where there is none.
    since: [u64; Principal::COUNT_MAX],
    /// Whose wait is over, once it was looked at.
    over: PrincipalSet,
    /// Who has a wait.
    waiting: PrincipalSet,
    /// When each processor changed its mode or took an interrupt last, or the first wait began.
    turned: [u64; PROCESSORS],
}

impl Waits {
    pub(super) const NONE: Self = Self {
        sentenced: PrincipalSet::NOBODY,
        starting: PrincipalSet::NOBODY,
        since: [0; Principal::COUNT_MAX],
        over: PrincipalSet::NOBODY,
        waiting: PrincipalSet::NOBODY,
        turned: [0; PROCESSORS],
    };

    /// Whether news of these kinds is of interest.
    #[inline]
    pub(super) const fn concerns(&self, kinds: Kinds) -> bool {
        let is_any = !self.sentenced.is_empty() || !self.waiting.is_empty();
        kinds.meets(BEGINS)
            || is_any && kinds.meets(GOES_ON)
            || !self.waiting.is_empty() && kinds.meets(TURNS)
    }

    /// Takes in what happened, at this time.
    pub(super) fn settle(&mut self, events: &[Event], clock: u64, authority: &Authority) {
        for event in events {
            let subject = event.subject;
            match event.kind {
                EventKind::Boot => *self = Self::NONE,
                EventKind::ModeSwitch | EventKind::Interrupt => {
                    self.turned[usize::from(event.processor) % PROCESSORS] = clock;
                }
                EventKind::HandleUsed if event.old & TERMINATE_RIGHT != 0 => {
                    let ended = authority.process_with(event.virt);
                    self.sentenced = ended.map_or(self.sentenced, |one| self.sentenced.with(one));
                }
                EventKind::ProcessEnded => {
                    self.sentenced = self.sentenced.without(subject);
                    self.over = self.over.with(subject);
                    self.starting = self.starting.without(subject);
                }
                EventKind::ProcessCreated
                    if authority.roster().kind(subject) == PrincipalKind::DriverHost =>
                {
                    self.over = self.over.without(subject);
                    self.starting = self.starting.with(subject);
                    self.begins(subject, clock);
                }
                // Whatever a host asks for, it runs.
                EventKind::Request if self.starting.contains(event.context) => {
                    self.starting = self.starting.without(event.context);
                    self.over = self.over.with(event.context);
                }
                _ => {}
            }
        }
        for process in self.sentenced.iter() {
            let is_at_host = authority.is_answered_by_host(process);
            match (is_at_host, self.waiting.contains(process)) {
                (true, false) => self.begins(process, clock),
                (false, true) => self.over = self.over.with(process),
                _ => {}
            }
        }
    }

    fn begins(&mut self, whose: Principal, clock: u64) {
        if self.waiting.is_empty() {
            self.turned = [clock; PROCESSORS];
        }
        self.since[usize::from(whose.0 & 63)] = clock.max(1);
        self.waiting = self.waiting.with(whose);
    }

    /// The waits that are over were looked at.
    #[inline]
    pub(super) fn advance(&mut self) {
        if self.over.is_empty() {
            return;
        }
        for whose in self.over.iter() {
            self.since[usize::from(whose.0 & 63)] = 0;
            self.waiting = self.waiting.without(whose);
        }
        self.over = PrincipalSet::NOBODY;
    }

    /// Who waits, or for whom, and since when.
    pub(super) fn all(&self) -> impl Iterator<Item = (Principal, u64)> {
        let since = self.since;
        self.waiting.iter().map(move |whose| (whose, since[usize::from(whose.0 & 63)]))
    }

    /// Since when a processor has not turned to anything else, while somebody waits.
    pub(super) fn turned(&self, processor: usize) -> u64 {
        self.turned[processor % PROCESSORS]
    }

    /// The sets as words, the times of those who wait, and while anybody does those of the processors.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        let turned = self.turned.into_iter().filter(|_| !self.waiting.is_empty());
        [self.sentenced.0, self.starting.0, self.waiting.0]
            .into_iter()
            .chain(self.all().map(|(_, since)| since))
            .chain(turned)
    }
}
