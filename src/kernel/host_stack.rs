//! What becomes of a device whose host is lost: of the handles to it, and what applications are told.
//!
//! The device stack above a lost host is torn down and restarted when all handles to it are closed, and not
//! before ("How UMDF Handles Driver Failures"). Until then the device is in the state of one that was removed
//! by surprise: its drivers fail whatever is asked through the old handles ("Handling an
//! `IRP_MN_SURPRISE_REMOVAL` Request"), and nobody opens it. So every handle to such a device is an old one, and
//! no handle need be told from another.
//!
//! The host itself is the driver manager's, which makes it again whether the stack waits for handles or not. That is
//! inferred: a device is not restarted while a handle to its old stack is open, and yet an application may be told of
//! a lost request after the restart, when the handle that it asked through is open (the same document). Devices that
//! share a host need it at once in any case. What is asked through a handle that is opened when the stack is restarted
//! reaches it.
//!
//! The reflector also sends an event to applications that have asked for it. Before, between or after the other
//! two, as the seed says: see [`order`]. An application asks by a handle to the device, as with
//! `RegisterDeviceNotification`, and looks later whether anything came; in this model by one service.
//!
//! | [`device_object::STATE`] | |
//! |---|---|
//! | [`GIVEN_UP`] | nobody starts its host any more |
//! | [`REMOVED`] | its host was lost, and old handles are open |
//! | above [`TOLD`] | events sent |

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Reg, Trap, routine};

use super::event_log;
use super::handle::OB_REFERENCE_BY_HANDLE;
use super::host::extension;
use super::layout::{device_object, object_body, object_type};
use super::object::OB_DEREFERENCE;
use super::previous_mode::previous_mode;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "old-handles-hold-the-stack",
        "A lost host's device stack is torn down and restarted when all handles to it are closed.",
        "How UMDF Handles Driver Failures",
    ),
    Rule::documented(
        "old-handles-fail",
        "Until then requests through the old handles fail, and the device can't be opened.",
        "Handling an IRP_MN_SURPRISE_REMOVAL Request; IRP_MJ_CREATE (Parallel Device)",
    ),
    Rule::inferred(
        "removed-status",
        "They fail with STATUS_DELETE_PENDING, as a parallel device's do when removed by surprise.",
        "IRP_MJ_CREATE (Parallel Device) (says it of one driver)",
    ),
    Rule::inferred(
        "host-before-stack",
        "A host is made again while old handles are open; its device's stack waits for them.",
        "How UMDF Handles Driver Failures (a request, whose handle is open, may end after the restart)",
    ),
    Rule::documented(
        "applications-are-told",
        "Applications that asked get an event when a host is lost.",
        "How UMDF Handles Driver Failures (GUID_WUDF_DEVICE_HOST_PROBLEM)",
    ),
    Rule::documented(
        "recovery-in-any-order",
        "Requests' completion, the event and the restart come in any order, which the seed draws.",
        "How UMDF Handles Driver Failures",
    ),
];

/// Nobody starts the device's host any more.
pub const GIVEN_UP: u64 = 1;
/// The device's host was lost, and handles to the old stack are open.
pub const REMOVED: u64 = 2;
/// Either: nothing is asked of the device.
pub const OFFLINE: u64 = GIVEN_UP | REMOVED;
/// Where in a device's state the number of events that were sent begins.
pub const TOLD: u32 = 8;

/// What a recovery does in which order: four bits for each failure to come.
pub mod order {
    /// Bits for one failure.
    pub const BITS: u32 = 4;

    /// Whether requests are completed after the restart.
    #[must_use]
    pub const fn is_late(order: u64) -> bool {
        order & 1 != 0
    }

    /// How many of completion and restart come before the event.
    #[must_use]
    pub const fn before_event(order: u64) -> u64 {
        (order >> 1 & 7) % 3
    }
}

/// What is asked of a device that is offline is answered with this; `None` when it is not.
pub(super) fn refusal(p: &mut Processor<'_>, device: u64) -> Result<Option<u64>, Trap> {
    let state = p.load(device, device_object::STATE)? & OFFLINE;
    let (kind, refusal) = match state {
        0 => return Ok(None),
        REMOVED => (EventKind::LossTold, status::DELETE_PENDING),
        _ => (EventKind::DeviceRefused, status::DEVICE_REMOVED),
    };
    announce_told(p, kind, device)?;
    Ok(Some(refusal))
}

