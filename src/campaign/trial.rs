//! A stored scenario, run: golden run first, then its plan.

use std::sync::Arc;

use crate::base::Roster;
use crate::faults::{self, Family, PlannedFault};
use crate::injection::{Armed, Trigger};
use crate::invariants;
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::world::directory::Directory;
use crate::world::{BuildError, Checkpoint, Drivers, World};

use super::experiment::{AfterStop, Course, conclude};
use super::golden::Golden;
use super::interrupt::{Interrupt, Interrupted};
use super::judge::{self, Judge};
use super::watch::Watch;

/// Why a scenario can't be run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrialError {
    /// Its world can't be built.
    Build(BuildError),
    /// A fault of its plan can't be made.
    Fault {
        /// Its place in the plan, from 0.
        number: usize,
        /// What is wrong.
        what: String,
    },
    /// It was interrupted before its end.
    Interrupted,
}

impl core::fmt::Display for TrialError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Build(error) => write!(f, "{error}"),
            Self::Fault { number, what } => write!(f, "fault {} of the plan: {what}", number + 1),
            Self::Interrupted => f.write_str("interrupted before its end"),
        }
    }
}

impl core::error::Error for TrialError {}

impl From<BuildError> for TrialError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<Interrupted> for TrialError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// What is needed beside a scenario to run it: the kinds of fault, drivers and invariants there are,
/// and a flag that ends it early.
#[derive(Clone, Default)]
pub struct Registries {
    /// Kinds of fault.
    pub faults: faults::Registry,
    /// By which weights plans draw from them, and from no others. Without it each kind that fits who is
    /// struck is as likely.
    pub mix: Option<faults::Mix>,
    /// Invariants.
    pub invariants: Arc<invariants::Registry>,
    /// Drivers; those this crate brings when `None`.
    pub drivers: Option<Drivers>,
    /// Ends a run before its result.
    pub interrupt: Interrupt,
}

impl Registries {
    /// The mix that plans in a scenario's world are drawn from: what is said here or, where kinds aren't
    /// named either, what the scenario says.
    #[must_use]
    pub fn mix_of(&self, scenario: &Scenario, kinds: &[String]) -> Option<faults::Mix> {
        if self.mix.is_some() || !kinds.is_empty() || scenario.mix.is_empty() {
            return self.mix.clone();
        }
        faults::Mix::of(scenario.mix.clone(), &self.faults).ok()
    }

    pub(crate) fn drivers(&self) -> Drivers {
        self.drivers.clone().unwrap_or_else(crate::world::components::drivers)
    }
}

/// A world with a judge, after its golden run and back at the beginning.
pub struct Trial {
    /// The world.
    pub world: World,
    /// The judge.
    pub judge: Judge,
    /// The invariants.
    pub watch: Watch,
    /// The golden run.
    pub golden: Golden,
    /// Where named places are.
    pub directory: Directory,
    registries: Registries,
    start: (Checkpoint, judge::Checkpoint),
}

impl Trial {
    /// Builds the world of a scenario and makes its golden run.
    ///
    /// # Errors
    ///
    /// When the world can't be built, or it was interrupted, before the golden run or in it.
    pub fn new(scenario: &Scenario, registries: &Registries) -> Result<Self, TrialError> {
        // Who runs one after another ends here: a run may be shorter than from one glance to the next.
        registries.interrupt.check()?;
        let mut world = World::build_with(&scenario.configuration, &registries.drivers())?;
        let mut judge = Judge::new(world.machine.memory.words().len(), world.roster().clone());
        let mut watch = Watch::new(Arc::clone(&registries.invariants), &world);
        let start = (world.checkpoint(), judge.checkpoint());
        let golden = Golden::run(&mut world, &mut judge, &mut watch, &registries.interrupt)?;
        let directory = Directory::of(&scenario.configuration);
        let mut trial =
            Self { world, judge, watch, golden, directory, registries: registries.clone(), start };
        trial.rewind();
        Ok(trial)
    }

    /// The flag that ends a run of it.
    #[must_use]
    pub fn interrupt(&self) -> &Interrupt {
        &self.registries.interrupt
    }

    /// Goes back to the beginning.
    pub fn rewind(&mut self) {
        let (world, judge) = &self.start;
        self.world.restore(world);
        self.judge.restore(judge);
        self.watch.clear();
        drop(self.world.machine.points.disarm());
    }

    /// Who there is.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        self.world.roster()
    }

    /// A planned fault, armed from the beginning.
    ///
    /// # Errors
    ///
    /// When its kind, principal, routine or parameters are not known here.
    pub fn arm(&self, number: usize, planned: &PlannedFault) -> Result<Armed, TrialError> {
        let wrong = |what: String| TrialError::Fault { number, what };
        let fault = self
            .registries
            .faults
            .build(&planned.kind, &planned.parameters, &self.directory)
            .map_err(wrong)?;
        let principal = self
            .roster()
            .named(&planned.who)
            .ok_or_else(|| wrong(format!("there is nobody called `{}`", planned.who)))?;
        let routine = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => self
                .world
                .machine
                .program
                .routine_named(name)
                .map(Some)
                .ok_or_else(|| wrong(format!("there is no routine `{name}`"))),
        };
        let trigger = Trigger {
            kind: planned.at.point,
            principal,
            routine: routine(&planned.at.routine)?,
            caller: routine(&planned.at.caller)?,
            nth: planned.at.nth,
        };
        let kind = self.registries.faults.get(&planned.kind);
        let is_legal = kind.is_some_and(|kind| kind.family == Family::Stress);
        Ok(Armed { is_legal, ..Armed::new(fault, trigger, planned.recurrence) })
    }

    /// Runs a plan from the beginning to its end. The world is left at the end; see
    /// [`rewind`](Self::rewind).
    ///
    /// # Errors
    ///
    /// When a fault can't be made, or the run was interrupted.
    pub fn run(&mut self, plan: &[PlannedFault]) -> Result<Outcome, TrialError> {
        self.rewind();
        let armed = plan
            .iter()
            .enumerate()
            .map(|(number, planned)| self.arm(number, planned))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(conclude(
            &mut self.world,
            &mut self.judge,
            &mut self.watch,
            &self.golden,
            armed,
            AfterStop::AlwaysBoot,
            Course::Full,
            &self.registries.interrupt,
        )?)
    }
}
