//! Claims of handles.

use super::super::asked::{
    INHERIT, INHERIT_DUPLICATE, INHERIT_OPENED, PROTECT, SAME_ACCESS, service,
};
use super::claims::{asks, asks_for};
use super::*;

pub(super) fn opened(
    context: Principal,
    subject: Principal,
    value: u64,
    object: u64,
    rights: u64,
) -> Event {
    Event {
        context,
        virt: object,
        old: rights,
        ..claim(EventKind::HandleOpened, subject, Structure::HandleTable, 0, value)
    }
}

fn used(subject: Principal, value: u64, object: u64, rights: u64) -> Event {
    Event { kind: EventKind::HandleUsed, ..opened(subject, subject, value, object, rights) }
}

#[test]
fn a_handle_is_used_as_it_was_granted() {
    let begin = [asks(0, 0), opened(ALICE, ALICE, 4, 0x5000, 1)];
    assert_eq!(falsehoods(&after(&[begin[0], begin[1], used(ALICE, 4, 0x5000, 1)])), []);
    let cases = [
        (used(ALICE, 4, 0x5000, 2), Falsehood::RightsExceeded),
        (used(ALICE, 8, 0x5000, 1), Falsehood::UnknownHandle),
        (used(BOB, 4, 0x5000, 1), Falsehood::UnknownHandle),
        (used(ALICE, 4, 0x6000, 1), Falsehood::OtherObject),
    ];
    for (event, falsehood) in cases {
        assert_eq!(falsehoods(&after(&[begin[0], begin[1], event])), [falsehood]);
    }
}

/// Bob's process is made; Alice gets a handle to it, with these rights, and one to an object, and uses
/// both.
fn leave_and_source(rights: u64) -> Vec<Event> {
    let created = claim(EventKind::ProcessCreated, BOB, Structure::Process, 0, 0);
    vec![
        Event { kind: EventKind::ProcessEnded, ..created },
        Event { virt: 0x7000, ..created },
        asks(0, 0),
        opened(ALICE, ALICE, 4, 0x5000, 1),
        asks(0, 0),
        opened(ALICE, ALICE, 8, 0x7000, rights),
        asks(0, 0),
        used(ALICE, 4, 0x5000, 0),
        used(ALICE, 8, 0x7000, rights),
    ]
}

#[test]
fn duplicating_into_a_process_takes_the_right_to_it() {
    let duplicated = |rights| {
        let mut events = leave_and_source(rights);
        events.push(opened(ALICE, BOB, 4, 0x5000, 1));
        falsehoods(&after(&events))
    };

    assert_eq!(duplicated(8), []);
    assert_eq!(duplicated(1), [Falsehood::HandleFromNowhere]);
}

#[test]
fn using_another_ones_table_takes_the_right_to_it() {
    let foreign = |rights| {
        let mut events = leave_and_source(rights);
        events.push(opened(BOB, BOB, 4, 0x6000, 1));
        events.push(Event { context: ALICE, ..used(BOB, 4, 0x6000, 0) });
        falsehoods(&after(&events))
    };

    assert_eq!(foreign(8), []);
    assert_eq!(foreign(1), [Falsehood::NoLeave]);
}

#[test]
fn kernel_modes_name_is_believed_once_a_driver_has_the_request() {
    let unchecked = Event { phys: 1, ..used(ALICE, 4, 0x5000, 2) };
    let begin = [asks(0, 0), opened(ALICE, ALICE, 4, 0x5000, 1), asks(0, 0)];
    let handed = claim(EventKind::RequestHandover, DRIVER, Structure::RequestPacket, PAGE, 0);

    let by_the_service = after(&[&begin[..], &[unchecked]].concat());
    let by_a_driver =
        after(&[&begin[..], &[Event { context: ALICE, ..handed }, unchecked]].concat());

    assert_eq!(falsehoods(&by_the_service), [Falsehood::RightsExceeded]);
    assert_eq!(falsehoods(&by_a_driver), []);
}

#[test]
fn the_pseudo_handle_is_ones_own_process_and_nothing_else() {
    let begin = leave_and_source(8);
    let pseudo = |who, object| {
        let mut events = begin.clone();
        events.push(used(who, u64::MAX, object, 8));
        falsehoods(&after(&events))
    };

    assert_eq!(pseudo(BOB, 0x7000), []);
    assert_eq!(pseudo(ALICE, 0x7000), [Falsehood::OtherObject]);
}

