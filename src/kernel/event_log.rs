//! The system's event log: what it says of user-mode drivers.
//!
//! | event | what it says | when it is written |
//! |---|---|---|
//! | [`HOST_FAILED`] | the host process was at fault | a host has ended |
//! | [`RESTARTED`] | the device went offline and was restarted | it has a host again and its stack is restarted |
//! | [`NOT_RESTARTED`] | the device went offline and was not restarted | it is given up |
//!
//! The numbers and what they stand for are of "How UMDF Handles Driver Failures", which also has the log say
//! how many more times the driver will be restarted: with a driver manager it is the manager that counts, and
//! nothing is said. A device is not restarted while a handle to its old stack is open (the same document), so that
//! whoever keeps one keeps that entry out of the log. An entry is two words of a ring among the kernel's
//! variables, the number, the device and the restarts left in the first, the time stamp in the second; whoever
//! overwrites them changes what is found there.
//!
//! Not modelled: the service that writes the log to a file, so that it is gone with a reboot, and the other fields
//! of an entry. What of failures survives a reboot is in [`super::host_record`].

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Reg, Routine, Substitute, Trap, routine};

use super::host::{IO_PROCESS_ENDED, NT_HOST_COMPLETE, extension};
use super::host_pool::{DEVICES_MAX, IO_SHARED_HOST_ENDED, extension_of, shared};
use super::host_service::NT_SHARED_HOST_COMPLETE;
use super::host_stack::{is_given_up, is_removed};
use super::host_time_out::reflector_from;
use super::layout::{address, device_object, element, event_log, kernel_data, process};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "failures-logged",
    "The event log says 10110 of a host at fault, 10111 and 10112 of a device restarted or not.",
    "How UMDF Handles Driver Failures",
)];

/// The host process was at fault.
pub const HOST_FAILED: u64 = 10_110;
/// The device went offline and was restarted.
pub const RESTARTED: u64 = 10_111;
/// The device went offline and was not restarted.
pub const NOT_RESTARTED: u64 = 10_112;

/// Entries that are kept.
pub const ENTRIES: u64 = 30;
/// Stands for restarts left where nobody says how many.
pub const UNTOLD: u64 = 0xff;

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[
    &IO_PROCESS_ENDED_LOGGED,
    &IO_SHARED_HOST_ENDED_LOGGED,
    &NT_SHARED_HOST_COMPLETE_LOGGED,
    &IO_PROCESS_ENDED_UNLOGGED,
    &IO_SHARED_HOST_ENDED_UNLOGGED,
    &NT_SHARED_HOST_COMPLETE_UNLOGGED,
    &IO_LOG_CHANGES,
];

/// The routines that take the place of those that log nothing, where devices share hosts or not; before any
/// others that take their place.
#[must_use]
pub fn substitutes(are_shared: bool) -> Vec<Substitute> {
    if are_shared {
        vec![
            (&IO_PROCESS_ENDED, &IO_SHARED_HOST_ENDED_LOGGED),
            (&NT_HOST_COMPLETE, &NT_SHARED_HOST_COMPLETE_LOGGED),
        ]
    } else {
        vec![(&IO_PROCESS_ENDED, &IO_PROCESS_ENDED_LOGGED)]
    }
}

/// The first word of an entry.
#[must_use]
pub const fn entry(event: u64, device: u64, left: u64) -> u64 {
    event & 0xffff_ffff | (device & 0xff) << 32 | (left & 0xff) << 40
}

/// Writes an entry over the oldest.
fn append(
    p: &mut Processor<'_>,
    event: u64,
    device: u64,
    host: u64,
    left: u64,
) -> Result<(), Trap> {
    let count = p.load(address::KERNEL_DATA, event_log::COUNT)?;
    let at = address::KERNEL_DATA.wrapping_add(count % ENTRIES * 16);
    let (word, now) = (entry(event, device, left), p.time_stamp());
    p.store(at, event_log::ENTRY, word)?;
    p.store(at, event_log::TIME, now)?;
    p.store(address::KERNEL_DATA, event_log::COUNT, count.wrapping_add(1))?;
    let host = Principal((host & 63) as u8);
    p.announce(EventKind::EventLogged, host, Structure::KernelData, [0, left, event, device]);
    Ok(())
}

/// Says that a host has failed whose process ended, and notes that its devices are offline. Local 0: the
/// process.
fn note_failure(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let ended = p.argument(0);
    p.set_local(0, ended)?;
    let first = p.load(ended, process::HOSTED_DEVICE)?;
    if first == 0 {
        return Ok(Flow::Next);
    }
    let (its, host) = (extension_of(p, first)?, p.load(ended, process::PRINCIPAL)?);
    let manager = p.load(its, shared::MANAGER)?;
    if manager == host {
        return Ok(Flow::Next);
    }
    let left = if manager == 0 {
        let failures = p.load(its, extension::RESTARTS)?;
        p.load(its, extension::RESTARTS_MAX)?.saturating_sub(failures).min(UNTOLD - 1)
    } else {
        UNTOLD
    };
    let mut offline = p.load(address::KERNEL_DATA, event_log::OFFLINE)?;
    let mut device = first;
    for _ in 0..DEVICES_MAX {
        if device == 0 {
            break;
        }
        offline |= 1 << (p.load(device, device_object::NUMBER)? & 63);
        let its = extension_of(p, device)?;
        device = p.load(its, shared::NEXT)?;
    }
    p.store(address::KERNEL_DATA, event_log::OFFLINE, offline)?;
    let number = p.load(first, device_object::NUMBER)?;
    append(p, HOST_FAILED, number, host, left)?;
    Ok(Flow::Next)
}

