//! Handle tables: whose they are, what is left of a handle, and what a driver may do with one.

use ringfence::base::EventKind;
use ringfence::kernel::handle::{CURRENT_PROCESS, CURRENT_THREAD, KERNEL_HANDLE, access};
use ringfence::kernel::handle_duplicate::option;
use ringfence::kernel::layout::{crash_block, kernel_data, process};
use ringfence::kernel::request::control_code;
use ringfence::kernel::{bug_check, service, status};
use ringfence::world::components::object_driver as driver;
use ringfence::world::{Action, Component, Home, Rest};

use crate::{
    A, B, OK, Run, address, application, assert_all_returned, call, in_turn, run, run_in_turn,
};

const INVALID: u64 = status::INVALID_HANDLE;

/// These applications beside the driver that uses handles for its callers.
fn with_driver(applications: Vec<Vec<Action>>) -> Run {
    let mut configuration = in_turn(applications, 0);
    configuration.components.push(Component {
        home: Home::KernelDriver,
        driver: Some("objects".to_owned()),
        ..application("objects", vec![])
    });
    run(&configuration)
}

fn open_driver(slot: u8) -> Action {
    Action::Open { device: "objects".into(), file: 0, access: 3, slot }
}

/// Asks the driver, through the handle in `slot`, for a function on the handle `value`.
fn ask(slot: u8, function: u64, value: u64) -> Action {
    // The pattern is the first word that is sent.
    Action::Control { slot, code: control_code(function, 0, 0), length: 8, value }
}

#[track_caller]
fn assert_bug_check(run: &Run, code: u64, parameters: [u64; 2]) {
    assert_eq!(run.rest, Rest::BugCheck(code));
    let found = [crash_block::PARAMETER_1, crash_block::PARAMETER_2]
        .map(|field| run.field(address::KERNEL_DATA, field));
    assert_eq!(found, parameters);
}

#[test]
fn four_values_are_one_handle() {
    let mut actions = vec![Action::CreateEvent { slot: 0 }; 5];
    actions.extend((0x14..0x18).map(|value| call(service::SET_EVENT, &[value])));
    actions.push(call(service::CLOSE, &[0x17]));
    actions.push(call(service::SET_EVENT, &[0x14]));

    let run = run_in_turn(vec![actions]);

    assert_eq!(run.statuses(A)[5..], [OK, OK, OK, OK, OK, INVALID]);
    let used = run.claims(EventKind::HandleUsed);
    assert!(used.iter().all(|event| event.value == 0x14), "the same entry each time");
}

#[test]
fn a_protected_handle_stays_open_until_its_process_ends() {
    let run = run_in_turn(vec![vec![
        Action::CreateEvent { slot: 0 },
        Action::SetHandle { slot: 0, inherit: false, protect: true },
        Action::Close { slot: 0 },
        Action::SetEvent { slot: 0 },
        Action::SetHandle { slot: 0, inherit: false, protect: false },
        Action::Close { slot: 0 },
        Action::CreateEvent { slot: 0 },
        Action::SetHandle { slot: 0, inherit: false, protect: true },
    ]]);

    assert_eq!(run.statuses(A), [OK, OK, status::HANDLE_NOT_CLOSABLE, OK, OK, OK, OK, OK]);
    assert_all_returned(&run);
}

#[test]
fn a_handle_is_marked_for_children_after_it_was_opened() {
    let mut configuration = in_turn(
        vec![vec![
            Action::CreateEvent { slot: 0 },
            Action::CreateEvent { slot: 1 },
            Action::SetHandle { slot: 1, inherit: true, protect: false },
            Action::CreateProcess { process: "child-0".into(), first: 6, inherit: true, slot: 2 },
            Action::Yield,
            Action::Exit { status: 0 },
            call(service::SET_EVENT, &[4]),
            call(service::SET_EVENT, &[8]),
        ]],
        1,
    );
    configuration.machine.processors = 1;

    let run = run(&configuration);

    assert_eq!(run.statuses(B), [INVALID, OK]);
}

#[test]
fn with_strict_checks_a_bad_handle_ends_its_user_and_without_it_is_a_status() {
    let uses = || vec![call(service::SET_EVENT, &[40]), Action::Yield];
    let closes = || vec![call(service::CLOSE, &[40]), Action::Yield];
    for bad in [uses, closes] {
        let lenient = run_in_turn(vec![bad()]);
        assert_eq!(lenient.statuses(A), [INVALID, OK]);

        let mut actions = vec![Action::StrictHandles];
        actions.extend(bad());
        let strict = run_in_turn(vec![actions]);

        assert_eq!(strict.statuses(A), [OK], "it is not told: it ends");
        assert_eq!(strict.exit_status(A), Some(INVALID));
        assert_all_returned(&strict);
    }
}