/// Announces what the process in context is told of a device.
fn announce_told(p: &mut Processor<'_>, kind: EventKind, device: u64) -> Result<(), Trap> {
    let number = p.load(device, device_object::NUMBER)?;
    p.announce(kind, Principal::KERNEL, Structure::DeviceObject, [0, device, number, 0]);
    Ok(())
}

/// Whether a device is given up.
pub(super) fn is_given_up(p: &mut Processor<'_>, device: u64) -> Result<bool, Trap> {
    Ok(p.load(device, device_object::STATE)? & GIVEN_UP != 0)
}

/// Whether the stack of a device waits for old handles.
pub(super) fn is_removed(p: &mut Processor<'_>, device: u64) -> Result<bool, Trap> {
    Ok(p.load(device, device_object::STATE)? & REMOVED != 0)
}

/// Gives a device up.
pub(super) fn give_up(p: &mut Processor<'_>, device: u64) -> Result<(), Trap> {
    let state = p.load(device, device_object::STATE)?;
    p.store(device, device_object::STATE, state | GIVEN_UP)
}

/// The host of a device is lost: its stack goes with the last handle to it.
pub(super) fn remove(p: &mut Processor<'_>, device: u64) -> Result<(), Trap> {
    announce(p, EventKind::StackRemoved, device)?;
    if p.load(device, device_object::OPEN_FILES)? == 0 {
        return Ok(());
    }
    let state = p.load(device, device_object::STATE)?;
    p.store(device, device_object::STATE, state | REMOVED)
}

/// Sends the event about a device's host.
pub(super) fn tell(p: &mut Processor<'_>, device: u64) -> Result<(), Trap> {
    let state = p.load(device, device_object::STATE)?;
    p.store(device, device_object::STATE, state.wrapping_add(1 << TOLD))?;
    announce(p, EventKind::HostProblemTold, device)
}

fn announce(p: &mut Processor<'_>, kind: EventKind, device: u64) -> Result<(), Trap> {
    let extension = p.load(device, device_object::EXTENSION)?;
    let host = Principal((p.load(extension, extension::HOST)? & 63) as u8);
    let number = p.load(device, device_object::NUMBER)?;
    p.announce(kind, host, Structure::DeviceObject, [0, device, number, 0]);
    Ok(())
}

/// A device was opened, by a handle of its own.
pub(super) fn opened(p: &mut Processor<'_>, device: u64) -> Result<(), Trap> {
    let open = p.load(device, device_object::OPEN_FILES)?;
    p.store(device, device_object::OPEN_FILES, open.wrapping_add(1))
}

/// The last handle to an object is closed. If that was the last to an old stack, it is torn down and restarted.
pub(super) fn closed(p: &mut Processor<'_>, file: u64) -> Result<(), Trap> {
    let device = p.load(file, object_body::FIRST)?;
    let open = p.load(device, device_object::OPEN_FILES)?.saturating_sub(1);
    p.store(device, device_object::OPEN_FILES, open)?;
    let state = p.load(device, device_object::STATE)?;
    if open != 0 || state & REMOVED == 0 {
        return Ok(());
    }
    p.store(device, device_object::STATE, state & !REMOVED)?;
    announce(p, EventKind::StackRestarted, device)?;
    event_log::note_restart(p, device)
}

routine! {
    /// Service: looks whether an event came about the host of a device. Argument: a handle to the device. The
    /// first time it asks for events: [`status::PENDING`]; later that, or success when one came since.
    pub static NT_GET_DEVICE_EVENT = "NtGetPlugPlayEvent", frame 1;
    // Local: the status.
    look, call OB_REFERENCE_BY_HANDLE => |p| {
        let handle = p.argument(0);
        let mode = previous_mode(p)?;
        p.pass([handle, 0, object_type::FILE, mode, 0]);
        Ok(Flow::Call)
    },
    compare, call OB_DEREFERENCE => |p| {
        let (file, refused) = (p.result(), p.get(Reg::Rdx));
        if file == 0 {
            return Ok(answer(p, refused, 0));
        }
        let device = p.load(file, object_body::FIRST)?;
        let sent = (p.load(device, device_object::STATE)? >> TOLD).wrapping_add(1);
        let seen = p.load(file, object_body::FOURTH)?;
        p.store(file, object_body::FOURTH, sent)?;
        let is_news = seen != 0 && seen != sent;
        if is_news {
            announce_told(p, EventKind::LossTold, device)?;
        }
        p.set_local(0, if is_news { status::SUCCESS } else { status::PENDING })?;
        p.pass([file]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(0)?;
        Ok(answer(p, outcome, 0))
    },
}
