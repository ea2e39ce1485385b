//! Which protection stops which writer: the same wild access with the protection on and off.
//!
//! The rows are those of a table that was put together from Microsoft's pages on each mechanism:
//! what is stopped, what is found late, and what nothing stops. In the default world nothing stops a
//! kernel driver's write to another driver's or the kernel's writable data.

mod prober;

use prober::writers::{
    CODE_WORD, KERNEL_WORD, NEIGHBOUR_WORD, Outcome, POOL_WORD, SECTION_WORD, TABLE_WORD, VALUE,
    WATCHED_WORD, after_editing, application_writes, device_writes, driver_edits_and_writes,
    driver_writes, with,
};
use prober::{Do, To, Where};
use ringfence::base::{Access, VirtAddr};
use ringfence::kernel::layout::address;
use ringfence::scenario::{Scenario, Variation, library};
use ringfence::world::{Action, Configuration, Rest, World};

/// A word of data that is set up once and that the page tables leave writable: an interrupt gate nobody goes through.
const GATE_WORD: u64 = address::INTERRUPT_TABLE + 0x60 * 16;

#[test]
fn by_default_nothing_stops_a_driver_s_write_to_writable_data_of_others() {
    let usual = prober::configuration();

    for target in [NEIGHBOUR_WORD, KERNEL_WORD, POOL_WORD] {
        assert_eq!(driver_writes(&usual, target), Outcome::Silent, "{target:#x}");
        assert_eq!(device_writes(&usual, target, false), Outcome::Silent, "{target:#x}");
        assert_eq!(application_writes(&usual, target), Outcome::ProcessEnded, "{target:#x}");
    }
}

#[test]
fn the_user_bit_stops_applications_and_nobody_else() {
    let open = with(|c| c.weaknesses = vec!["driver-data-open".into()]);

    assert_eq!(application_writes(&open, NEIGHBOUR_WORD), Outcome::Silent);
    assert_eq!(application_writes(&prober::configuration(), NEIGHBOUR_WORD), Outcome::ProcessEnded);
}

#[test]
fn read_only_code_stops_drivers_until_they_edit_the_entry() {
    let (on, off) = (prober::configuration(), with(|c| c.machine.read_only_code = false));

    assert_eq!(driver_writes(&on, CODE_WORD), Outcome::Stopped(0xbe));
    assert_eq!(driver_writes(&off, CODE_WORD), Outcome::Silent);
    assert_eq!(driver_edits_and_writes(&on, CODE_WORD), Outcome::Silent);
    assert_eq!(device_writes(&on, CODE_WORD, false), Outcome::Silent);
    assert_eq!(application_writes(&off, CODE_WORD), Outcome::ProcessEnded);
}

#[test]
fn code_integrity_holds_after_the_entry_was_edited_and_for_code_only() {
    let (on, off) = (with(|c| c.machine.code_integrity = true), prober::configuration());

    assert_eq!(driver_edits_and_writes(&on, CODE_WORD), Outcome::Stopped(0x18d));
    assert_eq!(driver_edits_and_writes(&off, CODE_WORD), Outcome::Silent);
    assert_eq!(driver_writes(&on, NEIGHBOUR_WORD), Outcome::Silent);
    assert_eq!(driver_writes(&on, KERNEL_WORD), Outcome::Silent);
    // What the page tables say is another level's business: that they leave code writable contradicts nothing.
    let open = |code_integrity| {
        with(|c| (c.machine.code_integrity, c.machine.read_only_code) = (code_integrity, false))
    };
    assert_eq!(driver_writes(&open(true), CODE_WORD), Outcome::Stopped(0x18d));
    assert_eq!(driver_writes(&open(false), CODE_WORD), Outcome::Silent);
    // A device is stopped only where the hypervisor has the IOMMU.
    let with_iommu = with(|c| (c.machine.code_integrity, c.machine.iommu) = (true, true));
    let iommu_alone = with(|c| c.machine.iommu = true);
    assert_eq!(device_writes(&on, CODE_WORD, true), Outcome::Silent);
    assert_eq!(device_writes(&with_iommu, CODE_WORD, true), Outcome::Refused);
    assert_eq!(device_writes(&iommu_alone, CODE_WORD, true), Outcome::Silent);
}

