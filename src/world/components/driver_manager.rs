//! The driver manager: a service in a process of its own that decides what becomes of a lost host.
//!
//! The first failure of a device in a shared host restarts that host; the second gives the device a
//! host of its own; there it is restarted five times at most and then given up ("Using Device Pooling
//! in UMDF Drivers"). The counts are the manager's own, in its private memory: they go when it goes.
//!
//! A device that failed in a host of its own before the system was booted again has none at first; the manager
//! starts one for it, which is no failure ([`crate::kernel::host_record`]).
//!
//! Where hosts have time-outs, half an hour without a failure makes the next one the first again, in a host
//! of its own; of failures while a host is shared the document says no such thing.
//!
//! The buffer page, at [`address::USER_BUFFERS`]; only the last word must be prepared, where it is read:
//!
//! | bytes | what |
//! |---|---|
//! | [`SHARED_FAILURES`] | 16 counts, by device: failures in a shared host |
//! | [`OWN_FAILURES`] | 16 counts, by device: failures in a host of its own |
//! | [`LAST_FAILURES`] | 16 time stamps, by device: the last failure |
//! | [`FORGOTTEN_AFTER`] | steps after which failures are forgotten |

use crate::base::{Rule, Structure};
use crate::kernel::host_pool::{shared, verdict};
use crate::kernel::layout::{address, element};
use crate::kernel::{service, status};
use crate::machine::{Flow, Processor, Reg, Routine, Trap, routine};

use super::reflector::RESTARTS_MAX;
use super::windows_api::API_CALL;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "manager-is-a-service",
        "One driver manager, in a process of its own, decides of every lost host.",
        "Detailed View of the UMDF Architecture; UMDF Driver Host Process",
    ),
    Rule::documented(
        "failures-part-devices",
        "The second failure in a shared host gives the device one of its own.",
        "Using Device Pooling in UMDF Drivers",
    ),
    Rule::inferred(
        "manager-counts",
        "The counts of failures are in the manager's memory, and go with it.",
        "Using Device Pooling in UMDF Drivers (doesn't say where they are)",
    ),
];

/// The code of the manager.
pub const ROUTINES: &[&Routine] = &[&DRIVER_MANAGER];
/// The code of the manager where hosts have time-outs.
pub const TIMED_ROUTINES: &[&Routine] = &[&DRIVER_MANAGER_TIMED];
/// The name of its image.
pub const IMAGE: &str = "driver manager";

const PAGE: u64 = address::USER_BUFFERS;
const DATA: Structure = Structure::UserData;
/// Failures in a shared host.
pub const SHARED_FAILURES: u64 = 0x000;
/// Failures in a host of its own.
pub const OWN_FAILURES: u64 = 0x080;
/// When the last failure was.
pub const LAST_FAILURES: u64 = 0x100;
/// Steps without a failure after which those in a host of its own are forgotten.
pub const FORGOTTEN_AFTER: u64 = 0x180;

fn enter(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.set_stack(address::USER_STACK_TOP - 64);
    p.put(Reg::Rbp, address::USER_STACK_TOP - 16);
    Ok(Flow::Next)
}

fn ask(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.put(Reg::Rax, service::HOST_WAIT);
    p.pass([0; 6]);
    Ok(Flow::Call)
}

/// There is nothing to manage.
fn leave(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.put(Reg::Rax, service::WAIT);
    Ok(Flow::Call)
}

/// Counts a failure and passes the verdict.
fn decide(p: &mut Processor<'_>, told: u64) -> Result<Flow, Trap> {
    let (device, how) = (told & 15, told >> 8);
    if how == shared::APART {
        return decided(p, device, verdict::RESTART);
    }
    let counts = if how == shared::FAILED_SHARED { SHARED_FAILURES } else { OWN_FAILURES };
    let at = element(PAGE + counts, device);
    let failures = p.load_at(at, DATA)?.wrapping_add(1);
    p.store_at(at, DATA, failures)?;
    let decided = match (how == shared::FAILED_SHARED, failures) {
        (true, 0 | 1) => verdict::RESTART,
        (true, _) => verdict::OWN_HOST,
        (false, failures) if failures > RESTARTS_MAX => verdict::DISABLE,
        (false, _) => verdict::RESTART,
    };
    self::decided(p, device, decided)
}

/// Passes a verdict.
fn decided(p: &mut Processor<'_>, device: u64, verdict: u64) -> Result<Flow, Trap> {
    p.put(Reg::Rax, service::HOST_COMPLETE);
    p.pass([device, 0, verdict, 0, 0, 0]);
    Ok(Flow::Call)
}

/// Forgets a device's failures in a host of its own when the last was long enough ago.
fn forget(p: &mut Processor<'_>, told: u64) -> Result<(), Trap> {
    let device = told & 15;
    let (last, now) = (element(PAGE + LAST_FAILURES, device), p.time_stamp());
    let since = now.wrapping_sub(p.load_at(last, DATA)?);
    if since > p.load_at(PAGE + FORGOTTEN_AFTER, DATA)? {
        p.store_at(element(PAGE + OWN_FAILURES, device), DATA, 0)?;
    }
    p.store_at(last, DATA, now)
}

routine! {
    /// Waits for a failure, decides, and so on. Never returns.
    pub static DRIVER_MANAGER = "driver-manager", frame 4;
    enter => enter,
    ask, call API_CALL => ask,
    decide, call API_CALL => |p| {
        if p.result() != status::SUCCESS {
            return Ok(Flow::To(At::leave as u8));
        }
        let told = p.get(Reg::Rdx);
        decide(p, told)
    },
    decided => |_| Ok(Flow::To(At::ask as u8)),
    leave, call API_CALL => leave,
    gone => |_| Ok(Flow::Stay),
}

routine! {
    /// As [`DRIVER_MANAGER`], where hosts have time-outs: old failures are forgotten. Never returns.
    pub static DRIVER_MANAGER_TIMED = "driver-manager-timed", frame 4;
    enter => enter,
    ask, call API_CALL => ask,
    decide, call API_CALL => |p| {
        if p.result() != status::SUCCESS {
            return Ok(Flow::To(At::leave as u8));
        }
        let told = p.get(Reg::Rdx);
        if told >> 8 != shared::APART {
            forget(p, told)?;
        }
        decide(p, told)
    },
    decided => |_| Ok(Flow::To(At::ask as u8)),
    leave, call API_CALL => leave,
    gone => |_| Ok(Flow::Stay),
}
