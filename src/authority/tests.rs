use super::*;
use crate::base::{Domain, PrincipalKind};

const KERNEL: Principal = Principal::KERNEL;
const DRIVER: Principal = Principal(2);
const HOST: Principal = Principal(3);
const ALICE: Principal = Principal(4);
const BOB: Principal = Principal(5);
const DEVICE: Principal = Principal(6);
const CAROL: Principal = Principal(7);

const PAGE: u64 = 0x1000;
const OTHER: u64 = 0x2000;

pub(super) fn roster() -> Roster {
    let mut roster = Roster::default();
    for (name, kind) in [
        ("kernel", PrincipalKind::Kernel),
        ("hal", PrincipalKind::Hal),
        ("nic", PrincipalKind::KernelDriver),
        ("host", PrincipalKind::DriverHost),
        ("alice", PrincipalKind::Application),
        ("bob", PrincipalKind::Application),
        ("device", PrincipalKind::Device),
        ("carol", PrincipalKind::Application),
    ] {
        roster.add(name, kind, false);
    }
    roster
}

fn blank(kind: EventKind, actor: Principal) -> Event {
    Event {
        kind,
        actor,
        context: ALICE,
        subject: actor,
        structure: Structure::Free,
        mask: 0xff,
        processor: 0,
        struck: false,
        phys: 0,
        virt: 0,
        value: 0,
        old: 0,
    }
}

fn store(actor: Principal, structure: Structure, phys: u64, value: u64) -> Event {
    Event { structure, phys, value, ..blank(EventKind::Store, actor) }
}

fn load(actor: Principal, phys: u64, value: u64) -> Event {
    Event { phys, value, structure: Structure::UserData, ..blank(EventKind::Load, actor) }
}

fn claim(kind: EventKind, subject: Principal, structure: Structure, phys: u64, words: u64) -> Event {
    Event { subject, structure, phys, value: words, ..blank(kind, KERNEL) }
}

fn grant(subject: Principal, structure: Structure, phys: u64, words: u64) -> Event {
    claim(EventKind::Grant, subject, structure, phys, words)
}

fn books() -> Authority {
    let mut books = Authority::new(4 * 512, roster());
    for event in [
        blank(EventKind::Boot, KERNEL),
        grant(ALICE, Structure::UserData, PAGE, 512),
        grant(BOB, Structure::UserData, OTHER, 512),
        grant(KERNEL, Structure::KernelData, 0, 64),
        grant(KERNEL, Structure::PageTable, 0x400, 64),
        grant(KERNEL, Structure::KernelStack, 0x800, 64),
        grant(KERNEL, Structure::SharedSection, 0x3000, 64),
        grant(KERNEL, Structure::DmaBuffer, 0x3400, 64),
        grant(KERNEL, Structure::SystemBuffer, 0x3800, 16),
        Event { virt: 0x9000, ..claim(EventKind::ProcessCreated, ALICE, Structure::Process, 0, 0) },
        Event { virt: 0x9100, context: KERNEL, ..claim(EventKind::ProcessCreated, BOB, Structure::Process, 0, 0) },
    ] {
        books.event(&event);
    }
    assert!(books.false_claims().is_empty(), "{:?}", books.false_claims());
    books.event(&Event { phys: 0, ..blank(EventKind::Step, KERNEL) });
    books
}

fn after(events: &[Event]) -> Authority {
    let mut books = books();
    for event in events {
        books.event(event);
    }
    books
}

fn falsehoods(books: &Authority) -> Vec<Falsehood> {
    books.false_claims().iter().map(|claim| claim.falsehood).collect()
}

#[test]
fn an_owner_may_write_what_it_means_and_nobody_else() {
    let books = after(&[
        store(ALICE, Structure::UserData, PAGE, 1),
        store(KERNEL, Structure::KernelData, 8, 1),
        store(DRIVER, Structure::KernelStack, 0x800, 1),
    ]);

    assert!(books.trespasses().is_empty());
    assert_eq!(books.corrupt_words(), 0);
}

