//! What notices a fault first: the first exception, bug check or reset that the undisturbed run does
//! not raise as well.
//!
//! A world may crash by itself: that is how an incident's golden run ends. Such an alarm would have
//! come without the fault, so it detected nothing, and when it comes says nothing about the fault.

use crate::base::{Event, EventKind, Principal, Witness};

/// The first thing that noticed something after a strike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstAlarm {
    /// Number of the event.
    pub ordinal: u64,
    /// The exception's vector, or the bug check's code.
    pub number: u64,
    /// Whether it is a bug check.
    pub is_bug_check: bool,
    /// Whose code ran.
    pub blamed: Principal,
}

impl FirstAlarm {
    /// The alarm that an exception, a bug check or a reset is, as event number `ordinal`.
    pub(super) fn of(event: &Event, ordinal: u64) -> Self {
        let is_bug_check = event.kind == EventKind::BugCheck;
        let number = if is_bug_check { event.value } else { event.value >> 32 };
        Self { ordinal, number, is_bug_check, blamed: event.actor }
    }
}

/// One alarm of the golden run: where it was raised and about what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Expected {
    ordinal: u64,
    kind: EventKind,
    actor: Principal,
    value: u64,
    virt: u64,
    rip: u64,
}

impl Expected {
    fn of(event: &Event, ordinal: u64) -> Self {
        let Event { kind, actor, value, virt, old: rip, .. } = *event;
        Self { ordinal, kind, actor, value, virt, rip }
    }

    fn is_like(&self, other: &Self) -> bool {
        Self { ordinal: other.ordinal, ..*self } == *other
    }
}

/// The alarms that the golden run raises, in order.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    raised: Vec<Expected>,
    events: u64,
}

impl Witness for Alarms {
    #[inline]
    fn event(&mut self, event: &Event) {
        self.events += 1;
        if matches!(event.kind, EventKind::Exception | EventKind::BugCheck | EventKind::Reset) {
            self.raised.push(Expected::of(event, self.events));
        }
    }
}

/// Which of the golden run's alarms from some event on a run has raised already: a bit for each of the
/// first 128. One further on may be met more than once.
pub(super) type Met = u128;

impl Alarms {
    /// Whether the golden run, from event number `from` on, raises the same alarm, and this run has not
    /// met it yet.
    pub(super) fn expect(&self, event: &Event, from: u64, met: &mut Met) -> bool {
        let alarm = Expected::of(event, 0);
        let first = self.raised.partition_point(|expected| expected.ordinal < from);
        let later = self.raised[first..].iter().enumerate();
        let bit = |place: usize| if place < 128 { 1 << place } else { 0 };
        let found = later
            .filter(|(_, expected)| expected.is_like(&alarm))
            .find(|(place, _)| *met & bit(*place) == 0);
        *met |= found.map_or(0, |(place, _)| bit(place));
        found.is_some()
    }
}
