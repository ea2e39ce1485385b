//! Handles: values of one process, entries of one type, a table that can be full.

use ringfence::base::EventKind;
use ringfence::kernel::{service, status};
use ringfence::machine::processor::mix;
use ringfence::world::{Action, Rest};

use crate::{A, B, OK, assert_all_returned, call, in_turn, run, run_in_turn, with};

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
        set(u64::MAX - 7),
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
