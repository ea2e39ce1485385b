//! Critical requests are answered in time.
//!
//! Where hosts of user-mode drivers have a time-out, nobody waits longer than that for a host that is to
//! start again or for one that has the request of a process which is to end: the host answers, or is gone.
//! That no request is left open whose host has ended, which requests-are-conserved says, is not enough: a
//! host that never ends leaves none.
//!
//! Looked at when a process asks for something, when one ends, and at rest. The kernel gets [`SLACK`] beyond
//! the time-out to interrupt the host and end it.
//!
//! Not checked here: requests that are not critical, which may take as long as they like; requests that
//! wait for a host behind others; worlds without a time-out; anything after a stop; and anything once there were
//! too many requests to follow.
//!
//! A kernel that can't run, because a driver of kernel mode spins with its lock or on the processor that would
//! have to be interrupted, breaks this promise too, and then it is that driver which is said to have broken it: a
//! processor is in its code and has turned to nothing else for half of the [`SLACK`] at least. A driver that spun
//! for a while and is through by then is not found out, nor one that spins in what it called.
//!
//! Source: Microsoft Learn, "Host Process Timeouts in UMDF", "How UMDF Handles Application Failures".

use crate::base::{EventKind, Principal, PrincipalKind, Ring};

use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct AnsweredInTime;

/// Steps beyond the time-out in which the kernel ends a host. What it takes is some hundreds: an interrupt,
/// the lock that somebody may hold who makes a process, the end itself.
const SLACK: u64 = 4_000;

/// The driver whose code a processor has run all the while, since the kernel should have ended a host.
fn spins(evidence: &Evidence<'_>) -> Option<Principal> {
    let Evidence { machine, authority, record, .. } = evidence;
    machine.processors.iter().zip(0..).find_map(|(state, number)| {
        let registers = &state.registers;
        let is_long = machine.clock.saturating_sub(record.turned(number)) > SLACK / 2;
        let kind = authority.roster().kind(registers.actor);
        let is_driver = matches!(kind, PrincipalKind::KernelDriver | PrincipalKind::FileSystem);
        (is_long && is_driver && registers.ring == Ring::Kernel && !registers.halted)
            .then_some(registers.actor)
    })
}

impl Invariant for AnsweredInTime {
    fn name(&self) -> &'static str {
        "critical-requests-end-in-time"
    }

    fn sentence(&self) -> &'static str {
        "Where hosts have a time-out, none leaves its start or a cancellation unanswered beyond it."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Host Process Timeouts in UMDF\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::of(&[EventKind::Request, EventKind::ProcessEnded])
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        if evidence.map.host_time_out > 0 {
            self.scan(evidence, findings);
        }
    }

    fn check_at_rest(&self, evidence: &Evidence<'_>, end: &End<'_>, findings: &mut Findings) {
        if end.rest != RestKind::Stopped {
            self.check(evidence, findings);
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let (allowed, clock) = (evidence.map.host_time_out, evidence.machine.clock);
        if allowed == 0 {
            return;
        }
        for (whose, since) in evidence.record.waits() {
            if clock.saturating_sub(since) <= allowed + SLACK {
                continue;
            }
            let offender = spins(evidence).unwrap_or(Principal::KERNEL);
            findings.add(Some(offender), Some(whose), 0, since, || {
                let name = evidence.authority.roster().name(whose);
                format!(
                    "a host's answer is out for {name} since step {since}, and {allowed} steps are \
                     allowed"
                )
            });
        }
    }
}
