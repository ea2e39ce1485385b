//! What the event log says of user-mode drivers.
//!
//! Expected numbers and their order are from "How UMDF Handles Driver Failures" and "Using Device Pooling in
//! UMDF Drivers".

use ringfence::base::{Event, EventKind, PhysAddr, VirtAddr, Witness};
use ringfence::campaign::{Registries, Trial};
use ringfence::kernel::event_log::{ENTRIES, HOST_FAILED, NOT_RESTARTED, RESTARTED, UNTOLD, entry};
use ringfence::kernel::layout::{address, event_log};
use ringfence::scenario::{Scenario, Vocabulary};
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};

fn component(name: &str, home: Home, driver: Option<&str>, above: Option<&str>) -> Component {
    let (driver, above) = (driver.map(Into::into), above.map(Into::into));
    Component { driver, above, ..Component::new(name, home) }
}

/// A client whose jobs of a printer each make its driver crash.
fn client_of(printer: &str, crashes: usize) -> Component {
    let open = Action::Open { device: printer.into(), file: 0, access: 3, slot: 0 };
    let job = Action::Control { slot: 0, code: 0x22_0000, length: 64, value: 0x8 };
    let actions = vec![[open, job, Action::Close { slot: 0 }]; crashes].concat();
    Component {
        actions,
        ..component(&format!("client-of-{printer}"), Home::Application, None, None)
    }
}

fn client(crashes: usize) -> Component {
    client_of("printer-1", crashes)
}

fn logging(components: Vec<Component>) -> Configuration {
    let mut configuration = Configuration { components, ..Configuration::default() };
    configuration.machine.event_log = true;
    configuration
}

/// A driver in a host of its own.
fn own_host(crashes: usize) -> Configuration {
    logging(vec![
        client(crashes),
        component("printer-1", Home::KernelDriver, Some("reflector"), None),
        component("host", Home::DriverHost, Some("scanner"), Some("printer-1")),
    ])
}

/// Two devices whose drivers share a host.
fn shared_host(crashes: usize, with_manager: bool) -> Configuration {
    let mut configuration = logging(vec![
        client(crashes),
        component("printer-1", Home::KernelDriver, Some("reflector"), None),
        component("printer-2", Home::KernelDriver, Some("reflector"), None),
        component("shared", Home::SharedHost, Some("scanner"), None),
        component("own-1", Home::SharedDriver, Some("scanner"), Some("printer-1")),
        component("own-2", Home::SharedDriver, Some("scanner"), Some("printer-2")),
    ]);
    if with_manager {
        configuration.components.push(component("manager", Home::DriverManager, None, None));
    }
    configuration
}

/// What was told as it was written: event, device, restarts left.
#[derive(Default)]
struct Told(Vec<(u64, u64, u64)>);

impl Witness for Told {
    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::EventLogged {
            self.0.push((event.value, event.old, event.virt));
        }
    }
}

/// What was told, how many entries were written, and those that are in memory: first word and time.
type Log = (Vec<(u64, u64, u64)>, u64, Vec<(u64, u64)>);

/// Runs a world. What was told, and the log as it is in memory in the end: how many, and the entries.
fn run(configuration: &Configuration) -> Log {
    let mut world = World::build(configuration).expect("a sound configuration");
    let mut told = Told::default();
    assert_eq!(world.run(&mut told, u64::MAX), Rest::Quiescent);
    let word = |offset: u64| {
        let at = world.machine.locate(0, VirtAddr(address::KERNEL_DATA + offset)).expect("mapped");
        world.machine.memory.read(PhysAddr::new(at).expect("in memory"))
    };
    let entries = (0..ENTRIES).map(|number| {
        (word(event_log::ENTRY.offset + number * 16), word(event_log::TIME.offset + number * 16))
    });
    (told.0, word(event_log::COUNT.offset), entries.filter(|(entry, _)| *entry != 0).collect())
}

#[test]
fn each_loss_of_a_host_is_logged_with_what_became_of_its_device() {
    let (told, count, entries) = run(&own_host(8));

    let failed = |left| [(HOST_FAILED, 0, left), (RESTARTED, 0, UNTOLD)];
    let mut expected: Vec<_> = (1..=5).rev().flat_map(failed).collect();
    expected.extend([(HOST_FAILED, 0, 0), (NOT_RESTARTED, 0, UNTOLD)]);
    assert_eq!(told, expected);
    let in_memory: Vec<u64> =
        expected.iter().map(|&(event, device, left)| entry(event, device, left)).collect();
    assert_eq!(entries.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), in_memory);
    assert_eq!(count, 12);
    assert!(entries.is_sorted_by_key(|(_, time)| *time) && entries[0].1 > 0);
}

