//! Every fault of the load in every configuration, on many threads, with the result of one.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use crate::base::{Digest, TraceHash};
use crate::faults::PlannedFault;

use super::super::experiment::Course;
use super::super::findings::GoldenStop;
use super::super::forks::Forks;
use super::super::trial::{Trial, TrialError};
use super::counts::{Came, Cannot, Counts};
use super::pair::{Entries, Entry, Goldens};
use super::points::Golden;
use super::{Compared, Comparison, ComparisonError, Moves, Planned, Turn, Why};

/// Faults of one world that are run together.
const BLOCK: u32 = 256;

/// Where a comparison is.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonProgress {
    /// Blocks of faults done.
    pub blocks: u64,
    /// Blocks in all.
    pub blocks_total: u64,
    /// Experiments done, a fault in a configuration each.
    pub experiments: u64,
}

/// What came of a fault in a configuration.
#[derive(Clone)]
struct Tried {
    came: Result<Came, Cannot>,
    is_violation: bool,
    digest: Digest,
}

impl Tried {
    fn cannot(why: Cannot) -> Self {
        Self { came: Err(why), is_violation: false, digest: Digest::default() }
    }
}

/// What plans of one world came to, by their numbers.
type ByNumber = BTreeMap<u32, (PlannedFault, Tried)>;

/// Outcomes of plans that several comparisons share: of the same world, the same number and the same
/// fault.
#[derive(Default)]
struct Known(Vec<(Arc<Golden>, ByNumber)>);

/// What of a block was found in one configuration.
struct FoundIn {
    counts: Counts,
    points: u64,
    /// What its golden run violates first.
    violated: Option<&'static str>,
    stop: Option<GoldenStop>,
}

/// A comparison's block.
struct Found {
    columns: Vec<FoundIn>,
    union: u64,
    tried: Vec<(u32, Vec<Tried>)>,
    /// Faults that were asked for and have no place.
    nowhere: u64,
    digests: Vec<Digest>,
}

/// Some faults of one seed's worlds.
struct Block {
    seed: u64,
    numbers: Range<u32>,
    is_first: bool,
}

impl Comparison {
    /// Runs it. The registries' [`Interrupt`](crate::campaign::Interrupt) ends it early: what it has found
    /// up to there, without a gap, is reported.
    ///
    /// # Errors
    ///
    /// When a configuration can't be made.
    ///
    /// # Panics
    ///
    /// Never: one comparison has one result.
    pub fn run(
        &self,
        progress: impl FnMut(ComparisonProgress),
    ) -> Result<Compared, ComparisonError> {
        let mut all = run_all(core::slice::from_ref(self), progress)?;
        Ok(all.pop().expect("one result each"))
    }

    /// Runs the faults of one configuration, in order of their strikes.
    fn tried(
        &self,
        golden: &Arc<Golden>,
        index: usize,
        entries: &[Entry],
        known: &mut Known,
    ) -> Result<BTreeMap<u32, Tried>, TrialError> {
        let place = known.0.iter().position(|(other, _)| Arc::ptr_eq(other, golden));
        let place = place.unwrap_or_else(|| {
            known.0.push((Arc::clone(golden), BTreeMap::new()));
            known.0.len() - 1
        });
        let known = &mut known.0[place].1;
        let mut tried = BTreeMap::new();
        let mut left = Vec::new();
        for entry in entries {
            let done = match &entry.planned[index] {
                Err(why) => Some(Tried::cannot(*why)),
                Ok(plan) => match known.get(&entry.number) {
                    Some((same, done)) if same == plan => Some(done.clone()),
                    _ => {
                        left.push((entry.number, plan));
                        None
                    }
                },
            };
            tried.extend(done.map(|done| (entry.number, done)));
        }
        if left.is_empty() {
            return Ok(tried);
        }
        let trial = Trial::new(&golden.varied.scenario, &self.registries)?;
        let mut forks = Forks::new(trial, Course::UntilJoined);
        left.sort_by_cached_key(|(number, plan)| {
            (forks.turn_of(core::slice::from_ref(plan)), *number)
        });
        for (number, plan) in left {
            let done = forks.run(core::slice::from_ref(plan), |_, outcome| Tried {
                came: Came::of(&outcome).ok_or(Cannot::NothingThere),
                is_violation: !outcome.guarantees.is_empty(),
                digest: outcome.digest(),
            })?;
            known.insert(number, (plan.clone(), done.clone()));
            tried.insert(number, done);
        }
        Ok(tried)
    }

