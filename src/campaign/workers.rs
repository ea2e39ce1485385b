//! Many worlds on many threads, with the result of one thread.
//!
//! A world is the unit of work. Results are taken in the order of the worlds, whatever the order in
//! which they arrive, so that every number and the digest are the same for any number of workers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use crate::base::{Digest, Seed, TraceHash};
use crate::invariants::Violation;
use crate::scenario::{Bias, Scenario};

use super::series::{Case, Series, SeriesError, SeriesOptions};
use super::tally::{Tally, digest_of};
use super::trial::Registries;

/// Cases kept as examples, each with the seed of its world.
const EXAMPLES_MAX: usize = 32;

/// What to do.
#[derive(Clone)]
pub struct Campaign {
    /// The world; generated worlds when `None`.
    pub scenario: Option<Scenario>,
    /// Seeds: of generated worlds and their plans, or only of plans.
    pub seeds: core::ops::Range<u64>,
    /// Experiments in each world.
    pub experiments: u32,
    /// Only these kinds of fault; all defects when empty.
    pub kinds: Vec<String>,
    /// Only this experiment.
    pub only: Option<u32>,
    /// Threads.
    pub workers: usize,
    /// Faults and drivers there are.
    pub registries: Registries,
    /// What generated worlds are like.
    pub bias: Bias,
}

impl Default for Campaign {
    fn default() -> Self {
        Self {
            scenario: None,
            seeds: 0..10,
            experiments: 100,
            kinds: Vec::new(),
            only: None,
            workers: 1,
            registries: Registries::default(),
            bias: Bias::default(),
        }
    }
}

/// A case with the seed of its world.
#[derive(Clone, Debug)]
pub struct Example {
    /// The seed.
    pub seed: u64,
    /// The world.
    pub scenario: Scenario,
    /// The case.
    pub case: Case,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All outcomes together.
    pub total: Tally,
    /// The outcomes of each world, in order.
    pub worlds: Vec<Tally>,
    /// The first cases that violated a guarantee.
    pub violations: Vec<Example>,
    /// The first case of each origin and class.
    pub examples: BTreeMap<(super::Origin, crate::outcome::Class), (u64, u32)>,
    /// Golden runs that violated an invariant by themselves: seed, what.
    pub golden_violations: Vec<(u64, Violation)>,
    /// The fingerprint of every case in order.
    pub digest: Digest,
    /// Whether it was interrupted: the report is of the first worlds only.
    pub is_partial: bool,
}

/// Where a campaign is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Worlds done.
    pub worlds: u64,
    /// Worlds in all.
    pub worlds_total: u64,
    /// Experiments done.
    pub experiments: u64,
    /// Guarantees violated so far.
    pub violations: u64,
}

struct WorldResult {
    tally: Tally,
    digest: TraceHash,
    violations: Vec<Example>,
    examples: BTreeMap<(super::Origin, crate::outcome::Class), u32>,
    golden: Vec<Violation>,
}

impl Campaign {
    /// The world of a seed.
    #[must_use]
    pub fn world_of(&self, seed: u64) -> Scenario {
        self.scenario.clone().unwrap_or_else(|| Scenario::generate(Seed(seed), &self.bias))
    }

    /// Runs it. `stop` ends it after the worlds under way; `progress` is told of each world done.
    ///
    /// # Errors
    ///
    /// When a world can't be built or a fault can't be made; with the seed.
    pub fn run(
        &self,
        stop: &AtomicBool,
        mut progress: impl FnMut(Progress),
    ) -> Result<Report, (u64, SeriesError)> {
        let next = AtomicU64::new(self.seeds.start);
        let worlds_total = self.seeds.end.saturating_sub(self.seeds.start);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.workers.max(1) {
                let sender = sender.clone();
                let next = &next;
                scope.spawn(move || {
                    loop {
                        // The last seed has no successor to count to.
                        let taken =
                            next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| {
                                (seed < self.seeds.end).then(|| seed + 1)
                            });
                        let Ok(seed) = taken else { break };
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let result = self.run_world(seed);
                        if sender.send((seed, result)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut waiting = BTreeMap::new();
            let mut expected = self.seeds.start;
            let mut report = Report::default();
            let mut digest = TraceHash::default();
            let mut failed = None;
            for (seed, result) in receiver {
                waiting.insert(seed, result);
                while let Some(result) = waiting.remove(&expected) {
                    match result {
                        Ok(world) => take_in(&mut report, &mut digest, expected, world),
                        Err(error) if failed.is_none() => {
                            failed = Some((expected, error));
                            next.store(self.seeds.end, Ordering::Relaxed);
                        }
                        Err(_) => {}
                    }
                    expected += 1;
                    progress(Progress {
                        worlds: expected - self.seeds.start,
                        worlds_total,
                        experiments: report.total.experiments,
                        violations: report.total.violations,
                    });
                }
            }
            report.digest = digest.digest();
            report.is_partial = expected < self.seeds.end;
            failed.map_or(Ok(report), Err)
        })
    }

    fn run_world(&self, seed: u64) -> Result<WorldResult, SeriesError> {
        let scenario = self.world_of(seed);
        let options = SeriesOptions {
            experiments: self.experiments,
            seed: Seed(seed),
            kinds: self.kinds.clone(),
            only: self.only,
        };
        let series = Series::new(&scenario, &options, &self.registries)?;
        let golden = series.trial().golden.violations.clone();
        let mut cases = Vec::new();
        let mut result = WorldResult {
            tally: Tally::default(),
            digest: TraceHash::default(),
            violations: Vec::new(),
            examples: BTreeMap::new(),
            golden,
        };
        series.run(|trial, case| {
            result.tally.events += trial.judge.events();
            result.tally.add(&case);
            if !case.outcome.guarantees.is_empty() && result.violations.len() < EXAMPLES_MAX {
                result.violations.push(Example {
                    seed,
                    scenario: scenario.clone(),
                    case: case.clone(),
                });
            }
            let first = result.examples.entry((case.origin, case.class())).or_insert(case.number);
            *first = (*first).min(case.number);
            cases.push((case.number, digest_of(&case)));
        })?;
        cases.sort_unstable();
        for (number, digest) in cases {
            let [high, low] = digest.words();
            result.digest.absorb(u64::from(number), high);
            result.digest.absorb(low, seed);
        }
        result.violations.sort_by_key(|example| example.case.number);
        Ok(result)
    }
}

fn take_in(report: &mut Report, digest: &mut TraceHash, seed: u64, world: WorldResult) {
    let [high, low] = world.digest.digest().words();
    digest.absorb(high, low);
    report.total.merge(&world.tally);
    report.worlds.push(world.tally);
    for example in world.violations {
        if report.violations.len() < EXAMPLES_MAX {
            report.violations.push(example);
        }
    }
    for (cell, number) in world.examples {
        report.examples.entry(cell).or_insert((seed, number));
    }
    for what in world.golden {
        if report.golden_violations.len() < EXAMPLES_MAX {
            report.golden_violations.push((seed, what));
        }
    }
}
