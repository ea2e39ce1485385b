//! Many plans in one world: the golden prefix is run once, each experiment forks before its strike.

use core::ops::Range;

use crate::base::{PrincipalKind, Seed};
use crate::faults::{self, Family, Mix, PlannedFault, Wanted};
use crate::outcome::{Class, Outcome};
use crate::scenario::Scenario;

use super::experiment::Course;
use super::forks::Forks;
use super::tally::Origin;
use super::trial::{Registries, Trial, TrialError};

/// How plans are drawn.
#[derive(Clone, Debug)]
pub struct SeriesOptions {
    /// Experiments in the world.
    pub experiments: u32,
    /// The seed of the plans.
    pub seed: Seed,
    /// Only these kinds of fault; all defects when empty.
    pub kinds: Vec<String>,
    /// Only the experiments of these numbers: each is what it is among all of them.
    pub only: Option<Range<u32>>,
}

/// One experiment of a series.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number in the series.
    pub number: u32,
    /// What was planned.
    pub plan: PlannedFault,
    /// Where the fault started: with the principal that the plan names, or below everybody.
    pub origin: Origin,
    /// What became of it.
    pub outcome: Outcome,
}

impl Case {
    /// The class tables count it in: what came of a fault, so nothing when none struck, whatever
    /// the world does by itself.
    #[must_use]
    pub fn class(&self) -> Class {
        if self.outcome.activation.strikes == 0 && self.outcome.guarantees.is_empty() {
            return Class::NotActivated;
        }
        self.outcome.class()
    }
}

/// Why a series can't be run.
pub type SeriesError = TrialError;

/// A planned fault with the turn before which the world is to stand when it is armed.
struct Drawn {
    number: u32,
    plan: PlannedFault,
    origin: PrincipalKind,
    turn: u32,
}

/// All plans of one world.
pub struct Series {
    forks: Forks,
    drawn: Vec<Drawn>,
}

/// Kinds of principal a fault may start from, in the order they are drawn from.
pub(super) const ORIGINS: [PrincipalKind; 6] = [
    PrincipalKind::Application,
    PrincipalKind::DriverHost,
    PrincipalKind::KernelDriver,
    PrincipalKind::FileSystem,
    PrincipalKind::Kernel,
    PrincipalKind::Device,
];

impl Series {
    /// Builds the world, makes the golden run and draws the plans.
    ///
    /// # Errors
    ///
    /// When the world can't be built.
    pub fn new(
        scenario: &Scenario,
        options: &SeriesOptions,
        registries: &Registries,
    ) -> Result<Self, SeriesError> {
        let trial = Trial::new(scenario, registries)?;
        let forks = Forks::new(trial, Course::UntilJoined);
        let mix = registries.mix_of(scenario, &options.kinds);
        let mut drawn = draw(&forks, options, registries, mix.as_ref());
        // In order of their strikes, so that the golden prefix is walked once for each round.
        let first = drawn.first().map_or(0, |drawn| drawn.number);
        let round = round_of(forks.trial().golden.clock);
        drawn.sort_by_key(|drawn| ((drawn.number - first) / round, drawn.turn, drawn.number));
        Ok(Self { forks, drawn })
    }

    /// The world and its golden run.
    #[must_use]
    pub fn trial(&self) -> &Trial {
        self.forks.trial()
    }

    /// The numbers of its experiments, in order: those for which a fault was drawn.
    #[must_use]
    pub fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.drawn.iter().map(|drawn| drawn.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The same, with every run followed to its end although what follows is known.
    #[must_use]
    pub fn in_full(mut self) -> Self {
        self.forks.follow_to_the_end();
        self
    }

    /// Runs all of them, in order of their strikes. A run that stands again where the golden run stood
    /// is not followed further; see [`in_full`](Self::in_full).
    ///
    /// # Errors
    ///
    /// When a fault can't be made, or it was interrupted: then what it has told so far are its first
    /// rounds and some of the next.
    pub fn run(self, each: impl FnMut(&Trial, Case)) -> Result<(), SeriesError> {
        self.run_telling(|_| {}, each)
    }

    /// As [`run`](Self::run), and tells the number of each experiment before it runs.
    pub(super) fn run_telling(
        mut self,
        begins: impl Fn(u32),
        mut each: impl FnMut(&Trial, Case),
    ) -> Result<(), SeriesError> {
        for Drawn { number, plan, origin, .. } in self.drawn {
            begins(number);
            let case = |trial: &Trial, outcome| {
                let origin = Origin::of_strike(trial, origin);
                each(trial, Case { number, plan: plan.clone(), origin, outcome });
            };
            self.forks.run(&plan, case)?;
        }
        Ok(())
    }
}

/// Experiments that are run in order of their strikes, before those of the next numbers are: as many
/// as make up for walking the golden prefix again, and few where each takes long, so that an
/// interrupted series has most of what it ran without a gap.
fn round_of(golden_clock: u64) -> u32 {
    const STEPS: u64 = 2 << 20;
    const LEAST: u64 = 4;
    const MOST: u64 = 256;
    let round = (STEPS / golden_clock.max(1)).clamp(LEAST, MOST);
    u32::try_from(round).expect("it is small")
}

fn draw(
    forks: &Forks,
    options: &SeriesOptions,
    registries: &Registries,
    mix: Option<&Mix>,
) -> Vec<Drawn> {
    let (trial, reached) = (forks.trial(), forks.reached());
    let program = &trial.world.machine.program;
    let routine = |number: u16| program.unambiguous_name(number);
    let mut kinds = registries.faults.clone();
    if !options.kinds.is_empty() {
        kinds.retain(|kind| options.kinds.iter().any(|name| name == kind.name));
    }
    let family = options.kinds.is_empty().then_some(Family::Defect);
    let mut drawn = Vec::new();
    for number in options.only.clone().unwrap_or(0..options.experiments) {
        let mut stream = options.seed.stream("plan", u64::from(number));
        let planned = if let Some(mix) = mix {
            let kind = mix.draw(&mut stream, &registries.faults);
            kind.as_ref().and_then(|kind| {
                let directory = &trial.directory;
                faults::plan_of(&mut stream, kind, directory, reached, &routine, &ORIGINS)
            })
        } else {
            let origin = ORIGINS[stream.index(ORIGINS.len())];
            let wanted = Wanted { origin: Some(origin), family };
            faults::plan_at(&mut stream, &kinds, &trial.directory, reached, &routine, wanted)
        };
        let Some(plan) = planned else { continue };
        let roster = trial.roster();
        let origin = roster.named(&plan.who).map_or(PrincipalKind::Device, |who| roster.kind(who));
        let turn = forks.turn_of(&plan);
        drawn.push(Drawn { number, plan, origin, turn });
    }
    drawn
}
