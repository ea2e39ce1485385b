//! What a stored scenario came to, beside what was expected of it.

use crate::base::PrincipalKind;
use crate::outcome::{Availability, Class, Outcome};
use crate::scenario::{Expectation, Guarantees, Scenario};

use super::trial::Trial;

/// The class of what became of a scenario. Without a plan there is nothing to have struck: what the
/// world does by itself is classed, and a lost driver host is lost although the golden run lost it too.
#[must_use]
pub fn class_of(scenario: &Scenario, trial: &Trial, outcome: &Outcome) -> Class {
    let class = outcome.class();
    if !scenario.plan.is_empty() || class != Class::NotActivated {
        return class;
    }
    let is_host_lost = trial.roster().iter().any(|(principal, entry)| {
        entry.kind == PrincipalKind::DriverHost
            && trial.golden.endings[usize::from(principal.0)].0 > 0
    });
    if is_host_lost { Class::HostLost } else { Class::NoEffect }
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
            Availability::BugCheck { code, .. } | Availability::BootLoop { code } => Some(code),
            _ => None,
        };
        if found != Some(wanted) {
            let found = found.map_or("none".to_owned(), |code| format!("{code:#x}"));
            missed.push(format!("expected bug check {wanted:#x}, found {found}"));
        }
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
