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

/// What the driver keeps, and a packet.
const KEPT: u64 = 0x3c00;
const PACKET: u64 = 0x3d00;

/// Whom a word tells something that the kernel copies to Alice, meant as this structure.
fn copied(
    before: &[Event],
    from: u64,
    meant: Structure,
) -> Vec<(Principal, Option<Principal>, Structure)> {
    let begin = [
        grant(DRIVER, Structure::DriverData, KEPT, 16),
        grant(KERNEL, Structure::RequestPacket, PACKET, 8),
        super::claims::asks(0x7000, 16),
        Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) },
    ];
    let copy = [
        Event { structure: meant, ..load(KERNEL, from, 7) },
        store(KERNEL, Structure::UserData, PAGE, 7),
    ];
    receivers(&after(&[&begin[..], before, &copy].concat()))
}

fn handed_to_driver(requestor: Principal) -> Event {
    let event = claim(EventKind::RequestHandover, DRIVER, Structure::RequestPacket, PACKET, 0x77);
    Event { context: requestor, ..event }
}

#[test]
fn what_a_driver_keeps_answers_only_whose_request_went_to_it() {
    let told = [(ALICE, Some(DRIVER), Structure::DriverData)];
    let over = claim(EventKind::Release, KERNEL, Structure::PoolFreeList, PACKET, 8);
    let of_alice = handed_to_driver(ALICE);

    assert_eq!(copied(&[of_alice], KEPT, Structure::DriverData), []);
    assert_eq!(copied(&[], KEPT, Structure::DriverData), told, "she asked for nothing");
    assert_eq!(copied(&[handed_to_driver(BOB)], KEPT, Structure::DriverData), told);
    assert_eq!(copied(&[of_alice, over], KEPT, Structure::DriverData), told, "it is over");
    assert_eq!(copied(&[of_alice], KEPT, Structure::SystemBuffer), told, "it was not meant");
}

#[test]
fn what_is_on_loan_to_a_driver_answers_only_whose_request_went_to_it() {
    let lent = claim(EventKind::Lend, DRIVER, Structure::SystemBuffer, 0x3800, 16);
    let back = claim(EventKind::Reclaim, DRIVER, Structure::SystemBuffer, 0x3800, 16);
    let told = [(ALICE, Some(KERNEL), Structure::SystemBuffer)];

    assert_eq!(copied(&[handed_to_driver(BOB), lent], 0x3800, Structure::SystemBuffer), told);
    assert_eq!(copied(&[handed_to_driver(ALICE), lent], 0x3800, Structure::SystemBuffer), []);
    // Nobody has it any more: no books say whose answer it is.
    assert_eq!(copied(&[handed_to_driver(BOB), lent, back], 0x3800, Structure::SystemBuffer), []);
}

#[test]
fn a_packet_answers_only_who_made_the_request_or_took_it() {
    let told = [(ALICE, Some(KERNEL), Structure::RequestPacket)];
    let last = PACKET + 56;

    assert_eq!(copied(&[handed_to_driver(ALICE)], last, Structure::RequestPacket), []);
    assert_eq!(copied(&[handed_to_driver(BOB)], last, Structure::RequestPacket), told);
    let taken = Event { subject: ALICE, context: ALICE, ..handed_to_driver(BOB) };
    assert_eq!(copied(&[handed_to_driver(BOB), taken], last, Structure::RequestPacket), []);
}

#[test]
fn a_copy_of_what_lies_there_already_is_no_news() {
    let begin = [
        super::claims::asks(0x7000, 16),
        Event { virt: 0x7000, ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 2) },
        Event { structure: Structure::SystemBuffer, ..load(KERNEL, 0x800, 7) },
    ];
    let copy = store(KERNEL, Structure::UserData, PAGE, 7);
    let of = |copy: Event| receivers(&after(&[&begin[..], &[copy]].concat()));

    assert_eq!(of(copy), [(ALICE, Some(KERNEL), Structure::KernelStack)]);
    assert_eq!(of(Event { old: 7, ..copy }), []);
}

#[test]
fn another_s_kernel_stack_is_no_system_buffer() {
    let told = [(ALICE, Some(KERNEL), Structure::KernelStack)];

    assert_eq!(copied(&[], 0x800, Structure::SystemBuffer), told);
    assert_eq!(copied(&[], 0x800, Structure::KernelStack), []);
}

#[test]
fn a_copy_of_nobody_s_memory_tells_nothing_but_what_another_left_there() {
    let told = [(ALICE, None, Structure::Free)];
    let buffer = 0x3800;
    let left = claim(EventKind::Release, KERNEL, Structure::PoolFreeList, buffer, 16);
    let own = grant(ALICE, Structure::UserData, 0x3e00, 16);
    let own_left = claim(EventKind::Release, KERNEL, Structure::Free, 0x3e00, 16);

    assert_eq!(copied(&[], 0x3e00, Structure::SystemBuffer), [], "nobody had it");
    assert_eq!(copied(&[left], buffer, Structure::SystemBuffer), told);
    let answer = store(KERNEL, Structure::SystemBuffer, buffer, 7);
    assert_eq!(copied(&[left, answer], buffer, Structure::SystemBuffer), [], "it was overwritten");
    assert_eq!(copied(&[own, own_left], 0x3e00, Structure::SystemBuffer), [], "she left it");
}

#[test]
fn a_copy_of_what_was_overwritten_without_leave_tells_nothing_of_its_owner() {
    let told = [(ALICE, Some(KERNEL), Structure::RequestPacket)];
    let last = PACKET + 56;
    let answer = store(DRIVER, Structure::SystemBuffer, last, 7);
    let as_it_was = Event { old: 7, ..answer };

    assert_eq!(copied(&[], last, Structure::SystemBuffer), told);
    assert_eq!(copied(&[answer], last, Structure::SystemBuffer), []);
    assert_eq!(copied(&[as_it_was], last, Structure::SystemBuffer), told, "that was there before");
}
