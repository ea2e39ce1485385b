//! Direct requests to a driver at each of its homes: in kernel mode it has the caller's memory, in a host a copy.
//!
//! Expected behaviour is from "Managing Buffer Access Methods in UMDF Drivers" (a buffer that fills no page is
//! copied), "Buffer Descriptions for I/O Control Codes" and "How UMDF Handles Driver Failures".

mod worlds;

use ringfence::base::{Event, EventKind, PhysAddr, VirtAddr, Witness};
use ringfence::campaign::Trial;
use ringfence::campaign::comparison::{Cell, Comparison};
use ringfence::injection::PointKind;
use ringfence::kernel::layout::{address, kernel_data};
use ringfence::kernel::request::{
    METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_NEITHER, METHOD_OUT_DIRECT, control_code,
};
use ringfence::kernel::{service, status};
use ringfence::machine::processor::mix;
use ringfence::outcome::{Availability, Class, Victim};
use ringfence::scenario::{Scenario, Variation, home::Moved};
use ringfence::world::components::buffer_driver as driver;
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};
use worlds::{application, driver as component, fault, sees_the_same, struck, trial};

/// A page of a process's own; the words that applications store are there.
const BUFFER: u64 = address::USER_BUFFERS + 0x400;
const OK: u64 = status::SUCCESS;
const HOMES: [Home; 3] = [Home::KernelDriver, Home::DriverHost, Home::SharedDriver];

/// Asks the driver, whose handle is the first: this first buffer, and this second one.
fn ask(function: u64, method: u64, first: (u64, u64), second: (u64, u64)) -> Action {
    let code = control_code(function, method, 0);
    Action::SystemCall {
        service: u8::try_from(service::DEVICE_CONTROL).expect("few services"),
        arguments: vec![4, code, first.0, first.1, second.0, second.1],
    }
}

fn fill(bytes: u64) -> Action {
    ask(driver::FILL, METHOD_OUT_DIRECT, (0, 0), (BUFFER, bytes))
}

fn check(first: u64, bytes: u64) -> Action {
    let there = if first == 0 { 0 } else { BUFFER + 0x200 };
    ask(driver::CHECK, METHOD_IN_DIRECT, (there, first), (BUFFER, bytes))
}

fn tell() -> Action {
    ask(driver::TELL, METHOD_BUFFERED, (0, 0), (BUFFER + 0x100, 8))
}

/// An application that does this with the driver at that home, and another beside it.
fn at(home: Home, actions: Vec<Action>) -> Scenario {
    let open = Action::Open { device: "buffers".into(), file: 0, access: 3, slot: 0 };
    let components: Vec<Component> = vec![
        application("asker", [vec![open], actions].concat()),
        application("other", vec![Action::Store { word: 0, value: 9 }, Action::Load { word: 0 }]),
        component("buffers", Home::KernelDriver, "buffers", None),
    ];
    let kernel = Configuration { components, ..Configuration::default() };
    let configuration = Moved::to(&kernel, "buffers", home).expect("it moves").world;
    Scenario { name: "direct".into(), configuration, ..Scenario::default() }
}

/// What the asker saw of each request, status and bytes, and how many loans there still are in the end.
#[derive(Default)]
struct Seen {
    all: Vec<(u64, u64)>,
    lent: i64,
}

impl Witness for Seen {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Observe if event.context.0 == 2 => self.all.push((event.old, event.virt)),
            EventKind::Lend => self.lent += 1,
            EventKind::Reclaim => self.lent -= 1,
            _ => {}
        }
    }
}

/// Runs a world to its end; what the asker saw after its open.
fn seen(scenario: &Scenario) -> Vec<(u64, u64)> {
    let mut world = World::build(&scenario.configuration).expect("a sound world");
    let mut seen = Seen::default();
    assert_eq!(world.run(&mut seen, u64::MAX), Rest::Quiescent);
    assert_eq!(seen.lent, 0, "what was lent is taken back");
    seen.all.split_off(1)
}

fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(0, mix)
}

fn filled(words: u64) -> u64 {
    hash((0..words).map(|number| driver::REPORTED[0] + number * 8))
}

