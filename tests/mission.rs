//! Every sentence of the mission, and every link across the mode line that is not there; beside each
//! the alarm when its protection is weakened.

mod weakened;
mod worlds;

use std::collections::BTreeMap;

use ringfence::base::{Access, Event, EventKind, PhysAddr, Principal, Witness};
use ringfence::campaign::Trial;
use ringfence::injection::PointKind;
use ringfence::kernel::bug_check::KE_BUG_CHECK;
use ringfence::kernel::layout::address;
use ringfence::kernel::pool::EX_ALLOCATE_POOL;
use ringfence::kernel::request::IO_CALL_DRIVER;
use ringfence::kernel::status;
use ringfence::kernel::system_call::KI_SYSTEM_CALL;
use ringfence::machine::Routine;
use ringfence::outcome::{Availability, Victim};
use ringfence::world::action::{CrashKind, place};
use ringfence::world::{Action, World};

use worlds::{fault, named, neighbours, reached, sees_the_same, struck, trial, with_editor};

const WORD: u64 = address::USER_BUFFERS + place::PRIVATE;
const EDITOR: Principal = Principal(2);
const SHELL: Principal = Principal(3);
/// A word of the kernel's variables that an application would like to see.
const SYSTEM_WORD: u64 = address::KERNEL_DATA + 0x28;
/// Code of the first driver, `nic`, and of the last, `files`.
const NIC_CODE: u64 = address::DRIVER_CODE;
const FILES_CODE: u64 = address::DRIVER_CODE + 3 * address::DRIVER_STRIDE;

/// Routines that drivers call: support around the operating-system kernel.
const EXPORTED: [&Routine; 4] =
    [&IO_CALL_DRIVER, &EX_ALLOCATE_POOL, &KE_BUG_CHECK, &KI_SYSTEM_CALL];

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

/// How a process ended in the golden run.
fn ending(trial: &Trial, who: &str) -> (u8, u64) {
    trial.golden.endings[usize::from(named(trial, who).0)]
}

/// What the shell sees beside an editor that does this; the editor must end with this status.
fn refused(action: Action, wanted: u64) {
    let peaceful = trial(&with_editor(Vec::new()));
    let daring = trial(&with_editor(vec![action.clone()]));

    assert_eq!(ending(&daring, "editor"), (1, wanted), "{action:?}");
    for other in ["shell", "sensor", "nic", "files", "kernel"] {
        let who = named(&daring, other);
        let (seen, before) =
            (daring.golden.observations.of(who), peaceful.golden.observations.of(who));
        assert_eq!(seen, before, "{other} noticed {action:?}");
        assert_eq!(ending(&daring, other), ending(&peaceful, other), "{other} at {action:?}");
    }
}

fn access(address: u64, access: Access) -> Action {
    Action::Access { address, access }
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
fn there_is_no_link_from_an_application_to_driver_code() {
    for code in [NIC_CODE, FILES_CODE] {
        refused(access(code, Access::Execute), status::ACCESS_VIOLATION);
        refused(access(code, Access::Read), status::ACCESS_VIOLATION);
    }
}

#[test]
fn there_is_no_link_from_an_application_to_a_drivers_memory() {
    for code in [NIC_CODE, FILES_CODE] {
        for how in [Access::Read, Access::Write, Access::Execute] {
            refused(access(code + address::DRIVER_DATA_OFFSET, how), status::ACCESS_VIOLATION);
        }
    }
}

#[test]
fn there_is_no_link_from_an_application_to_exported_routines() {
    let world = World::build(&neighbours().configuration).expect("a sound configuration");
    for routine in EXPORTED {
        let entry = world.machine.program.entry(routine).expect("it is in the kernel").0;

        refused(access(entry, Access::Execute), status::ACCESS_VIOLATION);
    }
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_exported_routines() {
    let world = World::build(&neighbours().configuration).expect("a sound configuration");
    let entries = EXPORTED.map(|routine| world.machine.program.entry(routine).expect("there").0);
    refused_to_the_host(&entries, &[]);
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_another_driver_but_by_requests() {
    let data = ["driver:nic/data:0", "driver:nic/read-dispatch", "driver:filter/data:0"];
    refused_to_the_host(&[NIC_CODE, NIC_CODE + address::DRIVER_STRIDE], &data);
}

#[test]
fn there_is_no_link_from_an_application_to_the_hardware() {
    // Ports are refused by the I/O privilege level (Intel SDM volume 1, "I/O Privilege Level").
    for action in [
        Action::Crash { how: CrashKind::PrivilegedInstruction },
        Action::PortIn { port: 4 },
        Action::PortOut { port: 3, value: 1 },
    ] {
        refused(action, status::PRIVILEGED_INSTRUCTION);
    }
    for place in
        [address::HAL_CODE, address::IOMMU_TABLES, address::DMA_BUFFERS, address::TASK_STATES]
    {
        for how in [Access::Read, Access::Write, Access::Execute] {
            refused(access(place, how), status::ACCESS_VIOLATION);
        }
    }
}

#[test]
fn there_is_no_link_from_an_application_to_system_data() {
    for how in [Access::Read, Access::Write] {
        refused(access(SYSTEM_WORD, how), status::ACCESS_VIOLATION);
        // Page tables, through the self-map.
        refused(access(address::table_entry(0x1ed, WORD), how), status::ACCESS_VIOLATION);
    }
}

/// The host jumps there, and stores there; it is lost each time, and nobody is damaged.
fn refused_to_the_host(code: &[u64], data: &[&str]) {
    let mut trial = trial(&neighbours());
    let mut hold = |planned, place: &dyn core::fmt::Debug| {
        let outcome = struck(&mut trial, planned);

        assert_eq!(outcome.availability, Availability::HostLost { restarted: true }, "{place:?}");
        assert_eq!(outcome.guarantees, [""; 0], "{place:?}");
        assert!(outcome.deviated.is_empty(), "{place:?}: {:?}", outcome.deviated);
        assert!(outcome.victims.iter().all(|victim| *victim == Victim::OwnDomain), "{place:?}");
        let alarm = outcome.detection.expect("an exception");
        assert_eq!((&*alarm.by, &*alarm.did), ("page fault", "sensor"), "{place:?}");
    };
    for place in code {
        let value = format!("value = '{place:#x}'");
        let mut planned = fault("corrupted-return-address", "sensor", PointKind::Step, 4, &value);
        planned.at.routine = Some("SensorProcess".to_owned());
        hold(planned, place);
    }
    for place in data {
        let to = format!("operator = 'target'\ntarget = '{place}'");
        hold(fault("wild-write", "sensor", PointKind::Store, 2, &to), place);
        hold(fault("wild-read", "sensor", PointKind::Load, 2, &to), place);
    }
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_the_hal_or_the_hardware() {
    let data = [
        "kernel/iommu-table:0",
        "kernel/dma-buffer:0",
        "kernel/task-state:0",
        "kernel/interrupt-gate:14",
    ];
    refused_to_the_host(&[address::HAL_CODE], &data);
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_a_file_system_driver() {
    let data = ["kernel/file-cache:0", "driver:files/data:0", "driver:files/read-dispatch"];
    refused_to_the_host(&[FILES_CODE], &data);
}
