//! The table of protections and writers: each cell has the test that shows it, or the reason why it has none, and is
//! compared with what becomes of that writer's write with the mechanism and without.
//!
//! The table was put together from Microsoft's pages on each mechanism; the tests are in `protections.rs`,
//! `protections_by_address.rs` and here.

mod prober;

use std::collections::BTreeSet;

use prober::writers::{
    CODE_WORD, KERNEL_WORD, NEIGHBOUR_WORD, Outcome, POOL_WORD, SECTION_WORD, VALUE, WATCHED_WORD,
    application_writes, by_driver, device_writes, driver_edits_and_writes, driver_writes, with,
};
use prober::{Do, To, Where};
use ringfence::base::{Access, Frame, PhysAddr, VirtAddr};
use ringfence::kernel::layout::{address, stack_top};
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::pools::state::SPECIAL_POOL;
use ringfence::machine::trap::second_level::{EXECUTE, READ, WRITE};
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};

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

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Writer {
    Application,
    Driver,
    Device,
}

/// What became of a wild write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    Passed,
    Stopped,
    FoundLater,
}

impl From<Outcome> for Seen {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Silent => Self::Passed,
            Outcome::Late(_) => Self::FoundLater,
            Outcome::Stopped(_) | Outcome::Refused | Outcome::ProcessEnded => Self::Stopped,
        }
    }
}

/// With the mechanism, and without it where a world can be without.
type WithAndWithout = (Seen, Option<Seen>);

/// Which cell follows from what was seen; nothing where the mechanism can't be told from what it is.
fn cell_of(seen: WithAndWithout) -> Option<&'static str> {
    match seen {
        (Seen::Stopped, None | Some(Seen::Passed)) => Some("stop"),
        (Seen::FoundLater, Some(Seen::Passed)) => Some("late"),
        (Seen::Passed, None | Some(Seen::Passed)) => Some("no"),
        // Something else stops it, with the mechanism and without.
        (Seen::Stopped, Some(Seen::Stopped)) => Some("no"),
        _ => None,
    }
}

/// A write to an address that may be mapped nowhere.
fn anywhere(writer: Writer, configuration: &Configuration, target: u64) -> Seen {
    let mut configuration = configuration.clone();
    let mut script = vec![Do::Write(To::Plain(target), VALUE)];
    if writer == Writer::Application {
        script.clear();
        let access = Action::Access { address: target, access: Access::Write };
        configuration.components[0].actions.insert(1, access);
    }
    let mut world = prober::built(&configuration);
    prober::script(&mut world, Where::Service, &script);
    let ended = prober::run(&mut world);
    let is_stopped = matches!(ended.rest, Rest::BugCheck(_)) || ended.seen.ended != [0];
    if is_stopped { Seen::Stopped } else { Seen::Passed }
}

/// A write to a word that is mapped; a device's goes past the IOMMU or has its leave.
fn writes(writer: Writer, configuration: &Configuration, target: u64) -> Seen {
    match writer {
        Writer::Application => application_writes(configuration, target),
        Writer::Driver => driver_writes(configuration, target),
        Writer::Device => device_writes(configuration, target, false),
    }
    .into()
}

/// The same by a driver that makes the page's entry allow it, and by a device whose leave the driver makes.
fn insists(writer: Writer, configuration: &Configuration, target: u64) -> Seen {
    match writer {
        Writer::Application => application_writes(configuration, target),
        Writer::Driver => driver_edits_and_writes(configuration, target),
        Writer::Device => device_writes(configuration, target, true),
    }
    .into()
}

fn both(
    [with, without]: [&Configuration; 2],
    see: impl Fn(&Configuration) -> Seen,
) -> WithAndWithout {
    (see(with), Some(see(without)))
}

/// A frame that is kept from everybody, or from nobody.
fn kept(writer: Writer, is_kept: bool) -> Seen {
    let configuration = with(|c| (c.machine.code_integrity, c.machine.iommu) = (true, true));
    let mut world = prober::built(&configuration);
    world.machine.devices[0].held[0] = VALUE;
    let place = prober::physical(&world, NEIGHBOUR_WORD);
    if is_kept {
        world.machine.second_level.refuse(Frame(place >> 12), READ | WRITE | EXECUTE);
    }
    let leave = address::IOMMU_TABLES + 4096 + (place >> 12) * 8;
    let script = match writer {
        Writer::Device => {
            vec![Do::Write(To::Plain(leave), place & !0xfff | 3), Do::Transfer(To::Plain(place))]
        }
        _ => vec![Do::Write(To::Plain(NEIGHBOUR_WORD), VALUE)],
    };
    prober::script(&mut world, Where::Service, &script);
    prober::run(&mut world);
    let is_changed = world.machine.memory.read(PhysAddr::truncated(place)) == VALUE;
    if is_changed { Seen::Passed } else { Seen::Stopped }
}

