//! The least that still shows a violation: fewer faults, components and actions, simpler parameters.
//!
//! A candidate counts only while the same invariant is violated by the same offender to the same
//! victim's harm, after a strike on the same principal, or without any where the world breaks it by itself:
//! another bug found on the way is another case.
//! Of several violations the gravest is kept (`gravity` says which that is); guarantees that the least
//! case does not violate any more are named in what it says about itself.

pub mod gravity;

use crate::base::Principal;
use crate::campaign::experiment::{CONTAINED, SURVIVES};
use crate::campaign::{Registries, Trial};
use crate::faults::PlannedFault;
use crate::invariants::Violation;
use crate::minimise::{Budget, Extent, Minimal, Minimiser};
use crate::outcome::{Class, Outcome};
use crate::scenario::{Expectation, Guarantees, Scenario, Vocabulary};

use super::smaller::Case;

/// Runs a search may take: a few seconds at most, one world built for each.
pub const TRIALS_MAX: u32 = 1500;

/// A violation with its least scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// The scenario, with its plan and with what is expected of it: the violation.
    pub scenario: Scenario,
    /// What became of it.
    pub outcome: Outcome,
    /// The violation that was kept.
    pub shown: Shown,
    /// Guarantees that were violated at first and are not in the least case, in order of gravity.
    pub lost: Vec<String>,
    /// Runs it took to find.
    pub trials: u32,
    /// Whether nothing more can be left out or simplified, or the runs were used up first.
    pub extent: Extent,
}

/// A violation by its names; numbers change when components are left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Which guarantee.
    pub guarantee: String,
    /// Who broke it, as far as that can be said.
    pub offender: Option<String>,
    /// Whom it harmed, as far as that can be said.
    pub victim: Option<String>,
}

/// What the last run of a trial violated of what was promised: the gravest first, then in the order in
/// which it was seen. Once a fault struck, what the world violates by itself is none of it.
#[must_use]
pub fn shown(trial: &Trial, outcome: &Outcome) -> Vec<Shown> {
    let name = |who: Option<Principal>| who.map(|who| trial.roster().name(who).to_owned());
    let promised = |name: &str| outcome.guarantees.iter().any(|guarantee| guarantee == name);
    let is_struck = outcome.activation.strikes > 0;
    let by_itself = if is_struck { trial.golden.violations.as_slice() } else { &[] };
    let is_known = |found: &Violation| by_itself.iter().any(|known| found.follows_from(known));
    let seen = trial.watch.violations().iter();
    let seen = seen.filter(|found| promised(found.invariant) && !is_known(found));
    let mut all: Vec<Shown> = seen
        .map(|found| Shown {
            guarantee: found.invariant.to_owned(),
            offender: name(found.offender),
            victim: name(found.victim),
        })
        .collect();
    // These follow from the outcome as a whole.
    for guarantee in [CONTAINED, SURVIVES].into_iter().filter(|name| promised(name)) {
        let victims = outcome.deviated.iter().map(|victim| Some(victim.clone()));
        let nobody = outcome.deviated.is_empty().then_some(None);
        all.extend(victims.chain(nobody).map(|victim| Shown {
            guarantee: guarantee.to_owned(),
            offender: outcome.activation.by.clone(),
            victim,
        }));
    }
    all.sort_by_key(|one| gravity::rank(&one.guarantee));
    all
}

/// Runs candidates, and remembers of the last that failed how often each fault's point was reached.
struct Runner<'a> {
    registries: &'a Registries,
    vocabulary: Vocabulary,
    /// The violation and the principal struck; the first run's until there is one.
    wanted: Option<(Shown, Option<String>)>,
    /// The guarantees that the first run violated, in order of gravity.
    violated: Vec<String>,
    reached: Vec<u64>,
}

