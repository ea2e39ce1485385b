//! The reflector: the kernel-mode driver that stands for a user-mode driver in the device stack.
//!
//! It queues every request for the host and wakes it; what the host does with them goes through the
//! kernel's host services, which reach this queue by the routines in the extension ("Detailed View of
//! the UMDF Architecture"). Requests with `METHOD_NEITHER` are refused: user-mode drivers do not get
//! them ("Managing Buffer Access Methods in UMDF Drivers"). Of those with a direct method the host gets a copy of
//! the caller's locked memory, and what it answers is copied there; the host itself never reaches it.
//!
//! Its data page begins with the [`extension`], where the boot image's words are listed. A reflector
//! has one device, and its own copy of this code.

use crate::base::{Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::kernel::configured::configured;
use crate::kernel::host::extension;
use crate::kernel::host_pool::IO_SIGNAL_SHARED_HOST;
use crate::kernel::layout::{device_object, mdl, request_packet, switches};
use crate::kernel::loader::Dispatch;
use crate::kernel::mdl::MM_MAP_LOCKED_PAGES;
use crate::kernel::request::{
    IO_COMPLETE_REQUEST, LENGTH_MAX, METHOD_IN_DIRECT, METHOD_OUT_DIRECT, is_neither, method,
};
use crate::kernel::schedule::KI_WAKE;
use crate::kernel::status;
use crate::kernel::user_buffer::user_structure;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "reflector-on-top",
        "A kernel-mode reflector passes requests to the host and their ends back.",
        "Detailed View of the UMDF Architecture",
    ),
    Rule::documented(
        "neither-not-for-hosts",
        "A user-mode driver gets no request with METHOD_NEITHER: the reflector fails it.",
        "Managing Buffer Access Methods in UMDF Drivers",
    ),
    Rule::documented(
        "direct-is-copied-for-hosts",
        "A host gets a direct method's buffer as a copy: directly it gets whole pages, and none is here.",
        "Managing Buffer Access Methods in UMDF Drivers (a part that fills no page is buffered)",
    ),
    Rule::chosen(
        "direct-copied-when-taken",
        "That copy is made when the host takes the request, and written back when it answers.",
        "Managing Buffer Access Methods in UMDF Drivers (doesn't say when)",
    ),
];

/// The driver's code.
pub const ROUTINES: &[&Routine] = &[&REFLECT, &REFLECT_TAKE, &REFLECT_FINISH, &REFLECT_LOST];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: Some(&REFLECT),
    write: Some(&REFLECT),
    control: Some(&REFLECT),
    flush: Some(&REFLECT),
    entry: None,
    deferred: None,
};

/// Restarts of a host until its device is given up.
pub const RESTARTS_MAX: u64 = 5;

/// The first words of the data page; the addresses of routines and the pattern are added when the
/// host is known.
#[must_use]
pub fn prepare(placement: &Placement) -> Vec<(u64, u64)> {
    vec![(extension::HOST.offset, placement.host), (extension::RESTARTS_MAX.offset, RESTARTS_MAX)]
}

/// Whether this code is a reflector's.
#[must_use]
pub fn is_in(routines: &[&'static Routine]) -> bool {
    routines.iter().any(|&routine| core::ptr::eq(routine, &REFLECT_TAKE))
}

/// A device's extension.
pub(super) fn extension_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    p.load(device, device_object::EXTENSION)
}

/// Puts a packet at the end of the queue.
pub(super) fn append(p: &mut Processor<'_>, data: u64, packet: u64) -> Result<(), Trap> {
    p.store(packet, request_packet::LINK, 0)?;
    let tail = p.load(data, extension::TAIL)?;
    if tail == 0 {
        p.store(data, extension::HEAD, packet)?;
    } else {
        p.store(tail, request_packet::LINK, packet)?;
    }
    p.store(data, extension::TAIL, packet)
}

/// Queues a packet of a device and passes the thread of its host, which is to be woken.
pub(super) fn signal(p: &mut Processor<'_>, device: u64, packet: u64) -> Result<Flow, Trap> {
    let data = extension_of(p, device)?;
    append(p, data, packet)?;
    p.store(data, extension::SIGNAL, 1)?;
    let host = p.load(data, extension::HOST_THREAD)?;
    p.pass([host]);
    Ok(Flow::Call)
}

