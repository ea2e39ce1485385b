//! Prints what happens in a small world, one line an event.

use ringfence::base::{Event, EventKind, VirtAddr, Witness};
use ringfence::world::{Action, Component, Configuration, Home, World};

struct Printer {
    names: Vec<(u64, String)>,
    all: bool,
    counts: std::collections::BTreeMap<EventKind, u64>,
}

impl Witness for Printer {
    fn event(&mut self, event: &Event) {
        *self.counts.entry(event.kind).or_default() += 1;
        let quiet = matches!(
            event.kind,
            EventKind::Load
                | EventKind::Store
                | EventKind::TableMark
                | EventKind::KernelPush
                | EventKind::StoreRun
                | EventKind::Grant
                | EventKind::Step
        );
        if self.all || !quiet {
            let name =
                self.names.iter().rev().find(|(at, _)| *at <= event.virt).map_or("", |(_, n)| n);
            let name = if event.kind == EventKind::Step { name } else { "" };
            println!(
                "cpu{} {:?} a{} c{} s{} {} phys {:x} virt {:x} value {:x} old {:x} {name}",
                event.processor,
                event.kind,
                event.actor.0,
                event.context.0,
                event.subject.0,
                event.structure,
                event.phys,
                event.virt,
                event.value,
                event.old
            );
        }
    }
}

fn main() {
    let app = |name: &str, actions: Vec<Action>| Component {
        actions,
        ..Component::new(name, Home::Application)
    };
    let driver = |name: &str, what: &str, home: Home, above: Option<&str>| Component {
        driver: Some(what.into()),
        above: above.map(Into::into),
        ..Component::new(name, home)
    };
    let configuration = Configuration {
        steps_max: 20000,
        boots_max: 1,
        components: vec![
            app(
                "a",
                vec![
                    Action::Store { word: 1, value: 7 },
                    Action::Load { word: 1 },
                    Action::Allocate { slot: 0 },
                    Action::StoreThrough { slot: 0, word: 3, value: 9 },
                    Action::LoadThrough { slot: 0, word: 3 },
                    Action::Free { slot: 0 },
                    Action::CreateEvent { slot: 1 },
                    Action::SetEvent { slot: 1 },
                    Action::QueryEvent { slot: 1 },
                    Action::Close { slot: 1 },
                    Action::OpenSection { section: 0, access: 3, slot: 2 },
                    Action::MapView { slot: 2, view: 3 },
                    Action::StoreThrough { slot: 3, word: 0, value: 77 },
                    Action::UnmapView { view: 3 },
                    Action::CreateProcess {
                        process: "c".into(),
                        first: 16,
                        inherit: false,
                        slot: 4,
                    },
                    Action::Exit { status: 5 },
                    Action::Load { word: 1 },
                ],
            ),
            app(
                "b",
                vec![
                    Action::Load { word: 1 },
                    Action::Yield,
                    Action::Load { word: 2 },
                    Action::Crash { how: ringfence::world::CrashKind::StackOverflow },
                ],
            ),
            Component { spawned: true, ..app("c", vec![]) },
            app(
                "d",
                vec![
                    Action::Open { device: "nic".into(), file: 0, access: 3, slot: 0 },
                    Action::Control { slot: 0, code: 0, length: 32, value: 0x1111 },
                    Action::Open { device: "filter".into(), file: 0, access: 3, slot: 1 },
                    Action::Control { slot: 1, code: 0, length: 32, value: 0x2222 },
                    Action::Open { device: "fs".into(), file: 2, access: 3, slot: 2 },
                    Action::Write { slot: 2, offset: 0, length: 64, value: 0x3333 },
                    Action::Read { slot: 2, offset: 0, length: 64 },
                    Action::Flush { slot: 2 },
                    Action::Open { device: "reflector".into(), file: 0, access: 3, slot: 3 },
                    Action::Control { slot: 3, code: 0, length: 32, value: 0x4444 },
                    Action::Close { slot: 0 },
                ],
            ),
            driver("nic", "transfer", Home::KernelDriver, None),
            driver("filter", "filter", Home::KernelDriver, Some("nic")),
            driver("fs", "file-system", Home::FileSystem, None),
            driver("reflector", "reflector", Home::KernelDriver, None),
            driver("host", "sensor", Home::DriverHost, Some("reflector")),
        ],
        ..Configuration::default()
    };
    let mut world = World::build(&configuration).unwrap();
    let mut names: Vec<(u64, String)> =
        world
            .machine
            .program
            .routines()
            .iter()
            .flat_map(|r| {
                r.routine.steps.iter().enumerate().map(|(i, s)| {
                    (r.entry.0 + 16 * i as u64, format!("{}.{}", r.routine.name, s.name))
                })
            })
            .collect();
    names.sort();
    let mut printer =
        Printer { names, all: std::env::args().nth(1).is_some(), counts: Default::default() };
    let rest = world.run(&mut printer, 1 << 20);
    println!("{rest:?} at clock {} {:?}", world.machine.clock, printer.counts);
    println!("state {}", world.machine.state_hash().digest());
    let _ = VirtAddr(0);
}
