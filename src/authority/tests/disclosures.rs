//! What was read by who may not, and who may learn it then.

use super::*;

fn read_by_device(phys: u64, value: u64) -> Event {
    let processor = Event::NO_PROCESSOR;
    Event { processor, phys, value, context: DEVICE, ..blank(EventKind::DmaRead, DEVICE) }
}

fn receivers(books: &Authority) -> Vec<(Principal, Option<Principal>, Structure)> {
    let found = books.disclosures().iter();
    found.map(|one| (one.receiver, one.owner, one.structure)).collect()
}

#[test]
fn what_a_device_reads_without_leave_is_disclosed_to_it() {
    let open = claim(EventKind::DmaGrant, DEVICE, Structure::DmaBuffer, 0x3400, 64);
    let private = (DEVICE, Some(BOB), Structure::UserData);

    assert_eq!(receivers(&after(&[read_by_device(OTHER, 7)])), [private]);
    assert_eq!(receivers(&after(&[read_by_device(OTHER, 0)])), [], "zeros tell nothing");
    assert_eq!(receivers(&after(&[read_by_device(0x3c00, 7)])), [], "nobody left it");
    assert_eq!(receivers(&after(&[open, read_by_device(0x3400, 7)])), [], "it was opened to it");
    let left = claim(EventKind::Release, KERNEL, Structure::Free, OTHER, 512);
    let freed = (DEVICE, None, Structure::Free);
    assert_eq!(receivers(&after(&[left, read_by_device(OTHER, 7)])), [freed]);
}

#[test]
fn what_user_mode_reads_without_leave_is_disclosed_to_it() {
    let user_mode = Event { value: 3, ..blank(EventKind::ModeSwitch, KERNEL) };

    assert_eq!(
        receivers(&after(&[user_mode, load(ALICE, OTHER, 7)])),
        [(ALICE, Some(BOB), Structure::UserData)]
    );
    assert_eq!(receivers(&after(&[user_mode, load(ALICE, PAGE, 7)])), []);
    assert_eq!(receivers(&after(&[user_mode, load(ALICE, OTHER, 0)])), []);
    let write = store(ALICE, Structure::UserData, OTHER, 7);
    let again = after(&[user_mode, write, load(ALICE, OTHER, 7)]);
    assert_eq!(receivers(&again), [], "it knows what it wrote there");
    assert_eq!(again.trespasses().len(), 2);
    assert_eq!(receivers(&after(&[user_mode, write, load(CAROL, OTHER, 7)])).len(), 1);
    // What kernel mode reads for itself reaches nobody.
    assert_eq!(receivers(&after(&[load(KERNEL, OTHER, 7)])), []);
}

#[test]
fn what_another_left_in_a_process_s_memory_is_disclosed_to_it_when_it_reads_it() {
    let user_mode = Event { value: 3, ..blank(EventKind::ModeSwitch, KERNEL) };
    let released = claim(EventKind::Release, KERNEL, Structure::Free, OTHER, 512);
    let handed = grant(ALICE, Structure::UserData, OTHER, 512);
    let uncleared = [released, handed, user_mode];
    let of = |more: &[Event]| receivers(&after(&[&uncleared[..], more].concat()));

    let left = (ALICE, Some(BOB), Structure::UserData);
    assert_eq!(of(&[load(ALICE, OTHER, 7)]), [left]);
    assert_eq!(of(&[]), [], "it was not read");
    assert_eq!(of(&[load(ALICE, OTHER, 0)]), [], "zeros tell nothing");
    let write = store(ALICE, Structure::UserData, OTHER, 7);
    assert_eq!(of(&[write, load(ALICE, OTHER, 7)]), [], "it knows what it wrote there");
    assert_eq!(of(&[write, load(ALICE, OTHER + 8, 7)]), [left], "the next word is as it was left");
    let cleared = claim(EventKind::StoreRun, KERNEL, Structure::Free, OTHER, 512);
    let cleared = [released, cleared, handed, user_mode, load(ALICE, OTHER, 7)];
    assert_eq!(receivers(&after(&cleared)), [], "it was overwritten before");
    // Back with whom it was.
    let back = [released, grant(BOB, Structure::UserData, OTHER, 512), user_mode];
    assert_eq!(receivers(&after(&[&back[..], &[load(BOB, OTHER, 7)]].concat())), []);
    assert!(after(&uncleared).trespasses().is_empty());
}

#[test]
fn who_uses_the_drivers_of_a_device_may_learn_what_it_has() {
    let asks = |who| Event {
        context: who,
        subject: DRIVER,
        value: 0x77,
        ..blank(EventKind::RequestHandover, KERNEL)
    };

    assert_eq!(after(&[]).served_by(DEVICE), PrincipalSet::NOBODY);
    let both = PrincipalSet::of(ALICE).with(BOB);
    assert_eq!(after(&[asks(ALICE), asks(BOB)]).served_by(DEVICE), both);
}
