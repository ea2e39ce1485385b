//! What of user-mode drivers' failures survives a reboot.
//!
//! Expected behaviour is from "Using Device Pooling in UMDF Drivers": a reboot puts devices into the pool again,
//! except those that failed in a host of their own.

mod worlds;

use ringfence::base::{Event, EventKind, Witness};
use ringfence::campaign::{Registries, Trial};
use ringfence::injection::PointKind;
use ringfence::kernel::host_record::SECTOR;
use ringfence::outcome::Integrity;
use ringfence::scenario::{Scenario, Vocabulary};
use ringfence::world::{Action, Component, Configuration, Home, Rest, World, components};

fn component(name: &str, home: Home, driver: Option<&str>, above: Option<&str>) -> Component {
    let (driver, above) = (driver.map(Into::into), above.map(Into::into));
    Component { driver, above, ..Component::new(name, home) }
}

/// A job that makes the driver crash.
const CRASHES: u64 = 0x8;
/// One that doesn't: as long as its header says.
const IS_FINE: u64 = 0x40;

fn jobs(of: &[(&str, u64)]) -> Vec<Action> {
    let each = of.iter().map(|&(printer, value)| {
        [
            Action::Open { device: printer.into(), file: 0, access: 3, slot: 0 },
            Action::Control { slot: 0, code: 0x22_0000, length: 64, value },
            Action::Close { slot: 0 },
        ]
    });
    each.flatten().collect()
}

// Principals by place.
const SHARED: u8 = 6;
const OWN_1: u8 = 7;
const OWN_2: u8 = 8;

/// Two printers whose drivers share a host, and a client that stops the system when it has sent its jobs: it
/// is critical and ends.
fn office(of_client: &[(&str, u64)]) -> Configuration {
    let actions = [jobs(of_client), vec![Action::Exit { status: 1 }]].concat();
    let client = component("client", Home::Application, None, None);
    Configuration {
        components: vec![
            Component { actions, critical: true, ..client },
            component("idle", Home::Application, None, None),
            component("printer-1", Home::KernelDriver, Some("reflector"), None),
            component("printer-2", Home::KernelDriver, Some("reflector"), None),
            component("shared", Home::SharedHost, Some("scanner"), None),
            component("own-1", Home::SharedDriver, Some("scanner"), Some("printer-1")),
            component("own-2", Home::SharedDriver, Some("scanner"), Some("printer-2")),
            component("manager", Home::DriverManager, None, None),
        ],
        ..Configuration::default()
    }
}

/// The processes that ended, and the devices that were said to be kept.
#[derive(Default, PartialEq, Eq, Debug)]
struct Seen {
    ended: Vec<u8>,
    kept: Vec<u64>,
}

impl Witness for Seen {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::ProcessEnded => self.ended.push(event.subject.0),
            EventKind::HostRecorded => self.kept.push(event.value),
            _ => {}
        }
    }
}

const CRITICAL_PROCESS_DIED: Rest = Rest::BugCheck(0xef);

/// Boots a world so many times; what was seen in each boot.
fn boots(configuration: &Configuration, number: usize) -> (World, Vec<Seen>) {
    let mut world = World::build(configuration).expect("a sound configuration");
    let mut all = Vec::new();
    for boot in 0..number {
        if boot > 0 {
            world.reboot();
        }
        let mut seen = Seen::default();
        assert_eq!(world.run(&mut seen, u64::MAX), CRITICAL_PROCESS_DIED, "boot {boot}");
        all.push(seen);
    }
    (world, all)
}

fn hosts(seen: &Seen) -> Vec<u8> {
    seen.ended.iter().copied().filter(|one| (SHARED..=OWN_2).contains(one)).collect()
}

const THRICE: &[(&str, u64)] = &[("printer-1", CRASHES); 3];

#[test]
fn a_device_that_failed_in_a_host_of_its_own_stays_out_of_the_pool_after_a_reboot() {
    let (world, seen) = boots(&office(THRICE), 3);

    assert_eq!(hosts(&seen[0]), [SHARED, SHARED, OWN_1], "twice in the pool, once alone");
    assert_eq!(hosts(&seen[1]), [OWN_1, OWN_1, OWN_1], "alone from the start");
    assert_eq!(hosts(&seen[2]), [OWN_1, OWN_1, OWN_1], "and so on");
    assert_eq!([&seen[0].kept[..], &seen[1].kept[..]], [&[0][..], &[]], "it is written once");
    assert_eq!(world.machine.disk.read(SECTOR, 0), Some(1));
}

#[test]
fn a_device_that_failed_only_while_it_shared_a_host_is_pooled_again() {
    let (world, seen) = boots(&office(&THRICE[1..]), 2);

    assert_eq!([hosts(&seen[0]), hosts(&seen[1])], [[SHARED, SHARED]; 2]);
    assert_eq!((&seen[0].kept, world.machine.disk.read(SECTOR, 0)), (&vec![], Some(0)));
}

#[test]
fn without_a_record_every_boot_shares_hosts_as_the_first() {
    let mut configuration = office(THRICE);
    configuration.machine.host_record = false;

    let (_, seen) = boots(&configuration, 2);

    assert_eq!([hosts(&seen[0]), hosts(&seen[1])], [[SHARED, SHARED, OWN_1]; 2]);
}