#[test]
fn strict_checks_are_for_handles_that_are_none_and_for_good() {
    let run = run_in_turn(vec![vec![
        Action::StrictHandles,
        call(service::SET_POLICY, &[3, 0]),
        Action::CreateEvent { slot: 0 },
        Action::MapView { slot: 0, view: 1 },
    ]]);

    let expected = [OK, status::ACCESS_DENIED, OK, status::OBJECT_TYPE_MISMATCH];
    assert_eq!(run.statuses(A), expected);
}

#[test]
fn a_pseudo_handle_becomes_a_real_one_by_duplication() {
    let run = run_in_turn(vec![vec![
        call(service::DUPLICATE, &[CURRENT_PROCESS, CURRENT_PROCESS, 0]),
        call(service::DUPLICATE, &[4, 4, access::DUPLICATE]),
        call(service::SET_EVENT, &[CURRENT_PROCESS]),
        call(service::CLOSE, &[CURRENT_PROCESS]),
    ]]);

    assert_eq!(run.statuses(A), [OK, OK, status::OBJECT_TYPE_MISMATCH, INVALID]);
    let opened = run.claims(EventKind::HandleOpened);
    assert_eq!((opened[0].value, opened[0].old), (4, access::PROCESS));
    assert_all_returned(&run);
}

#[test]
fn the_pseudo_handle_of_a_thread_is_the_one_that_uses_it() {
    let run = run_in_turn(vec![vec![
        call(service::DUPLICATE, &[CURRENT_THREAD, CURRENT_PROCESS, 0]),
        call(service::DUPLICATE, &[CURRENT_THREAD, CURRENT_PROCESS, access::SYNCHRONIZE]),
        // It is no process to duplicate into, and no event; it can't be closed.
        call(service::DUPLICATE, &[4, CURRENT_THREAD, 0]),
        call(service::DUPLICATE, &[CURRENT_PROCESS, 4, 0]),
        call(service::SET_EVENT, &[CURRENT_THREAD]),
        call(service::CLOSE, &[CURRENT_THREAD]),
        call(service::CLOSE, &[4]),
    ]]);

    let mismatch = status::OBJECT_TYPE_MISMATCH;
    assert_eq!(run.statuses(A), [OK, OK, mismatch, mismatch, mismatch, INVALID, OK]);
    let opened = run.claims(EventKind::HandleOpened);
    let thread = opened[0].virt;
    assert_eq!((opened[0].value, opened[0].old), (4, access::RIGHTS));
    assert_eq!((opened[1].value, opened[1].virt, opened[1].old), (8, thread, access::SYNCHRONIZE));
    assert_all_returned(&run);
}

#[test]
fn a_thread_pseudo_handle_out_of_another_process_is_still_the_callers() {
    let mut actions = vec![
        Action::CreateProcess { process: "child-0".into(), first: 6, inherit: false, slot: 0 },
        Action::Yield,
        // Out of the child: of processes it is the child, of threads the one that asks.
        call(service::DUPLICATE, &[CURRENT_THREAD, CURRENT_PROCESS, 0, 4]),
        call(service::DUPLICATE, &[CURRENT_THREAD, CURRENT_PROCESS, 0]),
        call(service::DUPLICATE, &[CURRENT_PROCESS, CURRENT_PROCESS, 0, 4]),
        Action::Exit { status: 0 },
    ];
    actions.extend([Action::CreateEvent { slot: 1 }, Action::Yield, Action::SetEvent { slot: 1 }]);

    let run = run(&in_turn(vec![actions], 1));

    assert_eq!(run.statuses(A), [OK, OK, OK, OK, OK]);
    let opened = run.claims(EventKind::HandleOpened);
    let given = |value| opened.iter().find(|event| event.subject.0 == A && event.value == value);
    let object = |value| given(value).map(|event| event.virt);
    assert_eq!(object(8), object(12));
    assert_eq!(object(4), object(16), "the child's");
}

#[test]
fn the_source_is_closed_even_when_nothing_is_duplicated() {
    let close = option::CLOSE_SOURCE;
    let run = run_in_turn(vec![vec![
        Action::CreateEvent { slot: 0 },
        call(service::DUPLICATE, &[4, 40, 0, 0, close]),
        call(service::SET_EVENT, &[4]),
        Action::CreateEvent { slot: 0 },
        call(service::DUPLICATE, &[4, CURRENT_PROCESS, access::TERMINATE, 0, close]),
        call(service::SET_EVENT, &[4]),
        Action::CreateEvent { slot: 0 },
        call(service::DUPLICATE, &[4, CURRENT_PROCESS, 0, 0, close]),
        call(service::SET_EVENT, &[4]),
        call(service::SET_EVENT, &[8]),
    ]]);

    let denied = status::ACCESS_DENIED;
    let expected = [OK, INVALID, INVALID, OK, denied, INVALID, OK, OK, INVALID, OK];
    assert_eq!(run.statuses(A), expected);
    assert_all_returned(&run);
}

