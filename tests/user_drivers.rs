//! User-mode drivers that share a host, and the driver manager that decides what becomes of it.
//!
//! Expected behaviour is from "Using Device Pooling in UMDF Drivers" and "How UMDF Handles Driver
//! Failures".

mod worlds;

use std::collections::BTreeSet;

use ringfence::base::{Event, EventKind, Seed, Structure, Witness};
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Series, SeriesOptions, Trial};
use ringfence::injection::PointKind;
use ringfence::kernel::{service, status};
use ringfence::outcome::Availability;
use ringfence::scenario::home::at_home;
use ringfence::scenario::{Scenario, Vocabulary, library};
use ringfence::world::{Action, Component, Configuration, CrashKind, Home, Rest, World};

/// What happened that the outside can tell, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Note {
    /// A process saw the status of its request to a device.
    Status(u8, u64),
    /// A request was completed because its host was lost.
    Completed,
    /// A process ended.
    Ended(u8),
    /// A host was made again.
    Restarted(u8),
    /// A device was given up.
    Disabled(u64),
    /// A process looked whether an event came, and whether one had.
    Event(u8, bool),
    /// Applications were told of a device.
    Told(u64),
    /// The stack of a device was torn down and restarted.
    Anew(u64),
}

#[derive(Default)]
struct Notes {
    all: Vec<Note>,
    /// Whether completions are noted too.
    with_completions: bool,
}

impl Witness for Notes {
    fn event(&mut self, event: &Event) {
        let note = match event.kind {
            // Of a job whose open fails, that is the status.
            EventKind::Observe if event.value >> 8 == service::OPEN_FILE && event.old != 0 => {
                Note::Status(event.context.0, event.old)
            }
            EventKind::Observe if event.value >> 8 == service::DEVICE_CONTROL => match event.old {
                status::INVALID_HANDLE => return,
                status => Note::Status(event.context.0, status),
            },
            EventKind::Observe if event.value >> 8 == service::DEVICE_EVENT => {
                Note::Event(event.context.0, event.old == status::SUCCESS)
            }
            EventKind::HostProblemTold => Note::Told(event.value),
            EventKind::StackRestarted => Note::Anew(event.value),
            EventKind::ProcessEnded => Note::Ended(event.subject.0),
            EventKind::HostRestarted => Note::Restarted(event.subject.0),
            EventKind::DeviceDisabled => Note::Disabled(event.value),
            EventKind::BugCheck => panic!("a user-mode driver never stops the machine"),
            EventKind::Store if self.with_completions && is_loss(event) => Note::Completed,
            _ => return,
        };
        self.all.push(note);
    }
}

/// Whether a store is of the status that says that a host was lost, in a request packet.
fn is_loss(event: &Event) -> bool {
    event.structure == Structure::RequestPacket && event.value == LOST
}

fn component(name: &str, home: Home, driver: Option<&str>, above: Option<&str>) -> Component {
    let (driver, above) = (driver.map(Into::into), above.map(Into::into));
    Component { driver, above, ..Component::new(name, home) }
}

fn open(device: &str) -> Action {
    Action::Open { device: device.into(), file: 0, access: 3, slot: 0 }
}

/// A process that opens the device for each job.
fn client(name: &str, device: &str, jobs: Vec<Action>) -> Component {
    let each = jobs.into_iter().map(|job| match job {
        Action::Control { .. } => vec![open(device), job, Action::Close { slot: 0 }],
        _ => vec![job],
    });
    keeping(name, each.flatten().collect())
}

/// A process that does what is said, with the handles it has.
fn keeping(name: &str, actions: Vec<Action>) -> Component {
    Component { actions, ..component(name, Home::Application, None, None) }
}

/// A job whose header names all that is sent.
fn sound(number: usize) -> Vec<Action> {
    vec![Action::Control { slot: 0, code: 0x22_0000, length: 32, value: 0x100 }; number]
}

/// A job whose header names less than is sent.
fn malformed(number: usize) -> Vec<Action> {
    vec![Action::Control { slot: 0, code: 0x22_0000, length: 64, value: 0x8 }; number]
}

// Principals by place: clients 2 and 3, reflectors 4 and 5, then these.
const FIRST: u8 = 2;
const SECOND: u8 = 3;
const SHARED: u8 = 6;
const OWN_SECOND: u8 = 8;

