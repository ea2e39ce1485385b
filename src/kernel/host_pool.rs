//! Driver hosts that several devices share, and the driver manager that decides what becomes of them.
//!
//! From version 1.11 of the user-mode framework on one host serves many device stacks, and the driver
//! manager, a service in a process of its own, starts the hosts. A kernel that is linked with these
//! routines has them in the place of those in [`super::host`].
//!
//! | what happens | what follows |
//! |---|---|
//! | a host ends that devices share | the requests of all of them are completed; the manager is told which device's request was at the host |
//! | the manager says *restart* | a host is made again for the devices that shared it |
//! | the manager says *own host* | that device leaves the pool and has a host of its own; the others have a new one together |
//! | the manager says *disable* | the device is given up, with all others of its host |
//! | there is no manager any more | all devices of the host are given up |
//! | the manager ends with something to decide | the same |
//!
//! The documents leave open whether an application gets its error before or after the device has
//! restarted ("How UMDF Handles Driver Failures"): a word of each reflector, drawn from the seed, says
//! it failure by failure. What is late, and when failures are forgotten, is in [`super::host_time_out`]; what is
//! remembered across a boot, in [`super::host_record`]. Not modelled: the event to registered applications.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Routine, Substitute, Trap, routine};

use super::host::{IO_PROCESS_ENDED, NT_HOST_COMPLETE, NT_HOST_WAIT, extension};
use super::host_service::{NT_SHARED_HOST_COMPLETE, NT_SHARED_HOST_WAIT};
use super::host_stack::{self, order};
use super::keys;
use super::layout::{address, device_object, element, kernel_data, process};
use super::object::current_process;
use super::schedule::KI_WAKE;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "pooled-failure-restarts-all",
        "When a shared host ends all of its devices are restarted.",
        "Using Device Pooling in UMDF Drivers",
    ),
    Rule::documented(
        "second-failure-own-host",
        "A device that fails a second time while it shares a host gets one of its own.",
        "Using Device Pooling in UMDF Drivers",
    ),
    Rule::documented(
        "driver-manager-starts-hosts",
        "The driver manager, a process of its own, starts every host.",
        "UMDF Driver Host Process",
    ),
    Rule::documented(
        "completed-and-restarted-in-any-order",
        "An application may get its error before or after the device has restarted; the seed says.",
        "How UMDF Handles Driver Failures",
    ),
    Rule::inferred(
        "failing-device-had-request",
        "The device that failed is the one whose request was at the host.",
        "How UMDF Handles Driver Failures",
    ),
    Rule::chosen(
        "no-manager-no-restart",
        "Without a driver manager the devices of a host that ends are given up.",
        "UMDF Driver Host Process (says nothing of the manager's end)",
    ),
];

/// What the framework keeps of each device behind what the [`extension`] has.
pub mod shared {
    use crate::base::{Field, Structure};

    const fn word(offset: u64, name: &'static str) -> Field {
        Field::new(Structure::DriverData, offset, name)
    }

    /// The next device of the same host, 0 at the end.
    pub const NEXT: Field = word(0x60, "next device of the host");
    /// The first device of the same host, on whose signal it waits.
    pub const FIRST: Field = word(0x68, "first device of the host");
    /// The manager's principal number.
    pub const MANAGER: Field = word(0x70, "driver manager");
    /// The device in whose extension the manager's signal and thread are.
    pub const HOME: Field = word(0x78, "driver manager's device");
    /// Not 0 while the manager has something to decide.
    pub const MANAGER_SIGNAL: Field = word(0x80, "driver manager's signal");
    /// The manager's thread, once it has asked.
    pub const MANAGER_THREAD: Field = word(0x88, "driver manager's thread");
    /// The next device of the framework, 0 at the end.
    pub const NEXT_OF_ALL: Field = word(0x90, "next device of the framework");
    /// What the manager is to decide: [`FAILED_SHARED`], [`FAILED_ALONE`] or [`APART`], plus [`TOLD`].
    pub const NOTICE: Field = word(0x98, "driver manager's notice");
    /// What a recovery does in which order, for each failure to come: see [`order`](super::order).
    pub const ORDER: Field = word(0xa0, "order of recovery");
    /// The principal number of the host that the device may have for itself.
    pub const OWN_HOST: Field = word(0xa8, "own host");
    /// The pattern of that host.
    pub const OWN_PATTERN: Field = word(0xb0, "own host's pattern");
    /// 1 while the device shares a host.
    pub const IS_SHARED: Field = word(0xb8, "host is shared");
    /// What is to be done after the restart: [`COMPLETE_LATE`], [`TELL_FIRST`], [`TELL_LAST`].
    pub const IS_LATE: Field = word(0xc0, "completion is late");