#[test]
fn a_parent_takes_a_handle_out_of_its_child() {
    let mut actions = vec![
        Action::CreateProcess { process: "child-0".into(), first: 7, inherit: false, slot: 0 },
        call(service::DUPLICATE, &[CURRENT_PROCESS, CURRENT_PROCESS, 4]),
        Action::Yield,
        // The child's first handle; out of a process that may only be waited for; then once more.
        call(service::DUPLICATE, &[4, CURRENT_PROCESS, 0, 8]),
        call(service::DUPLICATE, &[4, CURRENT_PROCESS, 0, 4, option::CLOSE_SOURCE]),
        call(service::SET_EVENT, &[12]),
        Action::Exit { status: 0 },
    ];
    actions.extend([Action::CreateEvent { slot: 1 }, Action::Yield, Action::SetEvent { slot: 1 }]);

    let run = run(&in_turn(vec![actions], 1));

    assert_eq!(run.statuses(A), [OK, OK, OK, status::ACCESS_DENIED, OK, OK]);
    assert_eq!(run.statuses(B), [OK, OK, INVALID], "the parent closed it");
    assert_all_returned(&run);
}

#[test]
fn a_driver_may_skip_the_comparison_of_rights_and_then_nothing_is_compared() {
    let actions = || {
        vec![
            open_driver(0),
            Action::CreateEvent { slot: 1 },
            // Handle 12 may only be looked at.
            call(service::DUPLICATE, &[8, CURRENT_PROCESS, access::READ]),
            ask(0, driver::SIGNAL, 12),
            ask(0, driver::SIGNAL_UNCHECKED, 12),
            Action::QueryEvent { slot: 1 },
        ]
    };

    let run = with_driver(vec![actions()]);

    assert_eq!(run.statuses(A), [OK, OK, OK, status::ACCESS_DENIED, OK, OK]);
    let used = run.claims(EventKind::HandleUsed);
    assert_eq!(used.iter().filter(|event| event.phys == 1).count(), 1, "in kernel mode's name");
}

#[test]
fn a_driver_that_asks_for_any_type_takes_an_event_for_a_file() {
    let actions = |function| {
        vec![
            open_driver(0),
            Action::CreateEvent { slot: 1 },
            ask(0, function, 4),
            ask(0, function, 8),
        ]
    };

    let checked = with_driver(vec![actions(driver::IDENTIFY)]);
    let untyped = with_driver(vec![actions(driver::IDENTIFY_UNTYPED)]);

    assert_eq!(checked.statuses(A), [OK, OK, OK, status::OBJECT_TYPE_MISMATCH]);
    assert_eq!(untyped.statuses(A), [OK, OK, OK]);
    assert_eq!(untyped.rest, Rest::BugCheck(bug_check::code::SYSTEM_SERVICE_EXCEPTION));
}

#[test]
fn a_kernel_handle_works_for_the_driver_in_any_process_and_for_no_application() {
    let run = with_driver(vec![
        vec![open_driver(0), ask(0, driver::OPEN_OWN, 0), Action::Yield, Action::Yield],
        vec![
            open_driver(0),
            ask(0, driver::SIGNAL_OWN, 0),
            call(service::SET_EVENT, &[KERNEL_HANDLE | 4]),
            call(service::CLOSE, &[KERNEL_HANDLE | 4]),
        ],
    ]);

    assert_eq!(run.rest, Rest::Quiescent);
    assert_eq!(run.statuses(B), [OK, OK, INVALID, INVALID]);
    let opened = run.claims(EventKind::HandleOpened);
    assert!(opened.iter().any(|event| event.subject.0 == 0 && event.value == KERNEL_HANDLE | 4));
    let system = run.field(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS);
    assert_ne!(run.field(system, process::HANDLES), 0);
}

#[test]
fn a_handle_that_a_driver_left_in_its_callers_table_is_the_callers() {
    let run = with_driver(vec![
        vec![
            open_driver(0),
            ask(0, driver::OPEN_USERS, 0),
            call(service::SET_EVENT, &[8]),
            Action::Yield,
        ],
        vec![open_driver(0), ask(0, driver::SIGNAL_OWN, 0)],
    ]);

    assert_eq!(run.statuses(A)[..3], [OK; 3]);
    assert_eq!(run.statuses(B), [OK, INVALID], "in another process the value is nothing");
}

#[test]
fn a_handle_that_kernel_mode_closes_must_be_one_and_not_be_protected() {
    let closes = |protect, value| {
        with_driver(vec![vec![
            open_driver(0),
            Action::CreateEvent { slot: 1 },
            Action::SetHandle { slot: 1, inherit: false, protect },
            ask(0, driver::CLOSE, value),
        ]])
    };

    assert_eq!(closes(false, 8).statuses(A), [OK; 4]);
    assert_bug_check(&closes(true, 8), bug_check::code::INVALID_KERNEL_HANDLE, [8, 0]);
    assert_bug_check(&closes(false, 40), bug_check::code::INVALID_KERNEL_HANDLE, [40, 1]);
}
