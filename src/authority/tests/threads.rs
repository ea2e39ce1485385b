//! Two threads of a process, one event after the other.

use super::*;
use crate::authority::record::Falsehood;

/// Where Alice's threads are.
const FIRST: u64 = 0x9000_0000;
const SECOND: u64 = 0x9000_1000;

fn thread(kind: EventKind, object: u64, processor: u8) -> Event {
    Event { virt: object, processor, ..claim(kind, ALICE, Structure::Thread, 0, 0) }
}

/// Alice's books with both threads, the second on processor 1.
fn two() -> Authority {
    let mut books = books();
    books.event(&thread(EventKind::ThreadEnded, 0, 0));
    books.state.threads[usize::from(ALICE.0)] = FIRST;
    books.false_claims.clear();
    books.event(&thread(EventKind::ThreadCreated, SECOND, 0));
    books.event(&thread(EventKind::ThreadChosen, FIRST, 0));
    books.event(&thread(EventKind::ThreadChosen, SECOND, 1));
    assert!(books.false_claims().is_empty(), "{:?}", books.false_claims());
    books
}

fn falsehoods(books: &Authority) -> Vec<Falsehood> {
    books.false_claims().iter().map(|claim| claim.falsehood).collect()
}

#[test]
fn a_thread_that_a_process_has_not_neither_runs_nor_ends() {
    for kind in [EventKind::ThreadChosen, EventKind::ThreadEnded] {
        let mut books = two();
        books.event(&thread(kind, 0x9000_2000, 1));
        assert_eq!(falsehoods(&books), [Falsehood::NoSuchChange], "{kind}");
    }
}

#[test]
fn a_process_has_two_threads_at_most_and_the_place_of_one_that_ended_is_free() {
    let mut books = two();
    books.event(&thread(EventKind::ThreadCreated, 0x9000_2000, 0));
    assert_eq!(falsehoods(&books), [Falsehood::NoSuchChange]);

    for ended in [FIRST, SECOND] {
        let mut books = two();
        books.event(&thread(EventKind::ThreadEnded, ended, 0));
        books.event(&thread(EventKind::ThreadCreated, 0x9000_2000, 0));
        books.event(&thread(EventKind::ThreadChosen, 0x9000_2000, 0));
        assert_eq!(falsehoods(&books), []);
        books.event(&thread(EventKind::ThreadChosen, ended, 0));
        assert_eq!(falsehoods(&books), [Falsehood::NoSuchChange]);
    }
}

#[test]
fn what_one_thread_asks_for_gives_the_other_no_leave() {
    let lend = |processor| Event {
        processor,
        virt: 0x1000,
        ..claim(EventKind::Lend, KERNEL, Structure::UserData, PAGE, 8)
    };
    let ask =
        Event { processor: 1, value: 9, old: 0x1000, virt: 64, ..blank(EventKind::Request, ALICE) };
    let mut books = two();
    books.event(&ask);

    books.event(&lend(1));
    assert_eq!(falsehoods(&books), [], "who asked is answered");

    books.event(&lend(0));
    assert_eq!(falsehoods(&books).len(), 1, "who did not ask is not");
}

#[test]
fn one_thread_s_return_is_not_the_other_s() {
    let returns = |processor| Event {
        processor,
        value: 3,
        old: Event::BY_SYSRET,
        ..blank(EventKind::ModeSwitch, ALICE)
    };
    let mut books = two();
    let release = claim(EventKind::Release, ALICE, Structure::Free, PAGE, 512);
    books.event(&Event { processor: 1, ..release });

    books.event(&returns(0));
    assert_eq!(books.bound.len(), 0, "the one who takes the page away has not come back");

    books.event(&returns(1));
    assert_eq!(books.bound.len(), 1);
}

#[test]
fn each_thread_sees_for_itself_and_only_how_far_the_second_came_may_differ() {
    let see = |processor, bytes| Event {
        processor,
        value: 3,
        virt: bytes,
        ..blank(EventKind::Observe, ALICE)
    };
    let run = |events: &[Event]| {
        let mut books = two();
        let before = (books.checkpoint(), books.observations().clone());
        for event in events {
            books.event(event);
        }
        let seen = books.observations().of(ALICE).expect("she is there").clone();
        books.restore(&before.0);
        assert_eq!(*books.observations(), before.1);
        seen
    };

    let golden = run(&[see(0, 1), see(1, 2), see(1, 3), see(0, 4)]);
    let other_order = run(&[see(1, 2), see(0, 1), see(0, 4)]);
    let other_bytes = run(&[see(1, 2), see(0, 1), see(1, 9), see(0, 4)]);

    assert!(other_order.agrees(&golden, false));
    assert!(!other_bytes.agrees(&golden, false));
    assert_eq!(other_bytes.second_difference(&golden), Some(1));
}