#[test]
fn a_store_into_anothers_memory_is_a_trespass_and_corrupts() {
    let books = after(&[store(ALICE, Structure::UserData, OTHER + 16, 1)]);

    let [trespass] = books.trespasses() else { panic!("{:?}", books.trespasses()) };
    assert_eq!((trespass.owner, trespass.domain), (Some(BOB), Domain::Application));
    assert_eq!(books.corrupt_bytes(PhysAddr::truncated(OTHER + 16)), 0xff);
}

#[test]
fn the_kernel_that_means_another_structure_is_wrong_although_both_are_its_own() {
    let books = after(&[store(KERNEL, Structure::KernelData, 0x400, 1)]);

    assert_eq!(books.trespasses().len(), 1);
    assert_eq!(books.trespasses()[0].domain, Domain::PageTable);
    assert_eq!(books.table_stores().len(), 1);
}

#[test]
fn corrupt_bytes_are_consumed_by_reads_until_they_are_replaced() {
    let mut books = after(&[
        Event { mask: 0x0f, ..store(ALICE, Structure::UserData, OTHER, 1) },
        Event { mask: 0xf0, ..load(BOB, OTHER, 1) },
    ]);
    assert_eq!(books.consumption_count(), 0, "the other half of the word is whole");

    books.event(&load(BOB, OTHER, 1));
    books.event(&store(BOB, Structure::UserData, OTHER, 2));
    books.event(&load(BOB, OTHER, 2));

    let [consumption] = books.consumptions() else { panic!("{:?}", books.consumptions()) };
    assert_eq!((consumption.reader, consumption.phys), (BOB, OTHER));
    assert_eq!(books.corruptions()[consumption.corruption].culprit, ALICE);
    assert_eq!(books.corrupt_words(), 0);
}

#[test]
fn a_fetched_step_and_a_table_walk_consume_too() {
    let poke = Event { struck: true, ..store(DRIVER, Structure::Free, 0x400, 1) };
    let books = after(&[
        poke,
        Event { phys: 0x400, ..blank(EventKind::TableMark, KERNEL) },
        Event { phys: 0x3f8, ..blank(EventKind::Step, KERNEL) },
    ]);

    assert_eq!(books.consumption_count(), 2);
    assert_ne!(books.corrupt_bytes(PhysAddr::truncated(0x400)), 0, "a mark does not heal");
}

#[test]
fn a_struck_store_corrupts_although_it_is_granted() {
    let books = after(&[Event { struck: true, ..store(ALICE, Structure::UserData, PAGE, 1) }]);

    assert!(books.trespasses().is_empty());
    assert_eq!(books.corruptions()[0].domain, Domain::Own);
    assert_eq!(books.corrupt_words(), 1);
}

#[test]
fn a_fill_is_judged_region_by_region() {
    let fill = Event { value: 520, phys: PAGE, structure: Structure::UserData, ..blank(EventKind::StoreRun, ALICE) };
    let books = after(&[fill]);

    assert_eq!(books.trespasses().len(), 1);
    assert_eq!((books.trespasses()[0].words, books.corrupt_words()), (8, 8));
}

#[test]
fn released_memory_is_not_corrupt_and_its_residue_is_reported_to_whoever_gets_it() {
    let books = after(&[
        store(ALICE, Structure::UserData, OTHER, 1),
        claim(EventKind::Release, KERNEL, Structure::Free, OTHER, 512),
        grant(KERNEL, Structure::UserData, OTHER, 512),
        grant(ALICE, Structure::UserData, OTHER, 512),
    ]);

    assert_eq!(books.corrupt_words(), 0);
    assert_eq!(books.residues().len(), 1);
    assert_eq!((books.residues()[0].from, books.residues()[0].to), (BOB, ALICE));
}

#[test]
fn a_frame_that_was_filled_first_has_no_residue() {
    let books = after(&[
        claim(EventKind::Release, KERNEL, Structure::Free, OTHER, 512),
        grant(KERNEL, Structure::UserData, OTHER, 512),
        Event { phys: OTHER, value: 512, structure: Structure::UserData, ..blank(EventKind::StoreRun, KERNEL) },
        grant(ALICE, Structure::UserData, OTHER, 512),
    ]);

    assert!(books.residues().is_empty());
    assert!(books.false_claims().is_empty());
    assert!(books.trespasses().is_empty());
}

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
    let books = after(&[Event { actor: DRIVER, ..grant(DRIVER, Structure::DriverData, 0x3c00, 1) }]);
    assert_eq!(falsehoods(&books), [Falsehood::NotTheirs]);
}

