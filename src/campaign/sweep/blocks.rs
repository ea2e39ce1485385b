//! The faults of a sweep, some points at a time, on many threads, taken in order.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc};

use crate::base::{Digest, PrincipalKind, TraceHash};
use crate::outcome::{Class, Outcome};
use crate::world::Rest;

use super::super::experiment::Course;
use super::super::forks::Forks;
use super::super::series::Case;
use super::super::tally::{Origin, Tally};
use super::super::trial::{Trial, TrialError};
use super::{
    Disagreement, Fate, Fates, KEPT_MAX, OfKind, Single, Space, Sweep, SweepProgress, Swept,
    what_became,
};

/// Injection points whose faults are one unit of work.
const BLOCK: usize = 8;

/// What one block came to.
#[derive(Default)]
struct Found {
    kinds: Vec<(usize, OfKind)>,
    examples: BTreeMap<(Origin, Class), u64>,
    violations: Vec<(u64, Case)>,
    /// Outcomes that others are compared with, by number.
    stands: Vec<(u64, Came)>,
    /// Faults that were run after all, with the number of the one that stood for them.
    checks: Vec<(u64, u64, Came)>,
    digests: Vec<(u64, Digest)>,
    run: u64,
    alike: u64,
    nowhere: u64,
}

/// What a fault came to, in short.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Came {
    what: Digest,
    class: Class,
}

/// How a world stops by itself, if it does.
fn stop_of(trial: &Trial) -> Option<Rest> {
    Some(trial.golden.rest).filter(|rest| *rest != Rest::Quiescent)
}

