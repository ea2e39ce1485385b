//! Which bytes of the kernel does anybody look at?
//!
//! What a kernel keeps in memory must be read back from there, or a wild write to it would be
//! harmless for a reason that no real kernel has. Bytes of kernel structures are flipped, each in a
//! run of its own, and the run goes on. A byte was *read* when a load, a page walk or a transfer met
//! it, and it is *live* when anything else than its own value then differed: another event, another
//! state, other parameters of the bug check that the run ends with.
//!
//! Bytes are sampled at a few moments, wherever they are. Not counted at all: code, and memory that is
//! nobody's or a process's own. *In use*: every byte of a word that is not zero at that moment, and of
//! a word whose layout names a field, zero or not. What is left is room: empty table entries, stack
//! that was never reached, padding. It is flipped like the rest (a walk does read an empty entry) but
//! reported apart, so that room neither hides nor makes dead bytes. A byte that is overwritten before
//! it is read is neither read nor live: that is the share of damage at a moment that matters.
//!
//! Fields are asked otherwise, for a field is no decoration when it is read at some other moment: see
//! [`fields`]. A byte of a field that is never loaded, or whose flips never make a difference, is listed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::{Event, EventKind, PhysAddr, Structure, TraceHash, Witness};
use crate::outcome::Availability;
use crate::scenario::Scenario;
use crate::world::World;

use super::availability::crash_of;
use super::interrupt::{GLANCE, Interrupt, Interrupted};
use super::trial::{Registries, Trial, TrialError};

pub mod fields;
mod survey;
mod words;
pub mod worlds;

use fields::FieldShare;
use survey::{LOADS, Survey};

/// How the map is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveBytesOptions {
    /// Every how-manieth byte is flipped; 1: each.
    pub every: usize,
    /// Threads; the map is the same.
    pub workers: usize,
    /// Moments of the run, evenly spaced: one is halfway.
    pub moments: u16,
}

impl Default for LiveBytesOptions {
    fn default() -> Self {
        Self { every: 61, workers: 1, moments: 1 }
    }
}

/// Flips of one sort: bytes of a structure, or words of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Share {
    /// Flipped.
    pub total: u64,
    /// Of those, read.
    pub read: u64,
    /// Of those, what made a difference.
    pub live: u64,
}

impl Share {
    fn add(&mut self, found: Found) {
        self.total += 1;
        self.read += u64::from(found.read);
        self.live += u64::from(found.live);
    }

    fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.read += other.read;
        self.live += other.live;
    }
}

/// What was found of a structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shares {
    /// Bytes in use.
    pub used: Share,
    /// Room: bytes of zero words that no layout names.
    pub room: Share,
}

impl Shares {
    fn merge(&mut self, other: Self) {
        self.used.merge(other.used);
        self.room.merge(other.room);
    }
}

/// How far a map is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flips {
    /// Runs made.
    pub done: u64,
    /// Runs in all.
    pub total: u64,
}

/// The map.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LiveBytes {
    /// The steps before which bytes were flipped.
    pub moments: Vec<u64>,
    /// What was found of the sampled bytes of each structure.
    pub structures: BTreeMap<Structure, Shares>,
    /// What was found of each field, by structure and name, when it was flipped before it was loaded.
    /// Nothing, where nobody loads it.
    pub fields: BTreeMap<(Structure, &'static str), FieldShare>,
    /// Whether it was interrupted: not everything was flipped.
    pub is_partial: bool,
}

impl LiveBytes {
    /// All structures together.
    #[must_use]
    pub fn total(&self) -> Shares {
        self.structures.values().fold(Shares::default(), |mut sum, shares| {
            sum.merge(*shares);
            sum
        })
    }

    /// Fields of which no word was read at any of the moments.
    pub fn never_read(&self) -> impl Iterator<Item = (Structure, &'static str)> {
        self.fields.iter().filter(|(_, field)| field.flips.read == 0).map(|(&name, _)| name)
    }

    /// Fields with bytes of which no flip made a difference.
    pub fn not_all_live(&self) -> impl Iterator<Item = (Structure, &'static str, FieldShare)> {
        let dead = self.fields.iter().filter(|(_, field)| field.dead() != 0);
        dead.map(|(&(structure, name), &field)| (structure, name, field))
    }

    /// Bytes of fields: each counts once, wherever and however often it was flipped.
    #[must_use]
    pub fn field_bytes(&self) -> Share {
        let bytes = |set: u8| u64::from(set.count_ones());
        self.fields.values().fold(Share::default(), |mut sum, field| {
            sum.merge(Share {
                total: u64::from(fields::FIELD_BYTES),
                read: bytes(field.read),
                live: bytes(field.live),
            });
            sum
        })
    }

