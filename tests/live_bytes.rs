//! The map of the kernel's bytes that somebody looks at, on a small sample.

mod worlds;

use ringfence::base::Structure;
use ringfence::campaign::live_bytes::{LiveBytes, LiveBytesOptions, live_bytes};
use ringfence::campaign::trial::Registries;

fn map(every: usize, workers: usize) -> LiveBytes {
    let options = LiveBytesOptions { every, workers, at: None };
    live_bytes(&worlds::neighbours(), &Registries::default(), &options).expect("a sound world")
}

#[test]
fn some_bytes_are_live_some_are_not_and_workers_do_not_matter() {
    let one = map(211, 1);

    assert_eq!(map(211, 3), one);
    let total = one.total();
    assert!(total.live > 0 && total.live <= total.read && total.read < total.total, "{total:?}");
    for share in one.structures.values() {
        assert!(share.live <= share.read && share.read <= share.total, "{share:?}");
    }
    assert!(one.structures.contains_key(&Structure::PageTable));
    assert!(!one.structures.contains_key(&Structure::Code));
    assert!(!one.structures.contains_key(&Structure::UserData));
}
