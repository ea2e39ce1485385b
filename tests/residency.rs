//! Pageable memory: there or away by the seed, brought back unnoticed below dispatch level, fatal from
//! there on; and what Driver Verifier makes of it.
//!
//! Expected codes and parameters are from the pages of bug checks 0xA and 0xD1 and of force-IRQL
//! checking.

mod prober;

use std::collections::BTreeSet;

use prober::{Do, To, Where};
use ringfence::base::{Event, EventKind, PrincipalKind, VirtAddr, Witness};
use ringfence::campaign::{Judged, Registries, Trial};
use ringfence::kernel::layout::{address, crash_block};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::pools::state::{PAGED_POOL, SLOT_BYTES, SPECIAL_POOL, SPECIAL_SLOTS};
use ringfence::kernel::request::{IO_COMPLETE_REQUEST, METHOD_BUFFERED, control_code};
use ringfence::kernel::status;
use ringfence::machine::{Flow, Routine, Trap, routine};
use ringfence::outcome::Availability;
use ringfence::scenario::{Scenario, library};
use ringfence::world::components::pageable_driver::{
    ADD_UP, ADD_UP_HELD, DEFER, DEFER_ADD_UP, KEEP_HELD, KEEP_HELD_PAGED, TABLE,
};
use ringfence::world::{Action, Component, Configuration, DriverDefinition, Home, Rest, World};

/// The sum of the driver's table.
const SUM: u64 = 0x4444;
/// Seeds that are tried.
const SEEDS: core::ops::Range<u64> = 0..24;
/// Where the driver's pageable code begins.
const PAGEABLE_CODE: u64 = address::DRIVER_CODE + address::DRIVER_PAGEABLE_OFFSET;

/// A world in which an application has the driver do these things, with time for the clock in between.
fn configuration(seed: u64, functions: &[u64]) -> Configuration {
    let component = |name: &str, home, driver: Option<&str>, actions| Component {
        driver: driver.map(Into::into),
        actions,
        ..Component::new(name, home)
    };
    let mut actions = vec![Action::Open { device: "keeper".into(), file: 0, access: 3, slot: 0 }];
    for &function in functions {
        let code = control_code(function, METHOD_BUFFERED, 0);
        actions.push(Action::Control { slot: 0, code, length: 8, value: 1 });
        actions.extend((0..3).map(|word| Action::Load { word }));
    }
    let mut configuration = Configuration {
        schedule: seed,
        components: vec![
            component("app", Home::Application, None, actions),
            component("keeper", Home::KernelDriver, Some("pageable"), vec![]),
        ],
        ..Configuration::default()
    };
    configuration.machine.pool = PoolKind::Legacy;
    configuration.machine.pageable = true;
    configuration.machine.clock_interval = 60;
    configuration
}