    /// Fields with a byte that is live.
    #[must_use]
    pub fn live_fields(&self) -> usize {
        self.fields.values().filter(|field| !field.is_dead()).count()
    }

    /// Adds what was found in another world, or at other moments of this one.
    pub fn merge(&mut self, other: Self) {
        self.moments.extend(other.moments);
        self.is_partial |= other.is_partial;
        for (structure, shares) in other.structures {
            self.structures.entry(structure).or_default().merge(shares);
        }
        for (field, share) in other.fields {
            self.fields.entry(field).or_default().merge(share);
        }
    }

    fn add(&mut self, flip: &Flip, found: Found) {
        match flip.what {
            What::Used => self.structures.entry(flip.structure).or_default().used.add(found),
            What::Room => self.structures.entry(flip.structure).or_default().room.add(found),
            What::Field(name) => {
                let field = self.fields.entry((flip.structure, name)).or_default();
                field.add(fields::bytes_of(flip.bits.0), found);
            }
        }
    }
}

/// What became of one flipped byte.
#[derive(Clone, Copy)]
struct Found {
    read: bool,
    live: bool,
}

/// Bits of one word to flip.
#[derive(Clone, Copy)]
struct Flip {
    word: PhysAddr,
    bits: Bits,
    structure: Structure,
    what: What,
}

/// Which bits.
#[derive(Clone, Copy)]
struct Bits(u64);

/// What is flipped.
#[derive(Clone, Copy)]
enum What {
    /// A byte in use.
    Used,
    /// A byte of room.
    Room,
    /// Bits of this field.
    Field(&'static str),
}

/// Two hashes of a run: one with what loads returned, one without. Neither has what a store
/// replaced, nor bytes of a word that an access did not touch.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Hashes {
    read: TraceHash,
    live: TraceHash,
}

impl Witness for Hashes {
    fn event(&mut self, event: &Event) {
        let mut event = *event;
        let touched = (0..8).filter(|lane| event.mask >> lane & 1 == 1);
        let touched = touched.fold(0, |bytes, lane| bytes | 0xff_u64 << (lane * 8));
        match event.kind {
            EventKind::Load | EventKind::DmaRead => event.value &= touched,
            EventKind::Store | EventKind::DmaWrite => {
                event.value &= touched;
                event.old = 0;
            }
            EventKind::TableMark => event.old = 0,
            _ => {}
        }
        let absorb = |hash: &mut TraceHash, event: &Event| {
            let [head, phys, virt, value, old] = event.words();
            hash.absorb(head ^ phys.rotate_left(20), virt);
            hash.absorb(value, old);
        };
        absorb(&mut self.read, &event);
        if matches!(event.kind, EventKind::Load | EventKind::DmaRead) {
            event.value = 0;
        }
        absorb(&mut self.live, &event);
    }
}

/// Flips before one turn of the run.
struct Stage {
    turn: usize,
    flips: Vec<Flip>,
}

/// The run that others are compared with.
struct Undisturbed {
    /// The hashes after each turn.
    turns: Vec<Hashes>,
    state: TraceHash,
    memory: Vec<u64>,
    /// The stop at its end, with the parameters that it left: whoever tells of it reads them.
    crash: Option<Availability>,
}

/// Flips bytes of the kernel of this scenario's world, each in a run of its own; not those of fields that
/// are `known` to be live. `progress` is told after each, by whichever thread made it. The registries'
/// [`Interrupt`] ends it early: the map is then of what was flipped so far, and which bytes those are
/// depends on the number of threads.
///
/// # Errors
///
/// When the world can't be built, or the golden run was interrupted.
pub fn live_bytes(
    scenario: &Scenario,
    registries: &Registries,
    options: &LiveBytesOptions,
    known: &LiveBytes,
    progress: &(dyn Fn(Flips) + Sync),
) -> Result<LiveBytes, TrialError> {
    let trial = Trial::new(scenario, registries)?;
    let Ok(survey) = Survey::of(trial, options) else {
        return Ok(LiveBytes { is_partial: true, ..LiveBytes::default() });
    };
    let mut map = LiveBytes {
        moments: survey.moments.clone(),
        fields: survey.fields.iter().map(|&field| (field, FieldShare::default())).collect(),
        ..LiveBytes::default()
    };
    let flips_of = |stages: &[Stage]| stages.iter().map(|stage| stage.flips.len() as u64).sum();
    let done = AtomicU64::new(0);
    let mut before: u64 = flips_of(&survey.stages);
    let campaign = Campaign { scenario, registries, workers: options.workers.max(1), progress };
    let total = before + fields::bound(&survey, 0, &map, known);
    campaign.flip(&mut map, &survey.stages, &survey.golden, (&done, total))?;
    for round in 0..LOADS {
        let stages = fields::round(&survey, round, &map, known);
        before += flips_of(&stages);
        let total = before + fields::bound(&survey, round + 1, &map, known);
        campaign.flip(&mut map, &stages, &survey.golden, (&done, total))?;
    }
    map.is_partial = registries.interrupt.is_raised();
    Ok(map)
}

