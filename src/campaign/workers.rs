//! Many worlds on many threads, with the result of one thread.
//!
//! The unit of work is a block of one world's experiments. Results are taken in the order of worlds and
//! numbers, whatever the order in which they arrive, so that every number and the digest are the same
//! for any number of workers; and when a campaign is stopped, what is reported is what it would have
//! found up to there, without a gap.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc};

use crate::base::{Digest, Seed, TraceHash};
use crate::faults::Mix;
use crate::invariants::Violation;
use crate::scenario::{Bias, Scenario};
use crate::world::Rest;

use super::findings::{Cut, EXAMPLES_MAX, Example, GoldenStop, GoldenViolation, Report};
use super::seeds::Seeds;
use super::series::{Series, SeriesError, SeriesOptions};
use super::tally::{Tally, digest_of};
use super::trial::{Registries, TrialError};
use super::under_way::UnderWay;

/// Experiments of one world that are run together: enough to make up for the world that is built for
/// them, few enough to keep every worker busy.
const BLOCK: u32 = 256;

/// What to do.
#[derive(Clone)]
pub struct Campaign {
    /// The world; generated worlds when `None`.
    pub scenario: Option<Scenario>,
    /// The file it was read from, for replay lines.
    pub file: Option<String>,
    /// Seeds: of generated worlds and their plans, or only of plans.
    pub seeds: Seeds,
    /// Experiments in each world.
    pub experiments: u32,
    /// Only these kinds of fault; all defects when empty.
    pub kinds: Vec<String>,
    /// Faults in each experiment, all in one component: see [`SeriesOptions::errors`].
    pub errors: u32,
    /// Only this experiment.
    pub only: Option<u32>,
    /// Threads.
    pub workers: usize,
    /// Faults and drivers there are.
    pub registries: Registries,
    /// What generated worlds are like.
    pub bias: Bias,
    /// Whether applications use what they have for longer: see [`Scenario::working_on`].
    pub works_on: bool,
}

impl Default for Campaign {
    fn default() -> Self {
        Self {
            scenario: None,
            file: None,
            seeds: (0..10).into(),
            experiments: 100,
            kinds: Vec::new(),
            errors: 1,
            only: None,
            workers: 1,
            registries: Registries::default(),
            bias: Bias::default(),
            works_on: false,
        }
    }
}

/// Where a campaign is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Worlds done.
    pub worlds: u64,
    /// Worlds in all.
    pub worlds_total: u64,
    /// Experiments done; fewer than were asked for where a world has no fault to draw.
    pub experiments: u64,
    /// Blocks of experiments done.
    pub blocks: u64,
    /// Blocks of experiments in all.
    pub blocks_total: u64,
    /// Guarantees violated so far.
    pub violations: u64,
}

struct BlockResult {
    scenario: Scenario,
    tally: Tally,
    /// Numbers of the experiments, in order, with their fingerprints.
    digests: Vec<(u32, Digest)>,
    violations: Vec<Example>,
    examples: BTreeMap<(super::Origin, crate::outcome::Class), u32>,
    golden: Vec<Violation>,
    /// How the golden run ended, where there was one.
    rest: Option<Rest>,
    /// The first number that was not run.
    reached: u32,
}

impl Campaign {
    /// The world of a seed.
    #[must_use]
    pub fn world_of(&self, seed: u64) -> Scenario {
        let generated = || Scenario::generate(Seed(seed), &self.bias);
        let world = self.scenario.clone().unwrap_or_else(generated);
        if self.works_on { world.working_on() } else { world }
    }

    /// The mix that plans are drawn from, where there is one.
    #[must_use]
    pub fn mix(&self) -> Option<Mix> {
        self.registries.mix_of(self.scenario.as_ref().unwrap_or(&Scenario::default()), &self.kinds)
    }

