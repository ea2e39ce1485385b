//! A process with two threads: what they share, and how one, or both, end.

use ringfence::authority::Authority;
use ringfence::base::{EventKind, PrincipalSet};
use ringfence::invariants::{End, Evidence, Findings, Record, Registry, RestKind};
use ringfence::kernel::layout::address;
use ringfence::kernel::request::{METHOD_BUFFERED, control_code};
use ringfence::kernel::{service, status};
use ringfence::world::components::buffer_driver;
use ringfence::world::{Action, Component, Configuration, CrashKind, Home, Rest, World};

use crate::{A, B, Log, OK, Run, assert_all_returned, call, in_turn, read, run};

/// A thread of the process, from this action on.
fn thread(first: u8) -> Action {
    Action::CreateThread { first, slot: 9 }
}

/// As [`run`], with every invariant asked after each step and at the end.
#[track_caller]
fn run_watched(configuration: &Configuration) -> Run {
    let mut world = World::build(configuration).expect("it can be built");
    let map = world.kernel_map();
    let words = world.machine.memory.words().len();
    let mut authority = Authority::new(words, world.roster().clone());
    let (mut record, mut findings, registry) = (Record::new(), Findings::new(), Registry::all());
    let frames_before = read(
        &world,
        address::KERNEL_DATA,
        ringfence::kernel::layout::kernel_data::FREE_FRAME_COUNT,
    );
    let mut log = Log::default();
    let rest = loop {
        let rest = world.step(&mut (&mut log, &mut (&mut authority, &mut record)));
        registry.after_step(&mut record, &world.machine, &authority, &map, &mut findings);
        if let Some(rest) = rest {
            break rest;
        }
    };
    let kind = if rest == Rest::Quiescent { RestKind::Quiescent } else { RestKind::Cut };
    let evidence = Evidence::new(&world.machine, &authority, &map, &record);
    let end = End {
        rest: kind,
        golden: None,
        is_golden_cut: false,
        golden_influence: None,
        origins: PrincipalSet::NOBODY,
    };
    registry.at_rest(&evidence, &end, &mut findings);
    assert_eq!(findings.violations(), [], "schedule {:#x}", configuration.schedule);
    Run { world, log, rest, frames_before }
}

/// Runs with one to three processors and some schedules, with the clock and without.
#[track_caller]
fn each_schedule(configuration: &Configuration, check: impl Fn(&Run)) {
    for processors in 1..=3 {
        for schedule in 0..6 {
            let mut configuration = configuration.clone();
            configuration.machine.processors = processors;
            configuration.machine.clock_interval = if schedule % 2 == 0 { 60 } else { 90 };
            configuration.schedule = schedule;
            let run = run_watched(&configuration);
            assert_eq!(run.rest, Rest::Quiescent, "{processors} processors, schedule {schedule}");
            check(&run);
        }
    }
}

#[test]
fn two_threads_share_memory_and_handles() {
    // With one processor and no clock a thread runs until it yields.
    let first = vec![
        thread(6),
        Action::Yield,
        Action::Load { word: 3 },
        Action::SetEvent { slot: 1 },
        Action::QueryEvent { slot: 1 },
        Action::Exit { status: 0 },
        Action::Store { word: 3, value: 0x77 },
        Action::CreateEvent { slot: 1 },
        Action::ExitThread { status: 0 },
    ];

    let run = run_watched(&in_turn(vec![first], 0));

    let seen = &run.log.seen[&A];
    // Creation, then what the second thread sees, then the first's yield, load, set and query.
    assert_eq!(run.statuses(A), [OK; 7]);
    assert_eq!(seen[4], (OK, 0x77), "{seen:x?}");
    assert_eq!(run.claims(EventKind::ThreadEnded).len(), 1);
    assert_all_returned(&run);
}