#[test]
fn a_driver_fills_its_caller_s_buffer_at_each_home() {
    for home in HOMES {
        let world = at(home, vec![fill(64), Action::Load { word: 7 }, fill(256), fill(20)]);

        let seen = seen(&world);

        assert_eq!(seen[0], (OK, filled(8)), "{home:?}");
        assert_eq!(seen[1].1, driver::REPORTED[0] + 56, "{home:?}");
        assert_eq!(seen[2], (OK, filled(32)), "{home:?}");
        assert_eq!(seen[3].0, OK, "{home:?}");
        let outcome = trial(&world).run(&[]).expect("nothing is planned");
        assert_eq!(outcome.guarantees, [""; 0], "{home:?}");
    }
}

#[test]
fn a_driver_reads_its_caller_s_buffer_at_each_home_whatever_is_in_the_other() {
    let store = |word, value| Action::Store { word, value };
    for home in HOMES {
        for (first, bytes, sum) in [(0, 16, 11), (5, 24, 18), (256, 256, 18), (8, 8, 5)] {
            let actions = vec![store(0, 5), store(1, 6), store(2, 7), check(first, bytes), tell()];

            let seen = seen(&at(home, actions));

            assert_eq!(seen[3].0, OK, "{home:?} {first} {bytes}");
            assert_eq!(seen[4], (OK, hash([sum])), "{home:?} {first} {bytes}");
        }
    }
}

#[test]
fn a_buffer_on_no_page_is_refused_before_any_driver_sees_it_and_neither_by_the_reflector() {
    for home in HOMES {
        let unmapped = ask(driver::FILL, METHOD_OUT_DIRECT, (0, 0), (BUFFER + 4096, 16));
        let report = ask(driver::REPORT, METHOD_NEITHER, (0, 0), (BUFFER, 16));

        let seen = seen(&at(home, vec![unmapped, report, fill(8)]));

        let expected = if home == Home::KernelDriver { OK } else { status::INVALID_DEVICE_REQUEST };
        let statuses: Vec<u64> = seen.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [status::ACCESS_VIOLATION, expected, OK], "{home:?}");
    }
}

#[test]
fn what_the_driver_refuses_it_refuses_at_each_home() {
    for home in HOMES {
        let ask = |function, method, bytes| ask(function, method, (0, 0), (BUFFER, bytes));
        let refused = vec![
            fill(0),
            check(0, 0),
            ask(driver::TELL, METHOD_BUFFERED, 4),
            ask(driver::UNLOCK, METHOD_BUFFERED, 8),
            ask(driver::FILL, METHOD_IN_DIRECT, 8),
            ask(driver::FILL, METHOD_BUFFERED, 8),
            fill(8),
        ];

        let statuses: Vec<u64> =
            seen(&at(home, refused)).iter().map(|(status, _)| *status).collect();

        let (short, unknown) = (status::INVALID_PARAMETER, status::INVALID_DEVICE_REQUEST);
        assert_eq!(statuses, [short, short, short, unknown, unknown, unknown, OK], "{home:?}");
    }
}

/// A world with words behind the buffer that the driver may use, which nobody asked it to touch.
fn with_words_behind(home: Home) -> Scenario {
    let words = (8..32).map(|word| Action::Store { word, value: u64::from(word) + 1 });
    let mut actions: Vec<Action> = words.collect();
    actions.push(fill(64));
    at(home, actions)
}

/// What each of a driver's stores to its caller's buffer comes to when it goes further on.
fn overruns(home: Home) -> Vec<Victim> {
    let mut trial = trial(&with_words_behind(home));
    let name = Moved::to(&with_words_behind(Home::KernelDriver).configuration, "buffers", home);
    let name = name.expect("it moves");
    let who = ringfence::scenario::home::runs_in(&name.world, &name.component).to_owned();
    let mut victims = Vec::new();
    // Its frame, the sum, and of each of the eight words the count and the word.
    for nth in 1..=22 {
        let parameters = "operator = 'offset'\noffset = '0x40'";
        let mut wild = fault("wild-write", &who, PointKind::Store, nth, parameters);
        wild.at.routine = Some("BufferWords".to_owned());
        let outcome = trial.run(&[wild]).expect("a fault that can be made");
        assert_eq!(outcome.guarantees, [""; 0], "{home:?} store {nth}");
        assert!(outcome.activation.strikes > 0, "{home:?} store {nth}");
        assert!(home == Home::KernelDriver || sees_the_same(&trial, "other"), "{home:?} {nth}");
        victims.extend(outcome.victims);
        trial.rewind();
    }
    victims
}