    /// Requests are to be completed.
    pub const COMPLETE_LATE: u64 = 1;
    /// Applications are to be told, before that.
    pub const TELL_FIRST: u64 = 2;
    /// Applications are to be told, after that.
    pub const TELL_LAST: u64 = 4;

    /// The device failed in a host that it shares.
    pub const FAILED_SHARED: u64 = 1;
    /// The device failed in a host of its own.
    pub const FAILED_ALONE: u64 = 2;
    /// The device has no host since the boot: it failed in one of its own before, and is to have one again.
    pub const APART: u64 = 3;
    /// The manager has been told.
    pub const TOLD: u64 = 0x100;
}

/// What the manager may decide.
pub mod verdict {
    /// The host is made again.
    pub const RESTART: u64 = 1;
    /// The device gets a host of its own.
    pub const OWN_HOST: u64 = 2;
    /// The device is given up.
    pub const DISABLE: u64 = 3;
}

/// The routines that take the place of those without pooling.
#[must_use]
pub fn substitutes() -> Vec<Substitute> {
    vec![
        (&NT_HOST_WAIT, &NT_SHARED_HOST_WAIT),
        (&NT_HOST_COMPLETE, &NT_SHARED_HOST_COMPLETE),
        (&IO_PROCESS_ENDED, &IO_SHARED_HOST_ENDED),
    ]
}

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[
    &NT_SHARED_HOST_WAIT,
    &NT_SHARED_HOST_COMPLETE,
    &IO_SHARED_HOST_ENDED,
    &IO_SIGNAL_SHARED_HOST,
];

/// Devices that are walked over at most: the device table's.
pub(super) const DEVICES_MAX: u64 = 16;

pub(super) fn extension_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    p.load(device, device_object::EXTENSION)
}

/// Whether the running process is the manager of a device's framework.
pub(super) fn is_manager(p: &mut Processor<'_>, extension: u64) -> Result<bool, Trap> {
    let caller = current_process(p)?;
    let number = p.load(caller, process::PRINCIPAL)?;
    Ok(p.load(extension, shared::MANAGER)? == number)
}

/// The first device of a chain for which a word of its extension is what is wanted.
pub(super) fn find(
    p: &mut Processor<'_>,
    first: u64,
    next: crate::base::Field,
    word: crate::base::Field,
    wanted: impl Fn(u64) -> bool,
) -> Result<Option<u64>, Trap> {
    let mut device = first;
    for _ in 0..DEVICES_MAX {
        if device == 0 {
            break;
        }
        let extension = extension_of(p, device)?;
        let value = p.load(extension, word)?;
        if wanted(value) {
            return Ok(Some(device));
        }
        device = p.load(extension, next)?;
    }
    Ok(None)
}

/// Whether this is a device of the framework of whose failure the manager was told.
pub(super) fn is_told(p: &mut Processor<'_>, first: u64, wanted: u64) -> Result<bool, Trap> {
    let mut device = first;
    for _ in 0..DEVICES_MAX {
        if device == 0 {
            break;
        }
        let extension = extension_of(p, device)?;
        if device == wanted {
            return Ok(p.load(extension, shared::NOTICE)? & shared::TOLD != 0);
        }
        device = p.load(extension, shared::NEXT_OF_ALL)?;
    }
    Ok(false)
}