fn asks(start: u64, length: u64) -> Event {
    Event { old: start, virt: length, context: ALICE, ..blank(EventKind::Request, ALICE) }
}

#[test]
fn a_users_buffer_is_lent_only_as_far_as_it_was_named() {
    let lend = Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) };
    assert_eq!(falsehoods(&after(&[asks(0x7000, 16), lend])), []);
    assert_eq!(falsehoods(&after(&[asks(0x7000, 8), lend])), [Falsehood::NotAskedFor]);
    assert_eq!(falsehoods(&after(&[lend])), [Falsehood::NotAskedFor]);
    let returned = Event { value: 3, old: Event::BY_SYSRET, ..blank(EventKind::ModeSwitch, KERNEL) };
    assert_eq!(falsehoods(&after(&[asks(0x7000, 16), returned, lend])), [Falsehood::NotAskedFor]);
    let others = Event { phys: OTHER, ..lend };
    assert_eq!(falsehoods(&after(&[asks(0x7000, 16), others])), [Falsehood::NotAskedFor]);
}

#[test]
fn a_loan_lets_the_kernel_write_until_it_is_taken_back() {
    let lend = Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) };
    let reclaim = Event { kind: EventKind::Reclaim, ..lend };
    let write = store(KERNEL, Structure::UserData, PAGE, 1);

    let mut books = after(&[asks(0x7000, 16), lend, write]);
    assert!(books.trespasses().is_empty());
    books.event(&reclaim);
    books.event(&write);
    assert_eq!(books.trespasses().len(), 1);
}

#[test]
fn a_copy_of_anothers_memory_into_a_lent_buffer_is_a_disclosure() {
    let lend = Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) };
    let write = store(KERNEL, Structure::UserData, PAGE, 7);
    let begin = [asks(0x7000, 16), lend];

    let stolen = after(&[begin[0], begin[1], load(KERNEL, OTHER, 7), write]);
    assert_eq!(stolen.disclosures().len(), 1);
    assert_eq!((stolen.disclosures()[0].receiver, stolen.disclosures()[0].owner), (ALICE, Some(BOB)));

    let answered = after(&[begin[0], begin[1], load(KERNEL, 0x3800, 7), write]);
    assert!(answered.disclosures().is_empty(), "system buffers are there to be given out");
    let unrelated = after(&[begin[0], begin[1], load(KERNEL, OTHER, 8), write]);
    assert!(unrelated.disclosures().is_empty());
}

#[test]
fn sections_are_shared_with_the_rights_announced_and_private_memory_never() {
    let share = |subject, old| Event { old, ..claim(EventKind::Share, subject, Structure::SharedSection, 0x3000, 64) };
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
    let returned = Event { value: 3, old: Event::BY_SYSRET, ..blank(EventKind::ModeSwitch, KERNEL) };

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
    let open = Event { old: 1, ..claim(EventKind::DmaGrant, DEVICE, Structure::DmaBuffer, 0x3400, 64) };
    let write = Event { kind: EventKind::DmaWrite, processor: 0xff, ..store(DEVICE, Structure::DmaBuffer, 0x3400, 1) };
    let read = Event { kind: EventKind::DmaRead, ..write };
    let revoke = Event { kind: EventKind::DmaRevoke, ..open };

    assert!(after(&[open, write, read]).trespasses().is_empty());
    assert_eq!(after(&[Event { old: 0, ..open }, write, read]).trespasses().len(), 1);
    assert_eq!(after(&[open, revoke, write, read]).trespasses().len(), 2);
    assert_eq!(after(&[Event { phys: PAGE, ..open }]).false_claims()[0].falsehood, Falsehood::NotADmaBuffer);
}