#[test]
fn the_end_of_one_thread_leaves_the_other_whichever_it_is() {
    let second_ends = vec![
        thread(3),
        Action::Repeat { first: 1, times: 40 },
        Action::Exit { status: 4 },
        Action::Load { word: 0 },
        Action::ExitThread { status: 1 },
    ];
    let first_ends = vec![
        thread(2),
        Action::ExitThread { status: 1 },
        Action::Load { word: 0 },
        Action::Repeat { first: 2, times: 40 },
        Action::Allocate { slot: 2 },
        Action::StoreThrough { slot: 2, word: 3, value: 9 },
        Action::LoadThrough { slot: 2, word: 3 },
        Action::Exit { status: 4 },
    ];
    for actions in [second_ends, first_ends] {
        each_schedule(&in_turn(vec![actions], 0), |run| {
            assert_eq!(run.claims(EventKind::ThreadEnded).len(), 1);
            assert_eq!(run.claims(EventKind::ProcessEnded).len(), 1);
            assert_eq!(run.exit_status(A), Some(4));
            assert_all_returned(run);
        });
    }
}

/// A program that looks at the status: page 0 can be had in one world and not in the other, and who hasn't got it
/// stores nothing there.
#[test]
fn a_failure_leads_elsewhere_and_success_goes_on() {
    let actions = vec![
        Action::AllocateAt { address: 1, slot: 1 },
        Action::OnFailure { first: 3 },
        Action::StoreThrough { slot: 1, word: 2, value: 7 },
        Action::Exit { status: 4 },
    ];
    for (is_guarded, statuses) in [(false, 2), (true, 1)] {
        let mut configuration = in_turn(vec![actions.clone()], 0);
        configuration.machine.null_guard = is_guarded;

        let run = run_watched(&configuration);

        assert_eq!(run.exit_status(A), Some(4), "guarded: {is_guarded}");
        assert_eq!(run.statuses(A).len(), statuses, "guarded: {is_guarded}");
        assert_eq!(run.statuses(A)[0] == OK, !is_guarded);
    }
}

/// What the system can't do without is the process ("Bug Check 0xEF"): the end of one of its threads is none.
#[test]
fn a_critical_process_outlives_the_end_of_one_of_its_threads() {
    let actions = vec![
        thread(4),
        Action::Yield,
        Action::Yield,
        Action::Exit { status: 4 },
        Action::Load { word: 0 },
        Action::ExitThread { status: 1 },
    ];
    let mut configuration = in_turn(vec![actions], 0);
    configuration.components[0].critical = true;

    let run = run(&configuration);

    assert_eq!(run.claims(EventKind::ThreadEnded).len(), 1);
    assert_eq!(run.rest, Rest::BugCheck(0xef), "then the process ends");
}

#[test]
fn the_last_thread_s_end_ends_the_process_with_its_status() {
    // The second thread's list ends, and so does it, with 0.
    let actions = vec![thread(2), Action::ExitThread { status: 5 }, Action::Load { word: 0 }];

    each_schedule(&in_turn(vec![actions], 0), |run| {
        assert_eq!(run.claims(EventKind::ThreadEnded).len(), 1);
        assert!(matches!(run.exit_status(A), Some(0 | 5)));
        assert_all_returned(run);
    });
}

#[test]
fn a_crash_of_either_thread_ends_the_process_and_no_other() {
    let neighbour = || {
        vec![
            Action::Store { word: 0, value: 3 },
            Action::Repeat { first: 0, times: 60 },
            Action::Load { word: 0 },
        ]
    };
    let crash = Action::Crash { how: CrashKind::NullDereference };
    let second = vec![thread(2), Action::Spin, Action::Load { word: 1 }, crash.clone()];
    let first = vec![thread(2), crash, Action::Spin];
    for actions in [second, first] {
        let mut configuration = in_turn(vec![actions, neighbour()], 0);
        configuration.steps_max = 200_000;
        each_schedule(&configuration, |run| {
            assert_eq!(run.exit_status(A), Some(status::ACCESS_VIOLATION));
            assert_eq!(run.exit_status(B), Some(OK));
            let seen = run.log.seen[&B].last();
            assert_eq!(seen, Some(&(OK, 3)));
            assert_all_returned(run);
        });
    }
}

#[test]
fn a_process_ends_while_its_other_thread_waits_runs_or_asks() {
    let waits = vec![Action::Wait];
    let runs = vec![Action::Spin];
    let asks = vec![
        Action::Allocate { slot: 4 },
        Action::Free { slot: 4 },
        Action::CreateEvent { slot: 5 },
        Action::Close { slot: 5 },
        Action::Repeat { first: 3, times: 0 },
    ];
    let stores = vec![Action::Store { word: 1, value: 1 }, Action::Repeat { first: 3, times: 0 }];
    for rest in [waits, runs, asks, stores] {
        let mut actions =
            vec![thread(3), Action::Repeat { first: 1, times: 30 }, Action::Exit { status: 6 }];
        actions.extend(rest);
        each_schedule(&in_turn(vec![actions], 0), |run| {
            assert_eq!(run.exit_status(A), Some(6));
            assert_all_returned(run);
        });
    }
}

