//! Claims of memory and of handles.

use super::super::asked::{SAME_ACCESS, service};
use super::*;

#[test]
fn what_somebody_has_is_not_handed_out_again() {
    let books = after(&[grant(BOB, Structure::UserData, PAGE, 1)]);

    assert_eq!(falsehoods(&books), [Falsehood::NotFree]);
    assert_eq!(books.owner_of(PhysAddr::truncated(PAGE)), Some(ALICE));
}

#[test]
fn nothing_is_taken_back_twice() {
    let release = claim(EventKind::Release, KERNEL, Structure::Free, PAGE, 512);
    assert_eq!(falsehoods(&after(&[release])), []);
    assert_eq!(falsehoods(&after(&[release, release])), [Falsehood::AlreadyFree]);
}

#[test]
fn claims_are_the_kernels_to_make() {
    let books =
        after(&[Event { actor: DRIVER, ..grant(DRIVER, Structure::DriverData, 0x3c00, 1) }]);
    assert_eq!(falsehoods(&books), [Falsehood::NotTheirs]);
}

/// Alice asks for an event to be made, with an answer in a buffer of hers.
pub(super) fn asks(start: u64, length: u64) -> Event {
    asks_for(service::CREATE_EVENT, [0, 0], start, length)
}

/// Alice asks for a service, with these as its second and third argument, and as its last two.
fn asks_for(number: u64, [second, third]: [u64; 2], fifth: u64, sixth: u64) -> Event {
    let (value, phys) = (number, second & 0xffff_ffff | third << 32);
    let blank = blank(EventKind::Request, ALICE);
    Event { value, phys, old: fifth, virt: sixth, context: ALICE, ..blank }
}

#[test]
fn a_users_buffer_is_lent_only_as_far_as_it_was_named() {
    let lend =
        Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) };
    assert_eq!(falsehoods(&after(&[asks(0x7000, 16), lend])), []);
    assert_eq!(falsehoods(&after(&[asks(0x7000, 8), lend])), [Falsehood::NotAskedFor]);
    assert_eq!(falsehoods(&after(&[lend])), [Falsehood::NotAskedFor]);
    let returned =
        Event { value: 3, old: Event::BY_SYSRET, ..blank(EventKind::ModeSwitch, KERNEL) };
    assert_eq!(falsehoods(&after(&[asks(0x7000, 16), returned, lend])), [Falsehood::NotAskedFor]);
    let others = Event { phys: OTHER, ..lend };
    assert_eq!(falsehoods(&after(&[asks(0x7000, 16), others])), [Falsehood::NotAskedFor]);
}

#[test]
fn who_asks_whether_a_process_is_there_may_see_it_end() {
    let sought = Event {
        value: u64::from(BOB.0),
        context: ALICE,
        ..claim(EventKind::ProcessSought, ALICE, Structure::Process, 0, 0)
    };
    let books = after(&[asks(0, 0), sought]);
    assert!(books.influences(BOB).contains(ALICE));
    assert!(!books.influences(ALICE).contains(BOB), "to be looked up changes nothing");
    assert_eq!(falsehoods(&books), []);

    let unasked = after(&[sought]);
    assert!(!unasked.influences(BOB).contains(ALICE));
    assert_eq!(falsehoods(&unasked), [Falsehood::NotAskedFor]);
    let for_another = after(&[asks(0, 0), Event { subject: BOB, ..sought }]);
    assert_eq!(falsehoods(&for_another), [Falsehood::NotAskedFor]);
    let nobody = after(&[asks(0, 0), Event { value: 63, ..sought }]);
    assert_eq!(falsehoods(&nobody), []);
}

#[test]
fn a_loan_lets_the_kernel_write_until_it_is_taken_back() {
    let lend =
        Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) };
    let reclaim = Event { kind: EventKind::Reclaim, ..lend };
    let write = store(KERNEL, Structure::UserData, PAGE, 1);

    let mut books = after(&[asks(0x7000, 16), lend, write]);
    assert!(books.trespasses().is_empty());
    books.event(&reclaim);
    books.event(&write);
    assert_eq!(books.trespasses().len(), 1);
}

