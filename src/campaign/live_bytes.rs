//! Which bytes of the kernel does anybody look at?
//!
//! What a kernel keeps in memory must be read back from there, or a wild write to it would be
//! harmless for a reason that no real kernel has. Each byte of a kernel structure is flipped once, in
//! mid-run, and the run goes on. The byte was *read* when a load, a page walk or a transfer met it,
//! and it is *live* when anything else than its own value then differed: another event, another
//! state. A field that nobody reads is decoration, and is listed.
//!
//! Not counted: code, and memory that is nobody's or a process's own. A byte that is overwritten
//! before it is read is neither read nor live here; another moment may show otherwise.

use std::collections::BTreeMap;

use crate::authority::Authority;
use crate::base::{Event, EventKind, Field, PhysAddr, Structure, TraceHash, VirtAddr, Witness};
use crate::kernel::layout::{
    OBJECT_BODY, address, crash_block, device_object, driver_object, frame_entry, handle_entry,
    kernel_data, object_body, object_header, pool_header, pool_lists, process, processor_block,
    ready_queue, request_packet, thread,
};
use crate::scenario::Scenario;
use crate::world::World;

use super::trial::{Registries, Trial, TrialError};

/// Bytes of a page.
const PAGE: u64 = 4096;

/// How the map is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveBytesOptions {
    /// Every how-manieth byte is flipped; 1: each.
    pub every: usize,
    /// Threads.
    pub workers: usize,
    /// At which step of the run; halfway when `None`.
    pub at: Option<u64>,
}

impl Default for LiveBytesOptions {
    fn default() -> Self {
        Self { every: 61, workers: 1, at: None }
    }
}

/// Bytes of one sort.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Share {
    /// Bytes flipped.
    pub total: u64,
    /// Of those, bytes that were read.
    pub read: u64,
    /// Of those, bytes that made a difference.
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

/// The map.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LiveBytes {
    /// The step before which bytes were flipped.
    pub at: u64,
    /// What was found of each structure.
    pub structures: BTreeMap<Structure, Share>,
    /// What was found of each field, by structure and name.
    pub fields: BTreeMap<(Structure, &'static str), Share>,
}

impl LiveBytes {
    /// All structures together.
    #[must_use]
    pub fn total(&self) -> Share {
        self.structures.values().fold(Share::default(), |mut sum, share| {
            sum.merge(*share);
            sum
        })
    }

    /// Fields of which bytes were flipped and none was read.
    pub fn never_read(&self) -> impl Iterator<Item = (Structure, &'static str)> {
        self.fields.iter().filter(|(_, share)| share.read == 0).map(|(&field, _)| field)
    }
}

/// What became of one flipped byte.
#[derive(Clone, Copy)]
struct Found {
    read: bool,
    live: bool,
}

/// A byte to flip.
#[derive(Clone, Copy)]
struct Byte {
    word: PhysAddr,
    lane: u32,
    structure: Structure,
    field: Option<&'static str>,
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

/// The run that others are compared with, from the checkpoint on.
struct Continuation {
    /// The hashes after each turn.
    turns: Vec<Hashes>,
    state: TraceHash,
    memory: Vec<u64>,
}

/// Flips bytes of the kernel of this scenario's world, each in a run of its own.
///
/// # Errors
///
/// When the world can't be built.
pub fn live_bytes(
    scenario: &Scenario,
    registries: &Registries,
    options: &LiveBytesOptions,
) -> Result<LiveBytes, TrialError> {
    let mut trial = Trial::new(scenario, registries)?;
    let at = options.at.unwrap_or(trial.golden.clock / 2);
    trial.world.run(&mut trial.judge, at);
    let bytes = bytes_of(&trial.judge.authority, &trial.world);
    let sample: Vec<Byte> = bytes.into_iter().step_by(options.every.max(1)).collect();
    let continuation = continuation(&mut trial.world);
    drop(trial);

    let workers = options.workers.max(1);
    let parts: Vec<Result<LiveBytes, TrialError>> = std::thread::scope(|scope| {
        let (sample, continuation) = (&sample, &continuation);
        let spawned: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let drivers = registries.drivers();
                    let mut world = World::build_with(&scenario.configuration, &drivers)?;
                    world.run(&mut (), at);
                    let mine = sample.iter().skip(worker).step_by(workers);
                    Ok(flip_each(&mut world, mine, continuation))
                })
            })
            .collect();
        spawned
            .into_iter()
            .map(|part| part.join().expect("a worker has no reason to panic"))
            .collect()
    });
    let mut map = LiveBytes { at, ..LiveBytes::default() };
    for part in parts {
        let part = part?;
        for (structure, share) in part.structures {
            map.structures.entry(structure).or_default().merge(share);
        }
        for (field, share) in part.fields {
            map.fields.entry(field).or_default().merge(share);
        }
    }
    Ok(map)
}

