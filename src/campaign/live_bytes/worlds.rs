//! The worlds that a map is made of when none is named.

use crate::kernel::layout::address;
use crate::kernel::request::{METHOD_IN_DIRECT, METHOD_OUT_DIRECT, control_code};
use crate::kernel::service;
use crate::scenario::library::{ALL, Builtin, INCIDENTS};
use crate::scenario::{Scenario, Vocabulary};
use crate::world::components::buffer_driver;
use crate::world::{Action, Component, Configuration, Home, VERIFIER_OPTIONS};

/// What the kernel can be asked to do, then the scenarios built in, and the incidents with their contrasts.
/// Worlds alike in all but their plans count once, for no plan is run.
#[must_use]
pub fn worlds() -> Vec<Scenario> {
    let read = |file: &Builtin| {
        let scenario = Scenario::from_toml(file.name, file.text, &Vocabulary::default());
        Scenario { name: file.name.to_owned(), ..scenario.expect("what is built in is sound") }
    };
    let mut found = varied(&read);
    for scenario in ALL.iter().chain(INCIDENTS).map(read) {
        let contrasts = scenario.contrasts.iter().map(|one| {
            let changed = one.of(&scenario).expect("what is built in is sound");
            Scenario { name: format!("{}: {}", scenario.name, one.name), ..changed }
        });
        let contrasts: Vec<Scenario> = contrasts.collect();
        found.push(scenario);
        found.extend(contrasts);
    }
    let mut seen: Vec<Configuration> = Vec::new();
    found.retain(|scenario| {
        let is_new = !seen.contains(&scenario.configuration);
        if is_new {
            seen.push(scenario.configuration.clone());
        }
        is_new
    });
    found
}

/// The usual world, with each option of Driver Verifier, watchdogs so strict that work without any fault exceeds
/// them, requests as long as there may be, and a driver that fails in a host of its own.
fn varied(read: &impl Fn(&Builtin) -> Scenario) -> Vec<Scenario> {
    let named = |name: &str| {
        let file = ALL.iter().find(|file| file.name == name);
        read(file.expect("it is built in"))
    };
    let changed = |base: &str, what: String, change: &dyn Fn(&mut Configuration)| {
        let mut scenario = Scenario { name: format!("{base}, {what}"), ..named(base) };
        change(&mut scenario.configuration);
        scenario
    };
    let mut found = vec![named("standard")];
    found.extend([long_and_direct_requests(named("standard")), failing_alone()]);
    let mut signed = long_and_direct_requests(named("standard"));
    signed.name = "long and direct requests, signed".into();
    signed.configuration.machine.verifier = vec!["invariant-mdl-checking-for-driver".to_owned()];
    found.push(signed);
    found.extend(VERIFIER_OPTIONS.iter().map(|&(option, ..)| {
        changed("standard", format!("verifier {option}"), &|world| {
            world.machine.verifier = vec![option.to_owned()];
        })
    }));
    found.push(changed("pageable-with-lock-held", "deadlock-detection".into(), &|world| {
        // The page is there, and the lock is given back.
        world.schedule = 1;
        world.machine.verifier = vec!["deadlock-detection".to_owned()];
    }));
    let strict = [(5, 20, 12), (1, 0, 0), (0, 1, 0), (0, 0, 1)];
    found.extend(strict.iter().map(|&limits| {
        changed("pageable-with-lock-held", format!("watchdogs {limits:?}"), &|world| {
            let machine = &mut world.machine;
            machine.clock_interval = 30;
            (machine.dpc_timeout, machine.dpc_watchdog_period, machine.clock_watchdog) = limits;
        })
    }));
    found.push(worn_special_pool());
    found.push(changed("pageable-with-lock-held", "shadow roots".into(), &|world| {
        // A tick that comes in anywhere needs a root that is right everywhere.
        let machine = &mut world.machine;
        (machine.kva_shadow, machine.pcid, machine.dpc_timeout) = (true, true, 5);
        machine.clock_interval = 30;
    }));
    found
}

fn component(name: &str, home: Home, driver: &str, above: Option<&str>) -> Component {
    let driver = (!driver.is_empty()).then(|| driver.to_owned());
    Component { driver, above: above.map(str::to_owned), ..Component::new(name, home) }
}

fn application(name: &str, actions: Vec<Action>) -> Component {
    Component { actions, ..component(name, Home::Application, "", None) }
}

/// Requests as long as there may be, and one whose buffer the system maps.
fn long_and_direct_requests(standard: Scenario) -> Scenario {
    let direct = |function, method| Action::SystemCall {
        service: service::DEVICE_CONTROL.try_into().expect("few services"),
        arguments: vec![
            4,
            control_code(function, method, 0),
            0,
            0,
            address::USER_BUFFERS + 0x404,
            64,
        ],
    };
    let actions = vec![
        Action::Open { device: "buffers".into(), file: 0, access: 3, slot: 0 },
        direct(buffer_driver::FILL, METHOD_OUT_DIRECT),
        direct(buffer_driver::CHECK, METHOD_IN_DIRECT),
        Action::Control { slot: 0, code: 0x22_0000, length: 256, value: 1 },
        Action::Control { slot: 0, code: 0x22_0000, length: 448, value: 1 },
    ];
    let mut scenario = Scenario { name: "long and direct requests".into(), ..standard };
    scenario.configuration.components.extend([
        application("asker", actions),
        component("buffers", Home::KernelDriver, "buffers", None),
    ]);
    scenario
}

/// A driver that crashes until it has failed in a host of its own, which is logged and kept.
fn failing_alone() -> Scenario {
    let open = Action::Open { device: "printer".into(), file: 0, access: 3, slot: 0 };
    let job = Action::Control { slot: 0, code: 0x22_0000, length: 64, value: 0x8 };
    let look = Action::DeviceEvent { slot: 0 };
    let each = [open, look.clone(), job, look, Action::Close { slot: 0 }];
    let components = vec![
        application("client", vec![each; 4].concat()),
        component("printer", Home::KernelDriver, "reflector", None),
        component("shared", Home::SharedHost, "scanner", None),
        component("own", Home::SharedDriver, "scanner", Some("printer")),
        component("manager", Home::DriverManager, "", None),
    ];
    let mut configuration = Configuration { components, ..Configuration::default() };
    let machine = &mut configuration.machine;
    (machine.event_log, machine.host_record) = (true, true);
    Scenario { name: "failing alone".into(), configuration, ..Scenario::default() }
}

/// More blocks of special pool than it has slots.
fn worn_special_pool() -> Scenario {
    let open = Action::Open { device: "buffers".into(), file: 0, access: 3, slot: 0 };
    let job = Action::Control { slot: 0, code: 0x22_0000, length: 64, value: 1 };
    let components = vec![
        application("asker", [vec![open], vec![job; 50]].concat()),
        component("buffers", Home::KernelDriver, "buffers", None),
    ];
    let mut configuration = Configuration { components, ..Configuration::default() };
    configuration.machine.verifier = vec!["special-pool".to_owned()];
    Scenario { name: "special pool that was used up".into(), configuration, ..Scenario::default() }
}