#[test]
fn code_integrity_closes_data_to_execution_whatever_its_entry_says() {
    let run = |configuration: &Configuration, target, clear, last| {
        let mut world = prober::built(configuration);
        let script = after_editing(&world, target, 2, clear, last);
        prober::script(&mut world, Where::Service, &script);
        prober::run(&mut world).crash
    };
    let on = with(|c| c.machine.code_integrity = true);
    let execute = Do::Execute(To::Plain(POOL_WORD));

    // What is there is no instruction; that it is fetched at all is the difference.
    let [code, status, ..] = run(&prober::configuration(), POOL_WORD, 1 << 63, execute);
    assert_eq!((code, status), (0x3b, 0xc000_001d));
    let [code, what, at, ..] = run(&on, POOL_WORD, 1 << 63, execute);
    assert_eq!((code, what, at), (0x18d, 1, POOL_WORD));
    let [code, what, at, ..] = run(&on, CODE_WORD, 0, Do::Write(To::Plain(CODE_WORD), VALUE));
    assert_eq!((code, what, at), (0x18d, 4, CODE_WORD));
}

#[test]
fn protected_data_holds_after_the_entry_was_edited_and_for_that_data_only() {
    let (on, off) = (with(|c| c.machine.protected_data = true), prober::configuration());

    assert_eq!(driver_edits_and_writes(&on, TABLE_WORD), Outcome::Stopped(0x18d));
    assert_eq!(driver_edits_and_writes(&off, TABLE_WORD), Outcome::Silent);
    assert_eq!(driver_edits_and_writes(&on, CODE_WORD), Outcome::Silent);
    // Data that the tables leave writable is protected from below all the same, where it is set up once: a
    // section of a driver's image, from the driver itself as from others; a table of the kernel.
    for word in [SECTION_WORD, GATE_WORD] {
        assert_eq!(driver_writes(&on, word), Outcome::Stopped(0x18d), "{word:#x}");
        assert_eq!(driver_writes(&off, word), Outcome::Silent, "{word:#x}");
        let mut world = prober::built(&on);
        prober::script(&mut world, Where::Service, &[Do::Write(To::Plain(word), VALUE)]);
        assert_eq!(prober::run(&mut world).crash[..3], [0x18d, 4, word]);
        let entry = prober::word(&world, prober::entry_of(&on, word));
        assert_eq!(entry & 2, 2, "the page tables leave {word:#x} writable");
    }
    for target in [NEIGHBOUR_WORD, KERNEL_WORD, prober::DATA + 0xf00] {
        assert_eq!(driver_writes(&on, target), Outcome::Silent, "{target:#x}");
    }
    let with_iommu = with(|c| (c.machine.protected_data, c.machine.iommu) = (true, true));
    for word in [TABLE_WORD, SECTION_WORD] {
        assert_eq!(device_writes(&with_iommu, word, true), Outcome::Refused, "{word:#x}");
        assert_eq!(device_writes(&on, word, true), Outcome::Silent, "{word:#x}");
        assert_eq!(application_writes(&off, word), Outcome::ProcessEnded, "{word:#x}");
    }
}

#[test]
fn late_checks_find_what_is_watched_later_and_nothing_else() {
    let spinning = |checks| {
        with(|c| {
            c.machine.integrity_checks = checks;
            c.components[0].actions.push(Action::Spin);
        })
    };
    let (on, off) = (spinning(1), spinning(0));

    assert_eq!(driver_edits_and_writes(&on, WATCHED_WORD), Outcome::Late(0x109));
    assert_eq!(driver_edits_and_writes(&off, WATCHED_WORD), Outcome::Silent);
    assert_eq!(device_writes(&on, WATCHED_WORD, false), Outcome::Late(0x109));
    assert_eq!(device_writes(&off, WATCHED_WORD, false), Outcome::Silent);
    assert_eq!(driver_writes(&on, NEIGHBOUR_WORD), Outcome::Silent);
    // Each type of region.
    for (target, expected) in [
        (WATCHED_WORD, [0x109, 0, 0, address::SERVICE_TABLE, 0]),
        (address::KERNEL_CODE + 0xff8, [0x109, 0, 0, address::KERNEL_CODE, 1]),
        (address::INTERRUPT_TABLE + 63 * 16, [0x109, 0, 0, address::INTERRUPT_TABLE, 2]),
        (address::IO_OBJECTS + 0x80 + 0x18, [0x109, 0, 0, address::IO_OBJECTS + 0x80, 0x1c]),
    ] {
        let mut world = prober::built(&on);
        let script = after_editing(&world, target, 2, 0, Do::Write(To::Plain(target), VALUE));
        prober::script(&mut world, Where::Service, &script);

        let found = prober::run(&mut world).crash;

        assert_eq!(found, expected, "{target:#x}");
    }
}