/// Runs all blocks.
pub(super) fn run(
    sweep: &Sweep,
    trial: Trial,
    space: &Space,
    fates: &Fates,
    mut progress: impl FnMut(SweepProgress),
) -> Result<Swept, TrialError> {
    let mut swept = Swept {
        points: space.points().len() as u64,
        faults: space.total(),
        golden: trial.golden.violations.clone(),
        golden_stop: stop_of(&trial),
        ..Swept::of_kinds(space)
    };
    let blocks = space.points().len().div_ceil(BLOCK);
    let next = AtomicUsize::new(0);
    let first_trial = Mutex::new(Some(trial));
    let (sender, receiver) = mpsc::channel();
    let mut failed = None;
    let mut digest = TraceHash::default();
    let mut compared = Compared::default();
    std::thread::scope(|scope| {
        for _ in 0..sweep.workers.max(1) {
            let (sender, next, first_trial) = (sender.clone(), &next, &first_trial);
            scope.spawn(move || {
                let taken = first_trial.lock().expect("nobody panics while holding it").take();
                let mut forks = match taken.map_or_else(|| sweep.trial(), Ok) {
                    Ok(trial) => Forks::new(trial, Course::UntilJoined),
                    Err(error) => {
                        let _ = sender.send((usize::MAX, Err(error)));
                        return;
                    }
                };
                loop {
                    let block = next.fetch_add(1, Ordering::Relaxed);
                    if block >= blocks {
                        return;
                    }
                    let points = block * BLOCK..((block + 1) * BLOCK).min(space.points().len());
                    let found = of_points(sweep, &mut forks, space, fates, points);
                    let is_over = found.is_err();
                    if sender.send((block, found)).is_err() || is_over {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut expected = 0;
        for (block, found) in receiver {
            match found {
                Ok(found) => drop(waiting.insert(block, found)),
                Err(TrialError::Interrupted) => swept.is_partial = true,
                Err(error) => failed = Some(error),
            }
            if failed.is_some() {
                next.store(blocks, Ordering::Relaxed);
            }
            while let Some(found) = waiting.remove(&expected) {
                let end = ((expected + 1) * BLOCK).min(space.points().len());
                swept.reached = space.numbers(0..end).end;
                take(&mut swept, &mut digest, &mut compared, found);
                expected += 1;
                progress(SweepProgress {
                    faults: swept.reached,
                    faults_total: swept.faults,
                    run: swept.run + swept.checked,
                    violations: swept.total.violations,
                });
            }
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    swept.digest = digest.digest();
    compared.into_disagreements(&mut swept);
    Ok(swept)
}

/// Runs one fault.
pub(super) fn run_alone(
    trial: Trial,
    space: &Space,
    single: &Single<'_>,
) -> Result<Swept, TrialError> {
    let (golden, golden_stop) = (trial.golden.violations.clone(), stop_of(&trial));
    let mut forks = Forks::new(trial, Course::UntilJoined);
    let (case, events) = run_one(&mut forks, single, single.point.origin)?;
    let mut of = OfKind { name: single.kind.name, run: 1, ..OfKind::default() };
    of.tally.events = events;
    of.tally.add_times(&case, 1);
    let mut found = Found {
        examples: BTreeMap::from([((case.origin, case.class()), single.number)]),
        digests: vec![(single.number, case.outcome.digest())],
        run: 1,
        kinds: vec![(single.index, of)],
        ..Found::default()
    };
    if !case.outcome.guarantees.is_empty() {
        found.violations.push((single.number, case));
    }
    let one = Swept { points: 1, faults: 1, reached: 1, ..Swept::of_kinds(space) };
    let mut swept = Swept { golden, golden_stop, ..one };
    let mut digest = TraceHash::default();
    take(&mut swept, &mut digest, &mut Compared::default(), found);
    swept.digest = digest.digest();
    Ok(swept)
}

impl Swept {
    /// Nothing of these kinds yet.
    fn of_kinds(space: &Space) -> Self {
        let kinds = space.kinds().iter();
        let kinds = kinds.map(|kind| OfKind { name: kind.name, ..OfKind::default() });
        Self { kinds: kinds.collect(), ..Self::default() }
    }
}

/// What others stood for, and what those that were run after all came to.
#[derive(Default)]
struct Compared {
    stands: BTreeMap<u64, Came>,
    checks: Vec<(u64, u64, Came)>,
}

impl Compared {
    fn into_disagreements(self, swept: &mut Swept) {
        for (number, stands, came) in self.checks {
            let Some(expected) = self.stands.get(&stands).filter(|expected| **expected != came)
            else {
                continue;
            };
            swept.disagreements_total += 1;
            if swept.disagreements.len() < KEPT_MAX {
                let (found, expected) = (came.class, expected.class);
                swept.disagreements.push(Disagreement { number, stands, found, expected });
            }
        }
    }
}

fn take(swept: &mut Swept, digest: &mut TraceHash, compared: &mut Compared, found: Found) {
    for (kind, of) in found.kinds {
        swept.total.merge(&of.tally);
        swept.kinds[kind].run += of.run;
        swept.kinds[kind].tally.merge(&of.tally);
    }
    for (cell, number) in found.examples {
        swept.examples.entry(cell).or_insert(number);
    }
    let room = KEPT_MAX - swept.violations.len();
    swept.violations.extend(found.violations.into_iter().take(room));
    for (number, came) in found.digests {
        let [high, low] = came.words();
        digest.absorb(number, high);
        digest.absorb(low, 0);
    }
    swept.run += found.run;
    swept.alike += found.alike;
    swept.nowhere += found.nowhere;
    swept.checked += found.checks.len() as u64;
    compared.stands.extend(found.stands);
    compared.checks.extend(found.checks);
}

/// Runs the faults of some points.
fn of_points(
    sweep: &Sweep,
    forks: &mut Forks,
    space: &Space,
    fates: &Fates,
    points: Range<usize>,
) -> Result<Found, TrialError> {
    let mut found = Found::default();
    let mut kinds: BTreeMap<usize, OfKind> = BTreeMap::new();
    for point in points {
        let origin = space.points()[point].origin;
        let mut word = (u64::MAX, 0);
        for single in space.at(point) {
            let of_kind = kinds.entry(single.index).or_default();
            match fates.of(&single) {
                Fate::Nowhere => {
                    found.nowhere += 1;
                    of_kind.tally.add_times(&never_struck(&single, origin), 1);
                }
                Fate::As { number: stands } => {
                    found.alike += 1;
                    let first = single.first_of_word().unwrap_or(single.number);
                    if word.0 != first {
                        word = (first, sweep.checked_bits(first));
                    }
                    if word.1 >> (single.number - first) & 1 == 1 {
                        let (case, _) = run_one(forks, &single, origin)?;
                        found.checks.push((single.number, stands, came(&case)));
                    }
                }
                Fate::Stands { times } => {
                    let (case, events) = run_one(forks, &single, origin)?;
                    found.run += 1;
                    of_kind.run += 1;
                    of_kind.tally.events += events;
                    of_kind.tally.add_times(&case, times);
                    let number = single.number;
                    found.examples.entry((case.origin, case.class())).or_insert(number);
                    found.digests.push((number, case.outcome.digest()));
                    if times > 1 {
                        found.stands.push((number, came(&case)));
                    }
                    if !case.outcome.guarantees.is_empty() && found.violations.len() < KEPT_MAX {
                        found.violations.push((number, case));
                    }
                }
            }
        }
    }
    found.kinds = kinds.into_iter().collect();
    Ok(found)
}

fn came(case: &Case) -> Came {
    Came { what: what_became(&case.outcome), class: case.class() }
}

/// The case of a fault that has no place.
pub(super) fn never_struck(single: &Single<'_>, origin: PrincipalKind) -> Case {
    let outcome = Outcome::default();
    let (plan, further) = (single.plan(), Vec::new());
    Case { number: 0, plan, further, origin: Origin::of(origin), outcome }
}

fn run_one(
    forks: &mut Forks,
    single: &Single<'_>,
    origin: PrincipalKind,
) -> Result<(Case, u64), TrialError> {
    let plan = single.plan();
    let under_way = UnderWay(single.number);
    let case = forks.run(core::slice::from_ref(&plan), |trial, outcome| {
        let origin = Origin::of_strike(trial, origin);
        (
            Case { number: 0, plan: plan.clone(), further: Vec::new(), origin, outcome },
            trial.judge.events(),
        )
    });
    drop(under_way);
    case
}

/// A fault that is run. Dropped in a panic, it says which.
struct UnderWay(u64);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it happened in fault {} of the sweep", self.0);
        }
    }
}

impl Tally {
    /// Takes in a case that stands for so many.
    fn add_times(&mut self, case: &Case, times: u64) {
        let mut one = Self::default();
        one.add(case);
        self.experiments += one.experiments * times;
        self.activated += one.activated * times;
        self.consumed += one.consumed * times;
        self.violations += one.violations * times;
        for (cell, count) in one.cells {
            *self.cells.entry(cell).or_default() += count * times;
        }
        for (origin, count) in one.struck {
            *self.struck.entry(origin).or_default() += count * times;
        }
        // Once: those it stands for strike later and sleep less long.
        for (origin, sleeps) in one.sleeps {
            self.sleeps.entry(origin).or_default().merge(&sleeps);
        }
    }
}
