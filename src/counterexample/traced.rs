//! A run once more, written down.

use crate::base::Principal;
use crate::campaign::interrupt::GLANCE;
use crate::campaign::{Trial, TrialError};
use crate::faults::PlannedFault;
use crate::kernel::video::TDR_RECOVER;
use crate::world::{Rest, World};

use super::altered::{Alteration, Alterations};
use super::differs::Left;
use super::frames::Overwritten;
use super::recorder::{Recorder, Turn};

/// A run written down.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Its turning points, or all of its events.
    pub turns: Vec<Turn>,
    /// The number of the event of each step.
    pub steps: Vec<u64>,
    /// The processes' objects, by address, the latest last.
    pub objects: Vec<(u64, Principal)>,
    /// Turning points beyond those that are kept.
    pub left_out: u64,
    /// What each strike altered, in order.
    pub(super) alterations: Vec<Alteration>,
    /// What it had left when it first came to rest.
    pub(super) left: Left,
    /// Where the processors stood when it was cut off, in words; nothing where it was not.
    pub(super) standing: Vec<String>,
    /// The return addresses and cookies that were overwritten before they were used.
    pub(super) overwritten: Vec<Overwritten>,
    /// Whether it came to its end; not when it was interrupted.
    pub is_whole: bool,
}

/// The whole run of a plan, from the beginning and over all boots, with its turning points or with
/// every event; or the first part of it, when it was interrupted.
///
/// # Errors
///
/// When a fault can't be made.
pub fn trace(trial: &mut Trial, plan: &[PlannedFault], every: bool) -> Result<Traced, TrialError> {
    trial.rewind();
    let alterations = Alterations::default();
    let interrupt = trial.interrupt().clone();
    for (number, planned) in plan.iter().enumerate() {
        let armed = trial.arm(number, planned)?;
        trial.world.machine.points.arm(alterations.of(armed));
    }
    let world = &mut trial.world;
    // As long as a run of the plan may take.
    let granted = trial.golden.granted(world);
    world.set_steps_max(granted);
    let books = &trial.judge.authority;
    let objects = (0..64).map(Principal).filter_map(|one| Some((books.object_of(one)?, one)));
    let (watched, objects) = (watched(world), objects.collect());
    let mut recorder = Recorder::new(&mut trial.judge, every).knowing(watched, objects);
    let mut stops = 0;
    let mut left = None;
    let mut standing = Vec::new();
    loop {
        let rest = world.run(&mut recorder, world.machine.clock + GLANCE);
        if rest == Rest::Paused && !interrupt.is_raised() {
            continue;
        }
        left.get_or_insert_with(|| Left::by(world, recorder.inner(), &trial.golden, rest));
        if rest == Rest::OutOfSteps {
            standing = recorder.standing().told(world);
        }
        stops += u8::from(matches!(rest, Rest::BugCheck(_) | Rest::Reset));
        let is_over = !world.machine.stopped || stops >= world.configuration().boots_max;
        if is_over {
            let left_out = recorder.left_out();
            let overwritten = recorder.overwritten().to_vec();
            let (turns, steps, objects) = recorder.into_parts();
            return Ok(Traced {
                turns,
                steps,
                objects,
                left_out,
                alterations: alterations.all(),
                left: left.unwrap_or_default(),
                standing,
                overwritten,
                is_whole: rest != Rest::Paused,
            });
        }
        world.reboot();
        world.set_steps_max(world.machine.clock + granted);
    }
}

/// The same with turning points; interrupted, it is none.
pub(super) fn traced(trial: &mut Trial, plan: &[PlannedFault]) -> Result<Traced, TrialError> {
    let traced = trace(trial, plan, false)?;
    if traced.is_whole { Ok(traced) } else { Err(TrialError::Interrupted) }
}

/// Where it begins that an adapter that hangs is recovered from: see [`super::decisive`].
fn watched(world: &World) -> Vec<u64> {
    world.machine.program.entry(&TDR_RECOVER).map(|entry| entry.0).into_iter().collect()
}
