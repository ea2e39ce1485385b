//! Stores, loads and transfers.

use super::*;

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
    let books = after(&[store(ALICE, Structure::UserData, OTHER + 16, u64::MAX)]);

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
fn bytes_that_a_store_leaves_as_they_were_are_not_corrupt() {
    let wild = |old, value| Event { old, ..store(ALICE, Structure::UserData, OTHER, value) };
    let altered = |old, value| Event { struck: true, ..wild(old, value) };
    let corrupt = |events: &[Event]| after(events).corrupt_bytes(PhysAddr::truncated(OTHER));

    assert_eq!(corrupt(&[wild(7, 7)]), 0);
    assert_eq!(corrupt(&[altered(7, 7)]), 0);
    assert_eq!(corrupt(&[wild(0x0707, 0x0907)]), 0b10, "one byte of two is new");
    assert_eq!(corrupt(&[wild(7, 8), wild(8, 8)]), 1, "what is corrupt stays so");
    assert_eq!(after(&[wild(7, 7)]).trespasses().len(), 1, "it had no leave all the same");

    let fill = Event { value: 8, mask: 0, ..altered(0, 0) };
    let fill = Event { kind: EventKind::StoreRun, phys: PAGE, ..fill };
    assert_eq!(after(&[fill]).corrupt_words(), 0);
    assert_eq!(after(&[Event { mask: 0xff, ..fill }]).corrupt_words(), 8);
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
fn what_a_fault_stores_without_a_meaning_is_told_without_one() {
    let told = |struck, meant| {
        let books = after(&[Event { struck, ..store(DRIVER, meant, 0x400, 1) }]);
        books.trespasses()[0].stored(books.roster(), None)
    };

    // A fault that pokes means nothing; one that alters a store leaves what the code means.
    let poked = told(true, Structure::Free);
    assert!(poked.ends_with("to page table, by the fault's doing"), "{poked}");
    let altered = told(true, Structure::DriverData);
    assert!(altered.ends_with("to page table, meaning driver data"), "{altered}");
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
    let fill = Event {
        value: 520,
        phys: PAGE,
        structure: Structure::UserData,
        ..blank(EventKind::StoreRun, ALICE)
    };
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
        Event {
            phys: OTHER,
            value: 512,
            structure: Structure::UserData,
            ..blank(EventKind::StoreRun, KERNEL)
        },
        grant(ALICE, Structure::UserData, OTHER, 512),
    ]);

    assert!(books.residues().is_empty());
    assert!(books.false_claims().is_empty());
    assert!(books.trespasses().is_empty());
}

#[test]
fn whose_code_it_is_gives_no_leave_to_write_it() {
    let code = 0x3a00;
    let share = |who| claim(EventKind::Share, who, Structure::Code, code + 64, 8);
    let mut events = vec![
        grant(DRIVER, Structure::Code, code, 8),
        grant(KERNEL, Structure::Code, code + 64, 8),
        share(ALICE),
        share(BOB),
    ];
    events.extend([DRIVER, ALICE].map(|who| store(who, Structure::Code, code, 1)));
    events.extend([ALICE, BOB].map(|who| store(who, Structure::Code, code + 64, 1)));
    let books = after(&events);

    assert_eq!(books.trespasses().len(), 4, "{:?}", books.trespasses());
    let owners = books.corruptions().iter().map(|one| one.owners);
    let (driver, both) = (PrincipalSet::of(DRIVER), PrincipalSet::of(ALICE).with(BOB));
    assert_eq!(owners.collect::<Vec<_>>(), [driver, driver, both, both]);
    // Who loads images may still do so.
    let loaded = after(&[events[0], store(KERNEL, Structure::Code, code, 1)]);
    assert!(loaded.trespasses().is_empty(), "{:?}", loaded.trespasses());
}
