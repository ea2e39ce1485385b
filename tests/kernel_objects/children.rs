//! Parents and children: what is handed down and what is not.

use ringfence::kernel::handle::access;
use ringfence::kernel::layout::address;
use ringfence::kernel::{service, status};
use ringfence::machine::processor::mix;
use ringfence::world::{Action, Rest};

use crate::{A, B, OK, assert_all_returned, call, in_turn, run, with};

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
