//! A count that is fetched twice, while another process, or another thread of the same, changes it.

use ringfence::base::{Event, EventKind, Principal, Structure, Witness};
use ringfence::kernel::bug_check::code;
use ringfence::kernel::request::{METHOD_NEITHER, control_code};
use ringfence::kernel::service;
use ringfence::world::components::buffer_driver as driver;
use ringfence::world::{Action, Component, Home, Rest, World};

use crate::{address, application, call, in_turn};

/// A count that fits, and one that doesn't.
const SMALL: u64 = 16;
const LARGE: u64 = 200;

/// What the driver fetched as a count, and whether anybody stored between two fetches.
struct Fetches {
    driver: Principal,
    /// Where the count is.
    at: u64,
    counts: Vec<(u64, bool)>,
    was_stored: bool,
}

impl Witness for Fetches {
    fn event(&mut self, event: &Event) {
        let is_count = event.virt == self.at;
        match event.kind {
            EventKind::Load if event.actor == self.driver && is_count => {
                self.counts.push((event.value, self.was_stored));
                self.was_stored = false;
            }
            EventKind::Store if event.structure == Structure::UserData && is_count => {
                self.was_stored = true;
            }
            _ => {}
        }
    }
}

/// Who changes the count.
#[derive(Clone, Copy, Debug)]
enum Changer {
    /// Another process, in a shared section.
    Process,
    /// Another thread of the process that asks, in its own memory.
    Thread,
}

/// One who asks the driver for copies of a string, and one who changes its count all the while.
fn raced(function: u64, changer: Changer, schedule: u64) -> (Rest, Fetches) {
    let code = control_code(function, METHOD_NEITHER, 0);
    let first = control_code(driver::COPY, METHOD_NEITHER, 0);
    let (at, device) = match changer {
        Changer::Process => (address::USER_VIEWS, 8),
        Changer::Thread => (address::USER_HEAP, 4),
    };
    let copy = |code| call(service::DEVICE_CONTROL, &[device, code, at, 208, 0, 0]);
    let store = |value| Action::StoreThrough { slot: 1, word: 0, value };
    let open = || match changer {
        Changer::Process => vec![
            Action::OpenSection { section: 0, access: 3, slot: 0 },
            Action::MapView { slot: 0, view: 1 },
            store(SMALL),
        ],
        Changer::Thread => vec![Action::Allocate { slot: 1 }, store(SMALL)],
    };
    let mut asks = open();
    asks.push(Action::Open { device: "buffers".into(), file: 0, access: 3, slot: 2 });
    // The block that is copied into is free again, with something behind it, before it matters.
    asks.push(copy(first));
    asks.push(Action::CreateEvent { slot: 3 });
    let applications = match changer {
        Changer::Process => {
            asks.extend((0..8).map(|_| copy(code)));
            let mut flips = open();
            flips.extend(vec![Action::Yield; 4]);
            flips.extend([LARGE, SMALL].into_iter().cycle().take(48).map(store));
            vec![asks, flips]
        }
        Changer::Thread => {
            asks.push(Action::CreateThread { first: 15, slot: 4 });
            asks.extend((0..8).map(|_| copy(code)));
            asks.push(Action::Exit { status: 0 });
            assert_eq!(asks.len(), 15);
            asks.extend([store(LARGE), store(SMALL), Action::Repeat { first: 15, times: 0 }]);
            vec![asks]
        }
    };
    let driver = Principal(2 + u8::try_from(applications.len()).expect("two"));
    let mut configuration = in_turn(applications, 0);
    configuration.components.push(Component {
        home: Home::KernelDriver,
        driver: Some("buffers".to_owned()),
        ..application("buffers", vec![])
    });
    configuration.machine.processors = 2;
    configuration.schedule = schedule;
    let mut world = World::build(&configuration).expect("it can be built");
    let mut fetches = Fetches { driver, at, counts: Vec::new(), was_stored: false };
    let rest = world.run(&mut fetches, u64::MAX);
    (rest, fetches)
}

/// Looks at some schedules.
#[track_caller]
fn look(changer: Changer) {
    let (mut overflows, mut races) = (0, 0);
    for schedule in 0..60 {
        let (rest, fetches) = raced(driver::COPY_TWICE, changer, schedule);
        // From the second request on, fetches that passed the check come in pairs.
        let mut counts = fetches.counts.iter().skip(1);
        let mut is_raced = false;
        while let Some(&(checked, _)) = counts.next() {
            if checked > driver::CAPACITY {
                continue;
            }
            let &(used, was_stored) = counts.next().expect("what was checked is used");
            assert!(used == checked || was_stored, "a count does not change by itself");
            is_raced |= used > driver::CAPACITY;
        }
        races += u64::from(is_raced);
        overflows += u64::from(rest == Rest::BugCheck(code::BAD_POOL_HEADER));
        assert_eq!(rest == Rest::Quiescent, !is_raced, "schedule {schedule}: {rest:?}");

        let (rest, _) = raced(driver::COPY, changer, schedule);
        assert_eq!(rest, Rest::Quiescent, "schedule {schedule}");
    }
    assert!(races > 0, "some schedule has the change in between");
    assert_eq!(overflows, races, "each overflow is found when its block is freed");
}

#[test]
fn only_a_change_between_check_and_use_overflows_and_only_where_the_count_is_fetched_twice() {
    look(Changer::Process);
}

#[test]
fn a_second_thread_of_the_caller_changes_it_as_another_process_does() {
    look(Changer::Thread);
}
