//! Objects, handles, processes and their memory, as applications meet them.

mod buffers;
mod children;
mod double_fetch;
mod ends;
mod handles;
mod locked;
mod memory;
mod rights;
mod tables;
mod threads;
mod verifier;

use std::collections::BTreeMap;

use ringfence::base::{Event, EventKind, Field, PhysAddr, VirtAddr, Witness};
use ringfence::injection::Armed;
use ringfence::kernel::layout::{
    address, frame_entry, kernel_data, object_body, object_header, pool_header,
};
use ringfence::kernel::status;
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};

/// What a run showed: each process's statuses and bytes in order, the addresses of exceptions, and every claim.
#[derive(Default)]
struct Log {
    seen: BTreeMap<u8, Vec<(u64, u64)>>,
    faulted: Vec<u64>,
    claims: Vec<Event>,
}

impl Witness for Log {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Observe => {
                self.seen.entry(event.actor.0).or_default().push((event.old, event.virt));
            }
            EventKind::Exception => self.faulted.push(event.virt),
            kind if kind >= EventKind::Grant => self.claims.push(*event),
            _ => {}
        }
    }
}

struct Run {
    world: World,
    log: Log,
    rest: Rest,
    frames_before: u64,
}

impl Run {
    fn statuses(&self, principal: u8) -> Vec<u64> {
        self.log.seen.get(&principal).into_iter().flatten().map(|&(status, _)| status).collect()
    }

    fn claims(&self, kind: EventKind) -> Vec<&Event> {
        self.log.claims.iter().filter(|event| event.kind == kind).collect()
    }

    fn exit_status(&self, principal: u8) -> Option<u64> {
        let ended = self.claims(EventKind::ProcessEnded);
        ended.into_iter().find(|event| event.subject.0 == principal).map(|event| event.value)
    }

    fn field(&self, base: u64, field: Field) -> u64 {
        read(&self.world, base, field)
    }

    fn frames_gained(&self) -> u64 {
        let left = self.field(address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT);
        left.wrapping_sub(self.frames_before)
    }
}

fn read(world: &World, base: u64, field: Field) -> u64 {
    let at = world.machine.locate(0, VirtAddr(base + field.offset)).expect("the kernel is mapped");
    world.machine.memory.read(PhysAddr::truncated(at))
}

fn application(name: &str, actions: Vec<Action>) -> Component {
    Component { actions, ..Component::new(name, Home::Application) }
}

/// The first application is principal 2, the second 3, and so on.
const A: u8 = 2;
const B: u8 = 3;

/// One processor and no clock: processes run one after the other unless they yield.
fn in_turn(applications: Vec<Vec<Action>>, spawned: usize) -> Configuration {
    let mut components: Vec<_> = applications
        .into_iter()
        .enumerate()
        .map(|(number, actions)| application(&format!("process-{number}"), actions))
        .collect();
    for number in 0..spawned {
        let name = format!("child-{number}");
        components.push(Component { spawned: true, ..application(&name, vec![]) });
    }
    let mut configuration = Configuration { steps_max: 60_000, components, ..Default::default() };
    configuration.machine.processors = 1;
    configuration.machine.clock_interval = 0;
    configuration
}

fn run(configuration: &Configuration) -> Run {
    run_with(configuration, None)
}

fn run_with(configuration: &Configuration, fault: Option<Armed>) -> Run {
    let mut world = World::build(configuration).expect("it can be built");
    if let Some(fault) = fault {
        world.machine.points.arm(fault);
    }
    let frames_before = read(&world, address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT);
    let mut log = Log::default();
    let rest = world.run(&mut log, u64::MAX);
    Run { world, log, rest, frames_before }
}

fn run_in_turn(applications: Vec<Vec<Action>>) -> Run {
    run(&in_turn(applications, 0))
}

fn with(weakness: &str, mut configuration: Configuration) -> Configuration {
    configuration.weaknesses = vec![weakness.to_owned()];
    configuration
}

fn call(number: u64, arguments: &[u64]) -> Action {
    Action::SystemCall {
        service: u8::try_from(number).expect("few services"),
        arguments: arguments.to_vec(),
    }
}

const OK: u64 = status::SUCCESS;

/// Nothing is left of the processes that ran: memory, handles, claims, stacks.
#[track_caller]
fn assert_all_returned(run: &Run) {
    let opened = run.claims(EventKind::HandleOpened).len();
    assert_eq!(run.claims(EventKind::HandleClosed).len(), opened, "handles");
    assert_eq!(run.claims(EventKind::Share).len(), run.claims(EventKind::Unshare).len(), "shares");
    assert_eq!(run.claims(EventKind::Lend).len(), run.claims(EventKind::Reclaim).len(), "loans");
    let base = address::KERNEL_DATA;
    assert_eq!(run.field(base, kernel_data::PROCESS_COUNT), 0);
    for number in 1..64 {
        assert_eq!(run.field(base + number * 8, kernel_data::PROCESSES), 0, "process {number}");
    }
    for number in 0..2 {
        let section = run.field(base + number * 8, kernel_data::SECTIONS);
        let frame = run.field(section, object_body::FIRST);
        assert_eq!(run.field(section, object_header::POINTER_COUNT), 1, "section {number}");
        assert_eq!(run.field(section, object_header::HANDLE_COUNT), 0, "section {number}");
        let count = run.field(address::FRAME_DATABASE + frame * 16, frame_entry::COUNT);
        assert_eq!(count, 1, "section {number}");
    }
    let idle = u32::try_from(run.world.machine.processors.len()).expect("few");
    let stacks = run.field(base, kernel_data::STACKS_IN_USE).count_ones();
    assert_eq!(stacks, 1 + 2 * idle, "the system thread's and two for each processor");
    let blocks = pool_blocks(&run.world);
    assert_eq!(
        blocks,
        4 + u64::from(idle),
        "the system's process and thread, sections, idle threads"
    );
    // Seven frames of each process of the first boot come back: four tables, data, buffers, stack.
    let first = run.claims(EventKind::ProcessCreated).len() as u64 - 1 - spawned(run);
    assert_eq!(run.frames_gained(), 7 * first, "frames");
}

/// Pool blocks in use.
fn pool_blocks(world: &World) -> u64 {
    let end = read(world, address::KERNEL_DATA, kernel_data::POOL_NEXT);
    let (mut at, mut used) = (address::POOL, 0);
    while at < end {
        let sizes = read(world, at, pool_header::SIZES);
        if sizes == 0 {
            // What is left of a page is too small for the next block.
            at = (at | 0xfff) + 1;
            continue;
        }
        used += sizes >> 32 & 1;
        at += sizes & 0xffff;
    }
    used
}

/// Processes that were created by others.
fn spawned(run: &Run) -> u64 {
    let components = &run.world.configuration().components;
    let is_spawned = |event: &&&Event| {
        let index = usize::from(event.subject.0).wrapping_sub(2);
        components.get(index).is_some_and(|component| component.spawned)
    };
    run.claims(EventKind::ProcessCreated).iter().filter(is_spawned).count() as u64
}