#[test]
fn wild_writes_of_a_host_reach_its_copy_and_of_a_driver_its_caller() {
    assert!(overruns(Home::KernelDriver).contains(&Victim::AnotherProcess));
    for home in [Home::DriverHost, Home::SharedDriver] {
        let victims = overruns(home);
        assert!(!victims.contains(&Victim::AnotherProcess), "{home:?} {victims:?}");
        assert!(!victims.contains(&Victim::Kernel), "{home:?} {victims:?}");
    }
}

#[test]
fn the_same_faults_of_a_direct_driver_are_compared_by_home() {
    let scenario = with_words_behind(Home::KernelDriver);
    let names = ["home=kernel", "home=shared-host", "home=own-host"];
    let compared = Comparison {
        scenario: Some(scenario),
        component: Some("buffers".to_owned()),
        experiments: 60,
        seeds: (0..2).into(),
        kinds: vec!["wild-write".to_owned()],
        ..Comparison::of(names.map(|name| Variation::read(name).expect("a variation")))
    };

    let compared = compared.run(|_| {}).unwrap_or_else(|error| panic!("{error}"));

    let count = |column: usize, class| compared.columns[column].total.of(Cell::Class(class));
    for (column, name) in names.iter().enumerate() {
        let total = &compared.columns[column].total;
        assert!(total.struck > 0, "{name}");
        assert_eq!(compared.columns[column].golden_violations, 0, "{name}");
        assert_eq!(count(column, Class::BugCheck) > 0, column == 0, "{name}");
    }
    assert_eq!(compared.violations(), 0);
    assert!(compared.pairs[1].moves.iter().chain(&compared.pairs[2].moves).count() > 0);
}

#[test]
fn a_host_that_is_lost_gives_its_request_back_and_the_memory_with_it() {
    for (home, host) in [(Home::DriverHost, "buffers-host"), (Home::SharedDriver, "shared-host")] {
        let world = at(
            home,
            vec![Action::Store { word: 1, value: 77 }, fill(64), Action::Load { word: 1 }],
        );
        let mut trial = trial(&world);
        let mut crash = fault("crash", host, PointKind::Store, 3, "");
        crash.at.routine = Some("BufferWords".to_owned());

        let outcome = struck(&mut trial, crash);

        assert_eq!(outcome.guarantees, [""; 0], "{home:?}");
        assert!(!matches!(outcome.availability, Availability::BugCheck { .. }), "{outcome:?}");
        let seen = observed(&trial);
        assert_eq!(seen[2].0, status::DRIVER_PROCESS_TERMINATED, "{home:?}");
        assert_eq!(seen[3].1, 77, "{home:?}: nothing was copied back");
    }
}

#[test]
fn without_room_to_map_its_buffer_a_request_fails_and_the_host_takes_the_next() {
    let scenario = at(Home::DriverHost, vec![fill(64), tell()]);
    let mut world = World::build(&scenario.configuration).expect("a sound world");
    let mappings = VirtAddr(address::KERNEL_DATA + kernel_data::MDL_MAPPINGS.offset);
    let at = world.machine.locate(0, mappings).and_then(PhysAddr::new).expect("in memory");
    world.machine.memory.write(at, 0xff);
    let mut seen = Seen::default();

    assert_eq!(world.run(&mut seen, u64::MAX), Rest::Quiescent);

    let statuses: Vec<u64> = seen.all.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [OK, status::INSUFFICIENT_RESOURCES, OK]);
}

/// What the asker saw in the last run: the statuses and bytes.
fn observed(trial: &Trial) -> Vec<(u64, u64)> {
    let who = worlds::named(trial, "asker");
    let seen = trial.judge.authority.observations().of(who).expect("the asker");
    seen.first().iter().map(|one| (one.status, one.bytes)).collect()
}
