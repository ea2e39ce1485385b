//! The map of the kernel's bytes that somebody looks at, on a small sample.

mod worlds;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence::base::Structure;
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Flips, LiveBytes, LiveBytesOptions, Share, live_bytes};
use ringfence::kernel::layout::address;
use ringfence::kernel::request::{METHOD_OUT_DIRECT, control_code};
use ringfence::kernel::service;
use ringfence::kernel::unread::UNREAD;
use ringfence::scenario::Scenario;
use ringfence::world::components::buffer_driver;
use ringfence::world::{Action, Component, Configuration, Home};

use worlds::{application, built_in, driver};

/// Two applications and a driver in a process of its own: enough to read most sorts of structure.
fn small() -> Scenario {
    let mut scenario = worlds::neighbours();
    scenario.configuration.components[1].actions.truncate(4);
    scenario
}

fn map(every: usize, workers: usize) -> LiveBytes {
    let options = LiveBytesOptions { every, workers, moments: 1 };
    let told = AtomicU64::new(0);
    let progress = |flips: Flips| {
        assert!(flips.done <= flips.total);
        told.fetch_add(1, Ordering::Relaxed);
    };

    let map = live_bytes(&small(), &Registries::default(), &options, &progress);

    let map = map.expect("a sound world");
    let flipped = |share: Share| share.total;
    let bytes = flipped(map.total().used) + flipped(map.total().room);
    let words: u64 = map.fields.values().copied().map(flipped).sum();
    assert_eq!(told.into_inner(), bytes + words);
    map
}

#[test]
fn some_bytes_are_live_some_are_not_and_workers_do_not_matter() {
    let one = map(211, 1);

    assert_eq!(map(211, 3), one);
    let total = one.total();
    for share in [total.used, total.room] {
        assert!(share.live <= share.read && share.read < share.total, "{share:?}");
    }
    assert!(total.used.live > 0, "{total:?}");
    assert!(one.structures.contains_key(&Structure::PageTable));
    assert!(!one.structures.contains_key(&Structure::Code));
    assert!(!one.structures.contains_key(&Structure::UserData));
}

#[test]
fn a_field_that_everybody_needs_is_live_and_what_only_a_dump_needs_is_not() {
    let map = map(9973, 2);

    let live = |structure, name| map.fields[&(structure, name)].live > 0;
    assert!(live(Structure::KernelData, "kernel lock"));
    assert!(live(Structure::ReadyQueue, "ready queue head"));
    assert!(live(Structure::Process, "page-map root"));
    let parameter = (Structure::CrashBlock, "bug check parameter 4");
    assert!(map.never_read().any(|field| field == parameter));
    assert!(map.never_live().any(|(structure, name, _)| (structure, name) == parameter));
}

/// Requests as long as there may be, and one whose buffer the system maps.
fn with_long_and_direct_requests() -> Scenario {
    let mut scenario = small();
    let direct = control_code(buffer_driver::FILL, METHOD_OUT_DIRECT, 0);
    let arguments = vec![4, direct, 0, 0, address::USER_BUFFERS + 0x400, 64];
    let actions = vec![
        Action::Open { device: "buffers".into(), file: 0, access: 3, slot: 0 },
        Action::SystemCall {
            service: service::DEVICE_CONTROL.try_into().expect("few services"),
            arguments,
        },
        Action::Control { slot: 0, code: 0x22_0000, length: 256, value: 1 },
    ];
    scenario.configuration.components.extend([
        application("asker", actions),
        driver("buffers", Home::KernelDriver, "buffers", None),
    ]);
    scenario
}

/// A driver that crashes until it has failed in a host of its own, which is logged and kept.
fn failing_alone() -> Scenario {
    let open = Action::Open { device: "printer".into(), file: 0, access: 3, slot: 0 };
    let job = Action::Control { slot: 0, code: 0x22_0000, length: 64, value: 0x8 };
    let components = vec![
        application("client", [vec![open], vec![job; 4]].concat()),
        driver("printer", Home::KernelDriver, "reflector", None),
        driver("shared", Home::SharedHost, "scanner", None),
        driver("own", Home::SharedDriver, "scanner", Some("printer")),
        Component::new("manager", Home::DriverManager),
    ];
    let mut configuration = Configuration { components, ..Configuration::default() };
    let machine = &mut configuration.machine;
    (machine.event_log, machine.host_record) = (true, true);
    Scenario { name: "failing-alone".into(), configuration, ..Scenario::default() }
}

