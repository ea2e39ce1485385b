//! Every sentence of the mission; beside each the alarm when its protection is weakened. The links
//! across the mode line that are not there have tests of their own, in `absent_links.rs`.

mod weakened;
mod worlds;

use std::collections::BTreeMap;

use ringfence::base::{Access, Event, EventKind, PhysAddr, Principal, VirtAddr, Witness};
use ringfence::campaign::{Registries, Trial};
use ringfence::counterexample::Story;
use ringfence::injection::PointKind;
use ringfence::kernel::layout::address;
use ringfence::kernel::status;
use ringfence::machine::Reg;
use ringfence::machine::code::SIGNATURE;
use ringfence::outcome::{Availability, Victim};
use ringfence::scenario::Scenario;
use ringfence::world::action::place;
use ringfence::world::{Action, World};

use worlds::{
    access, ending, fault, neighbours, reached, refused, sees_the_same, struck, trial, with_editor,
};

const WORD: u64 = address::USER_BUFFERS + place::PRIVATE;
const EDITOR: Principal = Principal(2);
const SHELL: Principal = Principal(3);
/// A word of the kernel's variables that an application would like to see.
const SYSTEM_WORD: u64 = address::KERNEL_DATA + 0x28;
/// What a run shows of who is where.
#[derive(Default)]
struct Log {
    /// Physical words behind the private word, by process.
    private: BTreeMap<Principal, u64>,
    /// Objects behind handles, by process and handle.
    handles: BTreeMap<(Principal, u64), u64>,
    /// Processes in whose address space somebody's code ran, by whose.
    contexts: BTreeMap<Principal, Vec<Principal>>,
}

impl Witness for Log {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Store if event.virt == WORD => {
                self.private.insert(event.context, event.phys);
            }
            EventKind::HandleOpened => {
                self.handles.entry((event.subject, event.value)).or_insert(event.virt);
            }
            EventKind::Step => {
                let contexts = self.contexts.entry(event.actor).or_default();
                if !contexts.contains(&event.context) {
                    contexts.push(event.context);
                }
            }
            _ => {}
        }
    }
}

fn log() -> Log {
    let mut world = World::build(&neighbours().configuration).expect("a sound configuration");
    let mut log = Log::default();
    world.run(&mut log, u64::MAX);
    log
}

#[test]
fn each_application_has_a_private_virtual_address_space() {
    let log = log();

    let (editor, shell) = (log.private.get(&EDITOR), log.private.get(&SHELL));
    assert!(editor.is_some() && shell.is_some(), "both stored at the same address");
    assert_ne!(editor, shell, "and it was not the same memory");
}

#[test]
fn each_application_has_a_private_handle_table() {
    let log = log();

    let (editor, shell) = (log.handles.get(&(EDITOR, 4)), log.handles.get(&(SHELL, 4)));
    assert!(editor.is_some() && shell.is_some(), "both have a handle 4");
    assert_ne!(editor, shell, "and it is not the same object");
}

#[test]
fn a_handle_of_another_application_is_no_handle() {
    // The shell has opened three; the editor none, and tries the shell's values.
    let actions = (1..4).map(|n| Action::SystemCall { service: 8, arguments: vec![n * 4] });
    let trial = trial(&with_editor(actions.collect()));

    let seen = trial.golden.observations.of(EDITOR).expect("the editor");
    assert!(seen.count() >= 3);
    for observation in &seen.first()[..3] {
        assert_eq!(observation.status, status::INVALID_HANDLE);
    }
}

#[test]
fn one_application_cannot_change_data_that_belongs_to_another() {
    let mut trial = trial(&neighbours());
    let stores = reached(&trial, "editor", PointKind::Store);

    for nth in [1, stores / 2, stores] {
        for bit in 0..64 {
            let parameters = format!("operator = 'bit'\nbit = {bit}");
            let outcome = struck(
                &mut trial,
                fault("wild-write", "editor", PointKind::Store, nth, &parameters),
            );

            assert_eq!(outcome.guarantees, [""; 0], "store {nth}, bit {bit}");
            assert!(!outcome.victims.contains(&Victim::AnotherProcess), "store {nth}, bit {bit}");
            assert!(sees_the_same(&trial, "shell"), "store {nth}, bit {bit}");
        }
    }
}

