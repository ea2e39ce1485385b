//! How long did damage lie there before anybody read it?

use std::collections::BTreeMap;

use crate::outcome::{Sleep, SleepEnd};
use crate::world::World;

use super::damage::Damage;
use super::golden::Golden;
use super::judge::Judge;

/// Looks at one run, turn by turn, for the step at which damage began, was first read, was gone. What its
/// world does to itself is no damage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleeper {
    /// How much the books had noted of strikes, damage and its readers when it last looked.
    noted: u32,
    reads: usize,
    struck: Option<u64>,
    read: Option<u64>,
    gone: Option<u64>,
}

impl Sleeper {
    /// Of a run in which no fault has struck.
    pub(super) fn new(judge: &Judge) -> Self {
        let noted = judge.authority.noted();
        Self { noted, reads: 0, struck: None, read: None, gone: None }
    }

    /// Takes note of what a turn changed.
    #[inline]
    pub(super) fn look(&mut self, world: &World, judge: &Judge, golden: &Golden) {
        if judge.authority.noted() != self.noted {
            self.take(world.machine.clock, judge, golden);
        }
    }

    #[cold]
    fn take(&mut self, clock: u64, judge: &Judge, golden: &Golden) {
        let books = &judge.authority;
        self.noted = books.noted();
        if judge.strike().is_none() {
            return;
        }
        let damage = Damage::new(books, Some(&golden.own_doing));
        self.struck.get_or_insert(clock);
        if damage.is_read_since(self.reads) {
            self.read.get_or_insert(clock);
        }
        self.reads = books.consumptions().len();
        self.gone = (!damage.is_there()).then_some(clock);
    }

    /// What it came to at a rest, or where the run is followed no further. `None` without damage.
    pub(super) fn end(
        &self,
        world: &World,
        judge: &Judge,
        golden: &Golden,
        is_stopped: bool,
    ) -> Option<Sleep> {
        let began = self.struck?;
        if !Damage::new(&judge.authority, Some(&golden.own_doing)).is_some() {
            return None;
        }
        let (at, end) = match (self.read, self.gone) {
            (Some(read), _) => (read, SleepEnd::Read),
            (None, Some(gone)) => (gone, SleepEnd::Overwritten),
            (None, None) if is_stopped => (world.machine.clock, SleepEnd::Stopped),
            (None, None) => (world.machine.clock, SleepEnd::RunEnded),
        };
        Some(Sleep { steps: at.saturating_sub(began), end })
    }
}

/// Sleeps by their length in steps and how they ended, counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sleeps(BTreeMap<u64, [u64; SleepEnd::ALL.len()]>);

impl Sleeps {
    /// Takes in one.
    pub fn add(&mut self, sleep: Sleep) {
        self.0.entry(sleep.steps).or_default()[sleep.end as usize] += 1;
    }

    /// Takes in others.
    pub fn merge(&mut self, others: &Self) {
        for (&steps, ended) in &others.0 {
            let known = self.0.entry(steps).or_default();
            for (sum, count) in known.iter_mut().zip(ended) {
                *sum += count;
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().flatten().sum()
    }

    /// The longest, in steps.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.0.keys().next_back().copied().unwrap_or(0)
    }

    /// How many ended after each number of steps that occurs, in order, by the order of
    /// [`SleepEnd::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (u64, [u64; SleepEnd::ALL.len()])> {
        self.0.iter().map(|(&steps, &ended)| (steps, ended))
    }
}