/// Gives a device up. What was asked since its host ended waits for nobody and is completed late.
fn disable(p: &mut Processor<'_>, device: u64) -> Result<(), Trap> {
    let extension = extension_of(p, device)?;
    host_stack::give_up(p, device)?;
    let late = p.load(extension, shared::IS_LATE)?;
    p.store(extension, shared::IS_LATE, late | shared::COMPLETE_LATE)?;
    let number = p.load(device, device_object::NUMBER)?;
    let host = p.load(extension, extension::HOST)?;
    let failures = p.load(extension, extension::RESTARTS)?;
    let subject = Principal((host & 63) as u8);
    p.announce(
        EventKind::DeviceDisabled,
        subject,
        Structure::DeviceObject,
        [0, device, number, failures],
    );
    Ok(())
}

/// Does the next of what is to be done after a restart; `None` when all is.
pub(super) fn late(p: &mut Processor<'_>, all: u64) -> Result<Option<Flow>, Trap> {
    let Some(device) = find(p, all, shared::NEXT_OF_ALL, shared::IS_LATE, |late| late != 0)? else {
        return Ok(None);
    };
    let extension = extension_of(p, device)?;
    let late = p.load(extension, shared::IS_LATE)?;
    if late & shared::TELL_FIRST != 0 || late & shared::COMPLETE_LATE == 0 {
        p.store(extension, shared::IS_LATE, late & shared::COMPLETE_LATE)?;
        host_stack::tell(p, device)?;
        return Ok(Some(Flow::Stay));
    }
    p.store(extension, shared::IS_LATE, late & !shared::COMPLETE_LATE)?;
    let target = p.load(extension, extension::LOST)?;
    p.pass([device]);
    Ok(Some(Flow::CallAt(target)))
}

/// Tells applications of every device of a host, from its first on.
fn tell_all(p: &mut Processor<'_>, first: u64) -> Result<(), Trap> {
    let mut device = first;
    for _ in 0..DEVICES_MAX {
        if device == 0 {
            break;
        }
        host_stack::tell(p, device)?;
        let extension = extension_of(p, device)?;
        device = p.load(extension, shared::NEXT)?;
    }
    Ok(())
}

/// Gives up every device of a host, from its first on.
pub(super) fn disable_all(p: &mut Processor<'_>, first: u64) -> Result<(), Trap> {
    let mut device = first;
    for _ in 0..DEVICES_MAX {
        if device == 0 {
            break;
        }
        disable(p, device)?;
        let extension = extension_of(p, device)?;
        device = p.load(extension, shared::NEXT)?;
    }
    Ok(())
}

