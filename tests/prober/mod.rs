//! A kernel-mode driver that does what its script says: one access or call after the other, in a system
//! service, in a system thread at boot, or in a deferred call. What tests provoke with it is raised by
//! the world as it is; nothing of it knows what should come of it.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod writers;

use ringfence::base::{Event, EventKind, PhysAddr, PrincipalKind, Structure, VirtAddr, Witness};
use ringfence::kernel::frames::{ANY_ENTRY, MM_FREE_FRAME};
use ringfence::kernel::hal::{FROM_MEMORY, HAL_START_TRANSFER, TO_MEMORY};
use ringfence::kernel::layout::{
    address, crash_block, device_object, driver_object, frame_entry, handle_entry, kernel_data,
    object_header, process, processor_block, thread,
};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::object::OB_DEREFERENCE;
use ringfence::kernel::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use ringfence::kernel::request::IO_COMPLETE_REQUEST;
use ringfence::kernel::status;
use ringfence::machine::{Flow, Processor, Reg, Routine, Trap, routine};
use ringfence::world::{
    Action, Component, Configuration, DriverDefinition, Drivers, Home, Placement, Rest, World,
    components,
};

/// What an address or a value in a script is: this number, or one that is known only then, plus a
/// number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// As it is.
    Plain(u64),
    /// The prober's data page.
    Data(u64),
    /// The request packet in hand.
    Packet(u64),
    /// The pool block allocated last.
    Block(u64),
    /// The number of the first free frame.
    FreeFrame,
    /// Its entry in the frame database.
    FreeFrameEntry(u64),
    /// The object behind the caller's first handle.
    Object(u64),
    /// Where the return address of the script's own routine is.
    Return,
}

/// One thing the prober does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Do {
    Read(To),
    Write(To, u64),
    Execute(To),
    /// An exception by its vector, with this in rcx.
    Raise(u8, u64),
    /// Sets the interrupt request level.
    Level(u64),
    /// Calls itself until the stack is used up.
    Overflow,
    Allocate,
    /// Frees pool: the address and the tag.
    Free(To, u64),
    Dereference(To),
    FreeFrame(To),
    Complete(To),
    /// Has the transfer device write a word of zeros to this bus address.
    Transfer(To),
    /// Has the transfer device interrupt.
    Interrupt,
    /// Drops what this processor remembers of a page.
    Invalidate(To),
    /// Never goes on.
    Hang,
}

/// Where a script runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Where {
    /// In the dispatch routine of a system service.
    Service,
    /// There, called by a routine that handles exceptions.
    Guarded,
    /// At boot, in the system thread.
    SystemThread,
    /// In the deferred call of the transfer device.
    Deferred,
}

const SCRIPT_BYTES: u64 = 0x300;
const RECORD_BYTES: u64 = 48;
const TAG: u64 = 0x7072_6f62;

const fn script_offset(place: Where) -> u64 {
    SCRIPT_BYTES
        * match place {
            Where::Service => 1,
            Where::Guarded => 2,
            Where::SystemThread => 3,
            Where::Deferred => 4,
        }
}

fn encoded_address(to: To) -> [u64; 2] {
    match to {
        To::Plain(number) => [0, number],
        To::Data(offset) => [1, offset],
        To::Packet(offset) => [2, offset],
        To::Block(offset) => [3, offset],
        To::FreeFrame => [4, 0],
        To::FreeFrameEntry(offset) => [5, offset],
        To::Object(offset) => [6, offset],
        To::Return => [7, 8],
    }
}

fn encoded(action: Do) -> [u64; 4] {
    let with = |kind: u64, to: To, value: u64| {
        let [base, offset] = encoded_address(to);
        [kind, base, offset, value]
    };
    match action {
        Do::Read(to) => with(1, to, 0),
        Do::Write(to, value) => with(2, to, value),
        Do::Execute(to) => with(3, to, 0),
        Do::Raise(vector, reason) => with(4, To::Plain(u64::from(vector)), reason),
        Do::Level(level) => with(5, To::Plain(level), 0),
        Do::Overflow => with(6, To::Plain(0), 0),
        Do::Allocate => with(7, To::Plain(0), 0),
        Do::Free(to, tag) => with(8, to, tag),
        Do::Dereference(to) => with(9, to, 0),
        Do::FreeFrame(to) => with(10, to, 0),
        Do::Complete(to) => with(11, to, 0),
        Do::Transfer(to) => with(12, to, TO_MEMORY),
        Do::Interrupt => with(12, To::Plain(0), FROM_MEMORY),
        Do::Invalidate(to) => with(13, to, 0),
        Do::Hang => with(14, To::Plain(0), 0),
    }
}