    fn run_block(
        &self,
        block: &Block,
        goldens: &mut Goldens,
        known: &mut Known,
    ) -> Result<Found, ComparisonError> {
        let Entries { all, points, union, entries } =
            self.entries(block.seed, block.numbers.clone(), goldens)?;
        let mut columns = Vec::new();
        let mut tried: BTreeMap<u32, Vec<Tried>> =
            entries.iter().map(|entry| (entry.number, Vec::new())).collect();
        for (index, golden) in all.iter().enumerate() {
            let of_one = self.tried(golden, index, &entries, known).map_err(|error| {
                let configuration = self.configurations[index].name.clone();
                ComparisonError { seed: block.seed, configuration, why: Why::Trial(error) }
            })?;
            let mut counts = Counts::default();
            for (number, one) in of_one {
                counts.add(one.came);
                tried.entry(number).or_default().push(one);
            }
            columns.push(FoundIn {
                counts,
                points: points[index],
                violated: golden.violated,
                stop: GoldenStop::of(block.seed, &golden.varied.scenario, golden.rest),
            });
        }
        let digests = entries.iter().map(|entry| {
            let mut hash = TraceHash::default();
            hash.absorb(u64::from(entry.number), block.seed);
            hash.absorb_bytes(entry.what.as_bytes());
            for (planned, one) in entry.planned.iter().zip(&tried[&entry.number]) {
                hash.absorb_bytes(told(planned).as_bytes());
                let [high, low] = one.digest.words();
                hash.absorb(high, low);
            }
            hash.digest()
        });
        let digests = digests.collect();
        let nowhere = block.numbers.len() as u64 - entries.len() as u64;
        Ok(Found { columns, union, tried: tried.into_iter().collect(), nowhere, digests })
    }

    /// Blocks of each seed.
    const fn blocks_each(&self) -> u64 {
        self.experiments.div_ceil(BLOCK) as u64
    }

    /// Blocks of all seeds.
    fn blocks(&self) -> u64 {
        self.seeds.count().saturating_mul(self.blocks_each())
    }

    /// The how-manieth block, seed after seed: there may be more of them than memory holds.
    fn block(&self, place: u64) -> Option<Block> {
        if place >= self.blocks() {
            return None;
        }
        let each = self.blocks_each();
        let first = u32::try_from(place % each).expect("fewer than experiments") * BLOCK;
        Some(Block {
            seed: self.seeds.first() + place / each,
            numbers: first..first.saturating_add(BLOCK).min(self.experiments),
            is_first: first == 0,
        })
    }
}

fn told(planned: &Planned) -> String {
    match planned {
        Ok(plan) => format!("{plan:?}"),
        Err(why) => why.name().to_owned(),
    }
}

