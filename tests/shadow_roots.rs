//! User mode on roots of its own (kernel virtual address shadow): everybody sees what they would without,
//! and what is loaded in user mode maps nothing of the kernel but what entries need.

mod prober;
mod worlds;

use std::collections::BTreeMap;

use ringfence::base::{
    Access, Event, EventKind, PhysAddr, Principal, Ring, Seed, VirtAddr, Witness,
};
use ringfence::campaign::{Judged, Registries, Series, SeriesOptions, Trial};
use ringfence::kernel::layout::address;
use ringfence::machine::Machine;
use ringfence::machine::paging::x86_64::{Controls, Request};
use ringfence::scenario::{Bias, Scenario, library};
use ringfence::world::{Action, Configuration, Rest, World};

use prober::{Do, Where};
use worlds::neighbours;

/// What each principal saw, in its own order.
#[derive(Default, PartialEq, Eq, Debug)]
struct Seen(BTreeMap<Principal, Vec<[u64; 3]>>);

impl Witness for Seen {
    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::Observe {
            let seen = self.0.entry(event.actor).or_default();
            seen.push([event.value, event.old, event.virt]);
        }
    }
}

fn built_in(name: &str) -> Configuration {
    let text = library::find(name).expect("it is built in").text;
    Scenario::from_bytes(text.as_bytes()).expect("it is sound").configuration
}

/// The world with shadow roots, with identifiers or without.
fn shadowed(world: &Configuration, pcid: bool) -> Configuration {
    let mut changed = world.clone();
    (changed.machine.kva_shadow, changed.machine.pcid) = (true, pcid);
    // The entries take steps of their own.
    changed.steps_max *= 2;
    changed
}

/// Every page that the loaded root maps in the upper half, by a walk of its own.
fn system_pages(machine: &Machine, processor: usize) -> Vec<u64> {
    fn descend(machine: &Machine, table: u64, level: u32, base: u64, found: &mut Vec<u64>) {
        let first = if level == 4 { 256 } else { 0 };
        for index in first..512 {
            let entry = machine.memory.read(PhysAddr::truncated(table + index * 8));
            let virt = base | index << (12 + 9 * (level - 1));
            match entry & 1 {
                1 if level == 1 => found.push(virt),
                1 => descend(machine, entry & 0xf_ffff_ffff_f000, level - 1, virt, found),
                _ => {}
            }
        }
    }
    let root = machine.processors[processor].controls.cr3 & 0xf_ffff_ffff_f000;
    let mut found = Vec::new();
    descend(machine, root, 4, 0xffff_0000_0000_0000, &mut found);
    found
}

#[test]
fn in_user_mode_a_few_pages_of_the_system_are_mapped_and_none_of_the_kernel_s_data() {
    for pcid in [false, true] {
        let configuration = shadowed(&neighbours().configuration, pcid);
        let mut world = World::build(&configuration).expect("a sound configuration");
        let mut in_user_mode = 0;

        while world.step(&mut Seen::default()).is_none() {
            for number in 0..world.machine.processors.len() {
                let state = &world.machine.processors[number];
                if state.registers.ring == Ring::Kernel || in_user_mode > 400 {
                    continue;
                }
                let pages = system_pages(&world.machine, number);
                // Code, two tables, and for each of two processors a block and a stack.
                assert_eq!(pages.len(), 7, "{pages:x?}");
                for secret in [address::KERNEL_DATA, address::POOL, address::KERNEL_STACKS] {
                    assert!(!pages.contains(&secret), "{secret:#x}");
                }
                assert!(pages.contains(&address::TRANSITION_CODE));
                in_user_mode += 1;
            }
        }

        assert!(in_user_mode > 100, "{in_user_mode} steps in user mode");
    }
}