#[test]
fn the_pseudo_handle_of_a_thread_is_ones_own_whosever_table_is_meant() {
    let mut begin = leave_and_source(8);
    let bob = Event { old: 0x7800, ..begin[1] };
    begin.splice(1..1, [bob, begin[0]]);
    let made = claim(EventKind::ProcessCreated, ALICE, Structure::Process, 0, 0);
    begin.push(Event { kind: EventKind::ProcessEnded, ..made });
    begin.push(Event { virt: 0x6000, old: 0x6800, ..made });
    let pseudo = |owner, object| {
        let mut events = begin.clone();
        events.extend([asks(0, 0), used(ALICE, 8, 0x7000, 8)]);
        events.push(Event { context: ALICE, ..used(owner, u64::MAX - 1, object, 0) });
        falsehoods(&after(&events))
    };

    assert_eq!(pseudo(ALICE, 0x6800), []);
    assert_eq!(pseudo(BOB, 0x6800), []);
    assert_eq!(pseudo(BOB, 0x7800), [Falsehood::OtherObject]);
    assert_eq!(pseudo(ALICE, 0x6000), [Falsehood::OtherObject], "the process");
}

#[test]
fn a_duplicate_has_no_more_rights_than_its_source() {
    let begin = leave_and_source(8);
    let duplicate = |rights| {
        let mut events = begin.to_vec();
        events.push(opened(ALICE, BOB, 4, 0x5000, rights));
        events.push(used(BOB, 4, 0x5000, rights));
        after(&events)
    };

    assert_eq!(falsehoods(&duplicate(1)), []);
    assert!(duplicate(1).influences(BOB).contains(ALICE));
    assert_eq!(falsehoods(&duplicate(3)), [Falsehood::RightsExceeded; 2]);
}

#[test]
fn a_process_handle_in_its_own_process_has_the_rights_of_the_one_that_was_duplicated() {
    // Handles 8 and 12 lead to one process: the first gives leave to it, the second is duplicated.
    let duplicate = |target, rights| {
        let mut events = leave_and_source(8);
        events.extend([asks(0, 0), opened(ALICE, ALICE, 12, 0x7000, 3)]);
        events.push(asks_for(service::DUPLICATE, [target, 0], 0, 0));
        events.extend([used(ALICE, 12, 0x7000, 0), used(ALICE, 8, 0x7000, 8)]);
        events.push(opened(ALICE, BOB, 4, 0x7000, rights));
        falsehoods(&after(&events))
    };

    assert_eq!(duplicate(8, 3), []);
    assert_eq!(duplicate(8, 1), []);
    assert_eq!(duplicate(8, 8), [Falsehood::RightsExceeded], "the target's own");
    assert_eq!(duplicate(8, 11), [Falsehood::RightsExceeded], "of both together");
    assert_eq!(duplicate(11, 9), [Falsehood::RightsExceeded], "the lowest bits name none");
}

#[test]
fn a_handle_has_the_rights_that_its_request_asks_for_and_no_others() {
    let given =
        |request, rights| falsehoods(&after(&[request, opened(ALICE, ALICE, 4, 0x5000, rights)]));
    // In which argument each service is told the access is said where the services are listed.
    let named = [
        asks_for(service::OPEN_SECTION, [5, 0], 0, 0),
        asks_for(service::OPEN_PROCESS, [5, 0], 0, 0),
        asks_for(service::OPEN_FILE, [0, 5], 0, 0),
        asks_for(service::DUPLICATE, [0, 5], 0, 0),
    ];
    for request in named {
        let number = request.value;
        assert_eq!(given(request, 5), [], "{number}");
        assert_eq!(given(request, 1), [], "{number}");
        assert_eq!(given(request, 7), [Falsehood::RightsExceeded], "{number}");
        assert_eq!(given(request, 2), [Falsehood::RightsExceeded], "{number}");
    }
    let all = [
        asks_for(service::CREATE_EVENT, [0, 0], 0, 0),
        asks_for(service::CREATE_PROCESS, [1, 0], 0, 0),
        asks_for(service::DUPLICATE, [0, 0], 0, 0),
        asks_for(service::DUPLICATE, [0, 1], SAME_ACCESS, 0),
    ];
    for request in all {
        assert_eq!(given(request, 0x3f), [], "{}", request.value);
    }
    let to_set_an_event = asks_for(8, [0x3f, 0x3f], 0, 0);
    assert_eq!(given(to_set_an_event, 1), [Falsehood::RightsExceeded]);
}