/// Runs several comparisons over the same seeds. What they have in common of one world is run once. The
/// number of threads, and what may interrupt them, are those of the first.
///
/// # Errors
///
/// When a configuration can't be made.
///
/// # Panics
///
/// When they are not over the same seeds, with as many experiments.
pub fn run_all(
    comparisons: &[Comparison],
    mut progress: impl FnMut(ComparisonProgress),
) -> Result<Vec<Compared>, ComparisonError> {
    let Some(first) = comparisons.first() else { return Ok(Vec::new()) };
    for other in comparisons {
        assert_eq!(other.seeds, first.seeds, "comparisons are of the same seeds");
        assert_eq!(other.experiments, first.experiments, "comparisons have as many experiments");
    }
    let interrupt = &first.registries.interrupt;
    let blocks = first.blocks();
    let next = AtomicU64::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut taken: Vec<Taken> = comparisons.iter().map(Taken::new).collect();
    let (mut done, mut experiments, mut failed) = (0_u64, 0, None);
    std::thread::scope(|scope| {
        for _ in 0..first.workers.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(block) = first.block(place) else { break };
                    if interrupt.is_raised() {
                        break;
                    }
                    let (mut goldens, mut known) = (Goldens::default(), Known::default());
                    let found: Result<Vec<Found>, ComparisonError> = comparisons
                        .iter()
                        .map(|one| one.run_block(&block, &mut goldens, &mut known))
                        .collect();
                    if sender.send((place, found)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        for (place, found) in receiver {
            waiting.insert(place, found);
            while failed.is_none()
                && let Some(found) = waiting.remove(&done)
            {
                let found = match found {
                    Ok(found) => found,
                    Err(error) => {
                        failed = Some(error);
                        // Nobody begins another block.
                        next.store(blocks, Ordering::Relaxed);
                        break;
                    }
                };
                let block = first.block(done).expect("it was found");
                for (taken, found) in taken.iter_mut().zip(found) {
                    let counts = found.columns.iter().map(|one| one.counts.tried);
                    experiments += counts.sum::<u64>();
                    taken.take_in(&block, found);
                }
                done += 1;
                progress(ComparisonProgress { blocks: done, blocks_total: blocks, experiments });
            }
        }
    });
    match failed {
        Some(ComparisonError { why: Why::Trial(TrialError::Interrupted), .. }) | None => {
            let is_partial = done < blocks;
            Ok(taken.into_iter().map(|taken| taken.end(is_partial)).collect())
        }
        Some(error) => Err(error),
    }
}

/// What was taken in so far, in order.
struct Taken {
    compared: Compared,
    digest: TraceHash,
    /// Whether each seed has a world of its own; otherwise all have the same, in each configuration.
    is_generated: bool,
}

impl Taken {
    fn new(comparison: &Comparison) -> Self {
        let mut digest = TraceHash::default();
        for one in &comparison.configurations {
            digest.absorb_bytes(one.name.as_bytes());
        }
        let columns = comparison.configurations.iter();
        let columns =
            columns.map(|one| super::Column { name: one.name.clone(), ..Default::default() });
        let compared = Compared {
            columns: columns.collect(),
            pairs: vec![super::Pairs::default(); comparison.configurations.len()],
            ..Compared::default()
        };
        Self { compared, digest, is_generated: comparison.is_generated() }
    }

    fn take_in(&mut self, block: &Block, found: Found) {
        let Compared { columns, pairs, points, seeds, nowhere, .. } = &mut self.compared;
        *nowhere += found.nowhere;
        for digest in &found.digests {
            let [high, low] = digest.words();
            self.digest.absorb(high, low);
        }
        if block.is_first {
            *seeds += 1;
            *points += found.union;
        }
        for (column, found) in columns.iter_mut().zip(found.columns) {
            if block.is_first {
                column.worlds.push(Counts::default());
                column.points += found.points;
                if self.is_generated || column.golden_violations == 0 {
                    column.golden_violations += u64::from(found.violated.is_some());
                }
                if let (None, Some(name)) = (column.first_golden_violation, found.violated) {
                    column.first_golden_violation = Some((block.seed, name));
                }
                if let Some(stop) = found.stop {
                    stop.join(&mut column.golden_stops);
                }
            }
            column.total.merge(&found.counts);
            column.worlds.last_mut().expect("a world is open").merge(&found.counts);
        }
        for (number, tried) in &found.tried {
            let here = (block.seed, *number);
            let Some(first) = tried.first() else { continue };
            for ((one, pairs), column) in tried.iter().zip(&mut *pairs).zip(&mut *columns) {
                if one.is_violation {
                    column.violations += 1;
                    column.first_violation.get_or_insert(here);
                }
                match (first.came, one.came) {
                    (Ok(before), Ok(after)) => {
                        pairs.both += 1;
                        pairs.alike += u64::from(before == after);
                        let moves = pairs.moves.entry((before.class, after.class));
                        moves.or_insert(Moves { count: 0, first: here }).count += 1;
                        for turn in Turn::all(before, after) {
                            let turns = pairs.turns.entry(turn);
                            turns.or_insert(Moves { count: 0, first: here }).count += 1;
                        }
                    }
                    (Ok(_), Err(_)) => pairs.first_only += 1,
                    (Err(_), Ok(_)) => pairs.this_only += 1,
                    (Err(_), Err(_)) => {}
                }
            }
        }
    }

    fn end(self, is_partial: bool) -> Compared {
        Compared { digest: self.digest.digest(), is_partial, ..self.compared }
    }
}
