//! Many experiments in one world: the golden prefix is walked once, forward, and each experiment forks
//! from it before its strike.

use crate::base::Principal;
use crate::faults::{PlannedFault, Reached};
use crate::injection::Trigger;
use crate::outcome::Outcome;
use crate::world::Checkpoint;

use super::experiment::{AfterStop, Course, conclude};
use super::interrupt::GLANCE;
use super::judge;
use super::trial::{Trial, TrialError};

/// A trial that stands somewhere in its golden run.
pub(super) struct Forks {
    trial: Trial,
    reached: Reached,
    course: Course,
    turn: u32,
    fork: (Checkpoint, judge::Checkpoint),
}

impl Forks {
    /// At the beginning of a trial.
    pub(super) fn new(mut trial: Trial, course: Course) -> Self {
        trial.rewind();
        let reached = Reached::new(&trial.golden.points);
        let fork = (trial.world.checkpoint(), trial.judge.checkpoint());
        Self { trial, reached, course, turn: 0, fork }
    }

    /// The world and its golden run.
    pub(super) fn trial(&self) -> &Trial {
        &self.trial
    }

    /// The points that the golden run reached.
    pub(super) fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Follows every run to its end although what comes may be known.
    pub(super) fn follow_to_the_end(&mut self) {
        self.course = Course::Full;
    }

    /// Runs a plan from before the turn of its first strike. `looks` sees world and judge at the end, before
    /// they are taken back. Turns that grow from one call to the next cost least.
    ///
    /// # Errors
    ///
    /// When the fault can't be made, or the run was interrupted.
    pub(super) fn run<T>(
        &mut self,
        plan: &[PlannedFault],
        looks: impl FnOnce(&Trial, Outcome) -> T,
    ) -> Result<T, TrialError> {
        self.trial.interrupt().check()?;
        let turn = self.turn_of(plan);
        self.walk_to(turn)?;
        let trial = &mut self.trial;
        let before = trial.world.machine.points.reached;
        let mut all_armed = Vec::with_capacity(plan.len());
        for (number, planned) in plan.iter().enumerate() {
            let mut armed = trial.arm(number, planned)?;
            armed.seen = seen_before(&self.reached, &armed.trigger, before);
            all_armed.push(armed);
        }
        let interrupt = trial.interrupt().clone();
        let outcome = conclude(
            &mut trial.world,
            &mut trial.judge,
            &mut trial.watch,
            &trial.golden,
            all_armed,
            AfterStop::BootWhenChanged,
            self.course,
            &interrupt,
        )?;
        let seen = looks(trial, outcome);
        trial.world.restore(&self.fork.0);
        trial.judge.restore(&self.fork.1);
        trial.watch.clear();
        Ok(seen)
    }

    fn walk_to(&mut self, turn: u32) -> Result<(), TrialError> {
        let trial = &mut self.trial;
        // Experiments of one turn share what they start from.
        let mut moved = turn < self.turn;
        if moved {
            trial.rewind();
            self.turn = 0;
        }
        while self.turn < turn {
            trial.world.step(&mut trial.judge);
            trial.watch.after_step(&trial.world, &mut trial.judge);
            self.turn += 1;
            moved = true;
            if u64::from(self.turn) % GLANCE == 0 {
                trial.interrupt().check()?;
            }
        }
        // What the golden prefix violates is the world's own.
        trial.watch.clear();
        if moved {
            self.fork = (trial.world.checkpoint(), trial.judge.checkpoint());
        }
        Ok(())
    }

    /// The turn of the golden run during which the first point of the plan is reached; its first turn when one
    /// is not.
    pub(super) fn turn_of(&self, plan: &[PlannedFault]) -> u32 {
        plan.iter().map(|planned| self.turn_of_one(planned)).min().unwrap_or(0)
    }

    fn turn_of_one(&self, plan: &PlannedFault) -> u32 {
        let program = &self.trial.world.machine.program;
        let number =
            |name: &Option<String>| name.as_ref().and_then(|name| program.routine_named(name));
        let (routine, caller) = (number(&plan.at.routine), number(&plan.at.caller));
        let principal = self.trial.roster().named(&plan.who).unwrap_or(Principal::KERNEL);
        self.reached
            .of(principal, plan.at.point)
            .iter()
            .filter(|point| {
                routine.is_none_or(|routine| routine == point.routine)
                    && caller.is_none_or(|caller| caller == point.caller)
            })
            .nth(usize::try_from(plan.at.nth.saturating_sub(1)).unwrap_or(usize::MAX))
            .and_then(|point| self.trial.golden.turns.get(usize::try_from(point.number).ok()?))
            .map_or(0, |&turn| turn)
    }
}

/// Matching points that the golden run reached before point number `number`.
fn seen_before(reached: &Reached, trigger: &Trigger, number: u64) -> u64 {
    let same = reached.of(trigger.principal, trigger.kind).iter();
    same.take_while(|point| point.number < number)
        .filter(|point| {
            trigger.routine.is_none_or(|routine| routine == point.routine)
                && trigger.caller.is_none_or(|caller| caller == point.caller)
        })
        .count() as u64
}
