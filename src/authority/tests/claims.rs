//! Claims of memory, and of who is there.

use super::super::asked::service;
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
pub(super) fn asks_for(number: u64, [second, third]: [u64; 2], fifth: u64, sixth: u64) -> Event {
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
fn a_block_of_the_kernels_is_lent_no_further_than_it_goes() {
    let lend = |phys, words| claim(EventKind::Lend, DRIVER, Structure::SystemBuffer, phys, words);
    let write = |phys| store(DRIVER, Structure::SystemBuffer, phys, 1);
    let next = grant(KERNEL, Structure::PoolHeader, 0x3880, 2);
    let whole = after(&[next, lend(0x3800, 16), write(0x3878)]);
    assert_eq!((falsehoods(&whole), whole.corruptions().len()), (vec![], 0));

    let beyond = after(&[next, lend(0x3800, 17), write(0x3878), write(0x3880)]);
    assert_eq!(falsehoods(&beyond), [Falsehood::SomethingElse]);
    let damaged: Vec<_> = beyond.corruptions().iter().map(|one| one.structure).collect();
    assert_eq!(damaged, [Structure::PoolHeader], "what was handed out is lent all the same");

    assert_eq!(falsehoods(&after(&[lend(0x3800, 17)])), [Falsehood::NothingToLend]);
    let packet = Event { structure: Structure::RequestPacket, ..lend(0x3800, 16) };
    assert_eq!(falsehoods(&after(&[packet])), [Falsehood::SomethingElse]);
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

    let buffer = Event { structure: Structure::SystemBuffer, ..load(KERNEL, 0x3800, 7) };
    let answered = after(&[begin[0], begin[1], buffer, write]);
    assert!(answered.disclosures().is_empty(), "system buffers are there to be given out");
    // The same buffer where another's private memory was meant is no answer.
    let stray = after(&[begin[0], begin[1], load(KERNEL, 0x3800, 7), write]);
    assert_eq!(stray.disclosures()[0].structure, Structure::SystemBuffer);
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
