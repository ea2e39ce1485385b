//! Influence, observations, and the way back.

use super::claims::asks;
use super::handles::opened;
use super::*;

#[test]
fn influence_follows_requests_to_hosts_and_shared_files() {
    let handover = |requestor, driver, file| Event {
        context: requestor,
        subject: driver,
        value: file,
        ..blank(EventKind::RequestHandover, KERNEL)
    };

    let hosted = after(&[handover(ALICE, HOST, 1), handover(BOB, HOST, 2)]);
    assert!(hosted.influences(ALICE).contains(BOB), "through the host");
    assert!(!hosted.influences(ALICE).contains(CAROL));
    assert!(hosted.has_shared_resources(ALICE) && !hosted.has_shared_resources(CAROL));

    let filed = after(&[handover(ALICE, DRIVER, 1), handover(BOB, DRIVER, 1)]);
    assert!(filed.influences(ALICE).contains(BOB) && !filed.influences(ALICE).contains(DRIVER));
    let apart = after(&[handover(ALICE, DRIVER, 1), handover(BOB, DRIVER, 2)]);
    assert!(!apart.influences(ALICE).contains(BOB));
    assert!(apart.influences(DRIVER).contains(CAROL), "kernel mode reaches everybody");
    assert!(filed.has_shared_resources(ALICE));
    assert!(!apart.has_shared_resources(ALICE), "nobody else asks about its file");
}

#[test]
fn who_gets_the_code_of_an_image_gets_what_a_defect_of_another_changed_there() {
    let image = [
        claim(EventKind::Release, KERNEL, Structure::Free, PAGE, 512),
        grant(KERNEL, Structure::Code, PAGE, 512),
        claim(EventKind::Share, ALICE, Structure::Code, PAGE, 512),
    ];
    let damaged = Event { struck: true, ..store(ALICE, Structure::Code, PAGE + 0x40, 1) };
    let left = claim(EventKind::Unshare, ALICE, Structure::Code, PAGE, 512);
    let taken = claim(EventKind::Share, BOB, Structure::Code, PAGE, 512);
    let of = |more: &[Event]| after(&[&image[..], more].concat());

    let books = of(&[damaged, left, taken]);
    assert_eq!(books.influences(ALICE), PrincipalSet::of(ALICE).with(BOB));
    assert_eq!(books.influences(BOB), PrincipalSet::of(BOB), "not the other way");
    assert!(!of(&[left, taken]).influences(ALICE).contains(BOB), "it is as it was loaded");
    assert!(!of(&[damaged, left]).influences(ALICE).contains(BOB), "it has it not");
}

#[test]
fn who_is_told_that_a_device_lost_its_host_learns_of_that_host() {
    let made = Event {
        context: KERNEL,
        ..claim(EventKind::ProcessCreated, HOST, Structure::Process, 0, 0)
    };
    let ended = Event { subject: HOST, ..blank(EventKind::ProcessEnded, KERNEL) };
    let lost = Event { subject: HOST, value: 3, ..blank(EventKind::StackRemoved, KERNEL) };
    let told =
        |device| Event { context: ALICE, value: device, ..blank(EventKind::LossTold, KERNEL) };

    let books = after(&[made, ended, lost, told(3)]);
    assert!(books.influences(HOST).contains(ALICE));
    assert!(!books.influences(HOST).contains(BOB), "told nothing");
    assert!(!after(&[made, ended, lost]).influences(HOST).contains(ALICE), "told nothing");
    assert_eq!(falsehoods(&after(&[made, ended, lost, told(4)])), [Falsehood::NoSuchChange]);
    assert_eq!(falsehoods(&after(&[made, lost])), [Falsehood::NoSuchChange], "it lives");
}

