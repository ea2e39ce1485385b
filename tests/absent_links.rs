//! Every link across the mode line that is not in the picture is refused by the architecture: a page
//! fault, no gate, a privilege level, the IOMMU. The links that there are: applications and user-mode drivers
//! to the Windows API; that to the exported driver support routines, with branches to other kernel-mode
//! drivers and to file-system drivers; user-mode drivers to other kernel-mode drivers; kernel-mode and
//! file-system drivers to the exported routines; other kernel-mode drivers and those routines to the HAL, and
//! the HAL to hardware.
//!
//! Below the line a link that is absent is taken by no request, and a wild call is an exposure: those
//! are measured and not refused, so they have no test here.

mod worlds;

use ringfence::base::Access;
use ringfence::injection::PointKind;
use ringfence::kernel::bug_check::KE_BUG_CHECK;
use ringfence::kernel::layout::address;
use ringfence::kernel::pool::EX_ALLOCATE_POOL;
use ringfence::kernel::request::IO_CALL_DRIVER;
use ringfence::kernel::status;
use ringfence::kernel::system_call::KI_SYSTEM_CALL;
use ringfence::machine::Routine;
use ringfence::outcome::{Availability, Outcome, Victim};
use ringfence::world::action::{CrashKind, place};
use ringfence::world::{Action, World};

use worlds::{access, fault, neighbours, reached, refused, sees_the_same, struck, trial};

const WORD: u64 = address::USER_BUFFERS + place::PRIVATE;
/// A word of the kernel's variables that an application would like to see.
const SYSTEM_WORD: u64 = address::KERNEL_DATA + 0x28;
/// Code of the first driver, `nic`, of the second, `filter`, and of the last, `files`.
const NIC_CODE: u64 = address::DRIVER_CODE;
const FILTER_CODE: u64 = address::DRIVER_CODE + address::DRIVER_STRIDE;
const FILES_CODE: u64 = address::DRIVER_CODE + 3 * address::DRIVER_STRIDE;

const ALL: [Access; 3] = [Access::Read, Access::Write, Access::Execute];

/// Routines that drivers call: support around the operating-system kernel.
const EXPORTED: [&Routine; 4] =
    [&IO_CALL_DRIVER, &EX_ALLOCATE_POOL, &KE_BUG_CHECK, &KI_SYSTEM_CALL];

/// Where they begin.
fn exported() -> [u64; 4] {
    let world = World::build(&neighbours().configuration).expect("a sound configuration");
    EXPORTED.map(|routine| world.machine.program.entry(routine).expect("it is in the kernel").0)
}

// Applications.

/// Nothing of a driver is to be had: its code, and the memory beside it.
fn no_driver_of(code: u64) {
    for how in ALL {
        refused(access(code, how), status::ACCESS_VIOLATION);
        refused(access(code + address::DRIVER_DATA_OFFSET, how), status::ACCESS_VIOLATION);
    }
}

#[test]
fn there_is_no_link_from_an_application_to_another_kernel_mode_driver() {
    no_driver_of(NIC_CODE);
    no_driver_of(FILTER_CODE);
}

#[test]
fn there_is_no_link_from_an_application_to_a_file_system_driver() {
    no_driver_of(FILES_CODE);
    for how in ALL {
        refused(access(address::FILE_CACHE, how), status::ACCESS_VIOLATION);
    }
}

#[test]
fn there_is_no_link_from_an_application_to_exported_routines() {
    for entry in exported() {
        refused(access(entry, Access::Execute), status::ACCESS_VIOLATION);
        refused(access(entry, Access::Read), status::ACCESS_VIOLATION);
    }
}

