//! The driver manager: a service in a process of its own that decides what becomes of a lost host.
//!
//! The first failure of a device in a shared host restarts that host; the second gives the device a
//! host of its own; there it is restarted five times at most and then given up ("Using Device Pooling
//! in UMDF Drivers"). The counts are the manager's own, in its private memory: they go when it goes.
//!
//! The buffer page, at [`address::USER_BUFFERS`]; none of it must be prepared:
//!
//! | bytes | what |
//! |---|---|
//! | [`SHARED_FAILURES`] | 16 counts, by device: failures in a shared host |
//! | [`OWN_FAILURES`] | 16 counts, by device: failures in a host of its own |

use crate::base::Structure;
use crate::kernel::host_pool::{shared, verdict};
use crate::kernel::layout::{address, element};
use crate::kernel::{service, status};
use crate::machine::{Flow, Reg, Routine, routine};

use super::reflector::RESTARTS_MAX;
use super::windows_api::API_CALL;

/// The code of the manager.
pub const ROUTINES: &[&Routine] = &[&DRIVER_MANAGER];
/// The name of its image.
pub const IMAGE: &str = "driver manager";

const PAGE: u64 = address::USER_BUFFERS;
const DATA: Structure = Structure::UserData;
/// Failures in a shared host.
pub const SHARED_FAILURES: u64 = 0x000;
/// Failures in a host of its own.
pub const OWN_FAILURES: u64 = 0x080;

routine! {
    /// Waits for a failure, decides, and so on. Never returns.
    pub static DRIVER_MANAGER = "driver-manager", frame 4;
    enter => |p| {
        p.set_stack(address::USER_STACK_TOP - 64);
        p.put(Reg::Rbp, address::USER_STACK_TOP - 16);
        Ok(Flow::Next)
    },
    ask, call API_CALL => |p| {
        p.put(Reg::Rax, service::HOST_WAIT);
        p.pass([0; 6]);
        Ok(Flow::Call)
    },
    decide, call API_CALL => |p| {
        if p.result() != status::SUCCESS {
            return Ok(Flow::To(At::leave as u8));
        }
        let told = p.get(Reg::Rdx);
        let (device, how) = (told & 15, told >> 8);
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
        p.put(Reg::Rax, service::HOST_COMPLETE);
        p.pass([device, 0, decided, 0, 0, 0]);
        Ok(Flow::Call)
    },
    decided => |_| Ok(Flow::To(At::ask as u8)),
    leave, call API_CALL => |p| {
        // There is nothing to manage.
        p.put(Reg::Rax, service::WAIT);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}
