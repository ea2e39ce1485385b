//! Every single fault of a fixed world, counted exactly.
//!
//! A campaign draws; a sweep leaves nothing out: each injection point that the golden run reaches, each
//! kind of fault that can strike there, each set of parameters that the kind lists. What it prints is a
//! count and not an estimate. Flips that can't be told apart are run once and counted as many; some of
//! those that were not run are run after all, and one that comes to something else is told.

mod blocks;
mod space;
mod uses;

use std::collections::BTreeMap;

use crate::base::{Digest, Seed};
use crate::faults::{Family, Kind, PlannedFault};
use crate::invariants::Violation;
use crate::outcome::{Class, Outcome};
use crate::scenario::Scenario;
use crate::world::Rest;

use super::series::Case;
use super::tally::{Origin, Tally};
use super::trial::{Registries, Trial, TrialError};

use space::{Single, Space};
use uses::{Fate, Fates};

/// Cases with a violated guarantee, and disagreements, that are kept.
const KEPT_MAX: usize = 32;

/// Of how many flips that are not run one is run after all, when nothing else is said.
pub const CHECK_ONE_IN: u64 = 100;

/// What to do.
#[derive(Clone)]
pub struct Sweep {
    /// The world; its plan is left out.
    pub scenario: Scenario,
    /// Only these kinds of fault; all defects when empty.
    pub kinds: Vec<String>,
    /// Threads. The result is the same.
    pub workers: usize,
    /// Of how many flips for which another stands one is run after all, drawn by a fixed seed; none
    /// when 0.
    pub check_one_in: u64,
    /// Faults, drivers and invariants there are.
    pub registries: Registries,
}

/// A flip that was run after all and came to something else than the one that stood for it.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// Its number.
    pub number: u64,
    /// The number of the one that stood for it.
    pub stands: u64,
    /// What it came to.
    pub found: Class,
    /// What that one came to.
    pub expected: Class,
}

/// Faults of one kind.
#[derive(Clone, Debug, Default)]
pub struct OfKind {
    /// The kind's name.
    pub name: &'static str,
    /// Experiments run for them.
    pub run: u64,
    /// What all of them come to.
    pub tally: Tally,
}

/// What a sweep found. Counts are of faults, whether each was run or another stood for it.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Injection points at which something was tried.
    pub points: u64,
    /// Faults in all.
    pub faults: u64,
    /// Experiments run, those that only check not counted.
    pub run: u64,
    /// Faults for which another one stood.
    pub alike: u64,
    /// Faults whose place is nowhere at the moment they would strike: not run.
    pub nowhere: u64,
    /// All outcomes.
    pub total: Tally,
    /// Outcomes by kind, in the registry's order.
    pub kinds: Vec<OfKind>,
    /// The first fault of each origin and class.
    pub examples: BTreeMap<(Origin, Class), u64>,
    /// The first cases that violated a guarantee, with their numbers.
    pub violations: Vec<(u64, Case)>,
    /// What the world violates by itself.
    pub golden: Vec<Violation>,
    /// How the world stops, or that it never comes to rest, by itself.
    pub golden_stop: Option<Rest>,
    /// Faults that were run although another one stood for them.
    pub checked: u64,
    /// How many of them came to something else: not 0 means that the pruning is wrong.
    pub disagreements_total: u64,
    /// The first of those.
    pub disagreements: Vec<Disagreement>,
    /// The fingerprint of all outcomes in order.
    pub digest: Digest,
    /// Whether it was interrupted: then it tells of the faults before [`reached`](Self::reached), and of
    /// those for which they stand.
    pub is_partial: bool,
    /// The number of the first fault that was not looked at.
    pub reached: u64,
}

/// Where a sweep is.
#[derive(Clone, Copy, Debug)]
pub struct SweepProgress {
    /// Faults looked at.
    pub faults: u64,
    /// Faults in all.
    pub faults_total: u64,
    /// Experiments run.
    pub run: u64,
    /// Guarantees violated so far.
    pub violations: u64,
}

impl Sweep {
    /// All defects in this world, on one thread.
    #[must_use]
    pub fn of(scenario: Scenario) -> Self {
        Self {
            scenario,
            kinds: Vec::new(),
            workers: 1,
            check_one_in: CHECK_ONE_IN,
            registries: Registries::default(),
        }
    }

    /// Runs it. The registries' [`Interrupt`](super::Interrupt) ends it early.
    ///
    /// # Errors
    ///
    /// When the world can't be built or a fault can't be made.
    pub fn run(&self, progress: impl FnMut(SweepProgress)) -> Result<Swept, TrialError> {
        let mut trial = self.trial()?;
        let space = Space::new(&trial, self.chosen());
        let fates = uses::fates(&mut trial, &space, &self.registries.interrupt, |_| true)?;
        blocks::run(self, trial, &space, &fates, progress)
    }

    /// The fault of a number, as a plan; `None` when there are not so many.
    ///
    /// # Errors
    ///
    /// When the world can't be built.
    pub fn fault(&self, number: u64) -> Result<Option<PlannedFault>, TrialError> {
        let space = Space::new(&self.trial()?, self.chosen());
        Ok(space.single(number).map(|single| single.plan()))
    }

    /// Runs the fault of a number alone, whether another one stands for it or not; `None` when there are not so
    /// many. Points and faults are that one.
    ///
    /// # Errors
    ///
    /// When the world can't be built or the fault can't be made, or it was interrupted.
    pub fn run_one(&self, number: u64) -> Result<Option<Swept>, TrialError> {
        let trial = self.trial()?;
        let space = Space::new(&trial, self.chosen());
        let Some(single) = space.single(number) else { return Ok(None) };
        blocks::run_alone(trial, &space, &single).map(Some)
    }

    /// How many faults there are.
    ///
    /// # Errors
    ///
    /// When the world can't be built.
    pub fn faults(&self) -> Result<u64, TrialError> {
        Ok(Space::new(&self.trial()?, self.chosen()).total())
    }

    fn trial(&self) -> Result<Trial, TrialError> {
        Trial::new(&self.scenario, &self.registries)
    }

    fn chosen(&self) -> Vec<Kind> {
        let is_chosen = |kind: &&Kind| match &*self.kinds {
            [] => kind.family == Family::Defect,
            names => names.iter().any(|name| name == kind.name),
        };
        self.registries.faults.kinds().iter().filter(is_chosen).copied().collect()
    }

    /// Which bits of a word for whose flips others stand are flipped after all.
    fn checked_bits(&self, word: u64) -> u64 {
        if self.check_one_in == 0 {
            return 0;
        }
        let mut stream = Seed(word).stream("sweep", 0);
        (0..64).fold(0, |bits, bit| bits | u64::from(stream.below(self.check_one_in) == 0) << bit)
    }
}

/// All of an outcome but where and when it began, which is what flips that are one differ in.
fn what_became(outcome: &Outcome) -> Digest {
    let mut same = outcome.clone();
    same.activation.first = None;
    same.activation.routine = None;
    if let Some(detection) = &mut same.detection {
        detection.events = 0;
    }
    if let Some(sleep) = &mut same.sleep {
        sleep.steps = 0;
    }
    same.digest()
}

#[cfg(test)]
mod tests;