/// Visits of user mode to the kernel: all of them, those in which the kernel's root was loaded and the translation
/// of user mode's code was still remembered, and those after which user mode found it there.
fn visits(configuration: &Configuration) -> [u32; 3] {
    let is_held = |machine: &Machine, number: usize, controls: &Controls, rip: u64| {
        let (virt, access, ring) = (VirtAddr(rip), Access::Execute, Ring::User);
        let request =
            Request { virt, access, ring, ac: false, implicit: false, shadow_stack: false };
        machine.processors[number].tlb.lookup(controls, &request).is_some()
    };
    let mut world = World::build(configuration).expect("a sound configuration");
    // Where user mode was when it was left with its code's translation remembered; whether its root is gone.
    let mut left = vec![None; world.machine.processors.len()];
    let [mut all, mut kept, mut found] = [0; 3];
    while world.step(&mut Seen::default()).is_none() {
        for (number, left) in left.iter_mut().enumerate() {
            let state = &world.machine.processors[number];
            let (controls, rip) = (state.controls, state.registers.rip);
            let held = |(of, at): (Controls, u64)| is_held(&world.machine, number, &of, at);
            match (state.registers.ring, *left) {
                (Ring::User, Some((before, true))) => {
                    let (of, _): (Controls, u64) = before;
                    found += u32::from(of.cr3 == controls.cr3 && held(before));
                    *left = None;
                }
                (Ring::User, _) => {
                    *left = held((controls, rip)).then_some(((controls, rip), false))
                }
                (Ring::Kernel, Some((before, false))) if before.0.cr3 != controls.cr3 => {
                    all += 1;
                    kept += u32::from(held(before));
                    *left = Some((before, true));
                }
                (Ring::Kernel, _) => {}
            }
        }
    }
    [all, kept, found]
}

#[test]
fn what_user_mode_remembers_outlives_the_change_of_the_root_where_it_is_tagged() {
    // Intel SDM, "MOV—Move to/from Control Registers": with bit 63 nothing is invalidated.
    let world = neighbours().configuration;

    let [all, kept, _] = visits(&shadowed(&world, true));

    assert!(all > 30, "{all}");
    assert_eq!(kept, all);
    let [all, kept, found] = visits(&shadowed(&world, false));
    assert!(all > 30, "{all}");
    assert_eq!((kept, found), (0, 0), "without identifiers the change drops all");
}

#[test]
fn a_page_that_the_kernel_zeroes_costs_user_mode_nothing_it_remembers() {
    // Intel SDM, "Operations that Invalidate TLBs": INVLPG drops one page under the identifier that is loaded.
    let mut world = neighbours().configuration;
    world.components.truncate(1);
    world.components[0].actions = vec![Action::Allocate { slot: 1 }; 8];

    let [all, kept, found] = visits(&shadowed(&world, true));

    assert!(all >= 8, "{all}");
    // From the last, its end, it does not come back.
    assert_eq!((kept, found), (all, all - 1));
}

#[test]
fn everybody_sees_what_they_would_without_shadow_roots() {
    let run = |configuration: &Configuration| {
        let mut world = World::build(configuration).expect("a sound configuration");
        let mut seen = Seen::default();
        loop {
            if let Some(rest) = world.step(&mut seen) {
                return (rest, seen);
            }
        }
    };
    for world in [neighbours().configuration, built_in("standard")] {
        let (rest, seen) = run(&world);
        assert!(seen.0.values().map(Vec::len).sum::<usize>() > 20, "{seen:?}");
        assert_eq!(rest, Rest::Quiescent);
        for pcid in [false, true] {
            assert_eq!(run(&shadowed(&world, pcid)), (rest, Seen(seen.0.clone())), "{pcid}");
        }
    }
}

#[test]
fn no_fault_in_user_mode_breaks_a_guarantee_where_there_are_shadow_roots() {
    let mut strikes = 0;
    for seed in 0..3 {
        let mut scenario = Scenario::generate(Seed(seed), &Bias::default());
        scenario.configuration = shadowed(&scenario.configuration, seed % 2 == 1);
        let options = SeriesOptions {
            experiments: 40,
            seed: Seed(seed),
            kinds: Vec::new(),
            errors: 1,
            only: None,
        };
        let series = Series::new(&scenario, &options, &Registries::default());

        let series = series.expect("a sound world");
        series
            .run(|_, case| {
                strikes += case.outcome.activation.strikes;
                assert_eq!(case.outcome.guarantees, [""; 0], "seed {seed}: {:?}", case.plan);
            })
            .expect("faults that can be made");
    }

    assert!(strikes > 50, "{strikes} strikes");
}