fn world(first: Vec<Action>, second: Vec<Action>, with_manager: bool) -> Configuration {
    let mut components = vec![
        client("first", "printer-1", first),
        client("second", "printer-2", second),
        component("printer-1", Home::KernelDriver, Some("reflector"), None),
        component("printer-2", Home::KernelDriver, Some("reflector"), None),
        component("shared", Home::SharedHost, Some("scanner"), None),
        component("own-1", Home::SharedDriver, Some("scanner"), Some("printer-1")),
        component("own-2", Home::SharedDriver, Some("scanner"), Some("printer-2")),
    ];
    if with_manager {
        components.push(component("manager", Home::DriverManager, None, None));
    }
    Configuration { components, ..Configuration::default() }
}

fn run(configuration: &Configuration) -> (Rest, Vec<Note>) {
    let scenario = Scenario {
        name: "user-drivers".into(),
        configuration: configuration.clone(),
        ..Scenario::default()
    };
    Scenario::from_toml("user-drivers", &scenario.to_toml(), &Vocabulary::default())
        .unwrap_or_else(|problems| panic!("{problems}"));
    run_with(configuration, Notes::default())
}

fn run_with(configuration: &Configuration, mut notes: Notes) -> (Rest, Vec<Note>) {
    let mut world = World::build(configuration).expect("a sound configuration");
    let rest = world.run(&mut notes, u64::MAX);
    (rest, notes.all)
}

fn statuses(notes: &[Note], of: u8) -> Vec<u64> {
    let of = notes.iter().filter_map(|note| match note {
        Note::Status(who, status) if *who == of => Some(*status),
        _ => None,
    });
    of.collect()
}

fn count(notes: &[Note], what: impl Fn(&Note) -> bool) -> usize {
    notes.iter().filter(|note| what(note)).count()
}

const LOST: u64 = status::DRIVER_PROCESS_TERMINATED;
const GONE: u64 = status::DEVICE_REMOVED;

#[test]
fn one_host_serves_several_devices() {
    let (rest, notes) = run(&world(sound(3), sound(3), true));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!((statuses(&notes, FIRST), statuses(&notes, SECOND)), (vec![0; 3], vec![0; 3]));
    assert_eq!(count(&notes, |note| matches!(note, Note::Restarted(_) | Note::Disabled(_))), 0);
}

#[test]
fn the_first_failure_in_a_shared_host_restarts_it_for_all() {
    let (rest, notes) = run(&world(sound(6), [malformed(1), sound(2)].concat(), true));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(statuses(&notes, SECOND), [LOST, 0, 0]);
    assert_eq!(count(&notes, |note| *note == Note::Ended(SHARED)), 1);
    assert_eq!(count(&notes, |note| *note == Note::Restarted(SHARED)), 1);
    let first = statuses(&notes, FIRST);
    assert!(first.iter().all(|status| matches!(*status, 0 | LOST)), "{first:x?}");
    assert_eq!(first.last(), Some(&0), "the neighbour's device works again");
}

#[test]
fn the_second_failure_gives_the_device_a_host_of_its_own() {
    let (rest, notes) = run(&world(sound(2), [malformed(3), sound(1)].concat(), true));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(statuses(&notes, SECOND), [LOST, LOST, LOST, 0]);
    assert_eq!(count(&notes, |note| *note == Note::Ended(SHARED)), 2);
    assert_eq!(count(&notes, |note| *note == Note::Ended(OWN_SECOND)), 1, "the third is its own");
    assert_eq!(count(&notes, |note| *note == Note::Restarted(SHARED)), 2, "without the device too");
    assert_eq!(count(&notes, |note| *note == Note::Restarted(OWN_SECOND)), 2);
}

#[test]
fn a_device_in_a_host_of_its_own_is_restarted_five_times_and_then_given_up() {
    let (rest, notes) = run(&world(sound(1), malformed(10), true));

    assert_eq!(rest, Rest::Quiescent);
    // Two in the shared host; then the first and five restarts of its own. One more is lost when it is
    // asked for between the last end and the verdict.
    let statuses = statuses(&notes, SECOND);
    let lost = statuses.iter().take_while(|status| **status == LOST).count();
    assert!(matches!(lost, 8 | 9), "{statuses:x?}");
    assert_eq!(statuses[lost..], vec![GONE; 10 - lost]);
    assert_eq!(count(&notes, |note| matches!(note, Note::Disabled(_))), 1);
    assert_eq!(count(&notes, |note| *note == Note::Restarted(OWN_SECOND)), 6);
}