#[test]
fn who_is_told_that_a_device_was_removed_is_told_of_a_lost_host() {
    let gone = Event { subject: HOST, value: 3, ..blank(EventKind::DeviceDisabled, KERNEL) };
    let told = |device| Event { value: device, ..blank(EventKind::DeviceRefused, KERNEL) };
    let seen = Event { value: 1, old: 0xc000_02b6, ..blank(EventKind::Observe, ALICE) };

    assert!(after(&[gone, told(3), seen]).influences(HOST).contains(ALICE));
    assert!(!after(&[gone, told(3), seen]).influences(HOST).contains(BOB), "told nothing");
    assert!(
        !after(&[gone, seen]).influences(HOST).contains(ALICE),
        "the status alone says of no device"
    );
    // Another device was given up by another host.
    let other = Event { value: 4, subject: CAROL, ..gone };
    let told_of_another = after(&[gone, other, told(4), seen]);
    assert!(!told_of_another.influences(HOST).contains(ALICE));
    assert!(told_of_another.influences(CAROL).contains(ALICE));
    assert_eq!(
        falsehoods(&after(&[gone, told(5)])),
        [Falsehood::NoSuchChange],
        "it was not given up"
    );
}

#[test]
fn a_critical_process_changes_nobodys_results_by_being_critical() {
    let created = Event {
        subject: CAROL,
        value: 1,
        context: KERNEL,
        ..blank(EventKind::ProcessCreated, KERNEL)
    };
    let books = after(&[created]);

    assert!(books.critical().contains(CAROL) && !books.influences(CAROL).contains(ALICE));
    assert!(!after(&[Event { value: 0, ..created }]).critical().contains(CAROL));
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
fn who_ends_with_another_status_has_not_seen_the_same() {
    let see = Event { value: 1, virt: 1, ..blank(EventKind::Observe, ALICE) };
    let end =
        |status| Event { subject: ALICE, value: status, ..blank(EventKind::ProcessEnded, KERNEL) };
    let [going, ended, killed] =
        [&[see][..], &[see, end(0)], &[see, end(0xc000_0005)]].map(|events| {
            let books = after(events);
            books.observations().of(ALICE).cloned().expect("known")
        });

    assert!(killed.agrees(&killed, false) && !killed.agrees(&ended, false));
    assert!(!ended.agrees(&going, false) && !going.agrees(&ended, false));
    // Cut short from outside, one may not have come to one's end. One may not have come to another.
    assert!(going.agrees(&ended, true));
    assert!(!killed.agrees(&ended, true) && !ended.agrees(&going, true));
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
        Event { value: 3, subject: ALICE, ..blank(EventKind::ProcessEnded, KERNEL) },
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
    for event in announced() {
        books.event(&event);
    }

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
        store(ALICE, Structure::UserData, !7, 1),
        load(ALICE, 0x4000, 1),
        Event { phys: 0x3ff8, value: u64::MAX, ..blank(EventKind::StoreRun, KERNEL) },
    ]);
    assert_eq!(falsehoods(&books), [Falsehood::OutsideMemory; 2]);
}

#[test]
fn a_request_whose_host_has_ended_is_an_orphan_until_its_packet_is_freed() {
    let packet = 0x3c00;
    let handover = |by, to| Event {
        context: by,
        subject: to,
        phys: packet,
        value: 7,
        ..blank(EventKind::RequestHandover, KERNEL)
    };
    let made = grant(KERNEL, Structure::RequestPacket, packet, 14);
    let (waits, taken) = (handover(ALICE, DRIVER), handover(HOST, HOST));
    let born = claim(EventKind::ProcessCreated, HOST, Structure::Process, 0, 0);
    let ended = claim(EventKind::ProcessEnded, HOST, Structure::Process, 0, 0);
    let freed = claim(EventKind::Release, KERNEL, Structure::PoolFreeList, packet, 14);
    let boot = blank(EventKind::Boot, KERNEL);
    let orphans = |more: &[Event]| {
        let books = after(&[&[born, made, waits, taken], more].concat());
        books.orphans().iter().map(|orphan| (orphan.requestor, orphan.holder)).collect::<Vec<_>>()
    };

    assert_eq!(orphans(&[]), [], "the host has it");
    assert_eq!(orphans(&[ended]), [(ALICE, HOST)]);
    assert_eq!(orphans(&[ended, freed]), [], "it was answered");
    assert_eq!(orphans(&[freed, ended]), [], "it was over before");
    assert_eq!(orphans(&[ended, boot]), [], "a boot forgets all requests");
    let other = Event { subject: BOB, ..ended };
    assert_eq!(orphans(&[other]), [], "somebody else's end");
    let next = Event { phys: 0x3d00, ..waits };
    let second = Event { phys: 0x3d00, ..made };
    assert_eq!(orphans(&[second, next, ended]), [(ALICE, HOST), (ALICE, DRIVER)], "who waits too");
}
