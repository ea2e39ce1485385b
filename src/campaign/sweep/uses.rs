//! Which flips are one and the same: those of the same bit of the same word between two uses of it.
//!
//! A bit that flips after one use of its word and before the next is the same fault whenever in between
//! it flips: nobody can tell. So one of them is run and stands for all (def/use pruning: Smith et al.,
//! "A Fault Tolerance Assessment Methodology", 1995; Hari et al., "Relyzer", ASPLOS 2012; Schirmeier,
//! Borchert and Spinczyk, "Avoiding Pitfalls in Fault-Injection Based Comparison of Program
//! Susceptibility to Soft Errors", DSN 2015, which is why each carries the number it stands for).
//!
//! A use is every event that reads or writes the word, every claim about it, and everything that
//! changes who may do what. Words that the hardware reads without an event, page tables before all, are
//! never pruned.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};

use crate::base::{Event, EventKind, PhysAddr, Principal, PrincipalKind, Structure, Witness};
use crate::injection::{Armed, Fault, Operation, PointKind, Recurrence, Scene, Trigger, Verdict};
use crate::world::directory::{Directory, Target};

use super::super::interrupt::{Interrupt, Interrupted};
use super::super::judge::Judge;
use super::super::trial::Trial;
use super::space::{Single, Space};

/// What becomes of one of the faults that flip a bit somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It is run, for itself and so many others.
    Stands {
        /// The faults it stands for, itself among them.
        times: u64,
    },
    /// It is not run: that one stands for it.
    As {
        /// Its number.
        number: u64,
    },
    /// There is no such place at this moment: it can't strike.
    Nowhere,
}

/// The fates of all faults that flip a bit somewhere; every other is run for itself. The bits of a word
/// share theirs, so it is kept by the number of the first.
#[derive(Default)]
pub(super) struct Fates {
    by_word: BTreeMap<u64, Fate>,
}

impl Fates {
    /// The fate of a fault.
    pub(super) fn of(&self, single: &Single<'_>) -> Fate {
        let word = single.first_of_word();
        let fate = word.and_then(|word| Some((word, *self.by_word.get(&word)?)));
        match fate {
            None => Fate::Stands { times: 1 },
            Some((word, Fate::As { number })) => {
                Fate::As { number: number + (single.number - word) }
            }
            Some((_, fate)) => fate,
        }
    }
}

/// Notes at every step of somebody's where all targets are.
struct Locator {
    targets: Arc<Vec<Target>>,
    directory: Directory,
    found: Arc<Mutex<Vec<Vec<Option<u64>>>>>,
}

impl Fault for Locator {
    fn name(&self) -> &'static str {
        "locator"
    }

    fn strike(&mut self, _: &mut Operation, scene: &mut dyn Scene) -> Option<Verdict> {
        let place = |target| self.directory.locate(target, scene).map(|place| place.phys);
        let places = self.targets.iter().map(place).collect();
        self.found.lock().expect("nobody panics while holding it").push(places);
        None
    }
}

/// Uses of each word so far.
struct Uses {
    words: Vec<u32>,
    /// What concerns all words.
    everywhere: u32,
    turn: Vec<Event>,
}

impl Witness for Uses {
    fn event(&mut self, event: &Event) {
        self.turn.push(*event);
    }
}

impl Uses {
    fn note(&mut self, event: &Event) {
        use EventKind as K;
        let words = match event.kind {
            K::Load | K::Store | K::DmaRead | K::DmaWrite | K::TableLoad | K::TableMark => 1,
            K::StoreRun
            | K::LoadRun
            | K::Grant
            | K::Release
            | K::Lend
            | K::Reclaim
            | K::Share
            | K::Unshare
            | K::DmaGrant
            | K::DmaRevoke => event.value,
            K::Step
            | K::KernelPush
            | K::Invalidate
            | K::RootSwitch
            | K::ModeSwitch
            | K::Exception
            | K::Interrupt
            | K::Request
            | K::Observe
            | K::DmaRefused
            | K::RequestHandover
            | K::ProcessSought => 0,
            _ => {
                self.everywhere += 1;
                0
            }
        };
        let first = usize::try_from(event.phys / 8).unwrap_or(usize::MAX);
        let end = first.saturating_add(usize::try_from(words).unwrap_or(usize::MAX));
        let end = end.min(self.words.len());
        for uses in self.words.get_mut(first.min(end)..end).unwrap_or_default() {
            *uses += 1;
        }
    }
}

/// Whether the hardware reads such words without an event.
const fn is_read_in_silence(structure: Structure) -> bool {
    matches!(
        structure,
        Structure::Code
            | Structure::PageTable
            | Structure::InterruptTable
            | Structure::TaskState
            | Structure::IommuTable
    )
}