#[test]
fn a_device_in_a_host_of_its_own_takes_nobody_with_it() {
    let patient: Vec<Action> = core::iter::repeat_n(Action::Yield, 20).chain(sound(8)).collect();
    let mut found = false;
    for schedule in 0..6 {
        let mut configuration = world(patient.clone(), malformed(5), true);
        configuration.schedule = schedule;
        let (_, notes) = run(&configuration);
        let own = notes.iter().position(|note| *note == Note::Ended(OWN_SECOND));
        let Some(own) = own else { continue };
        found |= statuses(&notes[own..], FIRST).contains(&0);
        assert_eq!(count(&notes[own..], |note| *note == Note::Ended(SHARED)), 0);
    }

    assert!(found, "somebody used the neighbour's device meanwhile");
}

#[test]
fn without_a_manager_nobody_starts_a_host() {
    let (rest, notes) = run(&world(sound(4), [malformed(1), sound(1)].concat(), false));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(statuses(&notes, SECOND), [LOST, GONE]);
    assert_eq!(count(&notes, |note| matches!(note, Note::Disabled(_))), 2, "all of them");
    assert_eq!(count(&notes, |note| matches!(note, Note::Restarted(_))), 0);
}

#[test]
fn an_error_may_come_before_or_after_the_restart() {
    let (mut before, mut after) = (0, 0);
    for schedule in 0..8 {
        let mut configuration = world(vec![], malformed(1), true);
        configuration.schedule = schedule;
        let (_, notes) = run(&configuration);
        let restarted = notes.iter().position(|note| matches!(note, Note::Restarted(_)));
        let told = notes.iter().position(|note| matches!(note, Note::Status(SECOND, LOST)));
        if told < restarted { before += 1 } else { after += 1 }
    }

    assert!(before > 0 && after > 0, "{before} before, {after} after");
}

#[test]
fn an_application_that_dies_takes_no_host_with_it() {
    let crash = Action::Crash { how: CrashKind::NullDereference };
    let (rest, notes) = run(&world([sound(1), vec![crash]].concat(), sound(4), true));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(statuses(&notes, SECOND), [0; 4]);
    assert_eq!(count(&notes, |note| *note == Note::Ended(SHARED)), 0);
}

#[test]
fn a_shared_driver_without_a_host_is_said_so() {
    let mut configuration = world(vec![], vec![], true);
    configuration.components.remove(4);
    let scenario = Scenario { name: "alone".into(), configuration, ..Scenario::default() };

    let said = Scenario::from_toml("alone", &scenario.to_toml(), &Vocabulary::default());

    let said = said.expect_err("it has no host").to_string();
    assert!(said.contains("shares a host that is not there"), "{said}");
}

#[test]
fn faults_in_a_shared_host_or_the_manager_are_contained() {
    for kinds in [["crash", "wild-write"], ["overrun", "replaced-step"]] {
        let mut struck = 0;
        for schedule in 0..3 {
            let mut configuration = world(sound(4), sound(4), true);
            configuration.schedule = schedule;
            let scenario = Scenario { name: "shared".into(), configuration, ..Scenario::default() };
            let options = SeriesOptions {
                experiments: 24,
                seed: Seed(schedule),
                kinds: kinds.map(str::to_owned).to_vec(),
                errors: 1,
                only: None,
            };
            let series = Series::new(&scenario, &options, &Registries::default()).expect("sound");
            assert_eq!(series.trial().golden.violations, []);
            series
                .run(|_, case| {
                    struck += case.outcome.activation.strikes;
                    assert_eq!(case.outcome.guarantees, [""; 0], "{:?}", case.plan);
                })
                .expect("faults that can be made");
        }
        assert!(struck > 0, "{kinds:?}");
    }
}

#[test]
fn a_host_that_takes_the_place_of_another_waits_for_work_and_hangs_nobody() {
    // The driver crashes by itself once; after the second crash it gets a host of its own.
    let file = library::find("I11").expect("it is built in");
    let incident = Scenario::from_toml("I11", file.text, &Vocabulary::default());
    let incident = incident.unwrap_or_else(|problems| panic!("{problems}"));
    let configuration = at_home(&incident.configuration, "printer-2", Home::SharedDriver);
    let mut configuration = configuration.expect("a driver that may move");
    configuration.components.push(Component {
        home: Home::DriverManager,
        ..worlds::application("driver-manager", vec![])
    });
    let scenario = Scenario { name: "moved".into(), configuration, ..Scenario::default() };
    let mut trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");
    let own = trial.roster().named("printer-2-host").expect("a host to come");

    let mut moved = 0;
    for nth in 1..=12 {
        let mut crash = worlds::fault("crash", "shared-host", PointKind::Load, nth, "");
        crash.at.routine = Some("HostedScannerProcess".to_owned());
        let outcome = trial.run(&[crash]).expect("a fault that can be made");

        assert_eq!(outcome.guarantees, [""; 0], "load {nth}");
        moved += u32::from(trial.judge.authority.alive().contains(own));
        trial.rewind();
    }

    assert!(moved > 0, "no crash was the second");
}

