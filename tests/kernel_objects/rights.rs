//! Rights are granted at open, compared at use, and never grow.

use ringfence::base::EventKind;
use ringfence::kernel::handle::access;
use ringfence::kernel::{service, status};
use ringfence::world::Action;

use crate::{A, B, OK, call, in_turn, run, run_in_turn, with};

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

/// A process duplicates its pseudo-handle with the right to duplicate alone, then with a bit that is no
/// right, and wants to end itself with either.
fn narrow_oneself(wanted: u64) -> Vec<Vec<Action>> {
    let oneself = u64::MAX;
    vec![vec![
        call(service::DUPLICATE, &[oneself, oneself, wanted]),
        call(service::TERMINATE, &[0, 4]),
        call(service::CLOSE, &[4]),
    ]]
}

#[test]
fn a_duplicate_has_the_rights_that_were_asked_for() {
    for wanted in [access::DUPLICATE, 0x40, 1 << 31] {
        let strong = run_in_turn(narrow_oneself(wanted));
        assert_eq!(strong.statuses(A), [OK, status::ACCESS_DENIED, OK], "{wanted:#x}");
        let opened = strong.claims(EventKind::HandleOpened);
        assert_eq!(opened.last().map(|event| event.old), Some(wanted & access::RIGHTS));

        let weak = run(&with("duplicate-widens", in_turn(narrow_oneself(wanted), 0)));
        assert_eq!(weak.statuses(A), [OK], "{wanted:#x}: it ended itself");
    }
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
