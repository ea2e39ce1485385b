//! What of a scenario can be left out: faults, weaknesses, components, actions.
//!
//! What is left out takes along what makes no sense without it: a component takes the drivers and
//! hosts above it, the actions that name it and the faults that start in it or aim at it.

use crate::faults::PlannedFault;
use crate::minimise::Shrink;
use crate::scenario::Scenario;
use crate::world::directory::Target;
use crate::world::{Action, Component};

use super::simpler;

/// A scenario as something to be made smaller. Its sequences: the plan, the weaknesses, the
/// components, the actions of each.
#[derive(Clone, Debug)]
pub(super) struct Case(pub(super) Scenario);

/// Sequences that come before the lists of actions.
const BEFORE_ACTIONS: usize = 3;

impl Shrink for Case {
    fn lengths(&self) -> Vec<usize> {
        let world = &self.0.configuration;
        let mut lengths = vec![self.0.plan.len(), world.weaknesses.len(), world.components.len()];
        lengths.extend(world.components.iter().map(|component| component.actions.len()));
        lengths
    }

    fn keeping(&self, sequence: usize, kept: &[usize]) -> Self {
        let mut scenario = self.0.clone();
        let world = &mut scenario.configuration;
        match sequence {
            0 => scenario.plan = at(&scenario.plan, kept),
            1 => world.weaknesses = at(&world.weaknesses, kept),
            2 => {
                world.components = at(&world.components, kept);
                leave_out_dependents(&mut scenario);
            }
            _ => {
                let actions = &mut world.components[sequence - BEFORE_ACTIONS].actions;
                *actions = actions_at(actions, kept);
            }
        }
        Self(scenario)
    }

    fn simpler(&self) -> impl Iterator<Item = Self> {
        simpler::forms(&self.0).into_iter().map(Self)
    }
}

fn at<T: Clone>(all: &[T], kept: &[usize]) -> Vec<T> {
    kept.iter().map(|&index| all[index].clone()).collect()
}

/// The actions at these places. Where a spawned process or another thread begins, a repetition goes back to or a
/// failure leads to is counted anew.
fn actions_at(all: &[Action], kept: &[usize]) -> Vec<Action> {
    let mut actions = at(all, kept);
    for action in &mut actions {
        if let Action::CreateProcess { first, .. }
        | Action::CreateThread { first, .. }
        | Action::Repeat { first, .. }
        | Action::OnFailure { first } = action
        {
            let before = kept.iter().filter(|&&index| index < usize::from(*first)).count();
            *first = u8::try_from(before).unwrap_or(*first);
        }
    }
    actions
}

/// Leaves out whatever names a component that is not there.
fn leave_out_dependents(scenario: &mut Scenario) {
    let components = &mut scenario.configuration.components;
    loop {
        let names: Vec<String> = components.iter().map(|one| one.name.clone()).collect();
        let stands = |one: &Component| one.above.as_ref().is_none_or(|it| names.contains(it));
        components.retain(stands);
        if components.len() == names.len() {
            break;
        }
    }
    let names: Vec<String> = components.iter().map(|one| one.name.clone()).collect();
    for component in components {
        let actions = &component.actions;
        let kept: Vec<usize> =
            (0..actions.len()).filter(|&index| resolves(&actions[index], &names)).collect();
        if kept.len() < actions.len() {
            component.actions = actions_at(actions, &kept);
        }
    }
    let roster = scenario.configuration.roster();
    scenario
        .plan
        .retain(|fault| roster.named(&fault.who).is_some() && aims_at_somebody(fault, &names));
}

/// Whether whom an action names is there.
fn resolves(action: &Action, names: &[String]) -> bool {
    match action {
        Action::Open { device: name, .. }
        | Action::OpenProcess { process: name, .. }
        | Action::StoreProcessAddress { process: name, .. }
        | Action::CreateProcess { process: name, .. } => names.contains(name),
        _ => true,
    }
}

fn aims_at_somebody(fault: &PlannedFault, names: &[String]) -> bool {
    let is_there = |name: &String| name.is_empty() || names.contains(name);
    let parameters = &fault.parameters;
    let is_target_there = match &parameters.target {
        Some(Target::Named { owner, .. }) => is_there(owner),
        _ => true,
    };
    is_target_there && parameters.process.as_ref().is_none_or(is_there)
}