routine! {
    /// Does nothing, with a stack frame.
    static NOTHING = "KeeperNothing", frame 2;
    wipe => |p| {
        p.set_local(0, 0)?;
        p.set_local(1, 0)?;
        Ok(Flow::Next)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Keeps a number while another routine runs, and gives it back.
    static KEEPS = "KeeperKeeps", frame 1;
    keep, call NOTHING => |p| {
        p.set_local(0, SUM)?;
        Ok(Flow::Call)
    },
    give => |p| {
        let kept = p.local(0)?;
        Ok(p.give_back(kept))
    },
}

routine! {
    /// Device control: succeeds when what it calls gives the number back.
    static ASKS = "KeeperAsks", frame 1;
    ask, call KEEPS => |p| {
        let packet = p.argument(1);
        p.set_local(0, packet)?;
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let kept = p.result();
        let packet = p.local(0)?;
        p.pass([packet, if kept == SUM { status::SUCCESS } else { status::CANCELLED }, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

const RESIDENT: &[&Routine] = &[&ASKS, &NOTHING];
const PAGED: &[&Routine] = &[&KEEPS];

/// Page faults in kernel mode, and what requests were answered.
#[derive(Default)]
struct Seen {
    faults: u64,
    answers: Vec<u64>,
    failed: u64,
}

impl Witness for Seen {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Exception if event.value >> 32 == u64::from(Trap::PAGE_FAULT) => {
                self.faults += 1;
            }
            EventKind::Observe if event.old != 0 => self.failed += 1,
            EventKind::Observe => self.answers.push(event.virt),
            _ => {}
        }
    }
}

/// How a world ended, with the parameters of a bug check.
fn run(configuration: &Configuration) -> (Rest, [u64; 5], Seen) {
    let mut world = World::build(configuration).expect("a sound configuration");
    let mut seen = Seen::default();
    let rest = world.run(&mut seen, u64::MAX);
    let crash = crash_block::FIELDS.iter().take(5);
    let crash: Vec<u64> =
        crash.map(|field| prober::word(&world, address::KERNEL_DATA + field.offset)).collect();
    (rest, crash.try_into().expect("five words"), seen)
}

/// Where the driver's table is, in a world that ended.
fn table(configuration: &Configuration) -> u64 {
    let mut world = World::build(configuration).expect("a sound configuration");
    world.run(&mut (), u64::MAX);
    prober::word(&world, prober::DATA + TABLE.offset)
}

#[test]
fn below_dispatch_level_what_is_away_comes_back_with_what_it_held() {
    let mut faults = BTreeSet::new();
    for seed in SEEDS {
        let (rest, crash, seen) = run(&configuration(seed, &[ADD_UP; 6]));

        assert_eq!(rest, Rest::Quiescent, "seed {seed}: {crash:x?}");
        assert_eq!(seen.failed, 0, "seed {seed}");
        // A hash of the same bytes each time.
        let answers: BTreeSet<u64> = seen.answers.iter().copied().filter(|&it| it != 0).collect();
        assert_eq!(answers.len(), 1, "seed {seed}: {answers:x?}");
        faults.insert(seen.faults);
    }

    assert!(faults.len() > 3 && faults.iter().any(|&faults| faults > 4), "{faults:?}");
}

#[test]
fn a_routine_that_was_away_when_it_was_called_has_its_locals() {
    let mut drivers = prober::drivers();
    drivers.kernel.push(DriverDefinition {
        name: "keeps",
        kind: PrincipalKind::KernelDriver,
        routines: RESIDENT,
        pageable: PAGED,
        dispatch: Dispatch { control: Some(&ASKS), ..Dispatch::default() },
        prepare: |_| Vec::new(),
        owns: &[],
        section: &[],
    });
    let mut away = 0;
    for seed in SEEDS {
        let mut configuration = configuration(seed, &[0; 6]);
        configuration.components[1].driver = Some("keeps".into());
        let mut world = World::build_with(&configuration, &drivers).expect("it is sound");
        let mut seen = Seen::default();

        assert_eq!(world.run(&mut seen, u64::MAX), Rest::Quiescent, "seed {seed}");

        assert_eq!(seen.failed, 0, "seed {seed}");
        away += seen.faults;
    }
    assert!(away > 0);
}

/// A mistake is noticed for some seeds and not for others; what the machine stops with.
fn assert_latent(functions: &[u64]) -> Vec<[u64; 5]> {
    let mut stops = Vec::new();
    let mut silent = 0;
    for seed in SEEDS {
        let (rest, crash, seen) = run(&configuration(seed, functions));
        match rest {
            Rest::Quiescent => {
                assert_eq!(seen.failed, 0, "seed {seed}");
                silent += 1;
            }
            Rest::BugCheck(0xd1) => stops.push(crash),
            other => panic!("seed {seed}: {other:?} {crash:x?}"),
        }
        let mut never = configuration(seed, functions);
        never.machine.pageable = false;
        assert_eq!(run(&never).0, Rest::Quiescent, "seed {seed}, nothing pageable");
    }
    assert!(silent > 0 && !stops.is_empty(), "{silent} of {SEEDS:?} in silence");
    stops
}

#[test]
fn pageable_data_touched_with_a_lock_held_stops_the_machine_for_some_seeds_only() {
    let table = table(&configuration(0, &[]));

    let stops = assert_latent(&[ADD_UP_HELD]);

    for [code, at, level, access, rip] in stops {
        assert_eq!((code, at, level, access), (0xd1, table, 2, 0));
        assert!((address::DRIVER_CODE..PAGEABLE_CODE).contains(&rip), "{rip:#x}");
    }
}

#[test]
fn pageable_code_run_with_a_lock_held_stops_the_machine_for_some_seeds_only() {
    let stops = assert_latent(&[KEEP_HELD_PAGED]);

    for [code, at, level, access, rip] in stops {
        assert_eq!((code, at & !0xfff, level, access), (0xd1, PAGEABLE_CODE, 2, 8));
        // The call is made; what faults is the fetch of where it leads.
        assert_eq!(rip, at);
    }
}

#[test]
fn pageable_data_touched_by_a_deferred_call_stops_the_machine_for_some_seeds_only() {
    let table = table(&configuration(0, &[]));

    for [code, at, level, access, _] in assert_latent(&[DEFER_ADD_UP]) {
        assert_eq!((code, at, level, access), (0xd1, table, 2, 0));
    }
}

#[test]
fn what_a_driver_should_do_never_stops_the_machine_with_force_irql_checking_or_without() {
    for seed in SEEDS {
        let forced = "force-irql-checking".to_owned();
        for verifier in [vec![], vec![forced.clone()], vec![forced, "special-pool".to_owned()]] {
            let mut sound = configuration(seed, &[ADD_UP, KEEP_HELD, DEFER, ADD_UP]);
            sound.machine.verifier = verifier;

            let (rest, crash, seen) = run(&sound);

            assert_eq!(rest, Rest::Quiescent, "seed {seed}: {crash:x?}");
            assert_eq!(seen.failed, 0, "seed {seed}");
        }
    }
}

#[test]
fn force_irql_checking_finds_what_is_wrong_for_every_seed() {
    for function in [ADD_UP_HELD, KEEP_HELD_PAGED] {
        for seed in SEEDS {
            let mut wrong = configuration(seed, &[ADD_UP, function]);
            wrong.machine.verifier = vec!["force-irql-checking".to_owned()];

            let (rest, crash, _) = run(&wrong);

            assert_eq!(rest, Rest::BugCheck(0xd1), "seed {seed}: {crash:x?}");
            // A block of paged pool may be away in special pool too.
            let mut special = wrong.clone();
            special.machine.verifier.push("special-pool".to_owned());
            let (rest, crash, _) = run(&special);
            assert_eq!(rest, Rest::BugCheck(0xd1), "seed {seed}, special pool: {crash:x?}");
            let is_in_special = crash[1].wrapping_sub(SPECIAL_POOL) < SPECIAL_SLOTS * SLOT_BYTES;
            assert_eq!(is_in_special, function == ADD_UP_HELD, "seed {seed}: {crash:x?}");
            // It needs no trimming beside its own, and lets be what is right.
            wrong.machine.pageable = false;
            assert_eq!(run(&wrong).0, Rest::BugCheck(0xd1), "seed {seed}, nothing else trimmed");
            let mut sound = configuration(seed, &[ADD_UP, KEEP_HELD, DEFER]);
            (sound.machine.pageable, sound.machine.verifier) = (false, wrong.machine.verifier);
            assert_eq!(run(&sound).0, Rest::Quiescent, "seed {seed}, nothing wrong");
        }
    }
}

#[test]
fn windows_itself_at_pageable_memory_is_another_code() {
    let mut found = BTreeSet::new();
    for seed in SEEDS {
        let mut configuration = prober::configuration();
        configuration.schedule = seed;
        configuration.machine.pool = PoolKind::Legacy;
        configuration.machine.pageable = true;
        let mut world = prober::built(&configuration);
        let is_away = world.machine.locate(0, VirtAddr(PAGED_POOL)).is_none();
        let raise = Do::Level(2);
        // What is no packet is looked at by Windows's code.
        let complete = Do::Complete(To::Plain(PAGED_POOL));
        prober::script(&mut world, Where::SystemThread, &[raise, complete]);

        let ended = prober::run(&mut world);

        found.insert(is_away);
        let [code, at, level, access, _] = ended.crash;
        if is_away {
            assert_eq!((code, at & !0xfff, level, access), (0xa, PAGED_POOL, 2, 0), "seed {seed}");
        } else {
            // What is there is no packet, but it is there.
            assert_ne!(at & !0xfff, PAGED_POOL, "seed {seed}: {:x?}", ended.crash);
        }
    }

    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_world_with_pageable_memory_violates_nothing() {
    for (seed, pool) in
        (0..).zip([PoolKind::Classes, PoolKind::Legacy, PoolKind::Segment, PoolKind::Special])
    {
        let mut sound = configuration(seed, &[ADD_UP, KEEP_HELD, DEFER, ADD_UP]);
        sound.machine.pool = pool;
        sound.machine.integrity_checks = 1;
        sound.machine.code_integrity = true;
        let mut scenario = Scenario { name: "pageable".into(), ..Scenario::default() };
        scenario.configuration = sound;

        let trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");

        assert_eq!(trial.golden.violations, [], "{pool:?}");
        assert_eq!(trial.golden.rest, Rest::Quiescent, "{pool:?}");
    }
}

#[test]
fn the_scenario_and_each_of_its_contrasts_end_as_the_file_says() {
    let text = library::find("pageable-with-lock-held").expect("it is built in").text;
    let scenario = Scenario::from_bytes(text.as_bytes()).expect("it is sound");
    let contrasts = scenario.contrasts.iter().map(|one| one.of(&scenario).expect("it is sound"));

    for case in core::iter::once(scenario.clone()).chain(contrasts) {
        let mut trial = Trial::new(&case, &Registries::default()).expect("its world builds");
        let judged = Judged::of(&case, &mut trial).expect("there is no plan");

        assert_eq!(judged.missed, Vec::<String>::new(), "seed {:#x}", case.configuration.schedule);
    }
}

#[test]
fn the_answer_is_the_sum_of_the_table() {
    let configuration = configuration(3, &[ADD_UP]);
    let mut world = World::build(&configuration).expect("a sound configuration");

    world.run(&mut (), u64::MAX);

    let kept = prober::word(&world, prober::DATA + 8);
    assert_eq!(kept, SUM);
}

#[test]
fn where_nothing_is_trimmed_the_bit_that_says_so_means_nothing() {
    let scenario = Scenario::from_bytes(
        br#"
format = 1
name = "entry"

[machine]
processors = 1

[[component]]
name = "asking"
home = "application"
actions = [
    { do = "open", device = "meter", access = 3, slot = 0 },
    { do = "control", slot = 0, code = "0x220000", length = 8, value = "0x1" },
]

[[component]]
name = "meter"
home = "kernel-driver"
driver = "meter"

# The entry of the driver's data page: the bit of what is trimmed, then the present bit.
[[fault]]
kind = "bit-flip"
who = "kernel"
at = { point = "step", nth = 38 }
parameters = { target = "process:asking/page-table-entry:0xfffff80000068", bit = 10 }

[[fault]]
kind = "bit-flip"
who = "kernel"
at = { point = "step", nth = 40 }
parameters = { target = "process:asking/page-table-entry:0xfffff80000068", bit = 0 }
"#,
    )
    .expect("a scenario");
    let mut trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");

    let outcome = trial.run(&scenario.plan).expect("faults that can be made");

    assert_eq!(outcome.activation.strikes, 2);
    let (Availability::BugCheck { code, .. } | Availability::BootLoop { code, .. }) =
        outcome.availability
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(code, 0x50);
}
