//! The table of protections and writers: each cell has the test that shows it, or the reason why it has none.
//!
//! The table was put together from Microsoft's pages on each mechanism; the tests are in `protections.rs`,
//! `protections_by_address.rs` and here.

mod prober;

use std::collections::BTreeSet;

use prober::writers::{
    NEIGHBOUR_WORD, Outcome, POOL_WORD, VALUE, application_writes, by_driver, device_writes,
    driver_writes, with,
};
use prober::{Do, To, Where};
use ringfence::base::{Access, Frame, VirtAddr};
use ringfence::kernel::layout::{address, stack_top};
use ringfence::machine::trap::second_level::{EXECUTE, READ, WRITE};
use ringfence::world::{Action, Configuration, World};

/// A cell: what happens to a wild write there.
#[derive(Clone, Copy)]
enum Cell {
    /// It faults.
    Stop(&'static str),
    /// It is found later.
    Late(&'static str),
    /// It is none of the mechanism's business, and the test shows that it passes, or ends as without it.
    No(&'static str),
    /// The mechanism has nothing to do with this writer, for this reason.
    NotApplicable(&'static str),
    /// This world can't show it, for this reason.
    NotModelled(&'static str),
}

use Cell::{Late, No, NotApplicable, NotModelled, Stop};

/// A mechanism, and what it does about an application, a kernel-mode driver, a device.
type Row = (&'static str, [Cell; 3]);

const OWN_TABLES: &str =
    "tables_of_its_own_keep_an_application_out_of_another_process_and_nobody_else";
const BY_DEFAULT: &str = "by_default_nothing_stops_a_driver_s_write_to_writable_data_of_others";
const READ_ONLY: &str = "read_only_code_stops_drivers_until_they_edit_the_entry";
const SHADOW: &str = "kva_shadow_stops_reads_that_pass_over_the_user_bit_and_no_writer";
const INTEGRITY: &str = "code_integrity_holds_after_the_entry_was_edited_and_for_code_only";
const PROTECTED: &str = "protected_data_holds_after_the_entry_was_edited_and_for_that_data_only";
const SECURE: &str = "memory_of_a_higher_trust_level_stops_drivers_and_devices_and_reads_too";
const LATE: &str = "late_checks_find_what_is_watched_later_and_nothing_else";
const SPECIAL: &str = "special_pool_stops_a_driver_behind_its_block_and_no_device";
const IOMMU: &str = "the_iommu_stops_devices_outside_what_was_mapped_and_nobody_else";
const KEYS: &str = "protection_keys_stop_a_driver_at_another_s_data_and_only_there";
const DEVICES: &str = "what_binds_processors_binds_no_device";
const USER_BIT_FIRST: &str = "the user bit stops an application before it";

const TABLE: &[Row] = &[
    ("separate page tables", [Stop(OWN_TABLES), No(OWN_TABLES), No(OWN_TABLES)]),
    (
        "user bit",
        [Stop("the_user_bit_stops_applications_and_nobody_else"), No(BY_DEFAULT), No(BY_DEFAULT)],
    ),
    (
        "page that is not present",
        [
            Stop("what_is_not_mapped_stops_applications_and_drivers_at_any_level"),
            Stop("what_is_not_mapped_stops_applications_and_drivers_at_any_level"),
            No("a_page_that_is_not_there_is_there_for_a_device"),
        ],
    ),
    (
        "hole between the halves",
        [
            Stop("the_hole_stops_applications_and_drivers"),
            Stop("the_hole_stops_applications_and_drivers"),
            NotApplicable("a device's address is no linear one"),
        ],
    ),
    (
        "null guard",
        [
            Stop("the_null_guard_stops_an_application_at_page_0"),
            Stop("the_null_guard_turns_a_null_dereference_into_an_exception"),
            NotApplicable("a device's address is no linear one, and a guarded page has no frame"),
        ],
    ),
    ("read-only code", [NotApplicable(USER_BIT_FIRST), Stop(READ_ONLY), No(READ_ONLY)]),
    (
        "pool closed to execution",
        [
            NotApplicable(USER_BIT_FIRST),
            No("a_pool_closed_to_execution_stops_execution_and_no_write"),
            No(DEVICES),
        ],
    ),
    (
        "SMEP",
        [
            NotApplicable("it binds kernel mode"),
            No("smep_stops_the_execution_of_user_code"),
            No(DEVICES),
        ],
    ),
    (
        "SMAP",
        [
            NotApplicable("it binds kernel mode"),
            Stop("smap_stops_drivers_at_user_memory_only"),
            No("smap_lets_a_device_write_to_user_memory"),
        ],
    ),
    (
        "self-map elsewhere",
        [
            No("a_self_map_elsewhere_changes_nothing_for_applications_and_devices"),
            Stop("a_self_map_elsewhere_makes_a_write_to_the_known_address_miss"),
            No("a_self_map_elsewhere_changes_nothing_for_applications_and_devices"),
        ],
    ),
    ("KVA shadow", [No(SHADOW), No(SHADOW), No(SHADOW)]),
    ("code integrity", [NotApplicable(USER_BIT_FIRST), Stop(INTEGRITY), Stop(INTEGRITY)]),
    ("memory of a higher trust level", [NotApplicable(USER_BIT_FIRST), Stop(SECURE), Stop(SECURE)]),
    ("protected kernel data", [NotApplicable(USER_BIT_FIRST), Stop(PROTECTED), Stop(PROTECTED)]),
    (
        "kernel shadow stack",
        [
            NotApplicable(USER_BIT_FIRST),
            No("a_shadow_stack_lets_the_write_pass_and_stops_the_return"),
            No(DEVICES),
        ],
    ),
    ("late integrity checks", [NotApplicable(USER_BIT_FIRST), Late(LATE), Late(LATE)]),
    (
        "late checks from a higher trust level",
        [
            NotApplicable(USER_BIT_FIRST),
            NotModelled("no code runs at the higher trust level, so that nobody raises 0x18C"),
            NotModelled("no code runs at the higher trust level, so that nobody raises 0x18C"),
        ],
    ),
    ("special pool", [NotApplicable(USER_BIT_FIRST), Stop(SPECIAL), No(SPECIAL)]),
    (
        "accesses that are instrumented",
        [
            NotApplicable("only kernel code is built so"),
            NotModelled("steps are not compiled, so that no build has them instrumented (0x1F2)"),
            NotModelled("steps are not compiled, so that no build has them instrumented (0x1F2)"),
        ],
    ),
    ("remapping of devices", [NotApplicable("it binds devices"), No(IOMMU), Stop(IOMMU)]),
    (
        "ECC and refresh of rows",
        [
            NotApplicable("a write is none of theirs"),
            NotApplicable("a write is none of theirs"),
            NotModelled(
                "memory has no cells that decay; a bit flip is a fault, which no code corrects",
            ),
        ],
    ),
    // Not in that table, and a switch here.
    ("protection keys", [NotApplicable(USER_BIT_FIRST), Stop(KEYS), No(KEYS)]),
];

/// The names of the tests in a file of this folder.
fn tests_of(file: &str) -> BTreeSet<String> {
    let path = format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("it is there");
    let parts = text.split("#[test]\nfn ").skip(1);
    parts.filter_map(|part| part.split_once('(')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn each_cell_has_a_test_or_a_reason_why_not() {
    let files = ["protections.rs", "protections_by_address.rs", "protections_table.rs"];
    let tests: BTreeSet<String> = files.into_iter().flat_map(tests_of).collect();

    for (row, cells) in TABLE {
        for (writer, cell) in ["application", "driver", "device"].into_iter().zip(cells) {
            match cell {
                Stop(test) | Late(test) | No(test) => {
                    assert!(tests.contains(*test), "{row}, {writer}: there is no test {test}");
                }
                NotApplicable(why) | NotModelled(why) => {
                    assert!(!why.is_empty(), "{row}, {writer}")
                }
            }
        }
    }
}

#[test]
fn what_binds_processors_binds_no_device() {
    let stack = stack_top(0) - 0x800;
    for (name, target, on, off) in [
        (
            "pool closed to execution",
            POOL_WORD,
            with(|c| c.machine.no_execute_pool = true),
            with(|c| c.machine.no_execute_pool = false),
        ),
        ("SMEP", POOL_WORD, with(|c| c.machine.smep = true), with(|c| c.machine.smep = false)),
        (
            "shadow stacks",
            stack,
            with(|c| c.machine.shadow_stacks = true),
            with(|c| c.machine.shadow_stacks = false),
        ),
    ] {
        for configuration in [on, off] {
            assert_eq!(device_writes(&configuration, target, false), Outcome::Silent, "{name}");
        }
    }
}

/// Whether the transfer device gets a word into the application's page, which is there by then.
fn device_writes_to_user_memory(configuration: &Configuration) -> bool {
    let target = VirtAddr(address::USER_BUFFERS + 0x600);
    let located = |world: &World| world.machine.locate(0, target);
    let mut world = prober::built(configuration);
    prober::script(&mut world, Where::Service, &[Do::Hang]);
    while world.machine.processors[0].registers.context.0 != 2 || located(&world).is_none() {
        assert!(world.step(&mut ()).is_none(), "the page is there");
    }
    let bus = located(&world).expect("it is mapped");
    let mut world = prober::built(configuration);
    world.machine.devices[0].held[0] = VALUE;
    prober::script(&mut world, Where::Service, &[Do::Transfer(To::Plain(bus))]);
    prober::run(&mut world);
    world.machine.memory.read(ringfence::base::PhysAddr::truncated(bus)) == VALUE
}

#[test]
fn smap_lets_a_device_write_to_user_memory() {
    for smap in [true, false] {
        assert!(device_writes_to_user_memory(&with(|c| c.machine.smap = smap)), "{smap}");
    }
}

#[test]
fn a_self_map_elsewhere_changes_nothing_for_applications_and_devices() {
    for randomised in [true, false] {
        let configuration = with(|c| c.machine.self_map_randomised = randomised);
        // Wherever it is, its tables are the system's.
        let there = prober::entry_of(&configuration, POOL_WORD);
        assert_eq!(application_writes(&configuration, there), Outcome::ProcessEnded);
        assert_eq!(device_writes(&configuration, there, false), Outcome::Silent, "{randomised}");
    }
    // Where the user bit is lost the place is all that is left to be found: as in Total Meltdown.
    let writes = |randomised| {
        let mut configuration = with(|c| {
            c.machine.self_map_randomised = randomised;
            c.weaknesses = vec!["user-bit-in-system".into()];
        });
        let known = (0..4).fold(POOL_WORD, |at, _| address::table_entry(0x1ed, at));
        let access = Action::Access { address: known, access: Access::Read };
        configuration.components[0].actions.insert(0, access);
        !prober::run(&mut prober::built(&configuration)).seen.statuses.is_empty()
    };
    assert_eq!([writes(false), writes(true)], [true, false]);
}

#[test]
fn the_null_guard_stops_an_application_at_page_0() {
    let ends = |null_guard| {
        let configuration = with(|c| {
            c.machine.null_guard = null_guard;
            let access = Action::Access { address: 0x10, access: Access::Write };
            let actions = &mut c.components[0].actions;
            actions.splice(0..0, [Action::AllocateAt { address: 1, slot: 3 }, access]);
        });
        prober::run(&mut prober::built(&configuration)).seen.ended
    };

    assert_eq!(ends(true), [0xc000_0005]);
    assert_eq!(ends(false), [0]);
}

#[test]
fn memory_of_a_higher_trust_level_stops_drivers_and_devices_and_reads_too() {
    // No such memory is made by any switch: a frame is kept from everybody as a hypervisor keeps those of
    // the higher level from the lower.
    let kept = |configuration: &Configuration, script: &[Do]| {
        let mut world = prober::built(configuration);
        world.machine.devices[0].held[0] = VALUE;
        let place = prober::physical(&world, NEIGHBOUR_WORD);
        world.machine.second_level.refuse(Frame(place >> 12), READ | WRITE | EXECUTE);
        prober::script(&mut world, Where::Service, script);
        let ended = prober::run(&mut world);
        let word = world.machine.memory.read(ringfence::base::PhysAddr::truncated(place));
        (ended.crash, ended.seen.refused, word == VALUE)
    };
    let on = with(|c| (c.machine.code_integrity, c.machine.iommu) = (true, true));
    let to = To::Plain(NEIGHBOUR_WORD);

    let ([code, what, at, ..], _, is_changed) = kept(&on, &[Do::Write(to, VALUE)]);
    assert_eq!((code, what, at, is_changed), (0x18d, 4, NEIGHBOUR_WORD, false));
    let ([code, what, at, ..], ..) = kept(&on, &[Do::Read(to)]);
    assert_eq!((code, what, at), (0x18d, 2, NEIGHBOUR_WORD));
    let bus = prober::physical(&prober::built(&on), NEIGHBOUR_WORD);
    let leave =
        Do::Write(To::Plain(address::IOMMU_TABLES + 4096 + (bus >> 12) * 8), bus & !0xfff | 3);
    let (_, refused, is_changed) = kept(&on, &[leave, Do::Transfer(To::Plain(bus))]);
    assert_eq!((refused, is_changed), (1, false), "the hypervisor has the IOMMU");
    // Without that level nothing keeps either out.
    let off = prober::configuration();
    assert_eq!(driver_writes(&off, NEIGHBOUR_WORD), Outcome::Silent);
    assert_eq!(
        by_driver(&off, NEIGHBOUR_WORD, |_| vec![Do::Transfer(To::Plain(bus))]),
        Outcome::Silent
    );
}