/// Takes the first packet off the queue; 0 when there is none.
fn dequeue(p: &mut Processor<'_>, data: u64) -> Result<u64, Trap> {
    let packet = p.load(data, extension::HEAD)?;
    if packet == 0 {
        p.store(data, extension::SIGNAL, 0)?;
        return Ok(0);
    }
    let behind = p.load(packet, request_packet::LINK)?;
    p.store(data, extension::HEAD, behind)?;
    if behind == 0 {
        p.store(data, extension::TAIL, 0)?;
        p.store(data, extension::SIGNAL, 0)?;
    }
    Ok(packet)
}

routine! {
    /// Queues a request and wakes the host. Arguments: device object, packet. Result: the status.
    pub static REFLECT = "ReflectorDispatch", frame 2;
    sort, call IO_COMPLETE_REQUEST => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, packet)?;
        if !is_neither(p, packet)? {
            return Ok(Flow::To(At::queue as u8));
        }
        p.pass([packet, status::INVALID_DEVICE_REQUEST, 0]);
        Ok(Flow::Call)
    },
    refused => |p| Ok(p.give_back(status::INVALID_DEVICE_REQUEST)),
    queue, call KI_WAKE => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        signal(p, device, packet)
    },
    queued => |p| Ok(p.give_back(status::PENDING)),
}

routine! {
    /// As [`REFLECT`], where the host waits for requests of several devices.
    pub static REFLECT_SHARED = "ReflectorSharedDispatch", frame 2;
    sort, call IO_COMPLETE_REQUEST => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, packet)?;
        if !is_neither(p, packet)? {
            return Ok(Flow::To(At::queue as u8));
        }
        p.pass([packet, status::INVALID_DEVICE_REQUEST, 0]);
        Ok(Flow::Call)
    },
    refused => |p| Ok(p.give_back(status::INVALID_DEVICE_REQUEST)),
    queue, call IO_SIGNAL_SHARED_HOST => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let data = extension_of(p, device)?;
        append(p, data, packet)?;
        p.pass([device]);
        Ok(Flow::Call)
    },
    queued => |p| Ok(p.give_back(status::PENDING)),
}

/// The list of the memory that a packet's second buffer is; 0 with a method that is not direct, and where that
/// buffer is empty.
fn list_of(p: &mut Processor<'_>, packet: u64) -> Result<u64, Trap> {
    match method(p, packet)? {
        METHOD_IN_DIRECT | METHOD_OUT_DIRECT => p.load(packet, request_packet::USER_BUFFER),
        _ => Ok(0),
    }
}

/// Gives back a device's next packet, 0 when there is none; goes on to `map` where there is locked memory to
/// copy. Locals: 0 device; 1 the host's thread; 2 packet.
pub(super) fn take(p: &mut Processor<'_>, device: u64, host: u64, map: u8) -> Result<Flow, Trap> {
    let data = extension_of(p, device)?;
    p.store(data, extension::HOST_THREAD, host)?;
    let held = p.load(data, extension::TAKEN)?;
    if held != 0 {
        return Ok(p.give_back(held));
    }
    let packet = dequeue(p, data)?;
    if packet == 0 {
        return Ok(p.give_back(0));
    }
    let (operation, verdict) = p.pass_point(PointKind::Handover, packet, device)?;
    if verdict == Verdict::Skip {
        // Lost on the way to the host: nobody will ever complete it.
        return Ok(Flow::Stay);
    }
    p.store(data, extension::TAKEN, operation.virt)?;
    if list_of(p, operation.virt)? == 0 {
        return Ok(p.give_back(operation.virt));
    }
    p.set_local(0, device)?;
    p.set_local(1, host)?;
    p.set_local(2, operation.virt)?;
    Ok(Flow::To(map))
}

/// Passes the list of the packet that was taken, whose memory is to be mapped. Locals as of [`take`].
pub(super) fn map(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let packet = p.local(2)?;
    let list = list_of(p, packet)?;
    p.pass([list]);
    Ok(Flow::Call)
}

/// Copies what the host is to read out of the mapped memory and gives the packet back. Where there is no room to
/// map it, passes the packet to be failed. Locals as of [`take`].
pub(super) fn capture(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (mapped, device, packet) = (p.result(), p.local(0)?, p.local(2)?);
    let data = extension_of(p, device)?;
    if mapped == 0 {
        p.store(data, extension::TAKEN, 0)?;
        p.pass([packet, status::INSUFFICIENT_RESOURCES, 0]);
        return Ok(Flow::Call);
    }
    if method(p, packet)? == METHOD_IN_DIRECT {
        let bytes = p.load(packet, request_packet::LENGTH_OUT)?.min(LENGTH_MAX);
        let list = list_of(p, packet)?;
        let theirs = user_structure(p.load(list, mdl::START)?);
        let captured = data.wrapping_add(extension::CAPTURED.offset);
        p.copy(captured, Structure::DriverData, mapped, theirs, bytes)?;
    }
    Ok(p.give_back(packet))
}

