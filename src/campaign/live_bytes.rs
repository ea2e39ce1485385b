//! Which bytes of the kernel does anybody look at?
//!
//! What a kernel keeps in memory must be read back from there, or a wild write to it would be
//! harmless for a reason that no real kernel has. Each byte of a kernel structure is flipped once, in
//! mid-run, and the run goes on. The byte was *read* when a load, a page walk or a transfer met it,
//! and it is *live* when anything else than its own value then differed: another event, another
//! state. A field that nobody reads is decoration, and is listed.
//!
//! How bytes are counted. Not at all: code, and memory that is nobody's or a process's own. As *in
//! use*: every byte of a word that is not zero at that moment, and of a word whose layout names a
//! field, zero or not. What is left is room: empty table entries, stack that was never reached, padding.
//! It is flipped like the rest (a walk does read an empty entry) but reported apart, so that room
//! neither hides nor makes dead bytes. A byte that is overwritten before it is read is neither read nor
//! live; another moment may show otherwise, so there are several.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::authority::Authority;
use crate::base::{Event, EventKind, Field, PhysAddr, Structure, TraceHash, VirtAddr, Witness};
use crate::kernel::layout::{
    OBJECT_BODY, address, crash_block, device_object, driver_object, frame_entry, handle_entry,
    kernel_data, object_body, object_header, pool_header, pool_lists, process, processor_block,
    ready_queue, request_packet, thread,
};
use crate::kernel::pools::state;
use crate::scenario::Scenario;
use crate::world::World;

use super::interrupt::{GLANCE, Interrupt, Interrupted};
use super::trial::{Registries, Trial, TrialError};