    /// Runs it. The registries' [`Interrupt`](super::Interrupt) ends it early: what it has found up to
    /// there, without a gap, is reported. `progress` is told of each block done.
    ///
    /// # Errors
    ///
    /// When a world can't be built or a fault can't be made; with the seed.
    pub fn run(&self, mut progress: impl FnMut(Progress)) -> Result<Report, (u64, SeriesError)> {
        let interrupt = &self.registries.interrupt;
        let blocks = Blocks::of(self);
        let next = Mutex::new(blocks.first());
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.workers.max(1) {
                let (sender, next, blocks) = (sender.clone(), &next, &blocks);
                scope.spawn(move || {
                    loop {
                        let taken = {
                            let mut next = next.lock().expect("nobody panics while holding it");
                            let taken = *next;
                            *next = taken.and_then(|block| blocks.after(block));
                            taken
                        };
                        let Some(block) = taken else { break };
                        if interrupt.is_raised() {
                            break;
                        }
                        let result = self.run_block(block, blocks.numbers(block));
                        if sender.send((block, result)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut waiting = BTreeMap::new();
            let mut expected = blocks.first();
            let mut taken = Taken::default();
            let mut done = 0;
            let mut failed = None;
            for (block, result) in receiver {
                waiting.insert(block, result);
                while let Some(block) = expected
                    && taken.report.cut.is_none()
                    && let Some(result) = waiting.remove(&block)
                {
                    match result {
                        Ok(found) if failed.is_none() => {
                            let (reached, end) = (found.reached, blocks.numbers(block).end);
                            // Of a world of which nothing was run nothing is told.
                            let is_first = block.first == blocks.numbers.start;
                            if reached < end && is_first && found.tally.experiments == 0 {
                                break;
                            }
                            taken.take_in(block, found);
                            if reached < end {
                                taken.report.cut = Some(Cut { seed: block.seed, next: reached });
                                break;
                            }
                        }
                        Err(error) if failed.is_none() => {
                            failed = Some((block.seed, error));
                            *next.lock().expect("nobody panics while holding it") = None;
                        }
                        _ => {}
                    }
                    expected = blocks.after(block);
                    done += 1;
                    let worlds =
                        expected.map_or(blocks.worlds(), |next| next.seed - self.seeds.first());
                    progress(Progress {
                        worlds,
                        worlds_total: blocks.worlds(),
                        experiments: taken.report.total.experiments,
                        blocks: done,
                        blocks_total: blocks.count(),
                        violations: taken.report.violations_total(),
                    });
                }
            }
            // Cut between the blocks of one world.
            if let Some(block) = expected.filter(|block| block.first > blocks.numbers.start) {
                taken.report.cut.get_or_insert(Cut { seed: block.seed, next: block.first });
            }
            failed.map_or_else(|| Ok(taken.report(expected.is_some())), Err)
        })
    }

    fn run_block(&self, block: Block, numbers: Range<u32>) -> Result<BlockResult, SeriesError> {
        let under_way = UnderWay::new(self, block.seed);
        let first = numbers.start;
        let scenario = self.world_of(block.seed);
        let options = SeriesOptions {
            experiments: self.experiments,
            seed: Seed(block.seed),
            kinds: self.kinds.clone(),
            errors: self.errors,
            only: Some(numbers.clone()),
        };
        let series = match Series::new(&scenario, &options, &self.registries) {
            Ok(series) => series,
            Err(TrialError::Interrupted) => return Ok(BlockResult::nothing(&scenario, first)),
            Err(error) => return Err(error),
        };
        let golden = unlike(&series.trial().golden.violations);
        let rest = Some(series.trial().golden.rest);
        let drawn = series.numbers();
        let mut result = BlockResult {
            golden,
            rest,
            reached: numbers.end,
            ..BlockResult::nothing(&scenario, first)
        };
        let mut cases = Vec::new();
        let told = series.run_telling(
            |number| under_way.at(number),
            |trial, case| cases.push((case, trial.judge.events())),
        );
        match told {
            Ok(()) => {}
            // Those of the first numbers count, up to the first that was not run.
            Err(TrialError::Interrupted) => {
                let is_run = |number: u32| cases.iter().any(|(case, _)| case.number == number);
                let missing = drawn.into_iter().find(|number| !is_run(*number));
                result.reached = missing.unwrap_or(numbers.end);
                cases.retain(|(case, _)| case.number < result.reached);
            }
            Err(error) => return Err(error),
        }
        for (case, events) in cases {
            result.tally.events += events;
            result.tally.add(&case);
            let first = result.examples.entry((case.origin, case.class())).or_insert(case.number);
            *first = (*first).min(case.number);
            result.digests.push((case.number, digest_of(&case)));
            if !case.outcome.guarantees.is_empty() {
                let scenario = scenario.clone();
                result.violations.push(Example { seed: block.seed, scenario, case });
            }
        }
        result.digests.sort_unstable();
        result.violations.sort_by_key(|example| example.case.number);
        result.violations.truncate(EXAMPLES_MAX);
        Ok(result)
    }
}

impl BlockResult {
    /// Of a block of which nothing was run.
    fn nothing(scenario: &Scenario, reached: u32) -> Self {
        Self {
            scenario: scenario.clone(),
            tally: Tally::default(),
            digests: Vec::new(),
            violations: Vec::new(),
            examples: BTreeMap::new(),
            golden: Vec::new(),
            rest: None,
            reached,
        }
    }
}

/// The first of all findings that are alike.
fn unlike(found: &[Violation]) -> Vec<Violation> {
    let mut first: Vec<Violation> = Vec::new();
    for one in found {
        if !first.iter().any(|known| known.is_like(one)) {
            first.push(one.clone());
        }
    }
    first
}

/// Some of one world's experiments.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    seed: u64,
    first: u32,
}

/// All blocks of a campaign, in order.
struct Blocks {
    seeds: Seeds,
    /// Numbers of the experiments of each world.
    numbers: Range<u32>,
}

impl Blocks {
    fn of(campaign: &Campaign) -> Self {
        let numbers = match campaign.only {
            Some(number) => number..number.saturating_add(1).min(campaign.experiments),
            None => 0..campaign.experiments,
        };
        Self { seeds: campaign.seeds, numbers }
    }

    fn first(&self) -> Option<Block> {
        let first = self.numbers.start;
        (!self.seeds.is_empty()).then_some(Block { seed: self.seeds.first(), first })
    }

    fn after(&self, block: Block) -> Option<Block> {
        let first = block.first.saturating_add(BLOCK);
        if first < self.numbers.end {
            return Some(Block { first, ..block });
        }
        let seed = self.seeds.after(block.seed)?;
        Some(Block { seed, first: self.numbers.start })
    }

    fn numbers(&self, block: Block) -> Range<u32> {
        block.first..block.first.saturating_add(BLOCK).min(self.numbers.end)
    }

    fn worlds(&self) -> u64 {
        self.seeds.count()
    }

    fn count(&self) -> u64 {
        let each = self.numbers.len().div_ceil(BLOCK as usize).max(1);
        self.worlds().saturating_mul(each as u64)
    }
}

/// What was taken in so far, in order.
#[derive(Default)]
struct Taken {
    report: Report,
    digest: TraceHash,
    /// The seed of the world whose blocks are being taken in, with the fingerprint of those so far.
    world: Option<(u64, TraceHash)>,
}

impl Taken {
    fn take_in(&mut self, block: Block, found: BlockResult) {
        let seed = block.seed;
        if self.world.is_none_or(|(open, _)| open != seed) {
            self.close_world();
            self.world = Some((seed, TraceHash::default()));
            self.report.worlds.push(Tally::default());
            self.take_stop(seed, &found.scenario, found.rest);
            self.take_golden(seed, found.scenario, found.golden);
        }
        if let Some((_, hash)) = &mut self.world {
            for (number, digest) in found.digests {
                let [high, low] = digest.words();
                hash.absorb(u64::from(number), high);
                hash.absorb(low, seed);
            }
        }
        self.report.total.merge(&found.tally);
        self.report.worlds.last_mut().expect("a world is open").merge(&found.tally);
        let room = EXAMPLES_MAX - self.report.violations.len();
        self.report.violations.extend(found.violations.into_iter().take(room));
        for (cell, number) in found.examples {
            self.report.examples.entry(cell).or_insert((seed, number));
        }
    }

    /// That a world never comes to rest, or stops, by itself: of a fixed world once, as below.
    fn take_stop(&mut self, seed: u64, scenario: &Scenario, rest: Option<Rest>) {
        if let Some(stop) = rest.and_then(|rest| GoldenStop::of(seed, scenario, rest)) {
            stop.join(&mut self.report.golden_stops);
        }
    }

    /// What a world violates by itself: of a fixed world, which every seed shares, once.
    fn take_golden(&mut self, seed: u64, scenario: Scenario, violations: Vec<Violation>) {
        let known = &mut self.report.golden_violations;
        if violations.is_empty() || known.iter().any(|known| known.scenario == scenario) {
            return;
        }
        self.report.golden_violations_total += 1;
        if known.len() < EXAMPLES_MAX {
            known.push(GoldenViolation { seed, scenario, violations });
        }
    }

    fn close_world(&mut self) {
        if let Some((_, hash)) = self.world.take() {
            let [high, low] = hash.digest().words();
            self.digest.absorb(high, low);
        }
    }

    fn report(mut self, is_partial: bool) -> Report {
        self.close_world();
        Report { digest: self.digest.digest(), is_partial, ..self.report }
    }
}
