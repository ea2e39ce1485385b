//! The least that still shows a violation: fewer faults, components and actions, simpler parameters.
//!
//! A candidate counts only while the same guarantees are violated, by a strike on the same principal,
//! with the same victims: another bug found on the way is another case.

use crate::base::PrincipalKind;
use crate::campaign::{Registries, Trial};
use crate::faults::{Parameters, PlannedFault};
use crate::minimise::{Budget, Minimal, Shrink, minimise, towards};
use crate::outcome::{Class, Outcome, Victim};
use crate::scenario::{Expectation, Guarantees, Scenario};

/// Runs a search may take: a fraction of a second to a few seconds, one world built for each.
pub const TRIALS_MAX: u32 = 400;

/// A violation with its least scenario.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The scenario, with its plan and with what is expected of it: the violation.
    pub scenario: Scenario,
    /// What became of it.
    pub outcome: Outcome,
    /// Runs it took to find.
    pub trials: u32,
}

/// What must stay the same.
#[derive(PartialEq, Eq)]
struct Shown {
    guarantees: Vec<String>,
    offender: Option<String>,
    victims: Vec<Victim>,
}

impl Shown {
    fn by(outcome: &Outcome) -> Self {
        Self {
            guarantees: outcome.guarantees.clone(),
            offender: outcome.activation.by.clone(),
            victims: outcome.victims.clone(),
        }
    }
}

/// A scenario as something to be made smaller: its plan, its components, the actions of each.
#[derive(Clone)]
struct Case(Scenario);

/// The least scenario that violates what this one violates. `None` when it violates nothing.
#[must_use]
pub fn minimised(
    start: &Scenario,
    registries: &Registries,
    trials_max: u32,
) -> Option<Counterexample> {
    let run = |scenario: &Scenario| -> Option<Outcome> {
        let outcome = Trial::new(scenario, registries).ok()?.run(&scenario.plan).ok()?;
        (!outcome.guarantees.is_empty()).then_some(outcome)
    };
    let wanted = Shown::by(&run(start)?);
    let budget = Budget { trials_max };
    let Minimal { value: Case(mut scenario), evidence, trials, .. } =
        minimise(Case(start.clone()), budget, |case: &Case| {
            run(&case.0).filter(|outcome| Shown::by(outcome) == wanted)
        })?;
    scenario.expect = Some(Expectation {
        class: Some(Class::GuaranteeViolated.name().to_owned()),
        bug_check: None,
        guarantees: Some(Guarantees::Violated),
        violated: evidence.guarantees.clone(),
    });
    Some(Counterexample { scenario, outcome: evidence, trials })
}

impl Shrink for Case {
    fn lengths(&self) -> Vec<usize> {
        let components = &self.0.configuration.components;
        let mut lengths = vec![self.0.plan.len(), components.len()];
        lengths.extend(components.iter().map(|component| component.actions.len()));
        lengths
    }

    fn keeping(&self, sequence: usize, kept: &[usize]) -> Self {
        let mut scenario = self.0.clone();
        let components = &mut scenario.configuration.components;
        match sequence {
            0 => scenario.plan = kept.iter().map(|&index| self.0.plan[index].clone()).collect(),
            1 => {
                let all = &self.0.configuration.components;
                *components = kept.iter().map(|&index| all[index].clone()).collect();
            }
            _ => {
                let actions = &self.0.configuration.components[sequence - 2].actions;
                components[sequence - 2].actions =
                    kept.iter().map(|&index| actions[index].clone()).collect();
            }
        }
        Self(scenario)
    }

    fn simpler(&self) -> impl Iterator<Item = Self> {
        let mut forms = Vec::new();
        let mut add = |change: &dyn Fn(&mut Scenario)| {
            let mut scenario = self.0.clone();
            change(&mut scenario);
            forms.push(Self(scenario));
        };
        let machine = &self.0.configuration.machine;
        if machine.processors > 1 {
            add(&|scenario| scenario.configuration.machine.processors = 1);
        }
        if machine.clock_interval != 0 {
            add(&|scenario| scenario.configuration.machine.clock_interval = 0);
        }
        if self.0.configuration.schedule != 0 {
            add(&|scenario| scenario.configuration.schedule = 0);
        }
        for (number, fault) in self.0.plan.iter().enumerate() {
            for simpler in simpler_faults(fault) {
                add(&|scenario| scenario.plan[number] = simpler.clone());
            }
        }
        forms.into_iter()
    }
}

fn simpler_faults(fault: &PlannedFault) -> Vec<PlannedFault> {
    let mut forms = Vec::new();
    let with = |parameters: Parameters| PlannedFault { parameters, ..fault.clone() };
    for nth in towards(fault.at.nth, 1) {
        let mut simpler = fault.clone();
        simpler.at.nth = nth;
        forms.push(simpler);
    }
    let parameters = &fault.parameters;
    if let Some(value) = parameters.value {
        for value in towards(value, 0) {
            forms.push(with(Parameters { value: Some(value), ..parameters.clone() }));
        }
    }
    if let Some(offset) = parameters.offset {
        for magnitude in towards(offset.unsigned_abs(), 0) {
            let magnitude = i64::try_from(magnitude).unwrap_or(i64::MAX);
            let offset = Some(if offset < 0 { -magnitude } else { magnitude });
            forms.push(with(Parameters { offset, ..parameters.clone() }));
        }
    }
    forms
}

/// The principals of a scenario that faults of user mode may strike.
#[must_use]
pub fn user_mode_principals(scenario: &Scenario) -> Vec<String> {
    let roster = scenario.configuration.roster();
    let is_user = |kind| matches!(kind, PrincipalKind::Application | PrincipalKind::DriverHost);
    let found = roster.iter().filter(|(_, entry)| is_user(entry.kind));
    found.map(|(_, entry)| entry.name.clone()).collect()
}