#[test]
fn late_checks_find_nothing_where_nothing_was_changed() {
    let configuration = with(|c| {
        c.machine.integrity_checks = 1;
        c.components[0].actions.push(Action::Spin);
    });

    let ended = prober::run(&mut prober::built(&configuration));

    assert_eq!(ended.rest, Rest::OutOfSteps);
}

#[test]
fn the_iommu_stops_devices_outside_what_was_mapped_and_nobody_else() {
    let (on, off) = (with(|c| c.machine.iommu = true), prober::configuration());

    assert_eq!(device_writes(&on, NEIGHBOUR_WORD, false), Outcome::Refused);
    assert_eq!(device_writes(&off, NEIGHBOUR_WORD, false), Outcome::Silent);
    assert_eq!(driver_writes(&on, NEIGHBOUR_WORD), Outcome::Silent);
}

#[test]
fn dma_protection_is_for_devices_from_outside_and_remapping_for_internal_ones() {
    let device = |is_internal: bool, iommu: bool, iommu_internal: bool| {
        with(|c| {
            let machine = &mut c.machine;
            machine.transfer_device_internal = is_internal;
            (machine.iommu, machine.iommu_internal) = (iommu, iommu_internal);
        })
    };
    let of = |is_internal, iommu, iommu_internal| {
        device_writes(&device(is_internal, iommu, iommu_internal), NEIGHBOUR_WORD, false)
    };

    assert_eq!(of(false, true, false), Outcome::Refused);
    assert_eq!(of(true, true, false), Outcome::Silent, "an internal device passes by");
    assert_eq!(of(true, false, true), Outcome::Refused);
    assert_eq!(of(false, false, true), Outcome::Silent);
    for is_internal in [false, true] {
        assert_eq!(of(is_internal, true, true), Outcome::Refused);
    }
    // What passes by the IOMMU is not held by a second level behind it either.
    let mut integrity = device(true, true, false);
    integrity.machine.code_integrity = true;
    assert_eq!(device_writes(&integrity, CODE_WORD, true), Outcome::Silent);
}

#[test]
fn protection_keys_stop_a_driver_at_another_s_data_and_only_there() {
    let (on, off) = (with(|c| c.machine.protection_keys = true), prober::configuration());

    assert_eq!(driver_writes(&on, NEIGHBOUR_WORD), Outcome::Stopped(0xbe));
    // Not because it is read-only: the entry that is told may be written, and has the key.
    let mut world = prober::built(&on);
    prober::script(&mut world, Where::Service, &[Do::Write(To::Plain(NEIGHBOUR_WORD), VALUE)]);
    let entry = prober::run(&mut world).crash[2];
    assert_eq!((entry & 0b11, entry >> 59 & 15 != 0), (0b11, true), "{entry:#x}");
    assert_eq!(driver_writes(&off, NEIGHBOUR_WORD), Outcome::Silent);
    assert_eq!(driver_writes(&on, prober::DATA + 0x2f8), Outcome::Silent);
    assert_eq!(driver_writes(&on, KERNEL_WORD), Outcome::Silent);
    assert_eq!(device_writes(&on, NEIGHBOUR_WORD, false), Outcome::Silent);
}

#[test]
fn a_host_that_two_drivers_share_is_woken_though_each_has_a_key_of_its_own() {
    let file = library::find("incidents/I11-printer-drivers").expect("built in");
    let mut scenario = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
    let shared =
        Variation::read("home=shared-host+protection-keys=on").expect("a home and a switch");
    for printer in ["printer-1", "printer-2", "printer-3"] {
        scenario = shared.of(&scenario, Some(printer)).expect("it moves").scenario;
    }
    let mut world = World::build(&scenario.configuration).expect("it can be");

    let rest = world.run(&mut (), u64::MAX);

    assert_eq!(rest, Rest::Quiescent, "the job that kills the host stops no machine");
}

#[test]
fn smap_stops_drivers_at_user_memory_only() {
    // The user page is reached by its own address; what became of it is told by the application.
    let crash = |smap| {
        let configuration = with(|c| c.machine.smap = smap);
        let mut world = prober::built(&configuration);
        let write = Do::Write(To::Plain(address::USER_BUFFERS + 0x600), VALUE);
        prober::script(&mut world, Where::Service, &[write]);
        prober::run(&mut world).rest
    };

    assert_eq!(crash(true), Rest::BugCheck(0x50));
    assert_eq!(crash(false), Rest::Quiescent);
    let on = with(|c| c.machine.smap = true);
    assert_eq!(driver_writes(&on, NEIGHBOUR_WORD), Outcome::Silent);
}