fn opened(context: Principal, subject: Principal, value: u64, object: u64, rights: u64) -> Event {
    Event { context, virt: object, old: rights, ..claim(EventKind::HandleOpened, subject, Structure::HandleTable, 0, value) }
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

#[test]
fn a_duplicate_has_no_more_rights_than_its_source() {
    let begin = [asks(0, 0), opened(ALICE, ALICE, 4, 0x5000, 1), asks(0, 0), used(ALICE, 4, 0x5000, 0)];
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
    let free = Event { virt: 0x5000, ..claim(EventKind::Release, KERNEL, Structure::Free, 0x3800, 16) };

    assert_eq!(falsehoods(&after(&[open, close, free])), []);
    assert_eq!(falsehoods(&after(&[open, free])), [Falsehood::FreedWhileHeld]);
    assert_eq!(falsehoods(&after(&[open, close, close])), [Falsehood::UnknownHandle]);
}

#[test]
fn influence_follows_requests_to_hosts_and_shared_files() {
    let handover = |requestor, driver, file| Event { context: requestor, subject: driver, value: file, ..blank(EventKind::RequestHandover, KERNEL) };

    let hosted = after(&[handover(ALICE, HOST, 1), handover(BOB, HOST, 2)]);
    assert!(hosted.influences(ALICE).contains(BOB), "through the host");
    assert!(!hosted.influences(ALICE).contains(CAROL));
    assert!(hosted.has_shared_resources(ALICE) && !hosted.has_shared_resources(CAROL));

    let filed = after(&[handover(ALICE, DRIVER, 1), handover(BOB, DRIVER, 1)]);
    assert!(filed.influences(ALICE).contains(BOB) && !filed.influences(ALICE).contains(DRIVER));
    let apart = after(&[handover(ALICE, DRIVER, 1), handover(BOB, DRIVER, 2)]);
    assert!(!apart.influences(ALICE).contains(BOB));
    assert!(apart.influences(DRIVER).contains(CAROL), "kernel mode reaches everybody");
}

#[test]
fn a_critical_process_influences_everybody() {
    let created = Event { subject: CAROL, value: 1, context: KERNEL, ..blank(EventKind::ProcessCreated, KERNEL) };
    assert!(after(&[created]).influences(CAROL).contains(ALICE));
    assert!(!after(&[Event { value: 0, ..created }]).influences(CAROL).contains(ALICE));
}

#[test]
fn observations_are_each_principals_own() {
    let see = |actor, bytes| Event { value: 1, virt: bytes, ..blank(EventKind::Observe, actor) };
    let one = after(&[see(ALICE, 1), see(BOB, 2), see(ALICE, 3)]);
    let other = after(&[see(BOB, 2), see(ALICE, 1), see(ALICE, 4)]);

    let seen = |books: &Authority, who| books.observations().of(who).cloned().expect("known");
    assert!(seen(&one, BOB).agrees(&seen(&other, BOB), false));
    assert!(!seen(&one, ALICE).agrees(&seen(&other, ALICE), false));
    assert_eq!(seen(&one, ALICE).first_difference(&seen(&other, ALICE)), Some(1));
    let short = after(&[see(ALICE, 1)]);
    assert!(seen(&short, ALICE).agrees(&seen(&one, ALICE), true));
    assert!(!seen(&short, ALICE).agrees(&seen(&one, ALICE), false));
}

#[test]
fn the_processor_that_delivers_an_exception_acts_for_the_kernel() {
    let raise = blank(EventKind::Exception, ALICE);
    let push = store(ALICE, Structure::KernelStack, 0x800, 1);
    let read = Event { structure: Structure::TaskState, ..load(ALICE, 0, 0) };

    assert!(after(&[raise, read, push]).trespasses().is_empty());
    assert_eq!(after(&[read, push]).trespasses().len(), 2);
    let step = Event { phys: PAGE, ..blank(EventKind::Step, ALICE) };
    assert_eq!(after(&[raise, step, push]).trespasses().len(), 1, "delivery is over");
}

fn busy() -> Vec<Event> {
    vec![
        store(ALICE, Structure::UserData, OTHER, 1),
        load(BOB, OTHER, 1),
        claim(EventKind::Release, KERNEL, Structure::Free, PAGE, 512),
        grant(KERNEL, Structure::Process, PAGE, 8),
        asks(1, 2),
        opened(ALICE, ALICE, 4, 0x5000, 1),
        Event { value: 1, ..blank(EventKind::Observe, ALICE) },
        Event { value: 1, subject: HOST, ..blank(EventKind::RequestHandover, KERNEL) },
        store(KERNEL, Structure::PageTable, 0x400, 5),
    ]
}

fn digest(books: &Authority) -> String {
    let words: Vec<Region> = books.words.iter().map(|number| *books.regions.get(*number)).collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        words.iter().map(|region| (region.owner, region.structure)).collect::<Vec<_>>(),
        books.corrupt,
        books.handles,
        books.resources,
        books.observations,
        books.marks(),
        books.state,
    )
}

