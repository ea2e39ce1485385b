//! Many plans in one world: the golden prefix is run once, each experiment forks before its strike.

use core::ops::Range;

use crate::base::{Principal, PrincipalKind, Seed, Stream};
use crate::faults::{self, At, Family, Kind, Mix, PlannedFault, Reached, Wanted};
use crate::injection::Recurrence;
use crate::outcome::{Class, Outcome};
use crate::scenario::Scenario;
use crate::world::directory::Directory;

use super::experiment::Course;
use super::forks::Forks;
use super::tally::Origin;
use super::trial::{Registries, Trial, TrialError};

/// The most faults in one experiment: as many as the scripts of a published load inject at once.
pub const ERRORS_MAX: u32 = 100;

/// How plans are drawn.
#[derive(Clone, Debug)]
pub struct SeriesOptions {
    /// Experiments in the world.
    pub experiments: u32,
    /// The seed of the plans.
    pub seed: Seed,
    /// Only these kinds of fault; all defects when empty.
    pub kinds: Vec<String>,
    /// Faults in each experiment, all in one component: 1 to [`ERRORS_MAX`], and 0 is as 1. Fewer where the
    /// component has no room for so many.
    pub errors: u32,
    /// Only the experiments of these numbers: each is what it is among all of them.
    pub only: Option<Range<u32>>,
}

/// One experiment of a series.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number in the series.
    pub number: u32,
    /// What was planned; of several faults, the first that was drawn.
    pub plan: PlannedFault,
    /// The others of the same experiment.
    pub further: Vec<PlannedFault>,
    /// Where the fault started: with the principal that the plan names, or below everybody.
    pub origin: Origin,
    /// What became of it.
    pub outcome: Outcome,
}

impl Case {
    /// All faults of the experiment, as a scenario plans them.
    #[must_use]
    pub fn plans(&self) -> Vec<PlannedFault> {
        self.planned().cloned().collect()
    }

    pub(super) fn planned(&self) -> impl Iterator<Item = &PlannedFault> {
        core::iter::once(&self.plan).chain(&self.further)
    }

    /// Each of them, and whether it struck.
    pub(super) fn fates(&self) -> impl Iterator<Item = (&PlannedFault, bool)> {
        let activation = &self.outcome.activation;
        // A case that was never run tells of none that it was missed.
        let struck = move |at: u64| {
            activation.strikes > 0 && activation.missed.iter().all(|missed| missed.number != at)
        };
        (0..).zip(self.planned()).map(move |(at, plan)| (plan, struck(at)))
    }

    /// The kinds of those that struck, each once: `wild-write`, or `wild-write, hang and leak`.
    #[must_use]
    pub fn struck_text(&self) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        for (plan, _) in self.fates().filter(|(_, struck)| *struck) {
            if !kinds.contains(&plan.kind.as_str()) {
                kinds.push(&plan.kind);
            }
        }
        match kinds.split_last() {
            None => self.plan.kind.clone(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        }
    }

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

/// The faults of an experiment with the turn before which the world is to stand when they are armed.
struct Drawn {
    number: u32,
    /// There is one at least.
    plans: Vec<PlannedFault>,
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
        for Drawn { number, plans, origin, .. } in self.drawn {
            begins(number);
            let (first, further) = plans.split_first().expect("a fault was drawn");
            let case = |trial: &Trial, outcome| {
                let origin = Origin::of_strike(trial, origin);
                let (plan, further) = (first.clone(), further.to_vec());
                each(trial, Case { number, plan, further, origin, outcome });
            };
            self.forks.run(&plans, case)?;
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
    let is_wanted = |kind: &&Kind| family.is_none_or(|family| family == kind.family);
    let fitting: Vec<&Kind> = kinds.kinds().iter().filter(is_wanted).collect();
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
        let principal = roster.named(&plan.who);
        let origin = principal.map_or(PrincipalKind::Device, |who| roster.kind(who));
        let mut plans = vec![plan];
        let beside = Beside { directory: &trial.directory, reached, routine: &routine, principal };
        for _ in 1..options.errors.min(ERRORS_MAX) {
            match mix {
                // Of another kind there may be room.
                Some(mix) => {
                    plans.extend(beside.of_mix(&mut stream, &plans, mix, &registries.faults));
                }
                None => match beside.of_any(&mut stream, &plans, &fitting) {
                    Some(one) => plans.push(one),
                    None => break,
                },
            }
        }
        let turn = forks.turn_of(&plans);
        drawn.push(Drawn { number, plans, origin, turn });
    }
    drawn
}

/// Where further faults of an experiment are drawn: beside the first, in its component.
struct Beside<'a> {
    directory: &'a Directory,
    reached: &'a Reached,
    routine: &'a dyn Fn(u16) -> Option<String>,
    principal: Option<Principal>,
}

impl Beside<'_> {
    /// One more of a mix, which draws the kind before anybody asks for a place, so that every kind keeps its
    /// weight; `None` where it has no place here.
    fn of_mix(
        &self,
        stream: &mut Stream,
        plans: &[PlannedFault],
        mix: &Mix,
        registry: &faults::Registry,
    ) -> Option<PlannedFault> {
        let kind = mix.draw(stream, registry)?;
        self.of_kind(stream, plans, &kind)
    }

    /// One more of kinds as likely; `None` where none of them has a place here.
    fn of_any(
        &self,
        stream: &mut Stream,
        plans: &[PlannedFault],
        kinds: &[&Kind],
    ) -> Option<PlannedFault> {
        let mut left = kinds.to_vec();
        while !left.is_empty() {
            let kind = left.remove(stream.index(left.len()));
            if let Some(plan) = self.of_kind(stream, plans, kind) {
                return Some(plan);
            }
        }
        None
    }

    /// One more of this kind, where none of `plans` strikes; `None` where so many places were drawn in vain that
    /// there may be none.
    fn of_kind(
        &self,
        stream: &mut Stream,
        plans: &[PlannedFault],
        kind: &Kind,
    ) -> Option<PlannedFault> {
        const TRIES: u32 = 8;
        let principal = self.principal?;
        (0..TRIES).find_map(|_| {
            let (directory, reached) = (self.directory, self.reached);
            let plan = faults::plan_in(stream, kind, directory, reached, self.routine, principal)?;
            plans.iter().all(|other| !meet(other, &plan)).then_some(plan)
        })
    }
}

/// Whether two faults are due at one point, where only one can strike.
fn meet(one: &PlannedFault, other: &PlannedFault) -> bool {
    let place = |plan: &PlannedFault| At { nth: 0, ..plan.at.clone() };
    let recurs = |plan: &PlannedFault| plan.recurrence == Recurrence::Always;
    place(one) == place(other) && (one.at.nth == other.at.nth || recurs(one) || recurs(other))
}