impl Runner<'_> {
    /// The candidate as it violated what is wanted, or `None`.
    ///
    /// Where something was left out, a fault's point comes up less often before the strike: the plan
    /// is also tried with the strike as much earlier.
    fn run(&mut self, Case(mut scenario): Case) -> Option<(Case, Outcome)> {
        if !scenario.check(&self.vocabulary).is_empty() {
            return None;
        }
        let mut trial = Trial::new(&scenario, self.registries).ok()?;
        let reached: Vec<u64> = (0..scenario.plan.len())
            .map(|number| reached(&trial, number, &scenario.plan[number]))
            .collect();
        let mut outcome = self.violates(&mut trial, &scenario.plan);
        if outcome.is_none()
            && let Some(plan) = self.earlier(&scenario.plan, &reached)
        {
            outcome = self.violates(&mut trial, &plan);
            scenario.plan = plan;
        }
        let outcome = outcome?;
        self.reached = reached;
        Some((Case(scenario), outcome))
    }

    fn violates(&mut self, trial: &mut Trial, plan: &[PlannedFault]) -> Option<Outcome> {
        let outcome = trial.run(plan).ok()?;
        let all = shown(trial, &outcome);
        let struck = outcome.activation.by.clone();
        if !plan.is_empty() && struck.is_none() && self.wanted.is_some() {
            return None;
        }
        match &self.wanted {
            None => {
                for one in &all {
                    if !self.violated.contains(&one.guarantee) {
                        self.violated.push(one.guarantee.clone());
                    }
                }
                self.wanted = Some((all.into_iter().next()?, struck));
            }
            Some((wanted, by)) => {
                let is_same_strike = plan.is_empty() || struck == *by;
                if !is_same_strike || !all.contains(wanted) {
                    return None;
                }
            }
        }
        Some(outcome)
    }

    fn earlier(&self, plan: &[PlannedFault], reached: &[u64]) -> Option<Vec<PlannedFault>> {
        if plan.len() != self.reached.len() {
            return None;
        }
        let mut plan = plan.to_vec();
        let mut is_moved = false;
        for (planned, (now, before)) in plan.iter_mut().zip(reached.iter().zip(&self.reached)) {
            let missing = before.saturating_sub(*now);
            if missing > 0 && missing < planned.at.nth {
                planned.at.nth -= missing;
                is_moved = true;
            }
        }
        is_moved.then_some(plan)
    }
}

/// How often the golden run reached the point that a fault waits for.
fn reached(trial: &Trial, number: usize, planned: &PlannedFault) -> u64 {
    let Ok(armed) = trial.arm(number, planned) else { return 0 };
    trial.golden.points.iter().filter(|point| armed.trigger.matches(point)).count() as u64
}

/// The least scenario that violates what this one violates. `None` when it violates nothing, or is
/// none that can be kept: see [`Scenario::check`].
#[must_use]
pub fn minimised(
    start: &Scenario,
    registries: &Registries,
    trials_max: u32,
) -> Option<Counterexample> {
    let vocabulary = Vocabulary::new(registries.faults.clone(), &registries.drivers());
    let mut runner =
        Runner { registries, vocabulary, wanted: None, violated: Vec::new(), reached: Vec::new() };
    let Minimal { value: Case(scenario), evidence, trials, extent, .. } =
        Minimiser::within(Budget { trials_max })
            .minimise_mending(Case(start.clone()), |case| runner.run(case))?;
    let (shown, _) = runner.wanted?;
    // Whatever was not run for want of time may still fail.
    let extent = if registries.interrupt.is_raised() { Extent::BudgetHit } else { extent };
    let mut scenario = expecting(scenario, &evidence.guarantees);
    let names = |one: &Scenario| -> Vec<String> {
        one.configuration.components.iter().map(|component| component.name.clone()).collect()
    };
    if !scenario.about.is_empty() && names(&scenario) != names(start) {
        // It tells of components that are not there any more.
        scenario.about.insert_str(0, "Minimised. Of the whole world it was said: ");
    }
    let mut lost = runner.violated;
    lost.retain(|guarantee| !evidence.guarantees.contains(guarantee));
    if !lost.is_empty() {
        let gap = match scenario.about.trim_end().chars().last() {
            None => "",
            Some('.' | '!' | '?' | ':') => " ",
            Some(_) => ". ",
        };
        scenario.about.truncate(scenario.about.trim_end().len());
        let told = format!("{gap}Also violated in the unminimised run: {}.", lost.join(", "));
        scenario.about.push_str(&told);
    }
    Some(Counterexample { scenario, outcome: evidence, shown, lost, trials, extent })
}

/// The scenario with what is expected of it: that these guarantees are violated. What it tells of an
/// incident is left out, for that is of the case before it was altered.
#[must_use]
pub fn expecting(mut scenario: Scenario, violated: &[String]) -> Scenario {
    scenario.expect = Some(Expectation {
        class: Some(Class::GuaranteeViolated.name().to_owned()),
        guarantees: Some(Guarantees::Violated),
        violated: violated.to_vec(),
        ..Expectation::default()
    });
    scenario.incident = None;
    scenario.contrasts.clear();
    scenario
}

#[cfg(test)]
mod tests;
