//! The map of the kernel's bytes that somebody looks at, on a small sample.

mod worlds;

use std::sync::atomic::{AtomicU64, Ordering};

use ringfence::base::Structure;
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Flips, LiveBytes, LiveBytesOptions, Share, live_bytes};
use ringfence::scenario::Scenario;

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
fn a_field_that_everybody_needs_is_read_and_what_only_a_dump_needs_is_not() {
    let map = map(9973, 2);

    let read = |structure, name| map.fields[&(structure, name)].read > 0;
    assert!(read(Structure::KernelData, "kernel lock"));
    assert!(read(Structure::ReadyQueue, "ready queue head"));
    assert!(read(Structure::Process, "page-map root"));
    assert!(!read(Structure::CrashBlock, "bug check parameter 4"));
    let dead: Vec<_> = map.never_read().collect();
    assert!(dead.contains(&(Structure::CrashBlock, "bug check parameter 4")), "{dead:?}");
}