fn continuation(world: &mut World) -> Continuation {
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
    Continuation { turns, state, memory }
}

fn flip_each<'a>(
    world: &mut World,
    bytes: impl Iterator<Item = &'a Byte>,
    continuation: &Continuation,
) -> LiveBytes {
    let checkpoint = world.checkpoint();
    let mut map = LiveBytes::default();
    for byte in bytes {
        let found = flip(world, byte, continuation);
        world.restore(&checkpoint);
        map.structures.entry(byte.structure).or_default().add(found);
        if let Some(name) = byte.field {
            map.fields.entry((byte.structure, name)).or_default().add(found);
        }
    }
    map
}

fn flip(world: &mut World, byte: &Byte, continuation: &Continuation) -> Found {
    let flipped = 0xff_u64 << (byte.lane * 8);
    let memory = &mut world.machine.memory;
    let before = memory.read(byte.word);
    memory.write(byte.word, before ^ flipped);
    let mut hashes = Hashes::default();
    let mut read = false;
    for golden in &continuation.turns {
        world.step(&mut hashes);
        read |= hashes.read != golden.read;
        if hashes.live != golden.live {
            return Found { read: true, live: true };
        }
    }
    // Left alone, or overwritten: everything else must be as it was.
    let memory = &mut world.machine.memory;
    let (now, golden) = (memory.read(byte.word), continuation.memory[word_number(byte.word)]);
    let is_itself = now == golden || now == golden ^ flipped;
    memory.write(byte.word, golden);
    let live = !is_itself || world.machine.state_hash() != continuation.state;
    Found { read: read || live, live }
}

fn word_number(word: PhysAddr) -> usize {
    usize::try_from(word.raw() / 8).expect("memory is small")
}

/// Every byte of what kernel mode keeps, in order of addresses.
fn bytes_of(authority: &Authority, world: &World) -> Vec<Byte> {
    let frame_of = |virt: u64| world.machine.locate(0, VirtAddr(virt)).map(|phys| phys / PAGE);
    let variables = frame_of(address::KERNEL_DATA);
    let mut bytes = Vec::new();
    let mut run = (None, 0);
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
        let is_variable = variables == Some(number * 8 / PAGE);
        let field = field_at(region.structure, number * 8, run.1, is_variable);
        bytes.extend((0..8).map(|lane| Byte { word, lane, structure: region.structure, field }));
    }
    bytes
}

/// The field that begins at a physical address within a run of one structure.
fn field_at(structure: Structure, phys: u64, run: u64, is_variable: bool) -> Option<&'static str> {
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
        Structure::PoolHeader => (pool_header::FIELDS, within % 16),
        Structure::FrameDatabase => (frame_entry::FIELDS, within % 16),
        Structure::DriverObject => (driver_object::FIELDS, within % 0x40),
        Structure::DeviceObject => (device_object::FIELDS, within % 0x40),
        Structure::RequestPacket => (request_packet::FIELDS, within),
        _ => return None,
    };
    fields.iter().find(|field| field.offset == offset).map(|field| field.name)
}
