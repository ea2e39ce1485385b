//! What a stored scenario came to, beside what was expected of it.

use crate::base::{PrincipalKind, counted};
use crate::outcome::{Availability, Class, Outcome};
use crate::scenario::{Expectation, Guarantees, Scenario};

use super::trial::{Trial, TrialError};

/// What became of a scenario, as it is told, kept and compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// What became of it.
    pub outcome: Outcome,
    /// The class of that.
    pub class: Class,
    /// What of the scenario's expectation was missed, one sentence each.
    pub missed: Vec<String>,
}

impl Judged {
    /// Runs a scenario with its plan, or by itself when it has none. The world is left at the end.
    ///
    /// Without a plan the golden run is the run: there is nothing to have struck and nothing to differ
    /// from. What the world does by itself is then classed as if it had struck, and a process is lost
    /// although the golden run lost it too.
    ///
    /// # Errors
    ///
    /// When a fault of the plan can't be made.
    pub fn of(scenario: &Scenario, trial: &mut Trial) -> Result<Self, TrialError> {
        let mut outcome = trial.run(&scenario.plan)?;
        let class = if scenario.plan.is_empty() {
            outcome.availability = outcome.availability.max(lost_by_itself(trial));
            outcome.devices_lost = trial.golden.devices_lost.count_ones().into();
            let mut as_if_struck = outcome.clone();
            as_if_struck.activation.strikes = 1;
            as_if_struck.class()
        } else {
            outcome.class()
        };
        let missed = scenario
            .expect
            .as_ref()
            .map_or_else(Vec::new, |wanted| missed(wanted, class, &outcome));
        Ok(Self { outcome, class, missed })
    }
}

/// The first status that tells of a failure: severities 2 and 3 (MS-ERREF, "NTSTATUS"), which exception
/// codes have.
const FAILURES: u64 = 0x8000_0000;

/// The worst that the golden run came to: a device given up, the end of a host at all, that of an
/// application with an error.
fn lost_by_itself(trial: &Trial) -> Availability {
    let ends = trial.roster().iter().map(|(principal, entry)| {
        match (entry.kind, trial.golden.observations.ending(principal)) {
            (PrincipalKind::DriverHost, (1.., _)) => Availability::HostLost {
                restarted: trial.judge.authority.restarted().contains(principal),
            },
            (PrincipalKind::Application, (1.., status)) if status >= FAILURES => {
                Availability::ProcessLost { status }
            }
            _ => Availability::Unaffected,
        }
    });
    let given_up = match trial.golden.devices_disabled {
        0 => Availability::Unaffected,
        _ => Availability::DeviceDisabled,
    };
    ends.fold(given_up, Availability::max)
}

/// Which parameters of the bug check are others than those expected.
fn missed_parameters(expected: &Expectation, found: Availability) -> Vec<String> {
    let wanted =
        [expected.parameter_1, expected.parameter_2, expected.parameter_3, expected.parameter_4];
    let found = match found {
        Availability::BugCheck { parameters, .. } | Availability::BootLoop { parameters, .. } => {
            parameters.map(Some)
        }
        _ => [None; 4],
    };
    let pairs = wanted.into_iter().zip(found).enumerate();
    let missed = pairs.filter_map(|(number, (wanted, found))| {
        let wanted = wanted.filter(|wanted| found != Some(*wanted))?;
        let found = found.map_or("no bug check".to_owned(), |found| format!("{found:#x}"));
        Some(format!("expected parameter {} to be {wanted:#x}, found {found}", number + 1))
    });
    missed.collect()
}

/// What of an expectation was missed, one sentence each.
#[must_use]
pub fn missed(expected: &Expectation, class: Class, outcome: &Outcome) -> Vec<String> {
    let mut missed = Vec::new();
    if let Some(wanted) = &expected.class
        && wanted != class.name()
    {
        missed.push(format!("expected the class {wanted}, found {class}"));
    }
    if let Some(wanted) = expected.bug_check {
        let found = match outcome.availability {
            Availability::BugCheck { code, .. } | Availability::BootLoop { code, .. } => Some(code),
            _ => None,
        };
        if found != Some(wanted) {
            let found = found.map_or("none".to_owned(), |code| format!("{code:#x}"));
            missed.push(format!("expected bug check {wanted:#x}, found {found}"));
        }
    }
    missed.extend(missed_parameters(expected, outcome.availability));
    for (axis, wanted, found) in [
        ("integrity", &expected.integrity, outcome.integrity.name()),
        ("availability", &expected.availability, outcome.availability.name()),
    ] {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            missed.push(format!("expected the {axis} {wanted}, found {found}"));
        }
    }
    if let Some(wanted) = expected.devices_lost.filter(|&wanted| wanted != outcome.devices_lost) {
        let found = outcome.devices_lost;
        missed
            .push(format!("expected {} to lose a host, found {found}", counted(wanted, "device")));
    }
    let violated = outcome.guarantees.join(", ");
    match expected.guarantees {
        Some(Guarantees::Held) if !outcome.guarantees.is_empty() => {
            missed.push(format!("expected every guarantee to hold, but violated: {violated}"));
        }
        Some(Guarantees::Violated) if outcome.guarantees.is_empty() => {
            missed.push("expected a guarantee to be violated, but all of them held".to_owned());
        }
        _ => {}
    }
    for name in &expected.violated {
        if !outcome.guarantees.contains(name) && !outcome.exposures.contains(name) {
            missed.push(format!("expected {name} to be violated, but it held"));
        }
    }
    missed
}
