//! The golden run: the same scenario with an empty plan, and what it reached.

use crate::authority::{Influence, Observations};
use crate::base::{PhysAddr, PrincipalSet, TraceHash, VirtAddr};
use crate::injection::PointRecord;
use crate::invariants::Violation;
use crate::kernel::layout::{address, kernel_data, residency};
use crate::world::{Rest, World};

use super::alarm::Alarms;
use super::damage::OwnDoing;
use super::golden_accesses::GoldenAccesses;
use super::interrupt::{GLANCE, Interrupt, Interrupted};
use super::judge::Judge;
use super::left_in_memory::LeftInMemory;
use super::milestones::Milestones;
use super::stored::Stored;

/// Steps a run may take beyond twice what the golden run took, before it counts as hung.
const PATIENCE: u64 = 4_000;
/// Turns of the clock that are granted besides, so that others finish beside a process that spins.
const TURNS: u64 = 60;

/// Steps granted beside twice those of the golden run.
fn patience(world: &World) -> u64 {
    PATIENCE + TURNS * u64::from(world.configuration().machine.clock_interval)
}

/// Those who have not ended, begun or not.
fn not_ended_by(world: &World, judge: &Judge) -> PrincipalSet {
    let ended = |one| judge.authority.observations().ending(one).0 > 0;
    let all = world.roster().iter().map(|(one, _)| one);
    all.filter(|&one| !ended(one)).fold(PrincipalSet::NOBODY, PrincipalSet::with)
}

/// What an undisturbed run came to, to compare others with.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Every injection point, in order.
    pub points: Vec<PointRecord>,
    /// For each point, during which turn of the world it was reached, from 0.
    pub turns: Vec<u32>,
    /// How it came to rest.
    pub rest: Rest,
    /// Steps.
    pub clock: u64,
    /// Events.
    pub events: u64,
    /// The trace.
    pub trace: TraceHash,
    /// What each principal saw, and how processes ended.
    pub observations: Observations,
    /// Who could influence whom.
    pub influence: Influence,
    /// Processes that another run need not end: those alive at the end. Where it was cut off, all that had not ended
    /// so early that a run that is slower by what is granted ends them too.
    pub alive: PrincipalSet,
    /// What was damaged in it, though no fault struck.
    pub own_doing: OwnDoing,
    /// What the invariants found.
    pub violations: Vec<Violation>,
    /// Devices that were given up.
    pub devices_disabled: u64,
    /// Devices that lost a host.
    pub devices_lost: u64,
    /// What it left on the disk.
    pub stored: Stored,
    /// What it left in memory.
    pub memory: LeftInMemory,
    /// Where it stood now and then.
    pub milestones: Milestones,
}

impl Golden {
    /// Runs a world to its rest, writing down the points it reaches. The world and the judge are left
    /// at the end; the judge knows from then on what is raised without any fault.
    ///
    /// # Errors
    ///
    /// When it was interrupted.
    pub fn run(
        world: &mut World,
        judge: &mut Judge,
        watch: &mut super::watch::Watch,
        interrupt: &Interrupt,
    ) -> Result<Self, Interrupted> {
        world.machine.points.start_recording();
        let mut turns = Vec::new();
        let mut turn = 0;
        let mut milestones = Milestones::default();
        let mut alarms = Alarms::default();
        let mut stored = Stored::from(&world.machine.disk);
        let mut accesses = GoldenAccesses::default();
        let start = world.machine.memory.mark();
        let limit = world.configuration().steps_max;
        let late = limit.saturating_sub(patience(world)) / 2;
        let mut not_ended = None;
        let rest = loop {
            let rest = world.step(&mut (&mut *judge, (&mut alarms, &mut accesses)));
            watch.after_step(world, judge);
            milestones.pass(world, judge);
            stored.look(&world.machine.disk, judge.events());
            turns.resize(world.machine.points.recorded(), turn);
            turn += 1;
            if world.machine.clock > late && not_ended.is_none() {
                not_ended = Some(not_ended_by(world, judge));
            }
            if u64::from(turn) % GLANCE == 0 {
                interrupt.check()?;
            }
            if let Some(rest) = rest {
                break rest;
            }
        };
        watch.at_rest(world, judge, rest, None);
        judge.expect(alarms, accesses);
        let points = world.machine.points.stop_recording();
        let is_sound = watch.is_ours() && watch.violations().is_empty();
        milestones.end(judge, rest, is_sound);
        Ok(Self {
            points,
            turns,
            rest,
            clock: world.machine.clock,
            events: judge.events(),
            trace: judge.trace(),
            observations: judge.authority.observations().clone(),
            influence: judge.authority.influence(),
            alive: match not_ended {
                Some(not_ended) if rest == Rest::OutOfSteps => not_ended,
                _ => judge.authority.alive(),
            },
            own_doing: OwnDoing::found_by(&judge.authority),
            violations: watch.violations().to_vec(),
            devices_disabled: judge.authority.devices_disabled(),
            devices_lost: judge.authority.devices_lost(),
            stored,
            memory: LeftInMemory::by(&world.machine.memory, start).with_sequences(sequences(world)),
            milestones,
        })
    }

    /// Steps that another run may take from a boot on. Where this one was cut off, another is cut off there too:
    /// of what comes later nobody knows whether the fault did it.
    #[must_use]
    pub(crate) fn granted(&self, world: &World) -> u64 {
        match self.rest {
            Rest::OutOfSteps => self.clock,
            _ => 2 * self.clock + patience(world),
        }
    }
}
/// Where a world keeps how far its sequences of drawings are: whether allocations fail, calls wait, pages are away.
fn sequences(world: &World) -> Vec<PhysAddr> {
    let places = [
        (address::KERNEL_DATA, kernel_data::VERIFIER_RANDOM),
        (address::RESIDENCY, residency::RANDOM),
    ];
    let located = places.iter().filter_map(|(base, field)| {
        world.machine.locate(0, VirtAddr(base + field.offset)).map(PhysAddr::truncated)
    });
    located.collect()
}