#[test]
fn an_application_cannot_touch_addresses_reserved_for_the_system() {
    for how in [Access::Read, Access::Write, Access::Execute] {
        for place in [SYSTEM_WORD, address::POOL, address::KERNEL_CODE, address::PROCESSOR_BLOCKS] {
            refused(access(place, how), status::ACCESS_VIOLATION);
        }
    }
}

#[test]
fn on_shadow_roots_an_application_gets_nothing_of_the_system_though_the_processor_asks_no_mode() {
    let with = |kva_shadow: bool, place: u64| {
        let mut scenario = with_editor(vec![access(place, Access::Read)]);
        scenario.configuration.machine.kva_shadow = kva_shadow;
        // A load at ring 3 gets what is mapped, whatever the entry says of the mode.
        scenario.configuration.weaknesses = vec!["supervisor-read".to_owned()];
        trial(&scenario)
    };

    for place in [SYSTEM_WORD, address::POOL, address::PROCESSOR_BLOCKS, address::KERNEL_STACKS] {
        let (shadowed, full) = (with(true, place), with(false, place));

        assert_eq!(ending(&shadowed, "editor").1, status::ACCESS_VIOLATION, "{place:#x}");
        assert_eq!(shadowed.golden.violations, [], "{place:#x}");
        let broken = full.golden.violations.iter().map(|violation| violation.invariant);
        let broken: Vec<&str> = broken.collect();
        assert!(broken.contains(&"user-mode-never-reaches-system-space"), "{place:#x} {broken:?}");
    }
}

#[test]
fn an_application_may_touch_its_own_addresses() {
    let actions = vec![access(WORD, Access::Read), access(WORD, Access::Write)];
    let trial = trial(&with_editor(actions));

    assert_eq!(ending(&trial, "editor").1, status::SUCCESS);
}

#[test]
fn when_an_application_crashes_others_are_not_affected() {
    let mut trial = trial(&neighbours());
    let steps = reached(&trial, "editor", PointKind::Step);

    for how in
        ["null-dereference", "illegal-instruction", "divide-by-zero", "stack-overflow", "abort"]
    {
        for nth in [2, steps / 3, steps * 2 / 3] {
            let crash = fault("crash", "editor", PointKind::Step, nth, &format!("how = '{how}'"));
            let outcome = struck(&mut trial, crash);

            // A stack that is used up is noticed only where something is pushed.
            let is_lost = matches!(outcome.availability, Availability::ProcessLost { .. });
            assert_eq!(outcome.guarantees, [""; 0], "{how} at step {nth}");
            assert!(
                is_lost || how == "stack-overflow",
                "{how} at step {nth}: {:?}",
                outcome.availability
            );
            assert!(outcome.deviated.is_empty(), "{how} at step {nth}");
            assert!(sees_the_same(&trial, "shell"), "{how} at step {nth}");
        }
    }
}

#[test]
fn all_code_in_kernel_mode_shares_one_virtual_address_space() {
    let mut world = World::build(&neighbours().configuration).expect("a sound configuration");
    let mut log = Log::default();
    let self_map = usize::from(world.configuration().machine.self_map_slot);
    while world.step(&mut log).is_none() {
        let halves: Vec<Vec<u64>> = world
            .machine
            .roots()
            .iter()
            .filter(|&(_, &process)| log.private.contains_key(&process))
            .map(|(&root, _)| {
                let slots = (256..512).filter(|&slot| slot != self_map);
                let entry = |slot: usize| PhysAddr::truncated(root + slot as u64 * 8);
                slots.map(|slot| world.machine.memory.read(entry(slot)) & !0x60).collect()
            })
            .collect();
        if halves.len() == 2 {
            assert_eq!(halves[0], halves[1], "what one sees of the system the other sees");
            break;
        }
    }
    world.run(&mut log, u64::MAX);

    for driver in ["nic", "filter", "reflector", "files"] {
        let who = world.roster().named(driver).expect("a driver");
        let contexts = &log.contexts[&who];
        assert!(
            contexts.contains(&EDITOR) && contexts.contains(&SHELL),
            "{driver} in {contexts:?}"
        );
    }
}