/// Who flips bytes of which world.
struct Campaign<'a> {
    scenario: &'a Scenario,
    registries: &'a Registries,
    workers: usize,
    progress: &'a (dyn Fn(Flips) + Sync),
}

impl Campaign<'_> {
    /// Makes all flips of these stages and adds what is found; `done` of a `total` is counted.
    fn flip(
        &self,
        map: &mut LiveBytes,
        stages: &[Stage],
        golden: &Undisturbed,
        (done, total): (&AtomicU64, u64),
    ) -> Result<(), TrialError> {
        if stages.is_empty() {
            return Ok(());
        }
        let count = || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            (self.progress)(Flips { done, total });
        };
        let parts: Vec<Result<LiveBytes, TrialError>> = std::thread::scope(|scope| {
            let count = &count;
            let spawned: Vec<_> = (0..self.workers)
                .map(|worker| {
                    scope.spawn(move || {
                        let drivers = self.registries.drivers();
                        let mut world = World::build_with(&self.scenario.configuration, &drivers)?;
                        let mine = |number| number % self.workers == worker;
                        let interrupt = &self.registries.interrupt;
                        Ok(flip_each(&mut world, stages, mine, golden, interrupt, count))
                    })
                })
                .collect();
            spawned
                .into_iter()
                .map(|part| part.join().expect("a worker has no reason to panic"))
                .collect()
        });
        for part in parts {
            map.merge(part?);
        }
        Ok(())
    }
}

/// Makes those flips of all stages that are `mine` by their number.
fn flip_each(
    world: &mut World,
    stages: &[Stage],
    mine: impl Fn(usize) -> bool,
    golden: &Undisturbed,
    interrupt: &Interrupt,
    count: impl Fn(),
) -> LiveBytes {
    let mut map = LiveBytes::default();
    let (mut turn, mut number) = (0, 0);
    for stage in stages {
        while turn < stage.turn {
            world.step(&mut ());
            turn += 1;
        }
        let checkpoint = world.checkpoint();
        for one in &stage.flips {
            number += 1;
            if !mine(number - 1) {
                continue;
            }
            let found = flip(world, one, golden, turn, interrupt);
            world.restore(&checkpoint);
            let Ok(found) = found else { return map };
            map.add(one, found);
            count();
        }
    }
    map
}

fn flip(
    world: &mut World,
    flip: &Flip,
    golden: &Undisturbed,
    turn: usize,
    interrupt: &Interrupt,
) -> Result<Found, Interrupted> {
    let memory = &mut world.machine.memory;
    let before = memory.read(flip.word);
    let Bits(bits) = flip.bits;
    memory.write(flip.word, before ^ bits);
    let mut hashes = turn.checked_sub(1).map_or_else(Hashes::default, |last| golden.turns[last]);
    let (mut read, mut rest) = (false, None);
    for (turn, undisturbed) in (0u64..).zip(&golden.turns[turn..]) {
        if turn % GLANCE == 0 {
            interrupt.check()?;
        }
        rest = world.step(&mut hashes);
        read |= hashes.read != undisturbed.read;
        if hashes.live != undisturbed.live {
            return Ok(Found { read: true, live: true });
        }
    }
    if rest.and_then(|rest| crash_of(world, rest)) != golden.crash {
        return Ok(Found { read: true, live: true });
    }
    // Left alone, or overwritten: everything else must be as it was.
    let memory = &mut world.machine.memory;
    let (now, undisturbed) = (memory.read(flip.word), golden.memory[word_number(flip.word)]);
    // A store may have replaced some of the bytes that were flipped.
    let apart = (now ^ undisturbed).to_le_bytes().into_iter().zip(bits.to_le_bytes());
    let is_itself = apart.into_iter().all(|(apart, flipped)| apart == 0 || apart == flipped);
    memory.write(flip.word, undisturbed);
    let live = !is_itself || world.machine.state_hash() != golden.state;
    Ok(Found { read: read || live, live })
}

fn word_number(word: PhysAddr) -> usize {
    usize::try_from(word.raw() / 8).expect("memory is small")
}