#[test]
fn a_duplicate_of_the_pseudo_handle_has_what_was_asked_for() {
    let begin = leave_and_source(8);
    let duplicate = |wanted, rights| {
        let mut events = begin.clone();
        let made = claim(EventKind::ProcessCreated, ALICE, Structure::Process, 0, 0);
        events.push(Event { kind: EventKind::ProcessEnded, ..made });
        events.push(Event { virt: 0x6000, ..made });
        events.push(asks_for(service::DUPLICATE, [u64::MAX, wanted], 0, 0));
        events.push(used(ALICE, u64::MAX, 0x6000, 0));
        events.push(opened(ALICE, ALICE, 12, 0x6000, rights));
        events.push(used(ALICE, 12, 0x6000, rights));
        falsehoods(&after(&events))
    };

    assert_eq!(duplicate(16, 16), []);
    assert_eq!(duplicate(0, 0x3f), [], "the same");
    assert_eq!(duplicate(16, 18), [Falsehood::RightsExceeded; 2]);
}

#[test]
fn a_request_takes_of_its_handle_what_is_documented_whatever_the_kernel_says() {
    let given = [asks(0, 0), opened(ALICE, ALICE, 4, 0x5000, 4)];
    let asked = |number, code| {
        let request = asks_for(number, [code, 0], 0, 0);
        falsehoods(&after(&[given[0], given[1], request, used(ALICE, 4, 0x5000, 0)]))
    };

    for number in [
        service::TERMINATE,
        service::MAP_VIEW,
        service::SET_EVENT,
        service::QUERY_EVENT,
        service::READ_FILE,
        service::WRITE_FILE,
        service::FLUSH,
        service::TERMINATE_THREAD,
    ] {
        assert_eq!(asked(number, 0), [Falsehood::RightsExceeded], "{number}");
    }
    assert_eq!(asked(service::DEVICE_CONTROL, 0x22_3ffc), []);
    for code in [0x22_4000, 0x22_8000, 0x22_c000] {
        assert_eq!(asked(service::DEVICE_CONTROL, code), [Falsehood::RightsExceeded], "{code:#x}");
    }
    assert_eq!(asked(service::DUPLICATE, 0), []);
}

#[test]
fn what_a_driver_asks_for_in_kernel_modes_name_is_not_held_against_the_request() {
    let handed = claim(EventKind::RequestHandover, DRIVER, Structure::RequestPacket, PAGE, 0);
    let control = asks_for(17, [0, 0], 0, 0);
    let given = opened(ALICE, ALICE, 4, 0x5000, 1);

    assert_eq!(falsehoods(&after(&[control, given])), [Falsehood::RightsExceeded]);
    let by_a_driver = after(&[control, Event { context: ALICE, ..handed }, given]);
    assert_eq!(falsehoods(&by_a_driver), []);
}

#[test]
fn the_services_that_hand_out_handles_or_take_rights_have_the_numbers_that_the_kernel_lists() {
    use crate::kernel::handle::access;
    use crate::kernel::{handle_duplicate::option, handle_information as flags, service as listed};
    let numbers = [
        (service::OPEN_SECTION, listed::OPEN_SECTION),
        (service::CREATE_EVENT, listed::CREATE_EVENT),
        (service::DUPLICATE, listed::DUPLICATE),
        (service::OPEN_PROCESS, listed::OPEN_PROCESS),
        (service::CREATE_PROCESS, listed::CREATE_PROCESS),
        (service::OPEN_FILE, listed::OPEN_FILE),
        (service::CREATE_THREAD, listed::CREATE_THREAD),
        (service::TERMINATE, listed::TERMINATE),
        (service::MAP_VIEW, listed::MAP_VIEW),
        (service::SET_EVENT, listed::SET_EVENT),
        (service::QUERY_EVENT, listed::QUERY_EVENT),
        (service::READ_FILE, listed::READ_FILE),
        (service::WRITE_FILE, listed::WRITE_FILE),
        (service::DEVICE_CONTROL, listed::DEVICE_CONTROL),
        (service::FLUSH, listed::FLUSH),
        (service::SET_HANDLE, listed::SET_HANDLE),
        (service::TERMINATE_THREAD, listed::TERMINATE_THREAD),
    ];
    assert!(numbers.iter().all(|(ours, kernels)| ours == kernels), "{numbers:?}");
    assert_eq!((SAME_ACCESS, INHERIT_DUPLICATE), (option::SAME_ACCESS, option::INHERIT));
    assert_eq!(u64::from(INHERIT_OPENED), access::INHERIT);
    assert_eq!([INHERIT, PROTECT].map(u64::from), [flags::INHERIT, flags::PROTECT_FROM_CLOSE]);
}