routine! {
    /// A process has ended: if it was a driver host, the requests of its devices are completed, now or
    /// after the restart, and the manager is told. Argument: the process object.
    pub static IO_SHARED_HOST_ENDED = "IopFrameworkHostEnded", frame 5;
    // Locals: 0 the first device; 1 the device in hand; 2 the device that failed; 3 whether there is
    // somebody to decide; 4 whether applications are told once requests are completed.
    start => |p| {
        let host = p.argument(0);
        let first = p.load(host, process::HOSTED_DEVICE)?;
        if first == 0 {
            return Ok(Flow::Return);
        }
        let extension = extension_of(p, first)?;
        let manager = p.load(extension, shared::MANAGER)?;
        if manager == p.load(host, process::PRINCIPAL)? {
            p.set_local(0, first)?;
            return Ok(Flow::To(At::unmanaged as u8));
        }
        let is_there = |packet| packet != 0;
        let failed = find(p, first, shared::NEXT, extension::TAKEN, is_there)?.unwrap_or(first);
        let decides = p.load(element(address::KERNEL_DATA, manager & 63), kernel_data::PROCESSES)?;
        for (local, value) in [first, first, failed, decides].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        Ok(Flow::Next)
    },
    order => |p| {
        let (first, decides) = (p.local(0)?, p.local(3)?);
        let extension = extension_of(p, first)?;
        let order = p.load(extension, shared::ORDER)?;
        p.store(extension, shared::ORDER, order.rotate_right(order::BITS))?;
        // Who would do what comes after the restart, where nobody decides of one?
        let is_late = order::is_late(order) && decides != 0;
        let late = if is_late { shared::COMPLETE_LATE } else { 0 }
            | match order::before_event(order) {
                1 if is_late => shared::TELL_FIRST,
                2 if decides != 0 => shared::TELL_LAST,
                _ => 0,
            };
        let mut device = first;
        for _ in 0..DEVICES_MAX {
            if device == 0 {
                break;
            }
            let extension = extension_of(p, device)?;
            host_stack::remove(p, device)?;
            if late != 0 {
                p.store(extension, shared::IS_LATE, late)?;
            }
            if order::before_event(order) == 0 {
                host_stack::tell(p, device)?;
            }
            device = p.load(extension, shared::NEXT)?;
        }
        let tells_now = late & (shared::TELL_FIRST | shared::TELL_LAST) == 0;
        p.set_local(4, u64::from(tells_now && order::before_event(order) != 0))?;
        Ok(Flow::To(if is_late { At::tell as u8 } else { At::lost as u8 }))
    },
    lost => |p| {
        let device = p.local(1)?;
        if device == 0 {
            return Ok(Flow::To(At::tell as u8));
        }
        let extension = extension_of(p, device)?;
        let next = p.load(extension, shared::NEXT)?;
        p.set_local(1, next)?;
        let target = p.load(extension, extension::LOST)?;
        p.pass([device]);
        Ok(Flow::CallAt(target))
    },
    lost_next => |_| Ok(Flow::To(At::lost as u8)),
    tell, call KI_WAKE => |p| {
        let (first, failed, decides) = (p.local(0)?, p.local(2)?, p.local(3)?);
        if p.local(4)? != 0 {
            tell_all(p, first)?;
        }
        if decides == 0 {
            disable_all(p, first)?;
            return Ok(Flow::Return);
        }
        let extension = extension_of(p, failed)?;
        let is_shared = p.load(extension, shared::IS_SHARED)? != 0;
        let notice = if is_shared { shared::FAILED_SHARED } else { shared::FAILED_ALONE };
        p.store(extension, shared::NOTICE, notice)?;
        let home = p.load(extension, shared::HOME)?;
        let home = extension_of(p, home)?;
        p.store(home, shared::MANAGER_SIGNAL, 1)?;
        let waiting = p.load(home, shared::MANAGER_THREAD)?;
        p.pass([waiting]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),

    // The manager itself has ended. What it had yet to decide nobody decides any more.
    unmanaged => |p| {
        let all = p.local(0)?;
        let is_there = |notice| notice != 0;
        let Some(device) = find(p, all, shared::NEXT_OF_ALL, shared::NOTICE, is_there)? else {
            return Ok(Flow::Next);
        };
        let extension = extension_of(p, device)?;
        p.store(extension, shared::NOTICE, 0)?;
        let first = p.load(extension, shared::FIRST)?;
        disable_all(p, first)?;
        Ok(Flow::Stay)
    },
    late => |p| {
        let all = p.local(0)?;
        Ok(late(p, all)?.unwrap_or(Flow::Return))
    },
    late_next => |_| Ok(Flow::To(At::late as u8)),
}

routine! {
    /// A device has a request for its host, which waits on its first device's signal: that is another
    /// reflector's, so the reflector asks the kernel, which may write that too. Argument: device object.
    pub static IO_SIGNAL_SHARED_HOST = "IopSignalFrameworkHost", frame 1;
    // Local: what keys allowed.
    signal, call KI_WAKE => |p| {
        let device = p.argument(0);
        let allowed = keys::set(p, keys::ALL)?;
        p.set_local(0, allowed)?;
        let extension = extension_of(p, device)?;
        let first = p.load(extension, shared::FIRST)?;
        let first = extension_of(p, first)?;
        p.store(first, extension::SIGNAL, 1)?;
        let host = p.load(extension, extension::HOST_THREAD)?;
        p.pass([host]);
        Ok(Flow::Call)
    },
    done => |p| {
        let allowed = p.local(0)?;
        keys::set(p, allowed)?;
        Ok(Flow::Return)
    },
}
