//! Driver Verifier: each option is silent where nothing is wrong and where it is off.

use ringfence::base::PhysAddr;
use ringfence::kernel::bug_check::code;
use ringfence::kernel::handle::KERNEL_HANDLE;
use ringfence::kernel::layout::{crash_block, device_object, kernel_data};
use ringfence::kernel::request::control_code;
use ringfence::kernel::status;
use ringfence::world::components::object_driver as driver;
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};

use crate::{
    A, Log, OK, Run, VirtAddr, address, application, assert_all_returned, call, in_turn, read, run,
};

/// An application that has opened the driver that uses handles, as handle 4, with these options on.
fn configuration(options: &[&str], actions: Vec<Action>) -> Configuration {
    let open = Action::Open { device: "objects".into(), file: 0, access: 3, slot: 0 };
    let mut configuration = in_turn(vec![[vec![open], actions].concat()], 0);
    configuration.components.push(Component {
        home: Home::KernelDriver,
        driver: Some("objects".to_owned()),
        ..application("objects", vec![])
    });
    configuration.machine.verifier = options.iter().map(|name| (*name).to_owned()).collect();
    configuration
}

/// The driver is asked for a function on a handle, and on an address.
fn asked(options: &[&str], function: u64, handle: u64, target: u64) -> Run {
    run(&configuration(
        options,
        vec![
            Action::CreateEvent { slot: 1 },
            Action::Store { word: 0, value: handle },
            Action::Store { word: 1, value: target },
            call(
                ringfence::kernel::service::DEVICE_CONTROL,
                &[4, control_code(function, 0, 0), address::USER_BUFFERS + 0x400, 16, 0, 0],
            ),
        ],
    ))
}

#[track_caller]
fn assert_rule(run: &Run, bug_check: u64, rule: u64) {
    assert_eq!(run.rest, Rest::BugCheck(bug_check));
    assert_eq!(run.field(address::KERNEL_DATA, crash_block::PARAMETER_1), rule, "{rule:#x}");
}

#[test]
fn handles_in_kernel_modes_name_are_looked_at() {
    let bad = KERNEL_HANDLE | 40;
    for (handle, expected) in [(8, [0xc4, 0xf6]), (0, [0xc4, 0xf5]), (bad, [0xc4, 0x3c])] {
        let on = asked(&["miscellaneous"], driver::SIGNAL_UNCHECKED, handle, 0);
        let [code, rule] = expected;
        assert_rule(&on, code, rule);

        for options in [&[][..], &["security", "io", "pool-tracking"]] {
            let off = asked(options, driver::SIGNAL_UNCHECKED, handle, 0);
            let expected = if handle == 8 { OK } else { status::INVALID_HANDLE };
            assert_eq!(off.statuses(A).last(), Some(&expected));
        }
    }
    let right = asked(&["miscellaneous"], driver::SIGNAL, 8, 0);
    assert_eq!(right.statuses(A).last(), Some(&OK), "in user mode's name it is as it should be");
}

#[test]
fn user_addresses_that_a_driver_passes_on_are_found() {
    let target = address::USER_BUFFERS + 0x300;
    let on = asked(&["security"], driver::QUERY, 8, target);
    assert_rule(&on, code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0xe3);
    assert_eq!(on.field(address::KERNEL_DATA, crash_block::PARAMETER_3), target);

    let off = asked(&["miscellaneous"], driver::QUERY, 8, target);
    assert_eq!(off.statuses(A).last(), Some(&OK));
}

#[test]
fn each_way_to_an_allocation_is_refused_once() {
    let actions = vec![Action::CreateEvent { slot: 1 }; 3];
    let mut configuration = in_turn(vec![actions], 0);
    configuration.machine.verifier = vec!["systematic-low-resources".to_owned()];

    let run = run(&configuration);

    assert_eq!(run.statuses(A), [status::INSUFFICIENT_RESOURCES, OK, OK]);
    assert_ne!(run.field(address::KERNEL_DATA, kernel_data::FAILED_PATHS), 0);
    assert_all_returned(&run);
}

#[test]
fn some_allocations_are_refused_the_same_ones_each_time() {
    let statuses = |schedule| {
        let actions =
            (0..25).flat_map(|_| [Action::CreateEvent { slot: 1 }, Action::Close { slot: 1 }]);
        let mut configuration = in_turn(vec![actions.collect()], 0);
        configuration.machine.verifier = vec!["low-resources".to_owned()];
        configuration.schedule = schedule;
        let run = run(&configuration);
        assert_all_returned(&run);
        run.statuses(A)
    };
    let refused = |schedule| {
        statuses(schedule).iter().filter(|&&one| one == status::INSUFFICIENT_RESOURCES).count()
    };

    let all: Vec<usize> = (0..20).map(refused).collect();

    let total: usize = all.iter().sum();
    assert!((10..60).contains(&total), "six in a hundred of 500: {all:?}");
    assert_eq!(statuses(3), statuses(3));
}

#[test]
fn a_request_for_what_is_no_device_object_is_found() {
    for (options, expected) in [(&["io"][..], true), (&[], false)] {
        let configuration = configuration(
            options,
            vec![Action::Control { slot: 0, code: 0x22_0000, length: 8, value: 8 }],
        );
        let mut world = World::build(&configuration).expect("it can be built");
        let mut log = Log::default();
        while log.seen.is_empty() {
            assert_eq!(world.step(&mut log), None, "the device is opened");
        }
        let device = read(&world, address::KERNEL_DATA, kernel_data::DEVICES);
        let at = VirtAddr(device + device_object::DRIVER.offset);
        let at = world.machine.locate(0, at).expect("the kernel is mapped");
        world.machine.memory.write(PhysAddr::truncated(at), 0);

        let rest = world.run(&mut log, u64::MAX);

        let found = [crash_block::CODE, crash_block::PARAMETER_1]
            .map(|field| read(&world, address::KERNEL_DATA, field));
        assert_eq!(found == [0xc9, 4], expected, "{rest:?}");
    }
}

#[test]
fn an_option_that_is_none_is_named_with_those_there_are() {
    let error = World::build(&configuration(&["spezial-pool"], vec![])).err().expect("no option");

    assert!(
        error.what.contains("`spezial-pool`") && error.what.contains("special-pool, low-resources")
    );
}