#[test]
fn there_is_no_link_from_an_application_to_the_hal() {
    for how in ALL {
        refused(access(address::HAL_CODE, how), status::ACCESS_VIOLATION);
    }
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
    for place in [address::IOMMU_TABLES, address::DMA_BUFFERS, address::TASK_STATES] {
        for how in ALL {
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

// User-mode drivers.

/// Whether who was struck raised the page fault that ended it.
fn faulted(outcome: &Outcome, who: &str) -> bool {
    let alarm = outcome.detection.as_ref().expect("an exception");
    (&*alarm.by, &*alarm.did) == ("page fault", who)
}

/// The host jumps there, and stores and loads there; it is lost each time, and nobody is damaged.
fn refused_to_the_host(code: &[u64], data: &[&str]) {
    let mut trial = trial(&neighbours());
    let mut hold = |planned, place: &dyn core::fmt::Debug| {
        let outcome = struck(&mut trial, planned);

        assert_eq!(outcome.availability, Availability::HostLost { restarted: true }, "{place:?}");
        assert_eq!(outcome.guarantees, [""; 0], "{place:?}");
        assert!(outcome.deviated.is_empty(), "{place:?}: {:?}", outcome.deviated);
        assert!(outcome.victims.iter().all(|victim| *victim == Victim::OwnDomain), "{place:?}");
        assert!(faulted(&outcome, "sensor"), "{place:?}: {outcome:?}");
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
fn there_is_no_link_from_a_user_mode_driver_to_another_driver_but_by_requests() {
    let data = ["driver:nic/data:0", "driver:nic/read-dispatch", "driver:filter/data:0"];
    refused_to_the_host(&[NIC_CODE, FILTER_CODE], &data);
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_a_file_system_driver() {
    let data = ["kernel/file-cache:0", "driver:files/data:0", "driver:files/read-dispatch"];
    refused_to_the_host(&[FILES_CODE], &data);
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_exported_routines() {
    refused_to_the_host(&exported(), &[]);
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_the_hal() {
    refused_to_the_host(&[address::HAL_CODE], &["kernel/processor-block:0"]);
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_the_hardware() {
    let data = [
        "kernel/iommu-table:0",
        "kernel/dma-buffer:0",
        "kernel/task-state:0",
        "kernel/interrupt-gate:14",
    ];
    refused_to_the_host(&[], &data);
}

#[test]
fn there_is_no_link_from_a_user_mode_driver_to_system_data() {
    refused_to_the_host(
        &[],
        &["kernel/ready-queue", "kernel/service-table:0", "kernel/frame-database:40"],
    );
}

// The Windows API, which is user-mode code in whichever process calls it.

/// It returns there instead of to its caller; its process is lost and nobody else notices.
fn refused_to_the_api(code: u64) {
    let mut trial = trial(&neighbours());
    for nth in [2, 4] {
        let value = format!("value = '{code:#x}'");
        let mut planned = fault("corrupted-return-address", "editor", PointKind::Step, nth, &value);
        planned.at.routine = Some("NtApiCall".to_owned());

        let outcome = struck(&mut trial, planned);

        let is_lost =
            outcome.availability == Availability::ProcessLost { status: status::ACCESS_VIOLATION };
        assert!(is_lost, "{code:#x}: {outcome:?}");
        assert!(faulted(&outcome, "editor"), "{code:#x}: {outcome:?}");
        assert_eq!(outcome.guarantees, [""; 0], "{code:#x}");
        assert!(sees_the_same(&trial, "shell"), "{code:#x}");
    }
}

#[test]
fn there_is_no_link_from_the_windows_api_to_exported_routines_but_through_the_gate() {
    for entry in exported() {
        refused_to_the_api(entry);
    }
}

#[test]
fn there_is_no_link_from_the_windows_api_to_drivers_but_through_the_gate() {
    for code in [NIC_CODE, FILTER_CODE, FILES_CODE] {
        refused_to_the_api(code);
    }
}

#[test]
fn there_is_no_link_from_the_windows_api_to_the_hal() {
    refused_to_the_api(address::HAL_CODE);
}

#[test]
fn there_is_no_link_from_the_windows_api_to_the_hardware() {
    for place in [address::IOMMU_TABLES, address::DMA_BUFFERS, address::TASK_STATES] {
        refused_to_the_api(place);
    }
}

#[test]
fn there_is_no_link_from_the_windows_api_to_system_data() {
    for place in [SYSTEM_WORD, address::table_entry(0x1ed, WORD)] {
        refused_to_the_api(place);
    }
}

// From below the line: nothing of kernel mode or hardware calls or reaches into a process.

/// It returns to code of the process in context; SMEP refuses (Intel SDM volume 3A, "Access Rights").
fn refused_to_kernel_mode(who: &str, routine: Option<&Routine>, nth: u64) {
    for code in [address::USER_CODE, address::USER_API] {
        let value = format!("value = '{code:#x}'");
        let mut planned = fault("corrupted-return-address", who, PointKind::Step, nth, &value);
        planned.at.routine = routine.map(|routine| routine.name.to_owned());
        let mut trial = trial(&neighbours());

        let outcome = struck(&mut trial, planned);

        assert!(faulted(&outcome, who), "{code:#x}: {outcome:?}");
        let is_stopped = matches!(
            outcome.availability,
            Availability::BugCheck { .. } | Availability::BootLoop { .. }
        );
        assert!(is_stopped, "{code:#x}: {:?}", outcome.availability);
        assert!(!outcome.victims.contains(&Victim::AnotherProcess), "{code:#x}: {outcome:?}");
    }
}

#[test]
fn there_is_no_link_from_another_kernel_mode_driver_into_a_process() {
    refused_to_kernel_mode("nic", None, 3);
}

#[test]
fn there_is_no_link_from_a_file_system_driver_into_a_process() {
    refused_to_kernel_mode("files", None, 3);
}

#[test]
fn there_is_no_link_from_exported_routines_into_a_process() {
    refused_to_kernel_mode("kernel", Some(&IO_CALL_DRIVER), 2);
}

#[test]
fn there_is_no_link_from_the_hal_into_a_process() {
    refused_to_kernel_mode("hal", None, 2);
}

#[test]
fn there_is_no_link_from_the_hardware_into_a_process() {
    for (iommu, reaches) in [(true, false), (false, true)] {
        let mut scenario = neighbours();
        scenario.configuration.machine.iommu = iommu;
        let mut trial = trial(&scenario);
        let transfers = reached(&trial, "transfer-device", PointKind::Dma);
        assert!(transfers > 1);
        let to = "target = 'process:shell/private-word:0'";

        let planned = |nth| fault("dma-to-wrong-frame", "transfer-device", PointKind::Dma, nth, to);
        let outcomes: Vec<Outcome> = (1..=transfers)
            .map(|nth| trial.run(&[planned(nth)]).expect("a fault that can be made"))
            .filter(|outcome| outcome.activation.strikes > 0)
            .collect();

        assert!(!outcomes.is_empty(), "one of {transfers} is struck");
        let is_reached = |one: &Outcome| one.victims.contains(&Victim::AnotherProcess);
        assert_eq!(outcomes.iter().any(is_reached), reaches, "with an IOMMU: {iommu}");
    }
}