#[test]
fn what_who_asks_may_only_read_is_not_lent_and_no_false_claim() {
    let share = |writes| Event {
        old: writes,
        ..claim(EventKind::Share, ALICE, Structure::SharedSection, 0x3000, 64)
    };
    let lend =
        Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, 0x3000, 2) };
    for writes in [0, 1] {
        assert_eq!(falsehoods(&after(&[share(writes), asks(0x7000, 16), lend])), []);
    }
    assert_eq!(falsehoods(&after(&[share(0), lend])), [Falsehood::NotAskedFor]);
    assert_eq!(falsehoods(&after(&[asks(0x7000, 16), lend])), [Falsehood::NotAskedFor]);

    let code = [
        claim(EventKind::Release, KERNEL, Structure::Free, PAGE, 512),
        grant(KERNEL, Structure::Code, PAGE, 512),
        claim(EventKind::Share, ALICE, Structure::Code, PAGE, 512),
        asks(0x7000, 16),
        Event { phys: PAGE, ..lend },
    ];
    let write = store(KERNEL, Structure::UserData, PAGE, 1);
    let written = after(&[&code[..], &[write]].concat());
    assert_eq!((falsehoods(&written).len(), written.corruptions().len()), (0, 1));
}

#[test]
fn a_copy_of_anothers_memory_into_a_lent_buffer_is_a_disclosure() {
    let lend =
        Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) };
    let write = store(KERNEL, Structure::UserData, PAGE, 7);
    let begin = [asks(0x7000, 16), lend];

    let stolen = after(&[begin[0], begin[1], load(KERNEL, OTHER, 7), write]);
    assert_eq!(stolen.disclosures().len(), 1);
    assert_eq!(
        (stolen.disclosures()[0].receiver, stolen.disclosures()[0].owner),
        (ALICE, Some(BOB))
    );

    let answered = after(&[begin[0], begin[1], load(KERNEL, 0x3800, 7), write]);
    assert!(answered.disclosures().is_empty(), "system buffers are there to be given out");
    let unrelated = after(&[begin[0], begin[1], load(KERNEL, OTHER, 8), write]);
    assert!(unrelated.disclosures().is_empty());
}

#[test]
fn sections_are_shared_with_the_rights_announced_and_private_memory_never() {
    let share = |subject, old| Event {
        old,
        ..claim(EventKind::Share, subject, Structure::SharedSection, 0x3000, 64)
    };
    let mut books = after(&[share(ALICE, 1), share(BOB, 0)]);
    let at = PhysAddr::truncated(0x3000);
    assert!(books.may_reach(ALICE, at, Access::Write));
    assert!(books.may_reach(BOB, at, Access::Read) && !books.may_reach(BOB, at, Access::Write));
    assert_eq!(books.influences(ALICE), PrincipalSet::of(ALICE).with(BOB));
    assert_eq!(books.influences(BOB), PrincipalSet::of(BOB));

    books.event(&Event { kind: EventKind::Unshare, ..share(BOB, 0) });
    assert!(!books.may_reach(BOB, at, Access::Read));
    assert_eq!(books.withdrawals().len(), 1);
    assert!(falsehoods(&books).is_empty());

    books.event(&Event { phys: OTHER, value: 512, ..share(ALICE, 1) });
    books.event(&Event { kind: EventKind::Unshare, ..share(BOB, 0) });
    assert_eq!(falsehoods(&books), [Falsehood::NotShareable, Falsehood::NotShared]);
}

