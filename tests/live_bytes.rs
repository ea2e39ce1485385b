//! The map of the kernel's bytes that somebody looks at, on a small sample.

mod worlds;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence::base::Structure;
use ringfence::campaign::live_bytes::worlds::worlds;
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Flips, LiveBytes, LiveBytesOptions, Share, live_bytes};
use ringfence::kernel::unread::UNREAD;
use ringfence::scenario::Scenario;

use worlds::built_in;

/// Two applications and a driver in a process of its own: enough to read most sorts of structure.
fn small() -> Scenario {
    let mut scenario = worlds::neighbours();
    scenario.configuration.components[1].actions.truncate(4);
    scenario
}

fn map(every: usize, workers: usize) -> LiveBytes {
    let options = LiveBytesOptions { every, workers, moments: 1 };
    let (told, known) = (AtomicU64::new(0), LiveBytes::default());
    let progress = |flips: Flips| {
        assert!(flips.done <= flips.total);
        told.fetch_add(1, Ordering::Relaxed);
    };

    let map = live_bytes(&small(), &Registries::default(), &options, &known, &progress);

    let map = map.expect("a sound world");
    let flipped = |share: Share| share.total;
    let bytes = flipped(map.total().used) + flipped(map.total().room);
    let words: u64 = map.fields.values().map(|field| field.flips.total).sum();
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

    let live = |structure, name| !map.fields[&(structure, name)].is_dead();
    assert!(live(Structure::KernelData, "kernel lock"));
    assert!(live(Structure::ReadyQueue, "ready queue head"));
    assert!(live(Structure::Process, "page-map root"));
    // Nothing stops this machine, so that nobody tells of a stop.
    let parameter = (Structure::CrashBlock, "bug check parameter 4");
    assert!(map.never_read().any(|field| field == parameter));
    assert_eq!(map.fields[&parameter].dead(), 0xff);
}

#[test]
fn the_words_of_the_event_log_have_names_where_there_is_one() {
    let named = |scenario: &Scenario| {
        let options = LiveBytesOptions { every: 1_000_000, workers: 1, moments: 1 };
        let map =
            live_bytes(scenario, &Registries::default(), &options, &LiveBytes::default(), &|_| ());
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
        let map =
            live_bytes(&world, &Registries::default(), &options, &LiveBytes::default(), &|_| ());
        let map = map.expect("a sound world");
        let names = ["spin locks known", "spin locks taken behind", "spin locks held"];
        names.map(|name| map.fields.contains_key(&(Structure::KernelData, name)))
    };

    assert_eq!(named(&["deadlock-detection"]), [true; 3]);
    assert_eq!(named(&["automatic-checks"]), [false; 3], "what nobody writes is room");
}

#[test]
#[ignore = "minutes: `.ci/run exhaustive` runs it"]
fn nine_bytes_in_ten_matter_to_somebody_and_the_others_have_a_reason() {
    let options = LiveBytesOptions { every: 1_000_000, workers: 2, moments: 1 };
    let mut all = LiveBytes::default();
    for world in worlds() {
        let map = live_bytes(&world, &Registries::default(), &options, &all, &|_| ());
        all.merge(map.expect("a sound world"));
    }

    let dead: BTreeSet<_> = all
        .not_all_live()
        .map(|(structure, name, field)| (structure, name, field.dead()))
        .collect();
    let reasons = UNREAD.iter().map(|(field, bytes, _)| (field.structure, field.name, *bytes));
    assert_eq!(dead, reasons.collect::<BTreeSet<_>>());
    let (bytes, fields) = (all.field_bytes(), all.fields.len());
    assert_eq!(bytes.total, fields as u64 * 8);
    assert!(bytes.live * 10 >= bytes.total * 9, "{bytes:?}");
    assert!(all.live_fields() * 10 >= fields * 9, "{} of {fields}", all.live_fields());
}
