//! The end of a process, and what it leaves: nothing.

use ringfence::base::{EventKind, PhysAddr, Principal};
use ringfence::injection::{
    Armed, Fault, Operation, PointKind, Recurrence, Scene, Trigger, Verdict,
};
use ringfence::kernel::layout::{address, crash_block, kernel_data, object_header, process};
use ringfence::kernel::{bug_check, service, status};
use ringfence::world::{Action, Configuration, CrashKind, Rest, World};

use crate::{A, B, Log, OK, assert_all_returned, call, in_turn, run, run_in_turn, run_with, with};

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
            Action::Crash { how: CrashKind::NullDereference },
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

    let run = run(&configuration);

    assert_eq!(run.rest, Rest::BugCheck(bug_check::code::CRITICAL_PROCESS_DIED));
    let found = [crash_block::CODE, crash_block::PARAMETER_1, crash_block::PARAMETER_2]
        .map(|field| run.field(address::KERNEL_DATA, field));
    let process = found[1];
    // Parameter 2: 0 for a process, 1 for a thread.
    assert_eq!(found, [0xef, process, 0]);
    assert_eq!(run.field(process, process::PRINCIPAL), u64::from(A));
}

/// Has the step that is about to run replaced by one at this address.
struct Astray(u64);

impl Fault for Astray {
    fn name(&self) -> &'static str {
        "astray"
    }

    fn strike(&mut self, _: &mut Operation, _: &mut dyn Scene) -> Option<Verdict> {
        Some(Verdict::Jump(self.0))
    }
}

#[test]
fn the_end_of_the_system_process_stops_the_machine() {
    let configuration = in_turn(vec![vec![Action::Yield]], 0);
    let world = World::build(&configuration).expect("it can be built");
    let routines = world.machine.program.routines();
    // Into user mode, where the system has no code: a page fault that nobody handles ends who raised it.
    let leaves = routines.iter().find(|one| one.routine.name == "KiStartUserThread");
    let astray = Astray(leaves.expect("threads start").entry.0);
    let trigger = Trigger {
        kind: PointKind::Step,
        principal: Principal::KERNEL,
        routine: None,
        caller: None,
        nth: 1,
    };

    let armed = Armed::new(Box::new(astray), trigger, Recurrence::Once);
    let run = run_with(&configuration, Some(armed));

    assert_eq!(run.rest, Rest::BugCheck(bug_check::code::CRITICAL_PROCESS_DIED));
    let system = run.field(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS);
    let found = [crash_block::PARAMETER_1, crash_block::PARAMETER_2]
        .map(|field| run.field(address::KERNEL_DATA, field));
    assert_eq!(found, [system, 0]);
    assert!(run.claims(EventKind::ProcessEnded).is_empty(), "nobody else ended");
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

/// Lets an allocation fail.
struct Shortage;

impl Fault for Shortage {
    fn name(&self) -> &'static str {
        "shortage"
    }

    fn strike(&mut self, _: &mut Operation, _: &mut dyn Scene) -> Option<Verdict> {
        Some(Verdict::Skip)
    }
}

#[test]
fn whichever_allocation_fails_nothing_is_left_behind() {
    let busy = vec![
        Action::Allocate { slot: 0 },
        Action::CreateEvent { slot: 1 },
        Action::OpenSection { section: 0, access: 3, slot: 2 },
        Action::MapView { slot: 2, view: 3 },
        Action::CreateProcess { process: "child-0".into(), first: 5, inherit: true, slot: 4 },
        Action::Allocate { slot: 5 },
    ];
    let configuration = in_turn(vec![busy], 1);
    let mut nth = 1;
    loop {
        let trigger = Trigger {
            kind: PointKind::Allocate,
            principal: Principal::KERNEL,
            routine: None,
            caller: None,
            nth,
        };
        let armed = Armed::new(Box::new(Shortage), trigger, Recurrence::Once);
        let run = run_with(&configuration, Some(armed));
        assert_eq!(run.rest, Rest::Quiescent, "allocation {nth}");
        assert_all_returned(&run);
        if run.world.machine.points.strikes() == 0 {
            break;
        }
        nth += 1;
    }
    // Page, event; the child's tables, pages, objects and handle table; a page each.
    assert!(nth > 2 + 4 + 3 + 2 + 1 + 2, "only {nth} allocations");
}

#[test]
fn ending_another_process_takes_the_right_to_it_and_happens_when_it_comes_back() {
    let applications = |access| {
        let mut actions = vec![
            Action::CreateProcess { process: "child-0".into(), first: 6, inherit: false, slot: 0 },
            Action::OpenProcess { process: "child-0".into(), access, slot: 1 },
            Action::Yield,
            Action::Terminate { slot: 1, status: 7 },
            call(service::TERMINATE, &[7, 40]),
            Action::Exit { status: 0 },
        ];
        actions.extend(vec![Action::Yield; 3]);
        vec![actions]
    };
    let ended = run(&in_turn(applications(16), 1));
    let denied = run(&in_turn(applications(8), 1));

    assert_eq!(ended.statuses(A), [OK, OK, OK, OK, status::INVALID_HANDLE]);
    assert_eq!((ended.exit_status(B), ended.statuses(B)), (Some(7), vec![]));
    assert_eq!(denied.statuses(A)[3], status::ACCESS_DENIED);
    assert_eq!((denied.exit_status(B), denied.statuses(B).len()), (Some(0), 3));
    assert_all_returned(&ended);
}
