//! Nothing is remembered on the Rust side: between any two steps every object of kernel and
//! components can be dropped and made again from memory, registers and devices.

use ringfence::base::{Digest, Event, TraceHash, Witness};
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::request::{METHOD_BUFFERED, control_code};
use ringfence::scenario::{Scenario, library};
use ringfence::world::components::pageable_driver::{ADD_UP, DEFER, KEEP_HELD_PAGED};
use ringfence::world::{
    Action, Component, Configuration, CrashKind, Home, Rest, World, components,
};

#[derive(Default)]
struct Trace(TraceHash);

impl Witness for Trace {
    fn event(&mut self, event: &Event) {
        let [head, phys, virt, value, old] = event.words();
        self.0.absorb(head, phys);
        self.0.absorb(virt, value);
        self.0.absorb(old, 0);
    }
}

fn application(name: &str, actions: Vec<Action>) -> Component {
    Component { actions, ..Component::new(name, Home::Application) }
}

fn configuration() -> Configuration {
    let first = vec![
        Action::Allocate { slot: 0 },
        Action::StoreThrough { slot: 0, word: 3, value: 9 },
        Action::CreateEvent { slot: 1 },
        Action::CreateProcess { process: "child".into(), first: 6, inherit: true, slot: 2 },
        Action::Free { slot: 0 },
        Action::Exit { status: 5 },
        Action::SetEvent { slot: 1 },
    ];
    let second = vec![
        Action::OpenSection { section: 0, access: 3, slot: 2 },
        Action::MapView { slot: 2, view: 3 },
        Action::StoreThrough { slot: 3, word: 0, value: 77 },
        Action::Yield,
        Action::Access { address: 0, access: ringfence::base::Access::Read },
    ];
    let child = Component { spawned: true, ..application("child", vec![]) };
    Configuration {
        components: vec![application("first", first), application("second", second), child],
        ..Configuration::default()
    }
}

fn state(world: &World) -> Digest {
    world.machine.state_hash().digest()
}

/// Runs a world beside one that is forgotten whenever `is_forgotten` says so of the boot and of the
/// step since, over all boots. Returns how often it was, and the steps of each boot.
fn run_beside_a_forgetful_one(
    configuration: &Configuration,
    boots: u8,
    is_forgotten: impl Fn(u8, u64) -> bool,
) -> (u64, Vec<u64>) {
    let drivers = components::drivers();
    let build = || World::build(configuration).expect("a sound configuration");
    let (mut kept, mut forgetful) = (build(), build());
    let (mut kept_trace, mut forgetful_trace) = (Trace::default(), Trace::default());
    let (mut forgotten, mut lengths) = (0, Vec::new());
    for boot in 1..=boots {
        let mut steps = 0;
        loop {
            if is_forgotten(boot, steps) {
                forgetful = forgetful.rebuilt(&drivers);
                forgotten += 1;
            }
            let rest = kept.step(&mut kept_trace);
            assert_eq!(forgetful.step(&mut forgetful_trace), rest, "boot {boot}, step {steps}");
            assert_eq!(forgetful_trace.0, kept_trace.0, "boot {boot}, step {steps}");
            assert_eq!(state(&forgetful), state(&kept), "boot {boot}, step {steps}");
            steps += 1;
            if let Some(rest) = rest {
                assert!(boot == boots || rest != Rest::Quiescent, "boot {boot} does not stop");
                break;
            }
        }
        lengths.push(steps);
        if boot < boots {
            kept.reboot();
            forgetful.reboot();
        }
    }
    (forgotten, lengths)
}

fn built_in(name: &str) -> Configuration {
    let text = library::find(name).expect("it is built in").text;
    Scenario::from_bytes(text.as_bytes()).expect("it is sound").configuration
}

#[test]
fn a_world_forgotten_between_any_two_steps_goes_on_the_same() {
    let (forgotten, lengths) = run_beside_a_forgetful_one(&configuration(), 1, |_, _| true);

    assert!(forgotten > 500, "only {lengths:?} steps: too little happened to show anything");
}

#[test]
fn a_world_with_every_component_forgotten_now_and_then_goes_on_the_same() {
    // Each of its steps would take minutes: at each of the first, and from then on at every 61st.
    let is_forgotten = |_, step: u64| step < 32 || step.is_multiple_of(61);
    let standard = built_in("standard");

    let (forgotten, lengths) = run_beside_a_forgetful_one(&standard, 1, is_forgotten);

    assert!(forgotten > 100, "{forgotten} times in {lengths:?} steps");
}