#[test]
fn a_driver_that_writes_to_a_wrong_address_may_damage_the_system() {
    let mut trial = trial(&neighbours());
    let to = "operator = 'target'\ntarget = 'kernel/ready-queue'";

    let outcome = struck(&mut trial, fault("wild-write", "nic", PointKind::Store, 1, to));

    assert!(outcome.victims.contains(&Victim::Kernel), "{outcome:?}");
    assert_eq!(outcome.guarantees, [""; 0], "nobody promised anything");
}

#[test]
fn damage_that_the_kernel_did_for_a_struck_application_is_not_the_applications_own() {
    const MEANT: &str = "kernel-mode-writes-what-it-means";
    let mut world = neighbours();
    world.configuration.weaknesses = vec!["no-probe".to_owned()];
    let mut trial = trial(&world);
    let strike = |nth| fault("kernel-address-as-argument", "shell", PointKind::ModeSwitch, nth, "");

    let written: Vec<_> = (1..40)
        .map(|nth| trial.run(&[strike(nth)]).expect("a fault that can be made"))
        .filter(|outcome| outcome.guarantees.iter().any(|one| one == MEANT))
        .collect();

    assert_ne!(written.len(), 0, "no call wrote to where it was told");
    for outcome in written {
        assert!(outcome.victims.contains(&Victim::Kernel), "{outcome:?}");
    }
}

/// Who acts at addresses of the user half, and in whose address space.
#[derive(Default)]
struct UserSteps(Vec<(Principal, Principal)>);

impl Witness for UserSteps {
    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::Step && event.virt >> 63 == 0 {
            self.0.push((event.actor, event.context));
        }
    }
}

#[test]
fn code_of_the_kernel_that_an_application_runs_is_the_applications_doing() {
    let mut world = World::build(&neighbours().configuration).expect("a sound configuration");
    let at = |world: &World, virt| world.machine.locate(0, virt).expect("code is mapped");
    let kernel = world.machine.program.routine_named("IoCallDriver").expect("the kernel has it");
    let entry = world.machine.program.routines()[usize::from(kernel)].entry;
    let is_at_home = |world: &World| world.machine.processors[0].registers.rip >> 63 == 0;
    while !is_at_home(&world) {
        world.step(&mut ());
    }
    let from = PhysAddr::truncated(at(&world, entry));
    let rip = VirtAddr(world.machine.processors[0].registers.rip);
    let to = PhysAddr::truncated(at(&world, rip));
    let word = world.machine.memory.read(from);
    world.machine.memory.write(to, word);

    let mut steps = UserSteps::default();
    world.run(&mut steps, u64::MAX);

    assert_eq!(steps.0.first().map(|(_, context)| *context), Some(EDITOR));
    for (actor, context) in steps.0 {
        assert_eq!(actor, context);
    }
}

