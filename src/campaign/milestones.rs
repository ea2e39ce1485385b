//! Where did the golden run stand? Now and then, so that a run that stands there again can be given up.
//!
//! A run whose faults have all struck, and whose machine, books and record are in every respect where
//! those of the golden run were at the same clock, goes on as the golden run did. What it comes to is
//! known then. "In every respect" is told by fingerprints of 64 and 128 bits; corrupt bytes that are
//! still there are a difference, read or not.

use crate::base::{Digest, TraceHash};
use crate::world::{Rest, World};

use super::judge::Judge;

/// Turns of the world from one to the next: a fingerprint costs as much as a few turns.
const EVERY: u64 = 64;

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Milestone {
    clock: u64,
    memory: u64,
    rest: [Digest; RESPECTS.len()],
    found: [u64; 5],
}

/// All of one golden run.
#[derive(Clone, Debug, Default)]
pub struct Milestones {
    reached: Vec<Milestone>,
    turns: u64,
}

/// Where a run stands in one respect. `None` where that can't be told.
type Respect = fn(&World, &mut Judge) -> Option<Digest>;

/// All respects beside memory that decide what follows, what is told quickly first: a run that stands
/// elsewhere is seldom like the golden run in any of them.
const RESPECTS: [Respect; 4] = [registers, remembered, devices, prospects];

fn registers(world: &World, _: &mut Judge) -> Option<Digest> {
    let mut hash = TraceHash::default();
    world.machine.absorb_registers(&mut hash);
    for state in &world.machine.processors {
        let registers = &state.registers;
        hash.absorb(u64::from(registers.context.0), u64::from(registers.actor.0));
    }
    for (root, owner) in world.machine.roots() {
        hash.absorb(*root, u64::from(owner.0));
    }
    for (shadow, full) in world.machine.shadows() {
        hash.absorb(*shadow, *full);
    }
    hash.absorb(u64::from(world.boots()), 0);
    Some(hash.digest())
}

fn remembered(world: &World, _: &mut Judge) -> Option<Digest> {
    let mut hash = TraceHash::default();
    world.machine.absorb_remembered(&mut hash);
    Some(hash.digest())
}

fn devices(world: &World, _: &mut Judge) -> Option<Digest> {
    let mut hash = TraceHash::default();
    world.machine.absorb_devices(&mut hash);
    Some(hash.digest())
}

/// `None` while some bytes are corrupt.
fn prospects(_: &World, judge: &mut Judge) -> Option<Digest> {
    judge.prospects()
}

/// How much of what a golden run must not add later was found so far.
fn found(judge: &Judge) -> [u64; 5] {
    let books = &judge.authority;
    let lists = [
        books.corruptions().len(),
        books.consumptions().len(),
        books.disclosures().len(),
        books.trespasses().len(),
        books.false_claims().len(),
    ];
    lists.map(|len| len as u64)
}

impl Milestones {
    /// Takes note of a turn of the golden run.
    pub(super) fn pass(&mut self, world: &World, judge: &mut Judge) {
        self.turns += 1;
        if !self.turns.is_multiple_of(EVERY) {
            return;
        }
        let mut rest = [Digest::default(); RESPECTS.len()];
        for (digest, respect) in rest.iter_mut().zip(RESPECTS) {
            let Some(found) = respect(world, judge) else { return };
            *digest = found;
        }
        self.reached.push(Milestone {
            clock: world.machine.clock,
            memory: world.machine.memory.hash(),
            rest,
            found: found(judge),
        });
    }

    /// The golden run has ended. Milestones stand only where nothing noteworthy follows, and in none
    /// that ended badly.
    pub(super) fn end(&mut self, judge: &Judge, rest: Rest, is_sound: bool) {
        let end = found(judge);
        let is_good = is_sound && rest == Rest::Quiescent;
        self.reached.retain(|milestone| is_good && milestone.found == end);
    }

    /// The clock of the first one not before `clock`.
    pub(super) fn next(&self, clock: u64) -> u64 {
        let place = self.reached.partition_point(|milestone| milestone.clock < clock);
        self.reached.get(place).map_or(u64::MAX, |milestone| milestone.clock)
    }

    /// Whether a run stands where the golden run stood.
    pub(super) fn joined(&self, world: &World, judge: &mut Judge) -> bool {
        let clock = world.machine.clock;
        let place = self.reached.binary_search_by_key(&clock, |milestone| milestone.clock);
        let Ok(milestone) = place.map(|place| self.reached[place]) else { return false };
        let may_be =
            world.machine.points.are_spent() && world.machine.memory.hash() == milestone.memory;
        let mut respects = RESPECTS.iter().zip(milestone.rest);
        may_be && respects.all(|(respect, digest)| respect(world, judge) == Some(digest))
    }
}