/// A write to a frame that no table of the writer leads to: of a driver and a device, which need none; an
/// application's goes to what its own tables have there.
fn frame_without_table(writer: Writer) -> Seen {
    let usual = prober::configuration();
    let mut world = prober::built(&usual);
    world.machine.devices[0].held[0] = VALUE;
    let place = prober::physical(&world, NEIGHBOUR_WORD);
    let entry = To::Plain(prober::entry_of(&usual, prober::NEIGHBOUR));
    let away = [Do::Write(entry, 0), Do::Invalidate(To::Plain(prober::NEIGHBOUR))];
    let last = match writer {
        Writer::Application => return anywhere(writer, &usual, 0x10_0000),
        Writer::Driver => Do::Write(To::Plain(NEIGHBOUR_WORD), VALUE),
        Writer::Device => Do::Transfer(To::Plain(place)),
    };
    prober::script(&mut world, Where::Service, &[&away[..], &[last]].concat());
    prober::run(&mut world);
    let is_changed = world.machine.memory.read(PhysAddr::truncated(place)) == VALUE;
    if is_changed { Seen::Passed } else { Seen::Stopped }
}

/// A write to a word that another process has at the same address as the application.
fn word_of_another(writer: Writer) -> Seen {
    const PRIVATE: u64 = address::USER_BUFFERS + 0x400;
    let mut configuration = prober::configuration();
    let actions = vec![Action::Store { word: 0, value: VALUE - 1 }, Action::Wait];
    configuration
        .components
        .push(Component { actions, ..Component::new("other", Home::Application) });
    let frame = |world: &World| -> Option<u64> {
        let other = world.roster().named("other").expect("it is there");
        let roots = world.machine.roots();
        let (root, _) = roots.iter().find(|(_, owner)| owner.0 == other.0)?;
        [39, 30, 21, 12].iter().try_fold(*root, |table, shift| {
            let at = (table & 0x000f_ffff_ffff_f000) + (PRIVATE >> shift & 511) * 8;
            let entry = world.machine.memory.read(PhysAddr::truncated(at));
            (entry & 1 != 0).then_some(entry)
        })
    };
    let mut before = prober::built(&configuration);
    let place = loop {
        assert!(before.step(&mut ()).is_none(), "the word is stored");
        let place = frame(&before).map(|entry| (entry & 0x000f_ffff_ffff_f000) + PRIVATE % 4096);
        let is_there = |at: &u64| before.machine.memory.read(PhysAddr::truncated(*at)) == VALUE - 1;
        if let Some(place) = place.filter(is_there) {
            break place;
        }
    };
    let entry = prober::entry_of(&configuration, prober::NEIGHBOUR);
    let script = match writer {
        Writer::Application => {
            let access = Action::Access { address: PRIVATE, access: Access::Write };
            configuration.components[0].actions.push(access);
            vec![]
        }
        Writer::Driver => vec![
            Do::Write(To::Plain(entry), place & !0xfff | 1 << 63 | 0b11),
            Do::Invalidate(To::Plain(prober::NEIGHBOUR)),
            Do::Write(To::Plain(prober::NEIGHBOUR + place % 4096), VALUE),
        ],
        Writer::Device => vec![Do::Transfer(To::Plain(place))],
    };
    let mut world = prober::built(&configuration);
    world.machine.devices[0].held[0] = VALUE;
    prober::script(&mut world, Where::Service, &script);
    prober::run(&mut world);
    let is_its_own = world.machine.memory.read(PhysAddr::truncated(place)) == VALUE - 1;
    if is_its_own { Seen::Stopped } else { Seen::Passed }
}

/// A write behind a block of the pool by a driver, and to the page of a block by a device.
fn behind_a_block(writer: Writer, configuration: &Configuration) -> Seen {
    let mut world = prober::built(configuration);
    if writer == Writer::Driver {
        prober::script(
            &mut world,
            Where::Service,
            &[Do::Allocate, Do::Write(To::Block(48), VALUE)],
        );
        let is_stopped = matches!(prober::run(&mut world).rest, Rest::BugCheck(_));
        return if is_stopped { Seen::Stopped } else { Seen::Passed };
    }
    // The first block of special pool; of the usual one a page that is there from the start.
    let page = match configuration.machine.pool {
        PoolKind::Special => SPECIAL_POOL,
        _ => POOL_WORD,
    };
    prober::script(&mut world, Where::Service, &[Do::Allocate, Do::Hang]);
    while world.machine.locate(0, VirtAddr(page)).is_none() {
        assert!(world.step(&mut ()).is_none(), "the block is allocated");
    }
    let place = prober::physical(&world, page);
    let mut world = prober::built(configuration);
    world.machine.devices[0].held[0] = VALUE;
    let script = [Do::Allocate, Do::Transfer(To::Plain(place)), Do::Hang];
    prober::script(&mut world, Where::Service, &script);
    prober::run(&mut world);
    let is_changed = world.machine.memory.read(PhysAddr::truncated(place)) == VALUE;
    if is_changed { Seen::Passed } else { Seen::Stopped }
}