#[test]
fn restarts_are_counted_anew_after_a_reboot() {
    let seven = [("printer-1", CRASHES); 7];

    let (_, seen) = boots(&office(&seven), 2);

    assert_eq!(hosts(&seen[0]), [SHARED, SHARED, OWN_1, OWN_1, OWN_1, OWN_1, OWN_1]);
    assert_eq!(hosts(&seen[1]), [OWN_1; 6], "five restarts, and the sixth failure is the last");
}

#[test]
fn the_others_share_what_is_left_and_a_pool_may_be_left_with_none() {
    let second = [("printer-2", CRASHES), ("printer-1", CRASHES)];
    let (_, seen) = boots(&office(&[THRICE, &second].concat()), 2);

    assert_eq!(hosts(&seen[0]).len(), 5);
    assert_eq!(hosts(&seen[1]), [OWN_1, OWN_1, OWN_1, SHARED, OWN_1]);

    let both = [[("printer-1", CRASHES); 3], [("printer-2", CRASHES); 3]].concat();
    let (world, seen) = boots(&office(&both), 2);

    assert_eq!(world.machine.disk.read(SECTOR, 0), Some(3), "{seen:?}");
    let alone = [SHARED, OWN_1, OWN_1, OWN_1, OWN_2, OWN_2, OWN_2];
    assert_eq!(hosts(&seen[1]), alone, "a host that has nothing to host ends at once");
}

#[test]
fn a_bit_of_a_device_that_shares_nothing_is_of_no_meaning() {
    let mut world = World::build(&office(&THRICE[..1])).expect("a sound configuration");
    world.machine.disk.write(SECTOR, 0, !3);

    let first = world.run(&mut Seen::default(), u64::MAX);
    world.reboot();
    let mut seen = Seen::default();
    let second = world.run(&mut seen, u64::MAX);

    assert_eq!([first, second], [CRITICAL_PROCESS_DIED; 2]);
    assert_eq!(hosts(&seen), [SHARED]);
}

/// A scenario whose golden run ends in the bug check and is not booted again.
fn trial(configuration: Configuration) -> Trial {
    let scenario = Scenario { name: "office".into(), configuration, ..Scenario::default() };
    Trial::new(&scenario, &Registries::default()).expect("a sound world")
}

#[test]
fn what_the_kernel_does_for_the_record_is_within_its_books() {
    for (iommu, kva_shadow, event_log, host_time_out) in
        [(false, false, false, 0), (true, false, true, 0), (false, true, false, 5_000)]
    {
        let mut configuration = office(THRICE);
        configuration.components[0].critical = false;
        let machine = &mut configuration.machine;
        (machine.iommu, machine.kva_shadow) = (iommu, kva_shadow);
        (machine.event_log, machine.host_time_out) = (event_log, host_time_out);

        let trial = trial(configuration);

        assert_eq!(trial.golden.violations, []);
        assert_eq!(trial.golden.rest, Rest::Quiescent);
    }
}

#[test]
fn a_host_that_fails_by_itself_leaves_its_record_by_leave() {
    let jobs = [("printer-1", CRASHES), ("printer-1", CRASHES), ("printer-1", IS_FINE)];
    let mut configuration = office(&jobs);
    configuration.components[0].critical = false;
    let mut trial = trial(configuration);
    let mut crash = worlds::fault("crash", "own-1", PointKind::Load, 1, "");
    crash.at.routine = Some("HostedScannerProcess".to_owned());

    let outcome = trial.run(&[crash]).expect("a fault that can be made");

    assert_eq!(outcome.activation.strikes, 1);
    assert_eq!(outcome.guarantees, [""; 0]);
    assert_eq!(outcome.integrity, Integrity::Untouched);
}

#[test]
fn a_world_with_a_record_forgotten_now_and_then_goes_on_the_same() {
    let configuration = office(THRICE);
    let (expected, told) = boots(&configuration, 2);
    let mut world = World::build(&configuration).expect("a sound configuration");

    for seen in &told {
        let (mut found, mut steps) = (Seen::default(), 0_u64);
        while world.step(&mut found).is_none() {
            steps += 1;
            if steps.is_multiple_of(101) {
                world = world.rebuilt(&components::drivers());
            }
        }
        assert_eq!(&found, seen);
        if world.boots() == 1 {
            world.reboot();
        }
    }

    assert_eq!(world.machine.state_hash(), expected.machine.state_hash());
}

#[test]
fn a_record_is_usual_and_a_scenario_says_where_there_is_none() {
    let usual = office(THRICE);
    let mut configuration = usual.clone();
    configuration.machine.host_record = false;
    let scenario = Scenario { name: "office".into(), configuration, ..Scenario::default() };

    let text = scenario.to_toml();
    let read = Scenario::from_toml("office", &text, &Vocabulary::default()).expect("its own text");

    assert!(text.contains("host-record = false"), "{text}");
    assert!(usual.machine.host_record && !read.configuration.machine.host_record);
}