#[test]
fn smap_closes_a_page_of_the_system_that_has_the_user_bit_too() {
    let ended = |smap| {
        let configuration = with(|c| {
            c.machine.smap = smap;
            c.weaknesses = vec!["driver-data-open".into()];
        });
        let mut world = prober::built(&configuration);
        prober::script(&mut world, Where::Service, &[Do::Read(To::Plain(NEIGHBOUR_WORD))]);
        let crash = prober::run(&mut world).crash;
        (crash, world.machine.locate(0, VirtAddr(crash[1])).is_some())
    };

    // The page is mapped: that its entry was freed (0) would not be true.
    let ([code, at, access, _, why], is_mapped) = ended(true);
    assert_eq!((code, access, why, is_mapped), (0x50, 0, 0xf, true));
    assert!(at >> 63 == 1, "{at:#x}");
    assert_eq!(ended(false).0[0], 0);
}

#[test]
fn smep_stops_the_execution_of_user_code() {
    let crash = |smep| {
        let configuration = with(|c| c.machine.smep = smep);
        let mut world = prober::built(&configuration);
        let execute = Do::Execute(To::Plain(address::USER_CODE));
        prober::script(&mut world, Where::Service, &[execute]);
        prober::run(&mut world).rest
    };

    assert_eq!(crash(true), Rest::BugCheck(0xfc));
    assert_ne!(crash(false), Rest::BugCheck(0xfc));
    let off = with(|c| c.machine.smep = false);
    assert_eq!(driver_writes(&off, NEIGHBOUR_WORD), Outcome::Silent);
}

#[test]
fn a_pool_closed_to_execution_stops_execution_and_no_write() {
    let (on, off) = (prober::configuration(), with(|c| c.machine.no_execute_pool = false));
    let crash = |configuration: &Configuration| {
        let mut world = prober::built(configuration);
        let execute = Do::Execute(To::Plain(POOL_WORD));
        prober::script(&mut world, Where::Service, &[execute]);
        prober::run(&mut world).crash
    };

    assert_eq!(crash(&on)[0], 0xfc);
    // It is fetched, and is no instruction.
    assert_eq!(crash(&off)[..2], [0x3b, 0xc000_001d]);
    for configuration in [on, off] {
        assert_eq!(driver_writes(&configuration, POOL_WORD), Outcome::Silent);
    }
}

#[test]
fn the_null_guard_turns_a_null_dereference_into_an_exception() {
    let run = |null_guard| {
        let configuration = with(|c| {
            c.machine.null_guard = null_guard;
            c.components[0].actions.insert(0, Action::AllocateAt { address: 1, slot: 3 });
        });
        let mut world = prober::built(&configuration);
        prober::script(&mut world, Where::Service, &[Do::Read(To::Plain(0x10))]);
        prober::run(&mut world)
    };

    let guarded = run(true);
    assert_eq!(guarded.seen.statuses[0], 0xc000_000d);
    assert_eq!(guarded.crash[..2], [0x3b, 0xc000_0005]);
    let open = run(false);
    assert_eq!(open.rest, Rest::Quiescent);
    assert!(open.seen.statuses.iter().all(|status| *status == 0), "{:x?}", open.seen.statuses);
}

#[test]
fn a_self_map_elsewhere_makes_a_write_to_the_known_address_miss() {
    let known = address::table_entry(0x1ed, POOL_WORD);
    let fixed = prober::configuration();
    let randomised = with(|c| c.machine.self_map_randomised = true);

    assert_eq!(driver_writes(&fixed, known), Outcome::Silent);
    let mut world = prober::built(&randomised);
    prober::script(&mut world, Where::Service, &[Do::Write(To::Plain(known), VALUE)]);
    let [code, at, access, _, why] = prober::run(&mut world).crash;
    assert_eq!((code, at, access, why), (0x50, known, 2, 2));
    // A write to where it really is does what it does.
    let there = prober::entry_of(&randomised, POOL_WORD);
    assert_eq!(driver_writes(&randomised, there), Outcome::Silent);
}

#[test]
fn the_self_map_s_place_follows_from_the_seed() {
    let slot = |schedule| {
        with(|c| (c.machine.self_map_randomised, c.schedule) = (true, schedule)).self_map_slot()
    };
    let slots: std::collections::BTreeSet<u16> = (0..64).map(slot).collect();

    assert!(slots.len() > 40, "{slots:x?}");
    assert!(slots.iter().all(|slot| (256..512).contains(slot)));
    assert_eq!(slot(7), slot(7));
}