/// Bytes of a page.
const PAGE: u64 = 4096;

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
    /// What was found of each field, by structure and name: every word of it is flipped as a whole,
    /// sampled or not.
    pub fields: BTreeMap<(Structure, &'static str), Share>,
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
        self.fields.iter().filter(|(_, share)| share.read == 0).map(|(&field, _)| field)
    }

    fn merge(&mut self, other: Self) {
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
                self.fields.entry((flip.structure, name)).or_default().add(found);
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

/// Bytes of one word to flip.
#[derive(Clone, Copy)]
struct Flip {
    word: PhysAddr,
    bits: u64,
    structure: Structure,
    what: What,
}

/// What is flipped.
#[derive(Clone, Copy)]
enum What {
    /// A byte in use.
    Used,
    /// A byte of room.
    Room,
    /// A whole word, which is this field.
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

/// The run that others are compared with, from a moment on.
struct Continuation {
    at: u64,
    flips: Vec<Flip>,
    /// The hashes after each turn.
    turns: Vec<Hashes>,
    state: TraceHash,
    memory: Vec<u64>,
}

/// Flips bytes of the kernel of this scenario's world, each in a run of its own. `progress` is told
/// after each, by whichever thread made it. The registries' [`Interrupt`] ends it early: the map is
/// then of what was flipped so far, and which bytes those are depends on the number of threads.
///
/// # Errors
///
/// When the world can't be built, or the golden run was interrupted.
pub fn live_bytes(
    scenario: &Scenario,
    registries: &Registries,
    options: &LiveBytesOptions,
    progress: &(dyn Fn(Flips) + Sync),
) -> Result<LiveBytes, TrialError> {
    let mut trial = Trial::new(scenario, registries)?;
    let moments = u64::from(options.moments.max(1));
    let continuations: Vec<Continuation> = (0..moments)
        .map(|moment| {
            let at = trial.golden.clock * (2 * moment + 1) / (2 * moments);
            trial.rewind();
            trial.world.run(&mut trial.judge, at);
            let flips = flips(&trial.judge.authority, &trial.world, options.every.max(1));
            continuation(&mut trial.world, at, flips)
        })
        .collect();
    drop(trial);

    let total = continuations.iter().map(|one| one.flips.len() as u64).sum();
    let done = AtomicU64::new(0);
    let count = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Flips { done, total });
    };
    let workers = options.workers.max(1);
    let mut map = LiveBytes {
        moments: continuations.iter().map(|one| one.at).collect(),
        ..LiveBytes::default()
    };
    for continuation in &continuations {
        let parts: Vec<Result<LiveBytes, TrialError>> = std::thread::scope(|scope| {
            let count = &count;
            let spawned: Vec<_> = (0..workers)
                .map(|worker| {
                    scope.spawn(move || {
                        let drivers = registries.drivers();
                        let mut world = World::build_with(&scenario.configuration, &drivers)?;
                        world.run(&mut (), continuation.at);
                        let mine = continuation.flips.iter().skip(worker).step_by(workers);
                        let interrupt = &registries.interrupt;
                        Ok(flip_each(&mut world, mine, continuation, interrupt, count))
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
    }
    map.is_partial = registries.interrupt.is_raised();
    Ok(map)
}

fn continuation(world: &mut World, at: u64, flips: Vec<Flip>) -> Continuation {
    let mut hashes = Hashes::default();
    let mut turns = Vec::new();
    loop {
        let rest = world.step(&mut hashes);
        turns.push(hashes);
        if rest.is_some() {
            break;
        }
    }
    let (state, memory) = (world.machine.state_hash(), world.machine.memory.words().to_vec());
    Continuation { at, flips, turns, state, memory }
}

fn flip_each<'a>(
    world: &mut World,
    flips: impl Iterator<Item = &'a Flip>,
    continuation: &Continuation,
    interrupt: &Interrupt,
    count: impl Fn(),
) -> LiveBytes {
    let checkpoint = world.checkpoint();
    let mut map = LiveBytes::default();
    for one in flips {
        let found = flip(world, one, continuation, interrupt);
        world.restore(&checkpoint);
        let Ok(found) = found else { break };
        map.add(one, found);
        count();
    }
    map
}

fn flip(
    world: &mut World,
    flip: &Flip,
    continuation: &Continuation,
    interrupt: &Interrupt,
) -> Result<Found, Interrupted> {
    let memory = &mut world.machine.memory;
    let before = memory.read(flip.word);
    memory.write(flip.word, before ^ flip.bits);
    let mut hashes = Hashes::default();
    let mut read = false;
    for (turn, golden) in (0u64..).zip(&continuation.turns) {
        if turn % GLANCE == 0 {
            interrupt.check()?;
        }
        world.step(&mut hashes);
        read |= hashes.read != golden.read;
        if hashes.live != golden.live {
            return Ok(Found { read: true, live: true });
        }
    }
    // Left alone, or overwritten: everything else must be as it was.
    let memory = &mut world.machine.memory;
    let (now, golden) = (memory.read(flip.word), continuation.memory[word_number(flip.word)]);
    // A store may have replaced some of the bytes that were flipped.
    let apart = (now ^ golden).to_le_bytes();
    let is_itself =
        (now ^ golden) & !flip.bits == 0 && apart.iter().all(|&byte| byte == 0 || byte == 0xff);
    memory.write(flip.word, golden);
    let live = !is_itself || world.machine.state_hash() != continuation.state;
    Ok(Found { read: read || live, live })
}

fn word_number(word: PhysAddr) -> usize {
    usize::try_from(word.raw() / 8).expect("memory is small")
}

/// What is flipped of all that kernel mode keeps, in order of addresses: every how-manieth byte, and
/// every word of a field.
fn flips(authority: &Authority, world: &World, every: usize) -> Vec<Flip> {
    let frame_of = |virt: u64| world.machine.locate(0, VirtAddr(virt)).map(|phys| phys / PAGE);
    let variables = frame_of(address::KERNEL_DATA);
    let pool_state = frame_of(state::STATE);
    let mut flips = Vec::new();
    let mut run = (None, 0);
    let mut bytes = 0;
    for number in 0..world.machine.memory.words().len() as u64 {
        let word = PhysAddr::truncated(number * 8);
        let region = *authority.region_at(word);
        if run.0 != Some(region) {
            run = (Some(region), number * 8);
        }
        let is_kernel_mode =
            region.owner.is_some_and(|owner| world.roster().kind(owner).is_kernel_mode());
        let is_other = matches!(region.structure, Structure::Code | Structure::Free);
        if !is_kernel_mode || is_other || region.structure.is_user() {
            continue;
        }
        let structure = region.structure;
        let is_variable = variables == Some(number * 8 / PAGE);
        let field = if pool_state == Some(number * 8 / PAGE) {
            pool_field(number * 8 % PAGE)
        } else {
            field_at(structure, number * 8, run.1, is_variable, pool_state.is_some())
        };
        let is_used = field.is_some() || world.machine.memory.read(word) != 0;
        let what = if is_used { What::Used } else { What::Room };
        for lane in 0..8 {
            if bytes % every == 0 {
                flips.push(Flip { word, bits: 0xff << (lane * 8), structure, what });
            }
            bytes += 1;
        }
        if let Some(name) = field {
            flips.push(Flip { word, bits: u64::MAX, structure, what: What::Field(name) });
        }
    }
    flips
}

/// The field of the pool's own variables at an offset; each but the first is the first of several.
fn pool_field(offset: u64) -> Option<&'static str> {
    let field = state::FIELDS.iter().rfind(|field| field.offset <= offset)?;
    let is_there = field.offset == offset || field.offset >= state::HEADS.offset;
    (is_there && offset < state::STATE_WORDS * 8).then_some(field.name)
}

/// The field that begins at a physical address within a run of one structure.
fn field_at(
    structure: Structure,
    phys: u64,
    run: u64,
    is_variable: bool,
    has_generation: bool,
) -> Option<&'static str> {
    let in_page = phys % PAGE;
    let within = phys - run;
    let (fields, offset): (&[Field], u64) = match structure {
        Structure::KernelData if is_variable => (kernel_data::FIELDS, in_page),
        Structure::ReadyQueue => (ready_queue::FIELDS, in_page),
        Structure::CrashBlock => (crash_block::FIELDS, in_page),
        Structure::PoolFreeList if is_variable => (pool_lists::FIELDS, in_page),
        Structure::ProcessorBlock => (processor_block::FIELDS, in_page),
        Structure::ObjectHeader => (object_header::FIELDS, within % OBJECT_BODY),
        Structure::Process => (process::FIELDS, within + OBJECT_BODY),
        Structure::Thread => (thread::FIELDS, within + OBJECT_BODY),
        Structure::ObjectBody => (object_body::FIELDS, within + OBJECT_BODY),
        Structure::HandleTable => (handle_entry::FIELDS, within % 16),
        // The plain header of another generation of the pool has nothing in its second word.
        Structure::PoolHeader if !has_generation => (pool_header::FIELDS, within % 16),
        Structure::PoolHeader => (&pool_header::FIELDS[..1], within % 16),
        Structure::FrameDatabase => (frame_entry::FIELDS, within % 16),
        Structure::DriverObject => (driver_object::FIELDS, within % 0x40),
        Structure::DeviceObject => (device_object::FIELDS, within % 0x40),
        Structure::RequestPacket => (request_packet::FIELDS, within),
        _ => return None,
    };
    fields.iter().find(|field| field.offset == offset).map(|field| field.name)
}