#[test]
fn the_words_of_the_event_log_have_names_where_there_is_one() {
    let named = |scenario: &Scenario| {
        let options = LiveBytesOptions { every: 1_000_000, workers: 1, moments: 1 };
        let map = live_bytes(scenario, &Registries::default(), &options, &|_| ());
        let map = map.expect("a sound world");
        let names = ["devices offline", "event-log entries", "event-log entry", "event-log time"];
        names.map(|name| map.fields.contains_key(&(Structure::KernelData, name)))
    };

    let mut logging = built_in("hung-driver-host");
    assert_eq!(named(&logging), [true; 4]);

    logging.configuration.machine.event_log = false;
    assert_eq!(named(&logging), [false; 4], "what nobody writes is room");
}

#[test]
fn what_deadlock_detection_knows_has_names_where_it_is_on() {
    let named = |verifier: &[&str]| {
        let mut world = built_in("standard");
        world.configuration.machine.verifier = verifier.iter().map(ToString::to_string).collect();
        let options = LiveBytesOptions { every: 1_000_000, workers: 1, moments: 1 };
        let map = live_bytes(&world, &Registries::default(), &options, &|_| ());
        let map = map.expect("a sound world");
        let names = ["spin locks known", "spin locks taken behind", "spin locks held"];
        names.map(|name| map.fields.contains_key(&(Structure::KernelData, name)))
    };

    assert_eq!(named(&["deadlock-detection"]), [true; 3]);
    assert_eq!(named(&["automatic-checks"]), [false; 3], "what nobody writes is room");
}

/// Worlds in which the kernel does nearly all it can: the usual one, where allocations are refused,
/// with the three pools, with hosts of all sorts, and with locked pages.
fn varied() -> Vec<Scenario> {
    let mut worlds = vec![built_in("standard"), with_long_and_direct_requests()];
    for option in ["low-resources", "systematic-low-resources"] {
        let mut refused = built_in("standard");
        refused.configuration.machine.verifier = vec![option.to_owned()];
        worlds.push(refused);
    }
    // Limits so low that work without any fault exceeds them: each decides something then.
    for limits in [(5, 20, 12), (1, 0, 0), (0, 1, 0), (0, 0, 1)] {
        let mut watched = built_in("pageable-with-lock-held");
        let machine = &mut watched.configuration.machine;
        machine.clock_interval = 30;
        (machine.dpc_timeout, machine.dpc_watchdog_period, machine.clock_watchdog) = limits;
        worlds.push(watched);
    }
    // With a tick that comes in anywhere, which needs a root that is right everywhere.
    let mut shadowed = built_in("pageable-with-lock-held");
    let machine = &mut shadowed.configuration.machine;
    (machine.kva_shadow, machine.pcid, machine.dpc_timeout) = (true, true, 5);
    machine.clock_interval = 30;
    worlds.push(shadowed);
    worlds.push(failing_alone());
    // A spin lock is taken and given back, and its page is there.
    let mut ordered = built_in("pageable-with-lock-held");
    ordered.configuration.schedule = 1;
    ordered.configuration.machine.verifier = vec!["deadlock-detection".to_owned()];
    worlds.push(ordered);
    for name in ["I11-printer-drivers", "I13-filter-driver-pool-overrun", "I22-locked-page-leak"] {
        let base = built_in(&format!("incidents/{name}"));
        let others = base.contrasts.iter().map(|one| one.of(&base).expect("a sound contrast"));
        worlds.extend(others.collect::<Vec<_>>());
        worlds.push(base);
    }
    worlds
}

#[test]
fn nine_fields_in_ten_matter_to_somebody_and_the_others_have_a_reason() {
    let options = LiveBytesOptions { every: 1_000_000, workers: 2, moments: 3 };
    let mut all = LiveBytes::default();
    for world in varied() {
        let map = live_bytes(&world, &Registries::default(), &options, &|_| ());
        all.merge(map.expect("a sound world"));
    }

    let dead: BTreeSet<_> =
        all.never_live().map(|(structure, name, _)| (structure, name)).collect();
    let reasons = UNREAD.iter().map(|(field, _)| (field.structure, field.name));
    assert_eq!(dead, reasons.collect::<BTreeSet<_>>());
    let (live, fields) = (all.fields.len() - dead.len(), all.fields.len());
    assert!(live * 10 >= fields * 9, "{live} of {fields}");
}
