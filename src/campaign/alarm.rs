//! What notices a fault first: the first exception, bug check, reset, refusal by the IOMMU or end of a host by
//! its time-out that the undisturbed run does not raise as well.
//!
//! A world may crash by itself: that is how an incident's golden run ends. Such an alarm would have
//! come without the fault, so it detected nothing, and when it comes says nothing about the fault.

use crate::base::{Event, EventKind, Principal, Witness};
use crate::kernel::status;

/// What raises an alarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Raised {
    /// A processor: an exception of this vector.
    Exception(u64),
    /// The kernel: a bug check of this code.
    BugCheck(u64),
    /// The processor that finds no handler for a double fault.
    Reset,
    /// The IOMMU, which refused a transfer and records who asked for it (Intel VT-d specification, "Fault
    /// Logging").
    Refusal,
    /// The kernel, which ended a host whose time for a critical request was over (Microsoft Learn, "Host Process
    /// Timeouts in UMDF").
    TimeOut,
}

/// The first thing that noticed something after a strike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstAlarm {
    /// Number of the event.
    pub ordinal: u64,
    /// What it is.
    pub raised: Raised,
    /// Whose code ran, which device transferred, or which host was late.
    pub blamed: Principal,
}

/// Whether an event is an alarm.
#[inline]
pub(super) const fn is_alarm(event: &Event) -> bool {
    use EventKind::{BugCheck, DmaRefused, Exception, ProcessEnded, Reset};
    match event.kind {
        Exception | BugCheck | Reset | DmaRefused => true,
        // With this status the kernel ends hosts that are late.
        ProcessEnded => event.value == status::IO_TIMEOUT,
        _ => false,
    }
}

impl FirstAlarm {
    /// The alarm that an event is, number `ordinal`.
    pub(super) fn of(event: &Event, ordinal: u64) -> Self {
        let raised = match event.kind {
            EventKind::BugCheck => Raised::BugCheck(event.value),
            EventKind::Reset => Raised::Reset,
            EventKind::DmaRefused => Raised::Refusal,
            EventKind::ProcessEnded => Raised::TimeOut,
            _ => Raised::Exception(event.value >> 32),
        };
        let blamed = if raised == Raised::TimeOut { event.subject } else { event.actor };
        Self { ordinal, raised, blamed }
    }
}

/// One alarm of the golden run: where it was raised and about what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Expected {
    ordinal: u64,
    kind: EventKind,
    actor: Principal,
    value: u64,
    at: u64,
    rip: u64,
}

impl Expected {
    fn of(event: &Event, ordinal: u64) -> Self {
        let Event { kind, actor, subject, value, virt, phys, old: rip, .. } = *event;
        let (actor, at) = match kind {
            // A device knows no linear address.
            EventKind::DmaRefused => (actor, phys),
            // A host is the same wherever its object is, and whoever runs when it is gone.
            EventKind::ProcessEnded => (subject, 0),
            _ => (actor, virt),
        };
        Self { ordinal, kind, actor, value, at, rip }
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
        if is_alarm(event) {
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

/// Which alarms of a run the golden run raises too, asked of one event after the other.
pub struct Anyway<'a> {
    golden: &'a Alarms,
    from: u64,
    met: Met,
}

impl<'a> Anyway<'a> {
    /// Of a run in which a fault struck for the first time at the event of this number.
    pub(super) fn since(strike: u64, golden: &'a Alarms) -> Self {
        Self { golden, from: strike, met: 0 }
    }

    /// Whether the golden run raises this too.
    pub fn raises(&mut self, event: &Event) -> bool {
        if event.kind == EventKind::Boot {
            // The next boot may go as the first did.
            (self.from, self.met) = (0, 0);
        }
        is_alarm(event) && self.golden.expect(event, self.from, &mut self.met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Structure;

    fn refusal(phys: u64) -> Event {
        Event {
            kind: EventKind::DmaRefused,
            actor: Principal(4),
            context: Principal(4),
            subject: Principal(4),
            structure: Structure::DmaBuffer,
            mask: 0xff,
            processor: Event::NO_PROCESSOR,
            struck: false,
            phys,
            virt: 0,
            value: 0,
            old: 0,
        }
    }

    #[test]
    fn a_refusal_of_the_golden_run_is_expected_once_and_where_it_was() {
        let mut golden = Alarms::default();
        golden.event(&refusal(0x5000));
        let mut met = 0;

        assert!(!golden.expect(&refusal(0x5008), 0, &mut met), "elsewhere");
        assert!(golden.expect(&refusal(0x5000), 0, &mut met));
        assert!(!golden.expect(&refusal(0x5000), 0, &mut met), "once more");
    }

    #[test]
    fn each_alarm_goes_by_its_own_name() {
        let raised = |kind, value| FirstAlarm::of(&Event { kind, value, ..refusal(0) }, 7).raised;
        assert_eq!(raised(EventKind::Exception, 14 << 32 | 2), Raised::Exception(14));
        assert_eq!(raised(EventKind::BugCheck, 0x50), Raised::BugCheck(0x50));
        assert_eq!(raised(EventKind::Reset, 0), Raised::Reset);
        assert_eq!(raised(EventKind::DmaRefused, 0), Raised::Refusal);
        assert_eq!(raised(EventKind::ProcessEnded, status::IO_TIMEOUT), Raised::TimeOut);
    }

    #[test]
    fn only_the_end_of_a_host_that_is_late_is_an_alarm_and_in_the_golden_run_it_is_expected() {
        let ended = |host, object, value| Event {
            kind: EventKind::ProcessEnded,
            actor: Principal::KERNEL,
            subject: Principal(host),
            virt: object,
            value,
            ..refusal(0)
        };
        let late = ended(5, 0x1000, 0xc000_00b5);
        assert!(!is_alarm(&ended(5, 0x1000, 1)) && is_alarm(&late));
        assert_eq!(FirstAlarm::of(&late, 7).blamed, Principal(5));
        let mut golden = Alarms::default();
        golden.event(&late);
        let mut met = 0;

        assert!(!golden.expect(&ended(6, 0x1000, 0xc000_00b5), 0, &mut met), "another host");
        assert!(golden.expect(&ended(5, 0x2000, 0xc000_00b5), 0, &mut met));
        assert!(!golden.expect(&late, 0, &mut met), "once more");
    }
}