/// Copies what the host answered into the caller's locked memory, which was mapped when the request was taken.
fn copy_back(p: &mut Processor<'_>, data: u64, packet: u64, bytes: u64) -> Result<(), Trap> {
    if bytes == 0 || method(p, packet)? != METHOD_OUT_DIRECT {
        return Ok(());
    }
    let list = list_of(p, packet)?;
    if list == 0 {
        return Ok(());
    }
    let mapped = p.load(list, mdl::SYSTEM)?;
    let theirs = user_structure(p.load(list, mdl::START)?);
    let captured = data.wrapping_add(extension::CAPTURED.offset);
    p.copy(mapped, theirs, captured, Structure::DriverData, bytes.min(LENGTH_MAX))?;
    Ok(())
}

/// Takes the request that the host has off it, and passes it with what became of it.
pub(super) fn finish(p: &mut Processor<'_>, words: [u64; 3]) -> Result<Flow, Trap> {
    let [device, outcome, bytes] = words;
    let data = extension_of(p, device)?;
    let packet = p.load(data, extension::TAKEN)?;
    if packet == 0 {
        return Ok(Flow::Return);
    }
    copy_back(p, data, packet, bytes)?;
    p.store(data, extension::TAKEN, 0)?;
    // A host answers what it likes. With what is no end of a request none is completed.
    let outcome = if status::is_final(outcome) { outcome } else { status::INVALID_PARAMETER };
    p.pass([packet, outcome, bytes]);
    Ok(Flow::Call)
}

/// Passes the next of a lost host's requests; goes on to `done` when there is none. Local 0: the extension.
pub(super) fn drain(p: &mut Processor<'_>, done: u8) -> Result<Flow, Trap> {
    let data = p.local(0)?;
    let held = p.load(data, extension::TAKEN)?;
    p.store(data, extension::TAKEN, 0)?;
    let packet = if held == 0 { dequeue(p, data)? } else { held };
    if packet == 0 {
        return Ok(Flow::To(done));
    }
    if configured(p)? & switches::REQUESTS_LOST != 0 {
        return Ok(Flow::Stay);
    }
    p.pass([packet, status::DRIVER_PROCESS_TERMINATED, 0]);
    Ok(Flow::Call)
}

routine! {
    /// The host asks for its next request. Arguments: device object, the host's thread. Result: the
    /// packet, the same as before when the host has not answered it, 0 when it must wait.
    pub static REFLECT_TAKE = "ReflectorTake", frame 3;
    take => |p| {
        let (device, host) = (p.argument(0), p.argument(1));
        take(p, device, host, At::map as u8)
    },
    map, call MM_MAP_LOCKED_PAGES => map,
    capture, call IO_COMPLETE_REQUEST => capture,
    again => |p| {
        let (device, host) = (p.local(0)?, p.local(1)?);
        take(p, device, host, At::map as u8)
    },
}

routine! {
    /// The host answers the request it has. Arguments: device object, status, bytes produced.
    pub static REFLECT_FINISH = "ReflectorFinish", frame 0;
    finish, call IO_COMPLETE_REQUEST => |p| {
        let words = [p.argument(0), p.argument(1), p.argument(2)];
        finish(p, words)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// The host has ended. Argument: device object. Result: how often that has happened. Every request
    /// it had or that waits is completed, unless [`switches::REQUESTS_LOST`] is on.
    pub static REFLECT_LOST = "ReflectorHostLost", frame 2;
    // Locals: 0 the extension; 1 how often.
    count => |p| {
        let device = p.argument(0);
        let data = extension_of(p, device)?;
        p.set_local(0, data)?;
        p.store(data, extension::HOST_THREAD, 0)?;
        let failures = p.load(data, extension::RESTARTS)?.wrapping_add(1);
        p.store(data, extension::RESTARTS, failures)?;
        p.set_local(1, failures)?;
        Ok(Flow::Next)
    },
    drain, call IO_COMPLETE_REQUEST => |p| drain(p, At::done as u8),
    again => |_| Ok(Flow::To(At::drain as u8)),
    done => |p| {
        let failures = p.local(1)?;
        Ok(p.give_back(failures))
    },
}