#[test]
fn a_printer_driver_takes_along_what_lives_with_it() {
    let file = library::find("I11").expect("it is built in");
    let incident = Scenario::from_toml("I11", file.text, &Vocabulary::default());
    let incident = incident.unwrap_or_else(|problems| panic!("{problems}"));
    let of = |name: &str| {
        let contrast = incident.contrasts.iter().find(|contrast| contrast.name == name);
        let contrast = contrast.unwrap_or_else(|| panic!("{name}"));
        let home = contrast.of(&incident).expect("it was checked when it was read");
        let (rest, notes) = run(&home.configuration);
        assert_eq!(rest, Rest::Quiescent, "{name}");
        [2, 3, 4].map(|client| statuses(&notes, client))
    };

    let [first, second, third] = of("all in the spooler");
    assert_eq!((first.last(), third.last()), (Some(&GONE), Some(&GONE)), "all printing is lost");
    assert_eq!(second, [LOST, GONE]);
    let [first, second, third] = of("in a shared host");
    assert_eq!(first, [0, 0], "its host is another");
    // It had opened the device when the host that it shares was lost.
    let removed = status::DELETE_PENDING;
    assert_eq!(third, [removed, 0], "the host that is lost is started again");
    assert_eq!(second, [LOST, 0]);
    let [first, second, third] = of("each in a host of its own");
    assert_eq!((first, third), (vec![0, 0], vec![0, 0]), "nobody else is lost");
    assert_eq!(second, [LOST, 0]);
}

#[test]
fn in_whatever_order_things_happen_a_device_that_is_given_up_answers() {
    let mut between = 0;
    for schedule in 0..64 {
        let mut world = Configuration { schedule, ..world(sound(1), malformed(10), true) };
        // Who asks for the device anew has others before the manager.
        let busy = |number| keeping(&format!("busy-{number}"), vec![Action::Yield; 60]);
        world.machine.processors = 1;
        world.components.extend((0..schedule % 4).map(busy));

        let (rest, notes) = run(&world);

        let statuses = statuses(&notes, SECOND);
        let lost = statuses.iter().take_while(|status| **status == LOST).count();
        assert_eq!(rest, Rest::Quiescent, "{schedule}");
        assert_eq!(statuses.len(), 10, "{schedule}: {statuses:x?}");
        assert!(statuses[lost..].iter().all(|status| *status == GONE), "{schedule}: {statuses:x?}");
        between += usize::from(lost == 9);
    }
    assert!(between > 0, "nobody asked between the last end and the verdict");
}

#[test]
fn a_manager_that_ends_before_it_has_decided_leaves_nobody_waiting() {
    for schedule in 0..8 {
        let mut configuration = world(sound(4), [malformed(1), sound(1)].concat(), true);
        configuration.schedule = schedule;
        let scenario = Scenario { name: "undecided".into(), configuration, ..Scenario::default() };
        let mut trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");
        // The first thing it loads by itself is the count of the failure that it was told of.
        let mut crash = worlds::fault("crash", "manager", PointKind::Load, 1, "");
        crash.at.routine = Some("driver-manager".to_owned());

        let outcome = worlds::struck(&mut trial, crash);

        assert_eq!(outcome.guarantees, [""; 0], "{schedule}");
        assert_eq!(outcome.availability, Availability::DeviceDisabled, "{schedule}");
    }
}

#[test]
fn no_answer_of_a_host_stops_a_machine_that_verifies_completions() {
    let text = library::find("standard").expect("built in").text;
    let mut world = Scenario::from_bytes(text.as_bytes()).expect("sound");
    world.configuration.machine.verifier = vec!["io".to_owned()];
    let kinds = vec!["boundary-value-as-argument".to_owned()];
    let options = SeriesOptions { experiments: 1_500, seed: Seed(3), kinds, errors: 1, only: None };
    let (mut struck, mut stopped) = (0, Vec::new());

    let ran = Series::new(&world, &options, &Registries::default()).and_then(|series| {
        series.run(|_, case| {
            if case.plan.who == "sensor" && case.outcome.activation.strikes > 0 {
                struck += 1;
                stopped.extend((!case.outcome.guarantees.is_empty()).then_some(case.number));
            }
        })
    });

    assert!(ran.is_ok() && struck > 100, "{struck} struck");
    assert!(stopped.is_empty(), "{stopped:?}");
}