#[test]
fn a_host_that_devices_share_takes_all_of_them_offline() {
    let (told, ..) = run(&shared_host(1, true));

    // Nobody has the other device open, so that it is restarted with the host.
    let expected = [(HOST_FAILED, 0, UNTOLD), (RESTARTED, 1, UNTOLD), (RESTARTED, 0, UNTOLD)];
    assert_eq!(told, expected);

    let (told, ..) = run(&shared_host(1, false));

    let expected =
        [(HOST_FAILED, 0, UNTOLD), (NOT_RESTARTED, 0, UNTOLD), (NOT_RESTARTED, 1, UNTOLD)];
    assert_eq!(told, expected);
}

#[test]
fn a_device_is_logged_as_restarted_when_no_handle_to_its_old_stack_is_open() {
    for mut configuration in [own_host(1), shared_host(1, true)] {
        // Opens the device before its host is lost, and closes it long after.
        let open = Action::Open { device: "printer-1".into(), file: 0, access: 3, slot: 0 };
        let waits = vec![Action::Yield; 56];
        let actions = [vec![open], waits, vec![Action::Close { slot: 0 }]].concat();
        let watcher = component("watcher", Home::Application, None, None);
        configuration.components.insert(0, Component { actions, ..watcher });
        configuration.machine.processors = 1;

        let mut world = World::build(&configuration).expect("a sound configuration");
        let mut came = Came::default();
        assert_eq!(world.run(&mut came, u64::MAX), Rest::Quiescent);

        let first =
            |wanted: u64| came.0.iter().position(|&(what, device)| (what, device) == (wanted, 0));
        let [failed, made, anew, logged] = [HOST_FAILED, MADE, ANEW, RESTARTED].map(first);
        assert!(failed.is_some() && failed < made, "{:?}", came.0);
        assert!(made < anew && anew < logged, "{:?}", came.0);
        assert_eq!(came.0.iter().filter(|&&it| it == (RESTARTED, 0)).count(), 1);
    }
}

/// A host was made again; the stack of a device was restarted.
const MADE: u64 = 1;
const ANEW: u64 = 2;

/// What came, in order: an event of the log, [`MADE`] or [`ANEW`], and of which device.
#[derive(Default)]
struct Came(Vec<(u64, u64)>);

impl Witness for Came {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::EventLogged => self.0.push((event.value, event.old)),
            EventKind::HostRestarted => self.0.push((MADE, 0)),
            EventKind::StackRestarted => self.0.push((ANEW, event.value)),
            _ => {}
        }
    }
}

#[test]
fn a_host_of_its_own_takes_its_device_alone() {
    let (told, count, entries) = run(&shared_host(12, true));

    // Twice in the shared host, each time with three entries; then six times by itself.
    assert_eq!(told[..2], [(HOST_FAILED, 0, UNTOLD), (RESTARTED, 1, UNTOLD)]);
    let last = &told[6..];
    assert!(last.iter().all(|(_, device, _)| *device == 0), "{told:?}");
    assert_eq!(last.len(), 12);
    assert_eq!(last.last(), Some(&(NOT_RESTARTED, 0, UNTOLD)));
    assert_eq!((count, entries.len()), (18, 18));
}

#[test]
fn the_oldest_entries_are_overwritten() {
    let mut configuration = shared_host(12, true);
    configuration.components.insert(1, client_of("printer-2", 12));

    let (told, count, entries) = run(&configuration);

    assert_eq!(count, told.len() as u64);
    assert!(count > ENTRIES, "{count}");
    let kept = told.iter().rev().take(entries.len());
    let mut kept: Vec<u64> =
        kept.map(|&(event, device, left)| entry(event, device, left)).collect();
    let mut found: Vec<u64> = entries.iter().map(|(entry, _)| *entry).collect();
    kept.sort_unstable();
    found.sort_unstable();
    assert_eq!((found.len() as u64, found), (ENTRIES, kept));
}

#[test]
fn a_world_without_the_log_has_none() {
    let mut configuration = own_host(8);
    configuration.machine.event_log = false;

    let (told, count, entries) = run(&configuration);

    assert_eq!((told, count, entries), (vec![], 0, vec![]));
}

#[test]
fn the_log_is_within_the_kernel_s_books_and_a_scenario_can_have_it() {
    for configuration in [own_host(7), shared_host(9, true), shared_host(1, false)] {
        let scenario = Scenario { name: "logging".into(), configuration, ..Scenario::default() };
        let text = scenario.to_toml();
        let read = Scenario::from_toml("logging", &text, &Vocabulary::default());
        assert_eq!(read.expect("it is sound").configuration, scenario.configuration);

        let trial = Trial::new(&scenario, &Registries::default()).expect("its world builds");

        assert_eq!(trial.golden.violations, []);
        assert_eq!(trial.golden.rest, Rest::Quiescent);
    }
}