#[test]
fn who_waits_for_a_request_ends_when_that_is_complete() {
    let actions = vec![
        thread(3),
        Action::Repeat { first: 1, times: 3 },
        Action::Exit { status: 6 },
        Action::Open { device: "nic".into(), file: 0, access: 3, slot: 0 },
        Action::Control { slot: 0, code: 0, length: 64, value: 0x1000 },
        Action::Repeat { first: 4, times: 0 },
    ];
    let mut configuration = in_turn(vec![actions], 0);
    configuration.components.push(Component {
        driver: Some("transfer".into()),
        ..Component::new("nic", Home::KernelDriver)
    });

    each_schedule(&configuration, |run| assert_eq!(run.exit_status(A), Some(6)));
}

#[test]
fn a_request_whose_completion_is_put_off_is_waited_for() {
    // A driver that completes at once: with threads, and without, another routine waits.
    let asks = |first: Option<Action>| {
        let tell = Action::Control {
            slot: 0,
            code: control_code(buffer_driver::TELL, METHOD_BUFFERED, 0),
            length: 8,
            value: 0,
        };
        let open = Action::Open { device: "buffers".into(), file: 0, access: 3, slot: 0 };
        let mut actions: Vec<Action> = first.into_iter().collect();
        actions.push(open);
        actions.extend(vec![tell; 6]);
        actions.push(Action::Exit { status: 6 });
        let aside = actions.len().try_into().expect("few actions");
        actions.extend([Action::Load { word: 1 }, Action::Repeat { first: aside, times: 0 }]);
        let mut configuration = in_turn(vec![actions], 0);
        configuration.components.push(Component {
            driver: Some("buffers".into()),
            ..Component::new("buffers", Home::KernelDriver)
        });
        configuration.machine.verifier = vec!["force-pending-io".into()];
        configuration
    };
    for first in [None, Some(thread(9))] {
        for kva_shadow in [false, true] {
            let mut configuration = asks(first.clone());
            configuration.machine.kva_shadow = kva_shadow;
            each_schedule(&configuration, |run| {
                assert_eq!(run.exit_status(A), Some(6), "{kva_shadow}");
                assert!(run.statuses(A).iter().filter(|&&status| status == OK).count() >= 7);
            });
        }
    }
}

#[test]
fn a_process_with_two_threads_is_ended_from_another() {
    let actions = vec![
        Action::CreateProcess { process: "child-0".into(), first: 4, inherit: false, slot: 0 },
        Action::Repeat { first: 1, times: 300 },
        Action::Terminate { slot: 0, status: 9 },
        Action::Exit { status: 0 },
        thread(6),
        Action::Repeat { first: 5, times: 0 },
        Action::Load { word: 0 },
        Action::Repeat { first: 6, times: 0 },
    ];

    each_schedule(&in_turn(vec![actions], 1), |run| {
        assert_eq!(run.exit_status(A), Some(OK));
        assert_eq!(run.exit_status(B), Some(9));
        assert_eq!(run.claims(EventKind::ThreadCreated).len(), 1);
        assert_all_returned(run);
    });
}

#[test]
fn a_thread_ends_another_of_its_process_by_a_handle() {
    let actions = vec![
        thread(4),
        Action::TerminateThread { slot: 9, status: 3 },
        Action::Repeat { first: 2, times: 300 },
        Action::Exit { status: 2 },
        Action::Load { word: 0 },
        Action::Repeat { first: 4, times: 0 },
    ];

    each_schedule(&in_turn(vec![actions], 0), |run| {
        assert_eq!(run.claims(EventKind::ThreadEnded).len(), 1);
        assert_eq!(run.exit_status(A), Some(2));
        assert_all_returned(run);
    });
}

