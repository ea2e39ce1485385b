//! Whole worlds: silent without a weakness, at every moment at which nothing is half done.

use super::*;
use crate::base::Ring;
use crate::invariants::decode;

fn run(text: &str, weakness: Option<&str>) -> Trial {
    let mut trial = Trial::new(text, weakness);
    let rest = trial.run();
    trial.rests(None, PrincipalSet::NOBODY, rest);
    trial
}

/// The same world with user mode on shadow roots.
fn shadowed(text: &str) -> String {
    match text.replacen("[machine]", "[machine]\nkva-shadow = true", 1) {
        changed if changed != text => changed,
        _ => format!("[machine]\nkva-shadow = true\n{text}"),
    }
}

#[test]
fn worlds_without_a_weakness_raise_nothing() {
    let tagged = |text: &str| match text.replace("iommu = true", "iommu = true\npcid = true") {
        changed if changed != text => changed,
        _ => format!("[machine]\npcid = true\n{text}"),
    };
    let both = |text: &str| {
        let tagged = tagged(text);
        let [shadowed, both] = [text, &tagged].map(shadowed);
        [text.to_owned(), tagged, shadowed, both]
    };
    for text in [APPS, HEIR, DRIVERS].into_iter().flat_map(both) {
        let trial = run(&text, None);
        assert!(trial.findings.violations().is_empty(), "{:#?}", trial.findings.violations());
    }
}

#[test]
fn a_full_scan_says_what_the_incremental_checks_said() {
    let states = [
        ("user-bit-in-system", "user-mode-never-reaches-system-space"),
        ("user-bit-in-system", "tables-are-out-of-user-reach"),
        ("shared-private-page", "user-mappings-are-granted"),
        ("kernel-half-differs", "kernel-half-is-one"),
    ];
    for (weakness, invariant) in states {
        let mut trial = Trial::new(APPS, Some(weakness));
        while !trial.found().contains(&invariant) {
            assert_eq!(trial.step(), None, "{weakness} is found before the end");
        }
        assert!(trial.scanned().contains(&invariant), "{weakness}");
    }
}

#[test]
fn whenever_a_processor_is_back_in_user_mode_a_full_scan_is_as_silent() {
    // Between those moments an operation is half done. Conservation holds only at rest.
    let at_rest = [
        "frames-are-conserved",
        "handles-come-from-somewhere",
        "pool-blocks-are-conserved",
        "references-are-conserved",
    ];
    for text in [APPS.to_owned(), HEIR.to_owned(), shadowed(APPS)] {
        let mut trial = Trial::new(&text, None);
        while trial.step().is_none() {
            let processors = &trial.world.machine.processors;
            if processors.iter().all(|state| state.registers.ring == Ring::User) {
                let found = trial.scanned();
                assert!(found.iter().all(|name| at_rest.contains(name)), "{found:?}");
            }
        }
    }
}

#[test]
fn a_handle_sought_by_itself_is_the_one_found_among_all() {
    let mut trial = Trial::new(DRIVERS, None);
    let mut met = 0;
    while trial.step().is_none() {
        let (memory, map) = (&trial.world.machine.memory, &trial.map);
        for known in decode::handles(memory, map) {
            let sought = |value| decode::handle(memory, map, known.process, value);
            assert_eq!(sought(known.value), Some(known));
            assert_eq!(sought(known.value + 1), None, "no handle has this value");
            met += 1;
        }
    }
    assert!(met > 100, "{met} handles");
}

#[test]
fn a_record_restored_goes_on_as_before() {
    let mut trial = Trial::new(APPS, Some("shared-private-page"));
    for _ in 0..2000 {
        trial.step();
    }
    let (world, books) = (trial.world.checkpoint(), trial.authority.checkpoint());
    let (record, before) = (trial.record.checkpoint(), trial.findings.violations().len());

    trial.run();
    let first = trial.findings.violations().to_vec();
    trial.world.restore(&world);
    trial.authority.restore(&books);
    trial.record.restore(&record);
    trial.findings.truncate(before);
    trial.run();

    assert!(!first.is_empty());
    assert_eq!(trial.findings.violations(), first);
}

/// A process that gets the frames of one that has ended.
pub(super) const HEIR: &str = r#"
    [[components]]
    name = "first"
    home = "application"
    actions = [
        { do = "allocate", slot = 1 },
        { do = "store-through", slot = 1, word = 0, value = "0x5" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "load-through", slot = 1, word = 0 },
        { do = "free", slot = 1 },
        { do = "allocate", slot = 1 },
        { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "free", slot = 1 },
    ]
    [[components]]
    name = "heir"
    home = "application"
    actions = [
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "allocate", slot = 1 },
        { do = "allocate", slot = 2 },
        { do = "allocate", slot = 3 },
        { do = "allocate", slot = 4 },
        { do = "load-through", slot = 1, word = 0 },
    ]
"#;

/// Everything applications do with memory, objects and each other.
pub(super) const APPS: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "create-event", slot = 1 },
        { do = "open-section", section = 1, access = 1, slot = 7 },
        { do = "set-event", slot = 1 },
        { do = "query-event", slot = 1 },
        { do = "system-call", service = 9, arguments = ["0x4", "0x0", "0x0", "0x0", "0xfffff80000100900", "0x10"] },
        { do = "open-section", section = 0, access = 3, slot = 2 },
        { do = "map-view", slot = 2, view = 3 },
        { do = "store-through", slot = 3, word = 1, value = "0x11" },
        { do = "open-section", section = 1, access = 2, slot = 8 },
        { do = "map-view", slot = 8, view = 9 },
        { do = "create-process", process = "child", first = 25, inherit = true, slot = 5 },
        { do = "duplicate", slot = 7, process = 5, access = 1 },
        { do = "duplicate", slot = 1, process = 5, access = 0 },
        { do = "allocate", slot = 6 },
        { do = "store-through", slot = 6, word = 5, value = "0x9" },
        { do = "free", slot = 6 },
        { do = "allocate", slot = 6 },
        { do = "load-through", slot = 6, word = 5 },
        { do = "yield" },
        { do = "load-through", slot = 3, word = 1 },
        { do = "unmap-view", view = 3 },
        { do = "close", slot = 1 },
        { do = "set-event", slot = 7 },
        { do = "exit", status = 0 },
        { do = "load", word = 1 },
        { do = "open-section", section = 0, access = 1, slot = 2 },
        { do = "map-view", slot = 2, view = 3 },
        { do = "load-through", slot = 3, word = 1 },
        { do = "store", word = 4, value = "0x99" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "query-event", slot = 1 },
    ]
    [[components]]
    name = "other"
    home = "application"
    actions = [
        { do = "open-section", section = 0, access = 1, slot = 2 },
        { do = "set-event", slot = 2 },
        { do = "map-view", slot = 2, view = 3 },
        { do = "load-through", slot = 3, word = 1 },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "load-through", slot = 3, word = 1 },
        { do = "crash", how = "null-dereference" },
    ]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

/// One whose other thread runs on while the first ends the process.
pub(super) const SIBLINGS: &str = r#"
    steps-max = 4000
    [machine]
    clock-interval = 0
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "create-thread", first = 3, slot = 1 },
        { do = "repeat", first = 1, times = 20 },
        { do = "exit", status = 0 },
        { do = "store", word = 1, value = "0x9" },
        { do = "load", word = 1 },
        { do = "repeat", first = 3, times = 0 },
    ]
"#;

pub(super) const DRIVERS: &str = r#"
    [machine]
    iommu = true
    iommu-internal = true
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