#[test]
fn an_application_that_runs_any_step_of_the_kernels_claims_nothing() {
    let mut world = World::build(&neighbours().configuration).expect("a sound configuration");
    let at = |world: &World, virt| {
        PhysAddr::truncated(world.machine.locate(0, virt).expect("it is mapped"))
    };
    let is_within_a_routine = |world: &World| {
        let registers = &world.machine.processors[0].registers;
        registers.rip >> 63 == 0 && registers.get(Reg::Rbp) != 0
    };
    while !is_within_a_routine(&world) {
        world.step(&mut ());
    }
    let registers = &world.machine.processors[0].registers;
    let (rip, frame) = (VirtAddr(registers.rip), registers.get(Reg::Rbp));
    let code = at(&world, rip);
    // Whatever a step takes for an address of its own is one of the application's stack.
    for local in 1..=16 {
        let word = at(&world, VirtAddr(frame - 8 * local));
        world.machine.memory.write(word, frame - 0x40);
    }
    let start = world.checkpoint();
    let step = |number: u64| SIGNATURE << 32 | number;
    let program = world.machine.program.clone();
    let is_the_kernels =
        |number: &u64| program.decode(step(*number)).is_some_and(|step| step.owner.is_some());

    let mut run = 0;
    for number in (0..0x1_0000).filter(is_the_kernels) {
        world.restore(&start);
        world.machine.memory.write(code, step(number));
        // That alone: what it leads to is the kernel's.
        world.machine.step(0);
        let is_claim = |event: &&Event| matches!(event.kind, EventKind::Grant | EventKind::Release);
        assert_eq!(world.machine.events.iter().find(is_claim), None, "step {number}");
        world.machine.events.clear();
        run += 1;
    }
    assert!(run > 500, "{run} steps");
}

#[test]
fn a_bad_handle_of_a_critical_application_with_strict_checks_is_such_an_end() {
    // "Bug Check 0x1ED: HANDLE_ERROR_ON_CRITICAL_THREAD": it ends with the exception that the check raises.
    const FORGED: &str = "value = '0x28'";
    let stops = |critical| {
        let mut world = neighbours();
        let shell = &mut world.configuration.components[1];
        shell.critical = critical;
        let event = |slot| [Action::CreateEvent { slot }, Action::SetEvent { slot }];
        shell.actions = vec![Action::StrictHandles];
        shell.actions.extend((0..2).flat_map(event));
        shell.actions.push(Action::Wait);
        let mut trial = trial(&world);
        let strike = |nth| fault("forged-handle", "shell", PointKind::ModeSwitch, nth, FORGED);
        (1..10).any(|nth| {
            let outcome = trial.run(&[strike(nth)]).expect("a fault that can be made");
            assert_eq!(outcome.guarantees, [""; 0], "{outcome:?}");
            matches!(outcome.availability, Availability::BugCheck { code: 0x1ed, .. })
        })
    };

    assert!(stops(true) && !stops(false));
}

#[test]
fn a_critical_application_may_stop_the_machine_by_its_end_and_in_no_other_way() {
    let mut world = neighbours();
    world.configuration.weaknesses = vec!["no-probe".to_owned()];
    let shell = &mut world.configuration.components[1];
    shell.critical = true;
    // It never ends by itself.
    shell.actions.push(Action::Wait);
    let mut trial = trial(&world);
    let strike = |nth| fault("kernel-address-as-argument", "shell", PointKind::ModeSwitch, nth, "");
    let end = struck(&mut trial, fault("crash", "shell", PointKind::Step, 5, "how = 'abort'"));

    let stopped: Vec<_> = (1..40)
        .map(|nth| trial.run(&[strike(nth)]).expect("a fault that can be made"))
        .filter(|outcome| {
            let availability = outcome.availability;
            matches!(availability, Availability::Reset | Availability::BugCheck { code: 0x7f, .. })
        })
        .collect();

    assert!(matches!(end.availability, Availability::BugCheck { code: 0xef, .. }), "{end:?}");
    assert_eq!(end.guarantees, [""; 0], "the end of a critical process is let through");
    assert_ne!(stopped.len(), 0, "no call stopped the machine");
    for outcome in stopped {
        let survives = "the-system-survives-user-mode-faults";
        assert!(outcome.guarantees.iter().any(|one| one == survives), "{outcome:?}");
    }
}

#[test]
fn nobody_is_said_to_have_done_what_memory_did_by_itself() {
    let mut world = neighbours();
    let target = "bit = 2\ntarget = 'driver:reflector/control-dispatch'";
    world.plan = vec![fault("bit-flip", "shell", PointKind::Step, 3, target)];

    let story = Story::of(&world, &Registries::default()).expect("it runs");

    let detection = story.outcome.detection.as_ref().expect("a call leads astray");
    assert_eq!(detection.did, "memory itself");
    let text = story.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(", by itself"), "{text}");
    assert!(text.contains("by nobody's access"), "{text}");
    for blame in ["by the doing of shell", "written by shell", "though shell did"] {
        assert!(!text.contains(blame), "{text}");
    }
}