/// The address or number that two words of a script mean.
fn meant(p: &mut Processor<'_>, base: u64, offset: u64) -> Result<u64, Trap> {
    let start = match base {
        1 => p.local(0)?,
        2 => p.local(2)?,
        3 => p.local(3)?,
        4 | 5 => {
            let frame = p.load(address::KERNEL_DATA, kernel_data::FREE_FRAMES)?;
            if base == 4 { frame } else { address::FRAME_DATABASE + frame * 16 }
        }
        6 => {
            let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
            let owner = p.load(current, thread::PROCESS)?;
            let handles = p.load(owner, process::HANDLES)?;
            p.load(handles, handle_entry::OBJECT)?
        }
        7 => p.get(Reg::Rbp),
        _ => 0,
    };
    Ok(start.wrapping_add(offset))
}

routine! {
    /// Runs a script. Arguments: data page, where the script begins, packet.
    pub(crate) static PROBER_RUN = "ProberRun", frame 6;
    // Locals: 0 data page; 1 record in hand; 2 packet; 3 block; 4 what is meant; 5 value.
    keep => |p| {
        for number in 0..3 {
            let value = p.argument(number);
            p.set_local(number as u64, value)?;
        }
        Ok(Flow::Next)
    },
    next => |p| {
        let record = p.local(1)?;
        p.set_local(1, record.wrapping_add(RECORD_BYTES))?;
        let mut words = [0; 4];
        for (index, word) in words.iter_mut().enumerate() {
            *word = p.load_at(record.wrapping_add(index as u64 * 8), Structure::DriverData)?;
        }
        let [kind, base, offset, value] = words;
        let to = meant(p, base, offset)?;
        p.set_local(4, to)?;
        p.set_local(5, value)?;
        Ok(Flow::To(match kind {
            1 => At::read as u8,
            2 => At::write as u8,
            3 => At::execute as u8,
            4 => At::raise as u8,
            5 => At::level as u8,
            6 => At::overflow as u8,
            7 => At::allocate as u8,
            8 => At::free as u8,
            9 => At::dereference as u8,
            10 => At::free_frame as u8,
            11 => At::complete as u8,
            12 => At::transfer as u8,
            13 => At::invalidate as u8,
            14 => At::hang as u8,
            _ => At::done as u8,
        }))
    },
    read => |p| {
        let to = p.local(4)?;
        p.load_at(to, Structure::DriverData)?;
        Ok(Flow::To(At::next as u8))
    },
    write => |p| {
        let (to, value) = (p.local(4)?, p.local(5)?);
        p.store_at(to, Structure::DriverData, value)?;
        Ok(Flow::To(At::next as u8))
    },
    execute => |p| {
        let to = p.local(4)?;
        Ok(Flow::CallAt(to))
    },
    executed => |_| Ok(Flow::To(At::next as u8)),
    raise => |p| {
        let (vector, reason) = (p.local(4)?, p.local(5)?);
        p.put(Reg::Rcx, reason);
        Err(Trap::plain(u8::try_from(vector).unwrap_or(0)))
    },
    level => |p| {
        let level = p.local(4)?;
        p.set_irql(level)?;
        Ok(Flow::To(At::next as u8))
    },
    overflow, call PROBER_RECURSE => |_| Ok(Flow::Call),
    overflown => |_| Ok(Flow::To(At::next as u8)),
    allocate, call EX_ALLOCATE_POOL, of DriverData => |p| {
        p.pass([48, TAG, 0]);
        Ok(Flow::Call)
    },
    allocated => |p| {
        let block = p.result();
        p.set_local(3, block)?;
        Ok(Flow::To(At::next as u8))
    },
    free, call EX_FREE_POOL => |p| {
        let (to, tag) = (p.local(4)?, p.local(5)?);
        p.pass([to, tag]);
        Ok(Flow::Call)
    },
    freed => |_| Ok(Flow::To(At::next as u8)),
    dereference, call OB_DEREFERENCE => |p| {
        let to = p.local(4)?;
        p.pass([to]);
        Ok(Flow::Call)
    },
    dereferenced => |_| Ok(Flow::To(At::next as u8)),
    free_frame, call MM_FREE_FRAME => |p| {
        let to = p.local(4)?;
        p.pass([to, ANY_ENTRY, 0]);
        Ok(Flow::Call)
    },
    frame_freed => |_| Ok(Flow::To(At::next as u8)),
    complete, call IO_COMPLETE_REQUEST => |p| {
        let to = p.local(4)?;
        p.pass([to, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    completed => |_| Ok(Flow::To(At::next as u8)),
    transfer, call HAL_START_TRANSFER => |p| {
        let (to, command) = (p.local(4)?, p.local(5)?);
        p.pass([0, to, u64::from(command == TO_MEMORY), command]);
        Ok(Flow::Call)
    },
    started => |_| Ok(Flow::To(At::next as u8)),
    invalidate => |p| {
        let to = p.local(4)?;
        p.invalidate(to)?;
        Ok(Flow::To(At::next as u8))
    },
    hang => |_| Ok(Flow::Stay),
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Calls itself until the stack is used up.
    pub(crate) static PROBER_RECURSE = "ProberRecurse", frame 32;
    again, call PROBER_RECURSE => |_| Ok(Flow::Call),
    done => |_| Ok(Flow::Return),
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

routine! {
    /// Device control: runs the first script and completes.
    pub(crate) static PROBER_CONTROL = "ProberControl", frame 1;
    run, call PROBER_RUN => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, packet)?;
        let data = data_of(p, device)?;
        p.pass([data, data + script_offset(Where::Service), packet]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(0)?;
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

routine! {
    /// Writing: runs the second script under a handler, completes with what came of it.
    pub(crate) static PROBER_GUARDED = "ProberGuarded", frame 2;
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, packet)?;
        let data = data_of(p, device)?;
        p.set_local(1, data)?;
        Ok(Flow::Next)
    },
    run, call PROBER_RUN, on_fault caught => |p| {
        let (packet, data) = (p.local(0)?, p.local(1)?);
        p.pass([data, data + script_offset(Where::Guarded), packet]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(0)?;
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
    caught, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(0)?;
        p.pass([packet, status::CANCELLED, 0]);
        Ok(Flow::Call)
    },
    failed => |p| Ok(p.give_back(status::CANCELLED)),
}

routine! {
    /// Run at boot: the third script.
    pub(crate) static PROBER_ENTRY = "ProberEntry", frame 0;
    run, call PROBER_RUN => |p| {
        let device = p.argument(0);
        let data = data_of(p, device)?;
        p.pass([data, data + script_offset(Where::SystemThread), 0]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Run after the transfer device's interrupt: the fourth script.
    pub(crate) static PROBER_DEFERRED = "ProberDeferred", frame 0;
    run, call PROBER_RUN => |p| {
        let device = p.argument(0);
        let data = data_of(p, device)?;
        p.pass([data, data + script_offset(Where::Deferred), 0]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

const ROUTINES: &[&Routine] = &[
    &PROBER_CONTROL,
    &PROBER_GUARDED,
    &PROBER_ENTRY,
    &PROBER_DEFERRED,
    &PROBER_RUN,
    &PROBER_RECURSE,
];

/// What this crate brings, and the prober.
pub(crate) fn drivers() -> Drivers {
    let mut drivers = components::drivers();
    drivers.kernel.push(DriverDefinition {
        name: "prober",
        kind: PrincipalKind::KernelDriver,
        routines: ROUTINES,
        pageable: &[],
        dispatch: Dispatch {
            read: None,
            write: Some(&PROBER_GUARDED),
            control: Some(&PROBER_CONTROL),
            flush: None,
            entry: Some(&PROBER_ENTRY),
            deferred: Some(&PROBER_DEFERRED),
        },
        prepare: |_: &Placement| Vec::new(),
        owns: &[],
        section: &[(0, 1)],
    });
    drivers
}

/// The prober's data page: it is the first driver.
pub(crate) const DATA: u64 = address::DRIVER_CODE + address::DRIVER_DATA_OFFSET;
/// The prober's section that is set up once.
pub(crate) const SECTION: u64 = address::section_of(DATA);
/// The neighbour's data page: it is the second.
pub(crate) const NEIGHBOUR: u64 = DATA + address::DRIVER_STRIDE;

fn component(name: &str, home: Home, driver: Option<&str>, actions: Vec<Action>) -> Component {
    Component { driver: driver.map(Into::into), actions, ..Component::new(name, home) }
}

/// A world with an application that has the prober run its scripts, and a driver beside it.
pub(crate) fn configuration() -> Configuration {
    let open = Action::Open { device: "prober".into(), file: 0, access: 3, slot: 0 };
    let control = Action::Control { slot: 0, code: 0x22_0000, length: 8, value: 1 };
    let write = Action::Write { slot: 0, offset: 0, length: 8, value: 1 };
    let actions = vec![
        Action::CreateEvent { slot: 1 },
        Action::Store { word: 0, value: 1 },
        open,
        write,
        control,
        Action::Close { slot: 1 },
        Action::Allocate { slot: 2 },
        Action::Load { word: 0 },
    ];
    Configuration {
        components: vec![
            component("app", Home::Application, None, actions),
            component("prober", Home::KernelDriver, Some("prober"), vec![]),
            component("neighbour", Home::KernelDriver, Some("filter"), vec![]),
        ],
        ..Configuration::default()
    }
}

/// A world, loaded but not started.
pub(crate) fn built(configuration: &Configuration) -> World {
    World::build_with(configuration, &drivers()).expect("a sound configuration")
}

/// Where an address of the system half lies in memory.
pub(crate) fn physical(world: &World, virt: u64) -> u64 {
    world.machine.locate(0, VirtAddr(virt)).expect("it is mapped")
}

/// A word by its address in the system half.
pub(crate) fn word(world: &World, virt: u64) -> u64 {
    world.machine.memory.read(PhysAddr::truncated(physical(world, virt)))
}

/// Changes a word before anything runs, by its address in the system half.
pub(crate) fn poke(world: &mut World, virt: u64, value: u64) {
    let at = PhysAddr::truncated(physical(world, virt));
    world.machine.memory.write(at, value);
}

/// Puts a script where it runs.
pub(crate) fn script(world: &mut World, place: Where, actions: &[Do]) {
    assert!(actions.len() as u64 * RECORD_BYTES < SCRIPT_BYTES, "a script fits");
    for (index, action) in actions.iter().enumerate() {
        let record = DATA + script_offset(place) + index as u64 * RECORD_BYTES;
        for (number, value) in encoded(*action).into_iter().enumerate() {
            poke(world, record + number as u64 * 8, value);
        }
    }
}

/// What was seen of a run.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) statuses: Vec<u64>,
    pub(crate) ended: Vec<u64>,
    pub(crate) refused: u64,
}

impl Witness for Seen {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Observe => self.statuses.push(event.old),
            EventKind::ProcessEnded => self.ended.push(event.value),
            EventKind::DmaRefused => self.refused += 1,
            _ => {}
        }
    }
}

/// How a run ended, and the bug check with its parameters when it was one.
pub(crate) struct Ended {
    pub(crate) rest: Rest,
    pub(crate) crash: [u64; 5],
    pub(crate) seen: Seen,
}

/// Runs a world to its end.
pub(crate) fn run(world: &mut World) -> Ended {
    let mut seen = Seen::default();
    let rest = world.run(&mut seen, u64::MAX);
    let crash = crash_block::FIELDS.iter().map(|f| word(world, address::KERNEL_DATA + f.offset));
    let crash: Vec<u64> = crash.take(5).collect();
    Ended { rest, crash: crash.try_into().expect("five words"), seen }
}

/// The entry of a page as the system's tables have it, by the self-map.
pub(crate) fn entry_of(configuration: &Configuration, virt: u64) -> u64 {
    address::table_entry(u64::from(configuration.self_map_slot()), virt)
}

/// Fields that scripts name.
pub(crate) const FRAME_COUNT: u64 = frame_entry::COUNT.offset;
/// As above.
pub(crate) const HANDLE_COUNT: u64 = object_header::HANDLE_COUNT.offset;