#[test]
fn a_handle_that_nothing_gives_is_a_false_claim() {
    let books = after(&[asks(0, 0), opened(ALICE, BOB, 4, 0x5000, 1)]);
    assert_eq!(falsehoods(&books), [Falsehood::HandleFromNowhere]);
    let inherited = after(&[
        asks(0, 0),
        opened(ALICE, ALICE, 4, 0x5000, 1),
        asks(0, 0),
        opened(ALICE, BOB, 4, 0x5000, 1),
    ]);
    assert_eq!(falsehoods(&inherited), []);
}

/// Alice changes what is said of her handle 4.
fn marks(which: u8, values: u8) -> [Event; 2] {
    let request = asks_for(service::SET_HANDLE, [which.into(), values.into()], 0, 0);
    [request, used(ALICE, 4, 0x5000, 0)]
}

#[test]
fn a_child_inherits_only_what_is_marked_for_it() {
    let inherited = |access: u64, marks: &[[Event; 2]]| {
        let open = asks_for(service::OPEN_SECTION, [access, 0], 0, 0);
        let create = asks_for(service::CREATE_PROCESS, [1, 0], 0, 0);
        let mut events = vec![open, opened(ALICE, ALICE, 4, 0x5000, 1)];
        events.extend(marks.iter().flatten());
        events.extend([create, opened(ALICE, BOB, 4, 0x5000, 1)]);
        falsehoods(&after(&events))
    };
    let marked = marks(INHERIT, INHERIT);

    assert_eq!(inherited(1, &[]), [Falsehood::HandleFromNowhere]);
    assert_eq!(inherited(1 | u64::from(INHERIT_OPENED), &[]), []);
    assert_eq!(inherited(1, &[marked]), []);
    assert_eq!(inherited(1, &[marked, marks(INHERIT, 0)]), [Falsehood::HandleFromNowhere]);
    assert_eq!(inherited(1, &[marked, marks(PROTECT, 0)]), []);
}

#[test]
fn a_protected_handle_stays_until_its_process_ends() {
    let open = opened(ALICE, ALICE, 4, 0x5000, 1);
    let close = Event { kind: EventKind::HandleClosed, ..open };
    let free =
        Event { virt: 0x5000, ..claim(EventKind::Release, KERNEL, Structure::Free, 0x3800, 16) };
    let end = claim(EventKind::ProcessEnded, ALICE, Structure::Process, 0, 0);
    let begin = [&[asks(0, 0), open][..], &marks(PROTECT, PROTECT)].concat();
    let left = |more: &[Event]| {
        let books = after(&[&begin[..], more].concat());
        (books.handles_of(ALICE).count(), falsehoods(&books))
    };

    assert_eq!(left(&[close]), (1, vec![]));
    assert_eq!(left(&[close, asks(0, 0), open]), (1, vec![Falsehood::HandleInUse]));
    assert_eq!(left(&[close, free, end]), (0, vec![]));
    let freed = [&marks(PROTECT, 0)[..], &[close]].concat();
    assert_eq!(left(&freed), (0, vec![]));
}

#[test]
fn an_object_is_not_freed_while_a_handle_leads_to_it() {
    let open = opened(ALICE, ALICE, 4, 0x5000, 1);
    let close = Event { kind: EventKind::HandleClosed, ..open };
    let free =
        Event { virt: 0x5000, ..claim(EventKind::Release, KERNEL, Structure::Free, 0x3800, 16) };

    assert_eq!(falsehoods(&after(&[open, close, free])), []);
    assert_eq!(falsehoods(&after(&[open, free])), [Falsehood::FreedWhileHeld]);
    assert_eq!(falsehoods(&after(&[open, close, close])), [Falsehood::UnknownHandle]);
}