/// What becomes of a writer's wild write with a row's mechanism and without.
fn seen(row: &str, writer: Writer) -> WithAndWithout {
    let usual = &prober::configuration();
    let plain = |on: &Configuration, off: &Configuration, target| {
        both([on, off], |world| writes(writer, world, target))
    };
    let hard = |on: &Configuration, off: &Configuration, target| {
        both([on, off], |world| insists(writer, world, target))
    };
    let iommu = &with(|c| c.machine.iommu = true);
    let stack = stack_top(0) - 0x800;
    match row {
        "separate page tables" => (word_of_another(writer), None),
        "user bit" => {
            plain(usual, &with(|c| c.weaknesses = vec!["driver-data-open".into()]), NEIGHBOUR_WORD)
        }
        "page that is not present" => (frame_without_table(writer), None),
        "hole between the halves" => (anywhere(writer, usual, 0x0000_8000_0000_0000), None),
        "null guard" => {
            let guard = |null_guard| {
                with(|c| {
                    c.machine.null_guard = null_guard;
                    let map = Action::AllocateAt { address: 1, slot: 3 };
                    c.components[0].actions.insert(0, map);
                })
            };
            both([&guard(true), &guard(false)], |world| anywhere(writer, world, 0x10))
        }
        "read-only code" => plain(usual, &with(|c| c.machine.read_only_code = false), CODE_WORD),
        "pool closed to execution" => {
            plain(usual, &with(|c| c.machine.no_execute_pool = false), POOL_WORD)
        }
        "SMEP" => plain(usual, &with(|c| c.machine.smep = false), POOL_WORD),
        "SMAP" => both([&with(|c| c.machine.smap = true), usual], |world| match writer {
            Writer::Device if device_writes_to_user_memory(world) => Seen::Passed,
            Writer::Device => Seen::Stopped,
            _ => anywhere(writer, world, address::USER_BUFFERS + 0x600),
        }),
        "self-map elsewhere" => {
            let elsewhere = with(|c| c.machine.self_map_randomised = true);
            both([&elsewhere, usual], |world| match writer {
                Writer::Device => writes(writer, world, prober::entry_of(world, POOL_WORD)),
                _ => anywhere(writer, world, address::table_entry(0x1ed, POOL_WORD)),
            })
        }
        "KVA shadow" => plain(&with(|c| c.machine.kva_shadow = true), usual, KERNEL_WORD),
        "code integrity" if writer == Writer::Device => {
            let on = with(|c| (c.machine.code_integrity, c.machine.iommu) = (true, true));
            hard(&on, iommu, CODE_WORD)
        }
        "code integrity" => hard(&with(|c| c.machine.code_integrity = true), usual, CODE_WORD),
        "memory of a higher trust level" => (kept(writer, true), Some(kept(writer, false))),
        "protected kernel data" if writer == Writer::Device => {
            let on = with(|c| (c.machine.protected_data, c.machine.iommu) = (true, true));
            hard(&on, iommu, SECTION_WORD)
        }
        "protected kernel data" => {
            hard(&with(|c| c.machine.protected_data = true), usual, SECTION_WORD)
        }
        "kernel shadow stack" => plain(&with(|c| c.machine.shadow_stacks = true), usual, stack),
        "late integrity checks" => {
            let spinning = |checks| {
                with(|c| {
                    c.machine.integrity_checks = checks;
                    c.components[0].actions.push(Action::Spin);
                })
            };
            both([&spinning(1), &spinning(0)], |world| match writer {
                Writer::Device => writes(writer, world, WATCHED_WORD),
                _ => insists(writer, world, WATCHED_WORD),
            })
        }
        "special pool" => both([&with(|c| c.machine.pool = PoolKind::Special), usual], |world| {
            behind_a_block(writer, world)
        }),
        "remapping of devices" => plain(iommu, usual, NEIGHBOUR_WORD),
        "protection keys" => {
            plain(&with(|c| c.machine.protection_keys = true), usual, NEIGHBOUR_WORD)
        }
        _ => panic!("no measurement of {row}"),
    }
}

#[test]
fn each_cell_is_what_is_seen_of_that_writer_with_the_mechanism_and_without() {
    let mut others = Vec::new();
    for (row, cells) in TABLE {
        let writers = [Writer::Application, Writer::Driver, Writer::Device];
        for (writer, cell) in writers.into_iter().zip(cells) {
            let told = match cell {
                Stop(_) => "stop",
                Late(_) => "late",
                No(_) => "no",
                NotApplicable(_) | NotModelled(_) => continue,
            };
            let seen = seen(row, writer);
            if cell_of(seen) != Some(told) {
                others.push(format!("{row}, {writer:?}: told as {told}, and seen {seen:?}"));
            }
        }
    }
    assert_eq!(others, [""; 0]);
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
    world.machine.memory.read(PhysAddr::truncated(bus)) == VALUE
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
        let word = world.machine.memory.read(PhysAddr::truncated(place));
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