/// A world of one client and one device in a host of its own.
fn alone(schedule: u64, actions: Vec<Action>) -> Configuration {
    let components = vec![
        keeping("client", actions),
        component("printer-1", Home::KernelDriver, Some("reflector"), None),
        component("own", Home::DriverHost, Some("scanner"), Some("printer-1")),
    ];
    Configuration { components, schedule, ..Configuration::default() }
}

#[test]
fn an_old_handle_reaches_no_new_host_and_holds_up_the_restart_of_the_stack() {
    let again = [open("printer-1"), sound(1).remove(0)];
    let close = Action::Close { slot: 1 };
    // Two handles; the second is opened in slot 1.
    let Action::Open { device, file, access, .. } = open("printer-1") else { unreachable!() };
    let second = Action::Open { device, file, access, slot: 1 };
    let old = [vec![open("printer-1"), second], malformed(1), sound(2)].concat();
    let one_left = [vec![Action::Close { slot: 0 }], again.to_vec()].concat();
    let actions = [old, one_left, vec![close], again.to_vec()].concat();

    let (rest, notes) = run(&alone(0, actions));

    assert_eq!(rest, Rest::Quiescent);
    let removed = status::DELETE_PENDING;
    // Lost; twice through the old handle; an open while the other old one is there; then anew.
    assert_eq!(statuses(&notes, FIRST), [LOST, removed, removed, removed, 0]);
    let anew = notes.iter().position(|note| *note == Note::Anew(0));
    let works = notes.iter().position(|note| *note == Note::Status(FIRST, 0));
    assert!(anew.is_some() && anew < works, "{notes:x?}");
    assert_eq!(count(&notes, |note| matches!(note, Note::Anew(_))), 1);
    assert_eq!(count(&notes, |note| *note == Note::Restarted(4)), 1);
}

#[test]
fn the_end_of_who_has_old_handles_closes_them() {
    let patient = [vec![Action::Yield; 50], vec![open("printer-1")], sound(1)].concat();
    let careless = [vec![open("printer-1")], malformed(1), sound(1)].concat();
    let mut configuration = alone(0, careless);
    configuration.components.insert(1, keeping("patient", patient));

    let (rest, notes) = run(&configuration);

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(statuses(&notes, FIRST), [LOST, status::DELETE_PENDING]);
    assert_eq!(statuses(&notes, SECOND), [0]);
}

#[test]
fn what_follows_a_loss_comes_in_each_order_with_hosts_of_any_kind() {
    let (mut alone_in, mut among) = (BTreeSet::new(), BTreeSet::new());
    for schedule in 0..48 {
        let own = alone(schedule, [vec![open("printer-1")], malformed(1)].concat());
        let mut shared = world(vec![], malformed(1), true);
        shared.schedule = schedule;
        for (configuration, device, orders) in [(&own, 0, &mut alone_in), (&shared, 1, &mut among)]
        {
            let (rest, notes) =
                run_with(configuration, Notes { with_completions: true, ..Notes::default() });
            assert_eq!(rest, Rest::Quiescent);
            let first =
                |what: &dyn Fn(&Note) -> bool| notes.iter().position(what).expect("it came");
            let mut came = [
                (first(&|note| *note == Note::Completed), "completed"),
                (first(&|note| *note == Note::Told(device)), "told"),
                (first(&|note| matches!(note, Note::Restarted(_))), "restarted"),
            ];
            came.sort_unstable();
            orders.insert(came.map(|(_, what)| what));
        }
    }

    // Three things in any order.
    assert_eq!((alone_in.len(), among.len()), (6, 6));
}

#[test]
fn an_application_that_asked_is_told_once_of_each_loss() {
    let look = Action::DeviceEvent { slot: 0 };
    let anew = [Action::Close { slot: 0 }, open("printer-1"), look.clone()];
    let once = [vec![open("printer-1"), look.clone(), look.clone()], malformed(1)].concat();
    let actions = [once, vec![look.clone(), look.clone()], anew.to_vec(), vec![look]].concat();
    for schedule in 0..8 {
        let (rest, notes) = run(&alone(schedule, actions.clone()));

        assert_eq!(rest, Rest::Quiescent);
        let events = notes.iter().filter_map(|note| match note {
            Note::Event(_, came) => Some(*came),
            _ => None,
        });
        // Asks, none yet; the loss, and no other; a new handle asks anew.
        let events: Vec<bool> = events.collect();
        assert_eq!(events, [false, false, true, false, false, false], "{schedule}");
        assert_eq!(count(&notes, |note| *note == Note::Told(0)), 1, "{schedule}");
    }
}