#[test]
fn a_restore_brings_back_everything() {
    let mut books = books();
    let before = digest(&books);
    let checkpoint = books.checkpoint();

    for _ in 0..2 {
        for event in busy() {
            books.event(&event);
        }
        assert_ne!(digest(&books), before);
        books.restore(&checkpoint);
        assert_eq!(digest(&books), before);
    }
}

#[test]
fn a_reboot_finds_the_books_as_the_loader_left_them() {
    let mut books = books();
    let fresh: Vec<_> = books.words.iter().map(|number| *books.regions.get(*number)).collect();
    let checkpoint = books.checkpoint();
    for event in busy() {
        books.event(&event);
    }
    let before = digest(&books);
    let middle = books.checkpoint();

    let marks = books.marks();
    books.event(&Event { value: 1, ..blank(EventKind::Boot, KERNEL) });
    books.event(&grant(ALICE, Structure::UserData, PAGE, 512));

    let now: Vec<_> = books.words.iter().map(|number| *books.regions.get(*number)).collect();
    assert_eq!(now, fresh);
    assert_eq!((books.corrupt_words(), books.handles.len()), (0, 0));
    assert_eq!(books.marks(), marks, "what is announced again is no news");
    assert_eq!(books.words_owned(ALICE), 512);
    books.restore(&middle);
    assert_eq!(digest(&books), before);
    books.restore(&checkpoint);
}

#[test]
fn outside_memory_there_is_nothing_to_claim_and_nothing_to_corrupt() {
    let books = after(&[
        grant(ALICE, Structure::UserData, 0x4000, 1),
        grant(ALICE, Structure::UserData, 0x3ff8, 2),
        store(ALICE, Structure::UserData, u64::MAX & !7, 1),
        load(ALICE, 0x4000, 1),
        Event { phys: 0x3ff8, value: u64::MAX, ..blank(EventKind::StoreRun, KERNEL) },
    ]);
    assert_eq!(falsehoods(&books), [Falsehood::OutsideMemory; 2]);
}

#[test]
fn loaded_worlds_are_within_their_books() {
    use crate::world::{Configuration, World};

    let text = r#"
        [[components]]
        name = "a"
        home = "application"
        actions = [
            { do = "store", word = 3, value = "0x7" },
            { do = "load", word = 3 },
            { do = "allocate", slot = 1 },
            { do = "store-through", slot = 1, word = 5, value = "0x9" },
            { do = "load-through", slot = 1, word = 5 },
            { do = "free", slot = 1 },
        ]
        [[components]]
        name = "b"
        home = "application"
        actions = [{ do = "crash", how = "null-dereference" }]
    "#;
    let configuration: Configuration = toml::from_str(text).expect("a configuration");
    let mut world = World::build(&configuration).expect("a world");
    let words = world.machine.memory.words().len();
    let mut books = Authority::new(words, world.roster().clone());

    let rest = world.run(&mut books, 20_000);

    assert!(books.trespasses().is_empty(), "{rest:?} {:#x?}", &books.trespasses()[..1]);
    assert!(books.false_claims().is_empty(), "{:#x?}", &books.false_claims()[..1]);
    assert!(books.disclosures().is_empty() && books.residues().is_empty());
    assert_eq!(books.ended(), PrincipalSet::of(Principal(2)).with(Principal(3)));
    for process in books.ended().iter() {
        assert_eq!(books.words_owned(process), 0);
        assert_eq!(books.handles_of(process).count(), 0);
    }
}
