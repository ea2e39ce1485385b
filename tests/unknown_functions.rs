//! A driver refuses a function that it doesn't have, at each of its homes.
//!
//! Expected behaviour is from "IRP_MJ_DEVICE_CONTROL" and "Defining I/O Control Codes": a control code that a
//! driver doesn't know ends with `STATUS_INVALID_DEVICE_REQUEST`.

mod worlds;

use ringfence::base::{Event, EventKind, Witness};
use ringfence::kernel::request::{METHOD_BUFFERED, control_code};
use ringfence::kernel::{service, status};
use ringfence::scenario::home::Moved;
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};
use worlds::{application, driver};

/// What device controls came to, in order.
#[derive(Default)]
struct Statuses(Vec<u64>);

impl Witness for Statuses {
    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::Observe && event.value >> 8 == service::DEVICE_CONTROL {
            self.0.push(event.old);
        }
    }
}

/// What comes of asking a device for each of these functions.
fn statuses(components: Vec<Component>, functions: &[u64]) -> Vec<u64> {
    let open = Action::Open { device: "device".into(), file: 0, access: 3, slot: 0 };
    let ask = |&function: &u64| {
        let code = control_code(function, METHOD_BUFFERED, 0);
        Action::Control { slot: 0, code, length: 16, value: 8 }
    };
    let actions = core::iter::once(open).chain(functions.iter().map(ask)).collect();
    let components = [vec![application("asker", actions)], components].concat();
    let configuration = Configuration { components, ..Configuration::default() };
    let (mut world, mut seen) =
        (World::build(&configuration).expect("a world"), Statuses::default());
    while world.step(&mut seen).is_none_or(|rest| {
        assert_eq!(rest, Rest::Quiescent);
        false
    }) {}
    seen.0
}

/// The device with a driver at a home of its own.
fn at(home: Home, name: &str) -> Vec<Component> {
    let components = vec![driver("device", Home::KernelDriver, name, None)];
    let kernel = Configuration { components, ..Configuration::default() };
    Moved::to(&kernel, "device", home).expect("it moves").world.components
}

/// Drivers, with a function that each has and the least one that it hasn't.
const DRIVERS: [(&str, u64, u64); 5] =
    [("scanner", 3, 4), ("meter", 3, 4), ("parser", 3, 4), ("record", 4, 5), ("vulnerable", 7, 22)];

#[test]
fn an_unknown_function_is_refused_in_kernel_mode_and_in_a_host_alike() {
    for (name, known, unknown) in DRIVERS {
        for home in [Home::KernelDriver, Home::DriverHost] {
            let seen = statuses(at(home, name), &[known, unknown, 0xfff, known]);

            let refused = status::INVALID_DEVICE_REQUEST;
            let wanted = [status::SUCCESS, refused, refused, status::SUCCESS];
            assert_eq!(seen, wanted, "{name} at {home:?}");
        }
    }
}

#[test]
fn what_only_the_kernel_mode_driver_can_do_its_host_refuses() {
    // The classes that take their caller's memory as it is.
    let seen = statuses(at(Home::DriverHost, "vulnerable"), &[15, 16]);

    assert_eq!(seen, [status::INVALID_DEVICE_REQUEST; 2]);
}

#[test]
fn the_sensor_refuses_what_is_no_function_of_its() {
    let components = vec![
        driver("device", Home::KernelDriver, "reflector", None),
        driver("sensor", Home::DriverHost, "sensor", Some("device")),
    ];

    let seen = statuses(components, &[0, 4, 3]);

    assert_eq!(seen, [status::SUCCESS, status::INVALID_DEVICE_REQUEST, status::SUCCESS]);
}
