//! Whole worlds: what kernel and drivers do without a fault is within their books.

use super::*;
use crate::world::{Configuration, World};

fn run(text: &str, steps: u64) -> Authority {
    let configuration: Configuration = toml::from_str(text).expect("a configuration");
    let mut world = World::build(&configuration).expect("a world");
    let words = world.machine.memory.words().len();
    let mut books = Authority::new(words, world.roster().clone());
    world.run(&mut books, steps);
    books
}

#[track_caller]
fn assert_nothing_is_wrong(books: &Authority) {
    assert!(books.trespasses().is_empty(), "{:#x?}", &books.trespasses()[..1]);
    assert!(books.false_claims().is_empty(), "{:#x?}", &books.false_claims()[..1]);
    assert!(books.disclosures().is_empty(), "{:#x?}", &books.disclosures()[..1]);
    assert!(books.residues().is_empty(), "{:#x?}", &books.residues()[..1]);
    for process in books.ended().iter() {
        assert_eq!(books.words_owned(process), 0);
        assert_eq!(books.handles_of(process).count(), 0);
    }
}

#[test]
fn applications_that_allocate_and_crash_are_within_their_books() {
    let books = run(APPLICATIONS, 20_000);

    assert_nothing_is_wrong(&books);
    assert_eq!(books.ended(), PrincipalSet::of(Principal(2)).with(Principal(3)));
}

const APPLICATIONS: &str = r#"
    [[components]]
    name = "a"
    home = "application"
    actions = [
        { do = "store", word = 3, value = "0x7" },
        { do = "load", word = 3 },
        { do = "allocate", slot = 1 },
        { do = "store-through", slot = 1, word = 5, value = "0x9" },
        { do = "load-through", slot = 1, word = 5 },
        { do = "free", slot = 1 },
    ]
    [[components]]
    name = "b"
    home = "application"
    actions = [{ do = "crash", how = "null-dereference" }]
"#;

#[test]
fn processes_that_share_duplicate_and_spawn_are_within_their_books() {
    let books = run(SHARING, 60_000);

    assert_nothing_is_wrong(&books);
    let [parent, other, child] = [2, 3, 4].map(Principal);
    assert!(books.influences(parent).contains(child));
    assert!(books.influences(parent).contains(other), "through the section");
    assert_eq!(books.ended(), PrincipalSet::of(parent).with(other).with(child));
}

const SHARING: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "create-event", slot = 1 },
        { do = "set-event", slot = 1 },
        { do = "query-event", slot = 1 },
        { do = "open-section", section = 0, access = 3, slot = 2 },
        { do = "map-view", slot = 2, view = 3 },
        { do = "store-through", slot = 3, word = 1, value = "0x11" },
        { do = "open-process", process = "other", access = 8, slot = 4 },
        { do = "duplicate", slot = 1, process = 4, access = 0 },
        { do = "create-process", process = "child", first = 14, inherit = true, slot = 5 },
        { do = "yield" },
        { do = "load-through", slot = 3, word = 1 },
        { do = "unmap-view", view = 3 },
        { do = "close", slot = 1 },
        { do = "exit", status = 0 },
        { do = "load", word = 1 },
        { do = "open-section", section = 0, access = 1, slot = 2 },
        { do = "map-view", slot = 2, view = 3 },
        { do = "load-through", slot = 3, word = 1 },
    ]
    [[components]]
    name = "other"
    home = "application"
    actions = [
        { do = "open-section", section = 0, access = 3, slot = 2 },
        { do = "map-view", slot = 2, view = 3 },
        { do = "load-through", slot = 3, word = 1 },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "load-through", slot = 3, word = 1 },
    ]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

#[test]
fn requests_to_every_sort_of_driver_are_within_their_books() {
    let books = run(DRIVERS, 60_000);

    assert_nothing_is_wrong(&books);
    let seen = books.observations().of(Principal(2)).expect("the application");
    assert!(seen.first().iter().all(|observation| observation.status == 0), "{seen:x?}");
    assert!(seen.count() >= 12);
    let host = books.roster().named("sensor").expect("the host");
    assert!(books.influences(host).contains(Principal(2)));
}

const DRIVERS: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "nic", access = 3, slot = 1 },
        { do = "write", slot = 1, offset = 0, length = 32, value = "0x55" },
        { do = "read", slot = 1, offset = 0, length = 32 },
        { do = "open", device = "filter", access = 3, slot = 2 },
        { do = "write", slot = 2, offset = 0, length = 16, value = "0x66" },
        { do = "read", slot = 2, offset = 0, length = 16 },
        { do = "open", device = "fs", file = 1, access = 3, slot = 3 },
        { do = "write", slot = 3, offset = 0, length = 64, value = "0x77" },
        { do = "read", slot = 3, offset = 0, length = 64 },
        { do = "flush", slot = 3 },
        { do = "open", device = "reflect", access = 3, slot = 4 },
        { do = "read", slot = 4, offset = 0, length = 16 },
    ]
    [[components]]
    name = "nic"
    home = "kernel-driver"
    driver = "transfer"
    [[components]]
    name = "filter"
    home = "kernel-driver"
    driver = "filter"
    above = "nic"
    [[components]]
    name = "fs"
    home = "file-system"
    driver = "file-system"
    [[components]]
    name = "reflect"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "sensor"
    home = "driver-host"
    driver = "sensor"
    above = "reflect"
"#;

#[test]
fn a_host_that_is_lost_and_started_again_is_within_its_books() {
    let books = run(LOSSES, 200_000);

    assert_nothing_is_wrong(&books);
    let statuses = |name: &str| -> Vec<_> {
        let process = books.roster().named(name).expect("a process");
        let seen = books.observations().of(process).expect("it did something");
        seen.first().iter().map(|observation| observation.status).collect()
    };
    assert_eq!(statuses("one")[1], crate::kernel::status::DRIVER_PROCESS_TERMINATED);
    let two = statuses("two");
    assert!(two.contains(&crate::kernel::status::DEVICE_REMOVED), "{two:x?}");
}

const LOSSES: &str = r#"
    [machine]
    iommu = true
    iommu-internal = true
    [[components]]
    name = "one"
    home = "application"
    actions = [
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "nic", access = 3, slot = 2 },
        { do = "control", slot = 2, code = "0x0", length = 100, value = "0x66" },
        { do = "control", slot = 2, code = "0x0", length = 100, value = "0x66" },
    ]
    [[components]]
    name = "two"
    home = "application"
    actions = [
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "open", device = "nic", access = 3, slot = 2 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "control", slot = 2, code = "0x0", length = 100, value = "0x66" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
        { do = "close", slot = 1 },
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x0", length = 16, value = "0x55" },
    ]
    [[components]]
    name = "reflect"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "nic"
    home = "kernel-driver"
    driver = "transfer"
    [[components]]
    name = "host"
    home = "driver-host"
    driver = "parser"
    above = "reflect"
    content = 20
"#;