/// A built-in scenario and each of its contrasts, with shadow roots.
fn cases_shadowed(name: &str, pcid: bool) -> Vec<Scenario> {
    let text = library::find(name).expect("it is built in").text;
    let scenario = Scenario::from_bytes(text.as_bytes()).expect("it is sound");
    let contrasts = scenario.contrasts.iter().map(|one| one.of(&scenario).expect("it is sound"));
    let all = core::iter::once(scenario.clone()).chain(contrasts).map(|mut case| {
        case.configuration = shadowed(&case.configuration, pcid);
        case
    });
    all.collect()
}

#[test]
fn hosts_that_are_late_are_ended_on_shadow_roots_as_without() {
    for pcid in [false, true] {
        for case in cases_shadowed("hung-driver-host", pcid) {
            let mut trial = Trial::new(&case, &Registries::default()).expect("its world builds");

            let judged = Judged::of(&case, &mut trial).expect("its plan is sound");

            assert_eq!(judged.missed, Vec::<String>::new(), "{pcid}: {:?}", case.expect);
        }
    }
}

#[test]
fn watchdogs_bark_on_shadow_roots_as_without() {
    let hangs: [(Where, &[Do], &[u64]); 3] = [
        (Where::Deferred, &[Do::Hang], &[0x133, 0, 6, 5, 0]),
        (Where::Service, &[Do::Level(2), Do::Hang], &[0x133, 1, 20, 0, 0]),
        (Where::Service, &[Do::Level(13), Do::Hang], &[0x101, 12, 0]),
    ];
    for pcid in [false, true] {
        for (place, script, crash) in hangs {
            let mut configuration = shadowed(&prober::configuration(), pcid);
            let machine = &mut configuration.machine;
            (machine.processors, machine.clock_interval) = (2, 100);
            (machine.dpc_timeout, machine.dpc_watchdog_period) = (5, 20);
            machine.clock_watchdog = 12;
            let mut other = configuration.components[0].clone();
            other.name = "other".into();
            other.actions = vec![ringfence::world::Action::Spin];
            configuration.components.push(other);
            let mut world = prober::built(&configuration);
            if place == Where::Deferred {
                prober::script(&mut world, Where::Service, &[Do::Interrupt]);
            }
            prober::script(&mut world, place, script);

            let ended = prober::run(&mut world);

            assert_eq!(ended.crash[..crash.len()], *crash, "{place:?} {script:?} {pcid}");
        }
    }
}

#[test]
fn debug_exceptions_that_are_checked_are_as_harmless_on_shadow_roots() {
    let text = library::find("incidents/I19-mov-ss").expect("it is built in").text;
    let scenario = Scenario::from_bytes(text.as_bytes()).expect("it is sound");
    for pcid in [false, true] {
        let outcome = |is_checked| {
            let mut case = scenario.clone();
            case.configuration = shadowed(&scenario.configuration, pcid);
            case.configuration.machine.debug_trap_checked = is_checked;
            let mut trial = Trial::new(&case, &Registries::default()).expect("its world builds");
            (trial.run(&[]).expect("nothing is planned"), trial.golden.rest)
        };
        let (checked, rest) = outcome(true);
        let (unchecked, stopped) = outcome(false);

        assert_eq!((checked.guarantees, rest), (Vec::new(), Rest::Quiescent), "{pcid}");
        // On the user's own stack, as without shadow roots.
        let broken = "kernel-mode-never-runs-on-a-user-stack";
        assert!(
            unchecked.guarantees.iter().any(|one| one == broken),
            "{pcid}: {:?}",
            unchecked.guarantees
        );
        assert!(matches!(stopped, Rest::BugCheck(_)), "{pcid}: {stopped:?}");
    }
}