#[test]
fn a_withdrawal_binds_when_its_operation_returns() {
    let free = claim(EventKind::Release, KERNEL, Structure::Free, PAGE, 512);
    let returned =
        Event { value: 3, old: Event::BY_SYSRET, ..blank(EventKind::ModeSwitch, KERNEL) };

    let mut books = after(&[free]);
    assert!(books.bound().is_empty());
    books.event(&Event { context: BOB, ..returned });
    assert!(books.bound().is_empty(), "another process's operation returned");
    books.event(&returned);
    assert_eq!(books.bound().len(), 1);
    books.event(&returned);
    assert_eq!(books.bound().len(), 1, "once");
}

#[test]
fn devices_transfer_within_their_grants() {
    let open =
        Event { old: 1, ..claim(EventKind::DmaGrant, DEVICE, Structure::DmaBuffer, 0x3400, 64) };
    let write = Event {
        kind: EventKind::DmaWrite,
        processor: 0xff,
        ..store(DEVICE, Structure::DmaBuffer, 0x3400, 1)
    };
    let read = Event { kind: EventKind::DmaRead, ..write };
    let revoke = Event { kind: EventKind::DmaRevoke, ..open };

    assert!(after(&[open, write, read]).trespasses().is_empty());
    assert_eq!(after(&[Event { old: 0, ..open }, write, read]).trespasses().len(), 1);
    assert_eq!(after(&[open, revoke, write, read]).trespasses().len(), 2);
    assert_eq!(
        after(&[Event { phys: PAGE, ..open }]).false_claims()[0].falsehood,
        Falsehood::NotADmaBuffer
    );
}

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
fn what_a_driver_asks_for_in_kernel_modes_name_is_not_held_against_the_request() {
    let handed = claim(EventKind::RequestHandover, DRIVER, Structure::RequestPacket, PAGE, 0);
    let control = asks_for(17, [0, 0], 0, 0);
    let given = opened(ALICE, ALICE, 4, 0x5000, 1);

    assert_eq!(falsehoods(&after(&[control, given])), [Falsehood::RightsExceeded]);
    let by_a_driver = after(&[control, Event { context: ALICE, ..handed }, given]);
    assert_eq!(falsehoods(&by_a_driver), []);
}

#[test]
fn the_services_that_hand_out_handles_have_the_numbers_that_the_kernel_lists() {
    use crate::kernel::{handle_duplicate::option, service as listed};
    let numbers = [
        (service::OPEN_SECTION, listed::OPEN_SECTION),
        (service::CREATE_EVENT, listed::CREATE_EVENT),
        (service::DUPLICATE, listed::DUPLICATE),
        (service::OPEN_PROCESS, listed::OPEN_PROCESS),
        (service::CREATE_PROCESS, listed::CREATE_PROCESS),
        (service::OPEN_FILE, listed::OPEN_FILE),
    ];
    assert!(numbers.iter().all(|(ours, kernels)| ours == kernels), "{numbers:?}");
    assert_eq!(SAME_ACCESS, option::SAME_ACCESS);
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

#[test]
fn that_a_host_failed_is_kept_only_of_one_that_has_ended() {
    let kept = claim(EventKind::HostRecorded, HOST, Structure::DmaBuffer, 0, 0);
    let made = Event {
        virt: 0x9200,
        context: KERNEL,
        ..claim(EventKind::ProcessCreated, HOST, Structure::Process, 0, 0)
    };
    let ended = claim(EventKind::ProcessEnded, HOST, Structure::Process, 0, 1);

    assert_eq!(falsehoods(&after(&[kept])), [Falsehood::NoSuchChange], "there is none");
    assert_eq!(falsehoods(&after(&[made, kept])), [Falsehood::NoSuchChange], "it lives");
    let of_alice = Event { subject: ALICE, ..kept };
    assert_eq!(falsehoods(&after(&[of_alice])), [Falsehood::NoSuchChange], "she is no host");
    let books = after(&[made, ended, kept]);
    assert_eq!(falsehoods(&books), []);
    assert!(books.may_change_disk(PrincipalSet::of(HOST), None));
    assert!(!books.may_change_disk(PrincipalSet::of(ALICE), None));
}