#[test]
fn threads_end_on_shadow_roots_with_tagged_translations_and_shadow_stacks_too() {
    let actions = vec![
        thread(4),
        Action::Load { word: 1 },
        Action::Repeat { first: 1, times: 20 },
        Action::Exit { status: 6 },
        Action::Allocate { slot: 4 },
        Action::StoreThrough { slot: 4, word: 1, value: 3 },
        Action::Free { slot: 4 },
        Action::Repeat { first: 4, times: 0 },
    ];
    for (kva_shadow, pcid, shadow_stacks) in
        [(true, false, false), (true, true, false), (false, true, true)]
    {
        let mut configuration = in_turn(vec![actions.clone()], 0);
        let machine = &mut configuration.machine;
        (machine.kva_shadow, machine.pcid) = (kva_shadow, pcid);
        machine.shadow_stacks = shadow_stacks;
        each_schedule(&configuration, |run| assert_eq!(run.exit_status(A), Some(6)));
    }
}

#[test]
fn a_driver_host_is_lost_and_made_again_beside_a_process_with_two_threads() {
    let actions = vec![
        thread(5),
        Action::Open { device: "reflector".into(), file: 0, access: 3, slot: 0 },
        Action::Control { slot: 0, code: 0x22_0000, length: 8, value: 2 },
        Action::Close { slot: 0 },
        Action::ExitThread { status: 0 },
        Action::Load { word: 1 },
        Action::Repeat { first: 5, times: 40 },
        Action::Exit { status: 4 },
    ];
    let mut configuration = in_turn(vec![actions], 0);
    configuration.components.push(Component {
        driver: Some("reflector".into()),
        ..Component::new("reflector", Home::KernelDriver)
    });
    configuration.components.push(Component {
        driver: Some("parser".into()),
        above: Some("reflector".into()),
        // One more than its table has.
        content: Some(20),
        ..Component::new("parser", Home::DriverHost)
    });
    configuration.machine.clock_interval = 60;
    for schedule in 0..4 {
        configuration.schedule = schedule;
        let run = run_watched(&configuration);
        assert!(!run.claims(EventKind::HostRestarted).is_empty(), "schedule {schedule}");
        assert_eq!(run.exit_status(A), Some(4));
    }
}

#[test]
fn a_process_that_is_ending_gets_no_new_thread() {
    // The other thread may come to the kernel's lock just as the first ends their process.
    let actions = vec![
        thread(3),
        Action::Repeat { first: 1, times: 20 },
        Action::Exit { status: 6 },
        Action::CreateThread { first: 5, slot: 8 },
        Action::Repeat { first: 3, times: 0 },
        Action::Spin,
    ];
    for schedule in 0..60 {
        let mut configuration = in_turn(vec![actions.clone()], 0);
        (configuration.machine.processors, configuration.schedule) = (2, schedule);

        let run = run_watched(&configuration);

        assert_eq!(run.rest, Rest::Quiescent, "schedule {schedule}");
        assert_eq!(run.claims(EventKind::ThreadCreated).len(), 1);
        assert_all_returned(&run);
    }
}

#[test]
fn a_thread_that_can_t_be_made_leaves_nothing() {
    let system = 0xffff_f800_0000_0000;
    let actions = vec![
        // A third one, and one that begins in the system half or in the hole.
        thread(8),
        thread(8),
        call(service::CREATE_THREAD, &[system, 0]),
        call(service::CREATE_THREAD, &[0x8000_0000_0000, 0]),
        Action::CreateEvent { slot: 2 },
        call(service::TERMINATE_THREAD, &[0, 8]),
        call(service::TERMINATE_THREAD, &[0, 0x400]),
        Action::Exit { status: 0 },
        Action::Spin,
    ];
    let run = run_watched(&in_turn(vec![actions], 0));

    assert_eq!(
        run.statuses(A),
        [
            OK,
            status::INSUFFICIENT_RESOURCES,
            status::INVALID_PARAMETER,
            status::INVALID_PARAMETER,
            OK,
            status::OBJECT_TYPE_MISMATCH,
            status::INVALID_HANDLE,
        ]
    );
    assert_all_returned(&run);
}

#[test]
fn a_kernel_whose_processes_make_no_threads_has_no_such_service() {
    let run = run(&in_turn(vec![vec![call(service::CREATE_THREAD, &[0x40_0000, 0])]], 0));

    assert_eq!(run.statuses(A), [status::INVALID_SYSTEM_SERVICE]);
}
