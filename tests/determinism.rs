//! A run is a pure function of its scenario, and a campaign of its seeds.

mod worlds;

use core::sync::atomic::{AtomicU64, Ordering};

use ringfence::base::{Digest, EventKind, PrincipalKind, Structure};
use ringfence::campaign::{Campaign, first_difference};
use ringfence::kernel::layout::{device_object, driver_object};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::status;
use ringfence::machine::{Routine, routine};
use ringfence::world::{Action, Configuration, DriverDefinition, Drivers, Home, World, components};

use worlds::{application, driver, neighbours};

fn campaign(workers: usize) -> Campaign {
    Campaign { seeds: (0..8).into(), experiments: 10, workers, ..Campaign::default() }
}

fn digest(campaign: &Campaign) -> Digest {
    campaign.run(|_| {}).expect("generated worlds are sound").digest
}

#[test]
fn any_number_of_workers_finds_the_same() {
    let one = digest(&campaign(1));

    assert_eq!(digest(&campaign(2)), one);
    assert_eq!(digest(&campaign(7)), one);
}

#[test]
fn what_ran_before_in_the_process_changes_nothing() {
    let before = digest(&campaign(2));
    let other = digest(&Campaign { seeds: (100..103).into(), ..campaign(2) });

    assert_ne!(before, other);
    assert_eq!(digest(&campaign(2)), before);
}

#[test]
fn two_worlds_of_one_scenario_never_differ() {
    let build = || World::build(&neighbours().configuration).expect("a sound configuration");

    assert_eq!(first_difference(&mut build(), &mut build()), None);
}

/// What leaks: it counts on from run to run.
static COUNTER: AtomicU64 = AtomicU64::new(0x1eaf);

/// Where the leaking driver keeps what leaked.
const COUNT_OFFSET: u64 = 0x40;

routine! {
    /// Answers every request, and leaks a counter of this process into the world.
    static LEAK = "LeakControl", frame 1;
    count => |p| {
        let device = p.argument(0);
        let driver = p.load(device, device_object::DRIVER)?;
        let data = p.load(driver, driver_object::DATA)?;
        let leaked = COUNTER.fetch_add(1, Ordering::Relaxed);
        p.store_at(data + COUNT_OFFSET, Structure::DriverData, leaked)?;
        Ok(p.give_back(status::INVALID_DEVICE_REQUEST))
    },
}

const ROUTINES: &[&Routine] = &[&LEAK];

fn leaking() -> (Configuration, Drivers) {
    let mut drivers = components::drivers();
    let control = Some(&LEAK);
    drivers.kernel.push(DriverDefinition {
        name: "leaking",
        kind: PrincipalKind::KernelDriver,
        routines: ROUTINES,
        pageable: &[],
        dispatch: Dispatch {
            read: None,
            write: None,
            control,
            flush: None,
            entry: None,
            deferred: None,
        },
        prepare: |_| Vec::new(),
        owns: &[],
        section: &[],
    });
    let actions = vec![
        Action::Open { device: "leak".into(), file: 0, access: 3, slot: 0 },
        Action::Control { slot: 0, code: 0, length: 8, value: 1 },
    ];
    let components =
        vec![application("app", actions), driver("leak", Home::KernelDriver, "leaking", None)];
    (Configuration { components, ..Configuration::default() }, drivers)
}

#[test]
fn a_leak_from_the_process_into_a_world_is_caught_and_named() {
    let (configuration, drivers) = leaking();
    let build = || World::build_with(&configuration, &drivers).expect("a sound configuration");
    let (mut one, mut other) = (build(), build());

    let difference = first_difference(&mut one, &mut other).expect("the counter has gone on");

    let (one, other) = (difference.one.expect("an event"), difference.other.expect("an event"));
    assert_eq!((one.kind, other.kind), (EventKind::Store, EventKind::Store));
    assert_eq!(one.virt & 0xfff, COUNT_OFFSET);
    assert_eq!(other.value, one.value + 1);
    let told = difference.told(&configuration.roster()).to_string();
    assert!(
        told.starts_with(&format!("event {} differs: store by leak", difference.ordinal)),
        "{told}"
    );
}
