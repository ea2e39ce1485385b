//! Nothing is remembered on the Rust side: between any two steps every object of kernel and
//! components can be dropped and made again from memory, registers and devices.

use ringfence::base::{Digest, Event, TraceHash, Witness};
use ringfence::world::{Action, Component, Configuration, Home, World, components};

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
    Component {
        name: name.into(),
        home: Home::Application,
        driver: None,
        above: None,
        critical: false,
        spawned: false,
        actions,
        content: None,
    }
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

#[test]
fn a_world_forgotten_between_any_two_steps_goes_on_the_same() {
    let drivers = components::drivers();
    let mut kept = World::build(&configuration()).expect("a sound configuration");
    let mut forgetful = World::build(&configuration()).expect("a sound configuration");
    let (mut kept_trace, mut forgetful_trace) = (Trace::default(), Trace::default());

    let mut steps = 0;
    loop {
        forgetful = forgetful.rebuilt(&drivers);
        let rest = kept.step(&mut kept_trace);
        assert_eq!(forgetful.step(&mut forgetful_trace), rest, "step {steps}");
        assert_eq!(forgetful_trace.0, kept_trace.0, "step {steps}");
        assert_eq!(state(&forgetful), state(&kept), "step {steps}");
        steps += 1;
        if rest.is_some() {
            break;
        }
    }

    assert!(steps > 500, "only {steps} steps: too little happened to show anything");
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