/// Walks the golden run and finds what stands for what. `is_seen` is every event; in a test not.
///
/// # Errors
///
/// When it was interrupted.
pub(super) fn fates(
    trial: &mut Trial,
    space: &Space,
    interrupt: &Interrupt,
    is_seen: impl Fn(&Event) -> bool,
) -> Result<Fates, Interrupted> {
    let flips: Vec<usize> =
        (0..space.kinds().len()).filter(|&kind| space.kinds()[kind].flips_target).collect();
    if flips.is_empty() {
        return Ok(Fates::default());
    }
    let targets = Arc::new(targets_of(space, &trial.directory, &flips));
    let found = Arc::new(Mutex::new(Vec::new()));
    trial.rewind();
    for (principal, entry) in trial.roster().clone().iter() {
        if entry.kind == PrincipalKind::Device {
            continue;
        }
        let locator = Locator {
            targets: Arc::clone(&targets),
            directory: trial.directory.clone(),
            found: Arc::clone(&found),
        };
        let trigger =
            Trigger { kind: PointKind::Step, principal, routine: None, caller: None, nth: 1 };
        trial.world.machine.points.arm(Armed::new(Box::new(locator), trigger, Recurrence::Always));
    }

    let words = trial.world.machine.memory.words().len();
    let mut uses = Uses { words: vec![0; words], everywhere: 0, turn: Vec::new() };
    let mut standing = Standing { fates: Fates::default(), first: BTreeMap::new() };
    let mut steps = (0..space.points().len())
        .filter(|&point| space.points()[point].record.kind == PointKind::Step);
    loop {
        let rest = trial.world.step(&mut (&mut trial.judge, &mut uses));
        let located = core::mem::take(&mut *found.lock().expect("nobody else runs"));
        let events = core::mem::take(&mut uses.turn);
        let is_step = |event: &&Event| event.kind == EventKind::Step;
        let is_clear = events.iter().filter(is_step).count() == located.len();
        let mut located = located.into_iter();
        for event in &events {
            if event.kind == EventKind::Step
                && let Some(places) = located.next()
                && let Some(point) = steps.next()
                && is_clear
            {
                let here = Here { space, point, targets: &targets, places: &places };
                standing.take(&here, &uses, &trial.judge);
            }
            if is_seen(event) {
                uses.note(event);
            }
        }
        // Every place of every target is looked up in a turn: that takes longer than a glance.
        interrupt.check()?;
        if rest.is_some() {
            break;
        }
    }
    drop(trial.world.machine.points.disarm());
    trial.rewind();
    Ok(standing.fates)
}

/// Every place that a fault of these kinds names, each once.
fn targets_of(space: &Space, directory: &Directory, flips: &[usize]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for &kind in flips {
        for parameters in (space.kinds()[kind].every)(PointKind::Step, directory) {
            if let Some(target) = parameters.target
                && targets.last() != Some(&target)
                && !targets.contains(&target)
            {
                targets.push(target);
            }
        }
    }
    targets
}

/// A point with the places of all targets at that moment.
struct Here<'a> {
    space: &'a Space,
    point: usize,
    targets: &'a [Target],
    places: &'a [Option<u64>],
}

/// What the flips of two words share that are one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Same {
    kind: usize,
    principal: Principal,
    phys: u64,
    uses: (u32, u32),
}

/// What stands for what so far.
struct Standing {
    fates: Fates,
    first: BTreeMap<Same, u64>,
}

impl Standing {
    fn take(&mut self, here: &Here<'_>, uses: &Uses, judge: &Judge) {
        let principal = here.space.points()[here.point].record.principal;
        let fates = &mut self.fates.by_word;
        for single in here.space.at(here.point) {
            let Some(number) = single.first_of_word().filter(|first| *first == single.number)
            else {
                continue;
            };
            let target = single.parameters.target.as_ref();
            let place = here.targets.iter().position(|known| Some(known) == target);
            let Some(phys) = place.and_then(|place| here.places[place]) else {
                fates.insert(number, Fate::Nowhere);
                continue;
            };
            if is_read_in_silence(judge.authority.region_at(PhysAddr::truncated(phys)).structure) {
                continue;
            }
            let word = usize::try_from(phys / 8).unwrap_or(usize::MAX);
            let Some(&of_word) = uses.words.get(word) else { continue };
            let uses = (of_word, uses.everywhere);
            let same = Same { kind: single.index, principal, phys, uses };
            match self.first.entry(same) {
                Entry::Vacant(entry) => {
                    entry.insert(number);
                }
                Entry::Occupied(entry) => {
                    let first = *entry.get();
                    fates.insert(number, Fate::As { number: first });
                    if let Fate::Stands { times } =
                        fates.entry(first).or_insert(Fate::Stands { times: 1 })
                    {
                        *times += 1;
                    }
                }
            }
        }
    }
}