#[test]
fn a_shadow_stack_lets_the_write_pass_and_stops_the_return() {
    let run = |shadow_stacks| {
        let configuration = with(|c| c.machine.shadow_stacks = shadow_stacks);
        let mut world = prober::built(&configuration);
        // The last step of the routine that called: the request is never completed.
        let elsewhere = address::DRIVER_CODE + 2 * 16;
        prober::script(&mut world, Where::Service, &[Do::Write(To::Return, elsewhere)]);
        prober::run(&mut world)
    };

    assert_eq!(run(false).rest, Rest::Quiescent);
    let stopped = run(true);
    assert_eq!(stopped.crash[..2], [0x139, 0x39]);
}

#[test]
fn kva_shadow_stops_reads_that_pass_over_the_user_bit_and_no_writer() {
    let (on, off) = (with(|c| c.machine.kva_shadow = true), prober::configuration());
    // What an application gets of a page of the kernel: its status, or nothing when it was ended.
    let reads = |configuration: &Configuration, weakness: &str, target: u64| {
        let mut configuration = configuration.clone();
        configuration.weaknesses = vec![weakness.into()];
        let access = Action::Access { address: target, access: Access::Read };
        configuration.components[0].actions.insert(0, access);
        let mut world = prober::built(&configuration);
        !prober::run(&mut world).seen.statuses.is_empty()
    };

    // A processor that forwards what is mapped, and an entry of the full root that lost its meaning.
    assert!(reads(&off, "supervisor-read", KERNEL_WORD));
    assert!(!reads(&on, "supervisor-read", KERNEL_WORD));
    // The root itself, where the self-map shows it.
    let self_map = (0..4).fold(POOL_WORD, |at, _| address::table_entry(0x1ed, at));
    assert!(reads(&off, "user-bit-in-system", self_map));
    assert!(!reads(&on, "user-bit-in-system", self_map));
    // What entries need is mapped, and read.
    assert!(reads(&on, "supervisor-read", address::INTERRUPT_TABLE));
    for target in [NEIGHBOUR_WORD, KERNEL_WORD, POOL_WORD] {
        assert_eq!(driver_writes(&on, target), Outcome::Silent, "{target:#x}");
        assert_eq!(device_writes(&on, target, false), Outcome::Silent, "{target:#x}");
        assert_eq!(application_writes(&on, target), Outcome::ProcessEnded, "{target:#x}");
    }
}

#[test]
fn kva_shadow_closes_user_code_to_kernel_mode_as_smep_does() {
    let crash = |kva_shadow| {
        let configuration = with(|c| (c.machine.smep, c.machine.kva_shadow) = (false, kva_shadow));
        let mut world = prober::built(&configuration);
        let execute = Do::Execute(To::Plain(address::USER_CODE));
        prober::script(&mut world, Where::Service, &[execute]);
        prober::run(&mut world).rest
    };

    assert_eq!(crash(true), Rest::BugCheck(0xfc));
    assert_ne!(crash(false), Rest::BugCheck(0xfc));
}

#[test]
fn with_everything_on_a_sound_world_is_as_it_was() {
    let all = with(|c| {
        let m = &mut c.machine;
        (m.smap, m.iommu, m.code_integrity, m.protected_data) = (true, true, true, true);
        (m.shadow_stacks, m.protection_keys, m.integrity_checks) = (true, true, 1);
        (m.self_map_randomised, m.kva_shadow, m.pcid) = (true, true, true);
    });

    let ended = prober::run(&mut prober::built(&all));

    assert_eq!(ended.rest, Rest::Quiescent, "{:x?}", ended.crash);
    assert!(ended.seen.statuses.iter().all(|status| *status == 0), "{:x?}", ended.seen.statuses);
}

#[test]
fn shadow_stacks_change_nothing_where_the_kernel_runs_on_a_stack_of_user_mode() {
    // The shadow stack pointer is none of RSP's business: it stays where it was, and each return finds its address.
    for (incident, on) in
        [("incidents/I18-sysret", "shadow-stacks=on"), ("incidents/I19-mov-ss", "shadow-stacks=on")]
    {
        let file = library::find(incident).expect("built in");
        let scenario = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
        let with = Variation::read(on).expect("a switch").of(&scenario, None).expect("it fits");
        let rest = |scenario: &Scenario| {
            World::build(&scenario.configuration).expect("it can be").run(&mut (), u64::MAX)
        };

        assert_eq!(rest(&with.scenario), Rest::BugCheck(0x3b), "{incident}");
        assert_eq!(rest(&scenario), Rest::BugCheck(0x3b), "{incident}");
    }
}