#[test]
#[ignore = "minutes; .ci/run has a section for it"]
fn a_world_with_every_component_forgotten_between_any_two_steps_goes_on_the_same() {
    let (forgotten, lengths) = run_beside_a_forgetful_one(&built_in("standard"), 1, |_, _| true);

    assert!(forgotten > 7_000, "only {lengths:?} steps");
}

#[test]
fn a_world_with_watchdogs_and_pageable_memory_forgotten_goes_on_the_same() {
    let mut world = configuration();
    let machine = &mut world.machine;
    (machine.pageable, machine.pool, machine.clock_interval) = (true, PoolKind::Legacy, 60);
    (machine.dpc_timeout, machine.dpc_watchdog_period, machine.clock_watchdog) = (3, 5, 4);
    let code = |function| control_code(function, METHOD_BUFFERED, 0);
    let control = |function| Action::Control { slot: 0, code: code(function), length: 8, value: 1 };
    let open = Action::Open { device: "keeper".into(), file: 0, access: 3, slot: 0 };
    let actions =
        vec![open, control(ADD_UP), control(KEEP_HELD_PAGED), control(DEFER), control(ADD_UP)];
    let driver = Some("pageable".to_owned());
    let keeper = Component { home: Home::KernelDriver, driver, ..application("keeper", vec![]) };
    world.components = vec![application("first", actions), keeper];

    let is_forgotten = |_, step: u64| step < 32 || step.is_multiple_of(11);

    let (forgotten, lengths) = run_beside_a_forgetful_one(&world, 1, is_forgotten);

    assert!(forgotten > 60, "{forgotten} times in {lengths:?} steps");
}

#[test]
fn a_world_with_shadow_roots_forgotten_between_any_two_steps_goes_on_the_same() {
    for pcid in [false, true] {
        let mut world = configuration();
        (world.machine.kva_shadow, world.machine.pcid) = (true, pcid);
        let is_forgotten = |_, step: u64| step < 64 || step.is_multiple_of(13);

        let (forgotten, lengths) = run_beside_a_forgetful_one(&world, 1, is_forgotten);

        assert!(forgotten > 100, "only {lengths:?} steps: too little happened to show anything");
    }
}

#[test]
fn a_world_with_two_threads_in_a_process_forgotten_between_any_two_steps_goes_on_the_same() {
    let actions = vec![
        Action::CreateThread { first: 4, slot: 1 },
        Action::Load { word: 3 },
        Action::Repeat { first: 1, times: 12 },
        Action::Exit { status: 5 },
        Action::Allocate { slot: 2 },
        Action::Free { slot: 2 },
        Action::Store { word: 3, value: 9 },
        Action::Repeat { first: 4, times: 0 },
    ];
    for is_shadowed in [false, true] {
        let mut world = configuration();
        world.components = vec![application("first", actions.clone())];
        (world.machine.kva_shadow, world.machine.clock_interval) = (is_shadowed, 60);

        let (forgotten, lengths) = run_beside_a_forgetful_one(&world, 1, |_, _| true);

        assert!(forgotten > 300, "only {lengths:?} steps: too little happened to show anything");
    }
}

#[test]
fn a_world_forgotten_around_each_boot_goes_on_the_same() {
    // The system can't do without the service, and the service ends amid its work.
    let mut standard = built_in("standard");
    let service = standard.components.iter_mut().find(|one| one.critical).expect("the service");
    service.actions.insert(10, Action::Crash { how: CrashKind::Abort });
    // Before the first step of a boot, what the loader handed out is announced and not yet told.
    let is_forgotten = |_, step: u64| step < 16 || step.is_multiple_of(127);

    let (forgotten, lengths) = run_beside_a_forgetful_one(&standard, 2, is_forgotten);

    assert!(forgotten > 60, "{forgotten} times in {lengths:?} steps");
    assert!(lengths.iter().all(|&steps| steps > 1000), "{lengths:?}");
}

#[test]
fn a_word_that_is_not_taken_along_is_missed() {
    let drivers = components::drivers();
    let mut kept = World::build(&configuration()).expect("a sound configuration");
    let mut trace = Trace::default();
    kept.run(&mut trace, 200);
    let mut forgetful = kept.rebuilt(&drivers);

    forgetful.machine.processors[0].registers.cr2 ^= 1;

    assert_ne!(state(&forgetful), state(&kept));
}