#[test]
fn a_driver_that_writes_to_a_wrong_address_may_damage_another_driver() {
    let mut trial = trial(&neighbours());
    let to = "operator = 'target'\ntarget = 'driver:files/data:0'";

    let outcome = struck(&mut trial, fault("wild-write", "nic", PointKind::Store, 1, to));

    assert!(outcome.victims.contains(&Victim::AnotherDriver), "{outcome:?}");
}

#[test]
fn a_hosted_driver_that_writes_to_the_same_addresses_damages_nobody() {
    let mut trial = trial(&neighbours());
    for target in ["kernel/ready-queue", "driver:files/data:0", "driver:nic/write-dispatch"] {
        let to = format!("operator = 'target'\ntarget = '{target}'");

        let outcome = struck(&mut trial, fault("wild-write", "sensor", PointKind::Store, 1, &to));

        assert_eq!(outcome.guarantees, [""; 0], "{target}");
        assert!(
            outcome.victims.iter().all(|victim| *victim == Victim::OwnDomain),
            "{target}: {outcome:?}"
        );
    }
}

#[test]
fn when_a_kernel_mode_driver_crashes_the_whole_system_crashes() {
    let mut trial = trial(&neighbours());
    for driver in ["nic", "filter", "reflector", "files"] {
        for how in ["null-dereference", "illegal-instruction", "divide-by-zero"] {
            let crash = fault("crash", driver, PointKind::Step, 3, &format!("how = '{how}'"));

            let outcome = struck(&mut trial, crash);

            let stopped = matches!(
                outcome.availability,
                Availability::BugCheck { .. } | Availability::BootLoop { .. }
            );
            assert!(stopped, "{how} in {driver}: {:?}", outcome.availability);
        }
    }
}

#[test]
fn some_drivers_run_in_user_mode_and_their_crash_is_contained() {
    let mut trial = trial(&neighbours());
    let steps = reached(&trial, "sensor", PointKind::Step);
    for how in
        ["null-dereference", "illegal-instruction", "divide-by-zero", "stack-overflow", "abort"]
    {
        for nth in [2, steps / 2, steps - 5] {
            let crash = fault("crash", "sensor", PointKind::Step, nth, &format!("how = '{how}'"));

            let outcome = struck(&mut trial, crash);

            assert_eq!(outcome.guarantees, [""; 0], "{how} at step {nth}");
            let is_lost = outcome.availability == Availability::HostLost { restarted: true };
            assert!(
                is_lost || how == "stack-overflow",
                "{how} at step {nth}: {:?}",
                outcome.availability
            );
            assert!(outcome.deviated.is_empty(), "{how} at step {nth}: {:?}", outcome.deviated);
        }
    }
}

#[test]
fn a_breakpoint_is_met_by_nobody_but_its_process() {
    let scenario = Scenario::from_bytes(
        br#"
format = 1
name = "breakpoint"

[machine]
processors = 1

[[component]]
name = "attacker"
home = "application"
actions = [
    { do = "system-call", service = 24, arguments = ["0x0", "0x0", "0x501400"] },
    { do = "yield" },
    { do = "load", word = 0 },
]

[[component]]
name = "victim"
home = "application"
actions = [
    { do = "yield" },
    { do = "yield" },
    { do = "load-stack-segment", call = false },
    { do = "load", word = 0 },
]
"#,
    )
    .expect("a scenario");
    let mut trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");

    trial.run(&[]).expect("nothing is planned");

    let ended = |name: &str| {
        let process = trial.roster().named(name).expect(name);
        trial.judge.authority.observations().ending(process)
    };
    assert_eq!((ended("attacker"), ended("victim")), ((1, 0), (1, 0)));
}