/// Says of a device that it was restarted, if the log has it offline, it has a host and its stack waits for nothing.
pub(super) fn note_restart(p: &mut Processor<'_>, device: u64) -> Result<(), Trap> {
    let number = p.load(device, device_object::NUMBER)? & 63;
    let offline = p.load(address::KERNEL_DATA, event_log::OFFLINE)?;
    if offline >> number & 1 == 0 || is_removed(p, device)? {
        return Ok(());
    }
    let its = extension_of(p, device)?;
    let host = p.load(its, extension::HOST)?;
    if p.load(element(address::KERNEL_DATA, host & 63), kernel_data::PROCESSES)? == 0 {
        return Ok(());
    }
    p.store(address::KERNEL_DATA, event_log::OFFLINE, offline & !(1 << number))?;
    append(p, RESTARTED, number, host, UNTOLD)
}

/// Passes the process that ended to what there is to do about it.
fn go_on(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let ended = p.local(0)?;
    p.pass([ended]);
    Ok(Flow::Call)
}

/// [`IO_PROCESS_ENDED`] by itself: its place is taken wherever it is called.
pub static IO_PROCESS_ENDED_UNLOGGED: Routine =
    Routine { name: "IopDriverHostEndedUnlogged", ..IO_PROCESS_ENDED };
/// [`IO_SHARED_HOST_ENDED`] by itself.
pub static IO_SHARED_HOST_ENDED_UNLOGGED: Routine =
    Routine { name: "IopFrameworkHostEndedUnlogged", ..IO_SHARED_HOST_ENDED };
/// [`NT_SHARED_HOST_COMPLETE`] by itself.
pub static NT_SHARED_HOST_COMPLETE_UNLOGGED: Routine =
    Routine { name: "NtCompleteFrameworkRequestUnlogged", ..NT_SHARED_HOST_COMPLETE };

routine! {
    /// As [`IO_PROCESS_ENDED`]: the log says what happened.
    pub static IO_PROCESS_ENDED_LOGGED = "IopDriverHostEndedLogged", frame 1;
    failed => note_failure,
    go_on, call IO_PROCESS_ENDED_UNLOGGED => go_on,
    changes, call IO_LOG_CHANGES => |_| Ok(Flow::Call),
    done => |_| Ok(Flow::Return),
}

routine! {
    /// As [`IO_SHARED_HOST_ENDED`]: the log says what happened.
    pub static IO_SHARED_HOST_ENDED_LOGGED = "IopFrameworkHostEndedLogged", frame 1;
    failed => note_failure,
    go_on, call IO_SHARED_HOST_ENDED_UNLOGGED => go_on,
    changes, call IO_LOG_CHANGES => |_| Ok(Flow::Call),
    done => |_| Ok(Flow::Return),
}

routine! {
    /// As [`NT_SHARED_HOST_COMPLETE`]: the log says what the manager's decision came to.
    pub static NT_SHARED_HOST_COMPLETE_LOGGED = "NtCompleteFrameworkRequestLogged", frame 2;
    // Locals: 0 and 1 what the service gives back.
    go_on, call NT_SHARED_HOST_COMPLETE_UNLOGGED => |_| Ok(Flow::Call),
    changes, call IO_LOG_CHANGES => |p| {
        let (outcome, value) = (p.result(), p.get(Reg::Rdx));
        p.set_local(0, outcome)?;
        p.set_local(1, value)?;
        Ok(Flow::Call)
    },
    done => |p| {
        let (outcome, value) = (p.local(0)?, p.local(1)?);
        Ok(super::service::answer(p, outcome, value))
    },
}

routine! {
    /// Says which devices that were offline have been restarted or given up.
    pub static IO_LOG_CHANGES = "IopLogDeviceChanges", frame 1;
    // Local: the number of the device in hand.
    keep => |p| {
        p.set_local(0, 0)?;
        Ok(Flow::Next)
    },
    look => |p| {
        let from = p.local(0)?;
        let Some((number, device, its)) = reflector_from(p, from)? else {
            return Ok(Flow::Return);
        };
        p.set_local(0, number + 1)?;
        let offline = p.load(address::KERNEL_DATA, event_log::OFFLINE)?;
        if offline >> number & 1 == 0 {
            return Ok(Flow::Stay);
        }
        let host = p.load(its, extension::HOST)?;
        if is_given_up(p, device)? {
            p.store(address::KERNEL_DATA, event_log::OFFLINE, offline & !(1 << number))?;
            append(p, NOT_RESTARTED, number, host, UNTOLD)?;
            return Ok(Flow::Stay);
        }
        note_restart(p, device)?;
        Ok(Flow::Stay)
    },
}
