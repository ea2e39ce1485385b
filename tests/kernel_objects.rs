//! Objects, handles, processes and their memory, as applications meet them.

use std::collections::BTreeMap;

use ringfence::base::{Access, Event, EventKind, Field, PhysAddr, VirtAddr, Witness};
use ringfence::kernel::handle::access;
use ringfence::kernel::layout::{
    address, frame_entry, kernel_data, object_body, object_header, pool_header,
};
use ringfence::kernel::{bug_check, service, status};
use ringfence::machine::processor::mix;
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};

/// What a run showed: each process's statuses and bytes in order, and every claim.
#[derive(Default)]
struct Log {
    seen: BTreeMap<u8, Vec<(u64, u64)>>,
    claims: Vec<Event>,
}

impl Witness for Log {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Observe => {
                self.seen.entry(event.actor.0).or_default().push((event.old, event.virt));
            }
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
    Component {
        name: name.to_owned(),
        home: Home::Application,
        driver: None,
        above: None,
        critical: false,
        spawned: false,
        actions,
        content: None,
    }
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
    let mut world = World::build(configuration).expect("it can be built");
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

// ---- events and handles -----------------------------------------------------------------------

#[test]
fn an_event_tells_its_state_and_how_often_it_was_set() {
    let run = run_in_turn(vec![vec![
        Action::CreateEvent { slot: 0 },
        Action::SetEvent { slot: 0 },
        Action::SetEvent { slot: 0 },
        Action::QueryEvent { slot: 0 },
    ]]);

    assert_eq!(run.rest, Rest::Quiescent);
    assert_eq!(run.statuses(A), [OK; 4]);
    assert_eq!(run.log.seen[&A][3].1, mix(mix(0, 1), 2));
}

#[test]
fn a_closed_handle_is_no_handle() {
    let run = run_in_turn(vec![vec![
        Action::CreateEvent { slot: 0 },
        Action::Close { slot: 0 },
        Action::SetEvent { slot: 0 },
        Action::Close { slot: 0 },
    ]]);

    assert_eq!(run.statuses(A), [OK, OK, status::INVALID_HANDLE, status::INVALID_HANDLE]);
}

#[test]
fn the_low_two_bits_of_a_handle_are_ignored() {
    let set = |handle| call(service::SET_EVENT, &[handle]);
    let run = run_in_turn(vec![vec![
        Action::CreateEvent { slot: 0 },
        set(4),
        set(7),
        set(8),
        set(3),
        set(u64::MAX),
    ]]);

    let bad = status::INVALID_HANDLE;
    assert_eq!(run.statuses(A), [OK, OK, OK, bad, bad, bad]);
}

#[test]
fn a_handle_of_another_type_is_refused() {
    let run = run_in_turn(vec![vec![
        Action::CreateEvent { slot: 0 },
        Action::MapView { slot: 0, view: 1 },
        Action::OpenSection { section: 0, access: 3, slot: 2 },
        Action::SetEvent { slot: 2 },
    ]]);

    let mismatch = status::OBJECT_TYPE_MISMATCH;
    assert_eq!(run.statuses(A), [OK, mismatch, OK, mismatch]);
}

#[test]
fn a_handle_value_of_one_process_is_nothing_in_another() {
    let applications = || {
        vec![
            vec![Action::CreateEvent { slot: 0 }, Action::Yield],
            vec![call(service::SET_EVENT, &[4])],
        ]
    };
    let strong = run_in_turn(applications());
    assert_eq!(strong.statuses(B), [status::INVALID_HANDLE]);

    let weak = run(&with("wrong-table", in_turn(applications(), 0)));
    assert_eq!(weak.statuses(B), [OK]);
    let used = weak.claims(EventKind::HandleUsed);
    assert!(used.iter().any(|event| event.subject.0 == B && event.value == 4));
}

#[test]
fn a_full_table_refuses_and_loses_nothing() {
    let mut actions = vec![Action::CreateEvent { slot: 0 }; 16];
    actions.push(Action::CreateProcess {
        process: "child-0".into(),
        first: 17,
        inherit: false,
        slot: 1,
    });
    let run = run(&in_turn(vec![actions], 1));

    let mut expected = vec![OK; 15];
    expected.extend([status::INSUFFICIENT_RESOURCES; 2]);
    assert_eq!(run.statuses(A), expected);
    assert_eq!(run.claims(EventKind::ProcessEnded).len(), 1);
    assert_all_returned(&run);
}

// ---- rights -----------------------------------------------------------------------------------

#[test]
fn a_right_that_was_not_granted_is_not_there() {
    let applications = || {
        vec![vec![
            Action::OpenSection { section: 0, access: 2, slot: 0 },
            Action::MapView { slot: 0, view: 1 },
        ]]
    };
    assert_eq!(run_in_turn(applications()).statuses(A), [OK, status::ACCESS_DENIED]);

    let weak = run(&with("no-access-check", in_turn(applications(), 0)));
    assert_eq!(weak.statuses(A), [OK, OK]);
}

/// A process duplicates its event into itself with fewer rights, then tries to get one back.
fn narrow_and_widen() -> Vec<Vec<Action>> {
    vec![vec![
        Action::CreateEvent { slot: 0 },
        Action::OpenProcess { process: "process-0".into(), access: 8, slot: 1 },
        Action::Duplicate { slot: 0, process: 1, access: 1 },
        call(service::SET_EVENT, &[12]),
        call(service::DUPLICATE, &[12, 8, access::WRITE]),
        call(service::DUPLICATE, &[12, 8, 0]),
        call(service::SET_EVENT, &[16]),
    ]]
}

#[test]
fn duplication_never_adds_a_right() {
    let denied = status::ACCESS_DENIED;
    let strong = run_in_turn(narrow_and_widen());
    assert_eq!(strong.statuses(A), [OK, OK, OK, denied, denied, OK, denied]);

    let weak = run(&with("duplicate-widens", in_turn(narrow_and_widen(), 0)));
    assert_eq!(weak.statuses(A), [OK; 7]);
}

#[test]
fn duplicating_needs_the_right_to_the_target() {
    let run = run_in_turn(vec![vec![
        Action::CreateEvent { slot: 0 },
        Action::OpenProcess { process: "process-0".into(), access: 4, slot: 1 },
        Action::Duplicate { slot: 0, process: 1, access: 0 },
        Action::Duplicate { slot: 0, process: 0, access: 0 },
    ]]);

    let expected = [OK, OK, status::ACCESS_DENIED, status::OBJECT_TYPE_MISMATCH];
    assert_eq!(run.statuses(A), expected);
}

#[test]
fn a_process_opens_itself_and_its_children_and_nobody_else() {
    let run = run(&in_turn(
        vec![
            vec![
                Action::CreateProcess {
                    process: "child-0".into(),
                    first: 4,
                    inherit: false,
                    slot: 0,
                },
                Action::OpenProcess { process: "child-0".into(), access: 8, slot: 1 },
                Action::OpenProcess { process: "process-1".into(), access: 4, slot: 2 },
                call(service::OPEN_PROCESS, &[60, 1]),
                Action::Exit { status: 0 },
            ],
            vec![
                Action::Yield,
                Action::OpenProcess { process: "process-0".into(), access: 4, slot: 0 },
            ],
        ],
        1,
    ));

    assert_eq!(run.statuses(A), [OK, OK, status::ACCESS_DENIED, status::INVALID_CID]);
    assert_eq!(run.statuses(B), [OK, status::INVALID_CID], "the other one has ended by then");
}

// ---- parents and children ---------------------------------------------------------------------

#[test]
fn a_parent_gives_a_child_a_handle() {
    let run = run(&in_turn(
        vec![vec![
            Action::CreateEvent { slot: 0 },
            Action::CreateProcess { process: "child-0".into(), first: 6, inherit: false, slot: 1 },
            Action::Duplicate { slot: 0, process: 1, access: 2 },
            Action::Yield,
            Action::QueryEvent { slot: 0 },
            Action::Exit { status: 0 },
            call(service::SET_EVENT, &[4]),
            call(service::QUERY_EVENT, &[4, 0, 0, 0, address::USER_BUFFERS, 16]),
        ]],
        1,
    ));

    assert_eq!(run.rest, Rest::Quiescent);
    assert_eq!(run.statuses(B), [OK, status::ACCESS_DENIED], "the child may set, not look");
    assert_eq!(run.statuses(A), [OK; 5]);
    assert_eq!(run.log.seen[&A][4].1, mix(mix(0, 1), 1), "the parent sees that it was set");
}

#[test]
fn a_child_inherits_only_what_is_marked() {
    let applications = |inherit| {
        vec![vec![
            call(service::CREATE_EVENT, &[access::INHERIT]),
            Action::CreateEvent { slot: 0 },
            Action::CreateProcess { process: "child-0".into(), first: 5, inherit, slot: 1 },
            Action::Yield,
            Action::Exit { status: 0 },
            call(service::SET_EVENT, &[4]),
            call(service::SET_EVENT, &[8]),
        ]]
    };
    let inherits = run(&in_turn(applications(true), 1));
    assert_eq!(inherits.statuses(B), [OK, status::INVALID_HANDLE]);

    let alone = run(&in_turn(applications(false), 1));
    assert_eq!(alone.statuses(B), [status::INVALID_HANDLE; 2]);
}

/// A parent stores a word, its child another one; each looks at its own.
fn private_words() -> Vec<Vec<Action>> {
    vec![vec![
        Action::Store { word: 0, value: 1 },
        Action::CreateProcess { process: "child-0".into(), first: 5, inherit: false, slot: 1 },
        Action::Yield,
        Action::Load { word: 0 },
        Action::Exit { status: 0 },
        Action::Load { word: 0 },
        Action::Store { word: 0, value: 2 },
    ]]
}

#[test]
fn a_child_has_private_memory_of_its_own() {
    let strong = run(&in_turn(private_words(), 1));
    assert_eq!(strong.log.seen[&A][3], (OK, 1));
    assert_eq!(strong.log.seen[&B][0], (OK, 0));

    let weak = run(&with("shared-private-page", in_turn(private_words(), 1)));
    assert_eq!(weak.log.seen[&A][3], (OK, 2));
    assert_eq!(weak.log.seen[&B][0], (OK, 1));
}

#[test]
fn a_principal_number_is_taken_once() {
    let child =
        |slot| Action::CreateProcess { process: "child-0".into(), first: 4, inherit: false, slot };
    let run = run(&in_turn(
        vec![vec![
            child(0),
            child(1),
            call(service::CREATE_PROCESS, &[64, 0, 4]),
            call(service::CREATE_PROCESS, &[0, 0, 4]),
            Action::Exit { status: 0 },
        ]],
        1,
    ));

    let bad = status::INVALID_PARAMETER;
    assert_eq!(run.statuses(A), [OK, bad, bad, bad]);
    assert_all_returned(&run);
}

#[test]
fn a_handle_to_a_process_outlives_it() {
    let run = run(&in_turn(
        vec![vec![
            Action::CreateProcess { process: "child-0".into(), first: 5, inherit: false, slot: 0 },
            Action::CreateEvent { slot: 1 },
            Action::Yield,
            Action::Duplicate { slot: 1, process: 0, access: 0 },
            Action::Close { slot: 0 },
            Action::Exit { status: 7 },
        ]],
        1,
    ));

    let expected = [OK, OK, OK, status::PROCESS_IS_TERMINATING, OK];
    assert_eq!(run.statuses(A), expected);
    assert_eq!(run.exit_status(B), Some(7));
    assert_all_returned(&run);
}

// ---- memory -----------------------------------------------------------------------------------

#[test]
fn an_allocated_page_is_zeroed_and_its_address_used_again() {
    let applications = || {
        vec![vec![
            Action::Allocate { slot: 0 },
            Action::StoreThrough { slot: 0, word: 5, value: 9 },
            Action::Free { slot: 0 },
            Action::Allocate { slot: 1 },
            Action::LoadThrough { slot: 1, word: 5 },
            Action::Access { address: address::USER_HEAP + 40, access: Access::Read },
        ]]
    };
    let strong = run_in_turn(applications());
    assert_eq!(strong.statuses(A), [OK; 6]);
    assert_eq!([strong.log.seen[&A][4].1, strong.log.seen[&A][5].1], [0, 0]);

    let weak = run(&with("no-zeroing", in_turn(applications(), 0)));
    assert_eq!(weak.log.seen[&A][4].1, 9);
}

#[test]
fn only_what_was_allocated_is_freed() {
    let free = |virt| call(service::FREE, &[virt]);
    let run = run_in_turn(vec![vec![
        Action::Allocate { slot: 0 },
        free(address::USER_HEAP + 8),
        free(address::USER_HEAP + 4096),
        free(address::USER_DATA),
        free(address::USER_VIEWS),
        free(address::KERNEL_DATA),
        Action::Free { slot: 0 },
        Action::Free { slot: 0 },
    ]]);

    let bad = status::INVALID_PARAMETER;
    assert_eq!(run.statuses(A), [OK, bad, bad, bad, bad, bad, OK, bad]);
}

#[test]
fn a_freed_page_is_gone() {
    let run = run_in_turn(vec![vec![
        Action::Allocate { slot: 0 },
        Action::LoadThrough { slot: 0, word: 0 },
        Action::Free { slot: 0 },
        Action::LoadThrough { slot: 0, word: 0 },
    ]]);

    assert_eq!(run.statuses(A), [OK; 3]);
    assert_eq!(run.exit_status(A), Some(status::ACCESS_VIOLATION));
    assert_all_returned(&run);
}

#[test]
fn one_heap_is_not_another() {
    let run = run_in_turn(vec![vec![Action::Allocate { slot: 0 }; 60]; 7]);

    let all: Vec<u64> = (A..A + 7).flat_map(|process| run.statuses(process)).collect();
    assert_eq!(all.len(), 60 * 7, "one process after the other has all it wants");
    assert!(all.iter().all(|&status| status == OK));
    assert_all_returned(&run);
}

#[test]
fn no_memory_is_a_status() {
    let mut applications = vec![vec![Action::Allocate { slot: 0 }; 59]; 6];
    for actions in &mut applications {
        actions.push(Action::Yield);
    }
    let mut configuration = in_turn(applications, 1);
    configuration.machine.frames = 384;
    configuration.components[5].actions.push(Action::CreateProcess {
        process: "child-0".into(),
        first: 60,
        inherit: false,
        slot: 1,
    });
    // The last one runs its end before the others have given anything back.
    configuration.components[5].actions.remove(59);
    let run = run(&configuration);

    let last = run.statuses(A + 5);
    assert!(last.contains(&status::NO_MEMORY));
    assert_eq!(last.last(), Some(&status::NO_MEMORY), "no process without memory");
    assert_eq!(run.rest, Rest::Quiescent);
    assert_all_returned(&run);
}

// ---- sections ---------------------------------------------------------------------------------

#[test]
fn a_section_is_one_page_in_two_processes() {
    let run = run_in_turn(vec![
        vec![
            Action::OpenSection { section: 1, access: 3, slot: 0 },
            Action::MapView { slot: 0, view: 1 },
            Action::Close { slot: 0 },
            Action::StoreThrough { slot: 1, word: 2, value: 77 },
            Action::UnmapView { view: 1 },
            Action::UnmapView { view: 1 },
        ],
        vec![
            Action::OpenSection { section: 1, access: 1, slot: 0 },
            Action::MapView { slot: 0, view: 1 },
            Action::MapView { slot: 0, view: 2 },
            Action::LoadThrough { slot: 1, word: 2 },
            Action::StoreThrough { slot: 1, word: 2, value: 78 },
        ],
    ]);

    assert_eq!(run.statuses(A), [OK, OK, OK, OK, OK, status::INVALID_PARAMETER]);
    assert_eq!(run.statuses(B), [OK, OK, status::CONFLICTING_ADDRESSES, OK]);
    assert_eq!(run.log.seen[&B][3].1, 77);
    assert_eq!(run.exit_status(B), Some(status::ACCESS_VIOLATION), "its view is read-only");
    assert_all_returned(&run);
}

// ---- user buffers -----------------------------------------------------------------------------

fn query_into(buffer: u64, length: u64) -> Vec<Vec<Action>> {
    let query = call(service::QUERY_EVENT, &[4, 0, 0, 0, buffer, length]);
    vec![vec![Action::CreateEvent { slot: 0 }, query]]
}

#[test]
fn a_buffer_in_the_system_half_is_refused() {
    let wanted = address::KERNEL_DATA + 0x700;
    let strong = run_in_turn(query_into(wanted, 16));
    assert_eq!(strong.statuses(A), [OK, status::ACCESS_VIOLATION]);
    assert!(strong.claims(EventKind::Lend).is_empty());

    let weak = run(&with("no-probe", in_turn(query_into(wanted, 16), 0)));
    let lent = weak.claims(EventKind::Lend);
    assert_eq!(lent[0].virt, wanted, "the kernel believes that it writes a user buffer");
}

#[test]
fn a_buffer_that_is_not_there_is_a_status_and_is_given_back() {
    let run = run_in_turn(query_into(0x10_0000, 16));
    assert_eq!(run.statuses(A), [OK, status::ACCESS_VIOLATION]);

    let run = run_in_turn(query_into(address::USER_CODE, 16));
    assert_eq!(run.statuses(A), [OK, status::ACCESS_VIOLATION], "code is read-only");
    assert_eq!(run.claims(EventKind::Lend).len(), run.claims(EventKind::Reclaim).len());

    let run = run_in_turn(query_into(address::USER_BUFFERS, 8));
    assert_eq!(run.statuses(A), [OK, status::INVALID_PARAMETER], "too short");
}

#[test]
fn the_kernel_reaches_user_buffers_under_access_prevention() {
    let mut configuration = in_turn(query_into(address::USER_BUFFERS + 0x200, 16), 1);
    configuration.machine.smap = true;
    configuration.components[0].actions.push(Action::CreateProcess {
        process: "child-0".into(),
        first: 3,
        inherit: false,
        slot: 1,
    });
    let run = run(&configuration);

    assert_eq!(run.rest, Rest::Quiescent);
    assert_eq!(run.statuses(A), [OK; 3]);
    assert_eq!(run.exit_status(B), Some(0));
}

// ---- the end ----------------------------------------------------------------------------------

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

#[test]
fn a_process_takes_nothing_with_it() {
    let busy = || {
        vec![
            Action::Allocate { slot: 0 },
            Action::CreateEvent { slot: 1 },
            Action::OpenSection { section: 0, access: 3, slot: 2 },
            Action::MapView { slot: 2, view: 3 },
            Action::CreateProcess { process: "child-0".into(), first: 5, inherit: true, slot: 4 },
            Action::Allocate { slot: 5 },
            Action::Crash { how: ringfence::world::CrashKind::NullDereference },
        ]
    };
    for processors in 1..=3 {
        for schedule in 0..4 {
            let mut configuration = in_turn(vec![busy(), busy()], 1);
            configuration.machine.processors = processors;
            configuration.machine.clock_interval = 60;
            configuration.schedule = schedule;
            let run = run(&configuration);
            assert_eq!(run.rest, Rest::Quiescent);
            assert_eq!(run.exit_status(A), Some(status::ACCESS_VIOLATION));
            assert_all_returned(&run);
        }
    }
}

#[test]
fn leaks_are_leaks() {
    let applications = || vec![vec![Action::Allocate { slot: 0 }, Action::CreateEvent { slot: 1 }]];

    let frames = run(&with("frames-leak", in_turn(applications(), 0)));
    assert_eq!(frames.frames_gained(), 0_u64.wrapping_sub(1));

    let handles = run(&with("handles-leak", in_turn(applications(), 0)));
    let opened = handles.claims(EventKind::HandleOpened);
    assert!(handles.claims(EventKind::HandleClosed).is_empty());
    assert_eq!(handles.field(opened[0].virt, object_header::HANDLE_COUNT), 1);
}

#[test]
fn an_object_lives_as_long_as_its_last_handle() {
    let applications = || {
        vec![vec![
            Action::CreateEvent { slot: 0 },
            Action::OpenProcess { process: "process-0".into(), access: 8, slot: 1 },
            Action::Duplicate { slot: 0, process: 1, access: 0 },
            Action::Close { slot: 0 },
            call(service::SET_EVENT, &[12]),
        ]]
    };
    assert_eq!(run_in_turn(applications()).statuses(A), [OK; 5]);

    let weak = run(&with("early-free", in_turn(applications(), 0)));
    assert_ne!(weak.statuses(A).get(4), Some(&OK));
}

#[test]
fn the_end_of_a_critical_process_stops_the_machine() {
    let mut configuration = in_turn(vec![vec![Action::Yield]], 0);
    configuration.components[0].critical = true;

    assert_eq!(run(&configuration).rest, Rest::BugCheck(bug_check::code::CRITICAL_PROCESS_DIED));
}

/// The root slots of the system half in which a child, when it is made, differs from its parent.
fn differing_slots(configuration: &Configuration) -> Vec<u64> {
    let mut world = World::build(configuration).expect("it can be built");
    let mut log = Log::default();
    let root_of = |log: &Log, principal: u8| {
        let created = log.claims.iter().filter(|event| event.kind == EventKind::ProcessCreated);
        created.filter(|event| event.subject.0 == principal).map(|event| event.phys).next()
    };
    while root_of(&log, B).is_none() {
        assert_eq!(world.step(&mut log), None);
    }
    let roots = [A, B].map(|principal| root_of(&log, principal).expect("both exist"));
    // The accessed bit is each root's own.
    let entry = |root: u64, slot: u64| {
        world.machine.memory.read(PhysAddr::truncated(root + slot * 8)) & !0x20
    };
    (256..512).filter(|&slot| entry(roots[0], slot) != entry(roots[1], slot)).collect()
}

#[test]
fn a_child_has_the_system_half_of_everybody() {
    let spawn = || {
        let child =
            Action::CreateProcess { process: "child-0".into(), first: 1, inherit: false, slot: 0 };
        in_turn(vec![vec![child]], 1)
    };
    let self_map = u64::from(spawn().machine.self_map_slot);

    assert_eq!(differing_slots(&spawn()), [self_map]);
    // Cached global translations may hide the hole for as long as the process runs.
    let pool = address::POOL >> 39 & 511;
    assert_eq!(differing_slots(&with("kernel-half-differs", spawn())), [self_map, pool]);
}
