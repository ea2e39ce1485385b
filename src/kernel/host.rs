//! Driver hosts: how a process that hosts a user-mode driver gets its requests and answers them, and
//! what happens when it ends.
//!
//! The queue of requests is the reflector's, the kernel-mode driver at the top of the device's stack
//! ("Detailed View of the UMDF Architecture", "UMDF Driver Host Process"); the kernel reaches it only
//! through the routines that the reflector has put into its [`extension`].
//!
//! With a direct method the second buffer is the caller's locked memory. A host gets a copy of it, and what it
//! answers is copied there: the framework hands memory itself to a host only by whole pages ("Managing Buffer
//! Access Methods in UMDF Drivers"). Between the two the copy is in [`extension::CAPTURED`]; the reflector
//! alone touches the caller's memory.
//!
//! When a host ends, every request it had or that waits for it is completed with
//! `STATUS_DRIVER_PROCESS_TERMINATED`, and the device gets a new host, five times at most; then it is
//! disabled ("How UMDF Handles Driver Failures", "Using Device Pooling in UMDF Drivers"). Whether requests are
//! completed before or after the restart, and when applications are told, is left open there and drawn from the
//! seed; what becomes of handles to the device is in [`super::host_stack`]. There is no pooling: a host has one
//! device (before version 1.11 of the framework); what later versions do is in [`super::host_pool`].

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Routine, Trap, routine};

use super::host_create::PS_CREATE_HOST;
use super::host_pool::shared;
use super::host_stack::{self, order};
use super::layout::{device_object, process, processor_block, request_packet, switches};
use super::object::current_process;
use super::request::{LENGTH_MAX, METHOD_IN_DIRECT, METHOD_OUT_DIRECT, method};
use super::schedule::KI_WAIT;
use super::service::answer;
use super::status;
use super::user_buffer::{
    COPY_DATA_FROM_USER, COPY_DATA_TO_USER, COPY_FROM_USER, COPY_STACK_TO_USER, COPY_TO_USER,
    PROBE_FOR_READ, PROBE_FOR_WRITE,
};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::chosen(
        "answers-end-requests",
        "A host's answer that is no end of a request, as pending, completes it as an invalid parameter.",
        "this model; Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION says which statuses end none",
    ),
    Rule::documented(
        "host-loss-completes-requests",
        "When a host ends its outstanding requests are completed with STATUS_DRIVER_PROCESS_TERMINATED.",
        "How UMDF Handles Driver Failures",
    ),
    Rule::documented(
        "host-restarts-bounded",
        "A lost host is started again five times at most, then the device is disabled.",
        "Using Device Pooling in UMDF Drivers",
    ),
];

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[&NT_HOST_WAIT, &NT_HOST_COMPLETE, &IO_PROCESS_ENDED];

/// What a reflector keeps for its device: the start of its data page, to which the device object's
/// extension points.
///
/// | word | boot image |
/// |---|---|
/// | `HEAD`, `TAIL`, `TAKEN`, `SIGNAL`, `HOST_THREAD`, `RESTARTS` | 0 |
/// | `HOST` | principal number of the host |
/// | `TAKE`, `FINISH`, `LOST` | addresses of the reflector's routines of these names |
/// | `CAPTURED` | 0 |
/// | `PATTERN` | page-map root of the host's pattern, 0: no restart |
/// | `RESTARTS_MAX` | 5 |
pub mod extension {
    use crate::base::{Field, Structure};

    const fn word(offset: u64, name: &'static str) -> Field {
        Field::new(Structure::DriverData, offset, name)
    }

    /// The first request that waits.
    pub const HEAD: Field = word(0x00, "reflector queue head");
    /// The last request that waits.
    pub const TAIL: Field = word(0x08, "reflector queue tail");
    /// The request that the host has.
    pub const TAKEN: Field = word(0x10, "request at the host");
    /// Not 0 while a request waits.
    pub const SIGNAL: Field = word(0x18, "reflector signal");
    /// The host's thread, once it has asked.
    pub const HOST_THREAD: Field = word(0x20, "host thread");
    /// How often the host has ended.
    pub const RESTARTS: Field = word(0x28, "restart counter");
    /// The host's principal number.
    pub const HOST: Field = word(0x30, "host principal");
    /// Routine (device, thread) → the host's next packet, or 0 when it must wait.
    pub const TAKE: Field = word(0x38, "reflector's take routine");
    /// Routine (device, status, information): completes the request that the host has.
    pub const FINISH: Field = word(0x40, "reflector's finish routine");
    /// Routine (device) → how often the host has ended, this time included.
    pub const LOST: Field = word(0x48, "reflector's lost routine");
    /// The page-map root of the pattern a new host is made from.
    pub const PATTERN: Field = word(0x50, "host pattern");
    /// Restarts until the device is given up.
    pub const RESTARTS_MAX: Field = word(0x58, "restart limit");
    /// First of the words that the second buffer of a direct request goes through.
    pub const CAPTURED: Field = word(0x200, "captured buffer");
}

/// What a host finds at the start of its buffer; the data follows. With `METHOD_IN_DIRECT` the second buffer
/// comes behind it, at the next multiple of 8 bytes.
pub mod header {
    /// Control code or offset.
    pub const CODE: u64 = 0x00;
    /// Bytes of data that follow.
    pub const LENGTH_IN: u64 = 0x08;
    /// Bytes that may be answered.
    pub const LENGTH_OUT: u64 = 0x10;
    /// The principal number of the process that asked.
    pub const REQUESTOR: u64 = 0x18;
    /// Bytes of the header.
    pub const BYTES: u64 = 0x20;
}

/// Of a recovery: the requests are completed.
const COMPLETED: u64 = 1 << 8;
/// A restart was tried.
const TRIED: u64 = 1 << 9;
/// The host is made again.
const RESTARTED: u64 = 1 << 10;

/// What [`KI_WAIT`] calls a word of a driver's data.
pub(super) const WAIT_DRIVER_DATA: u64 = 3;

/// A host gets a packet of a device. Result: bytes of data that go into a buffer of this length.
pub(super) fn hand_over(
    p: &mut Processor<'_>,
    packet: u64,
    device: u64,
    length: u64,
) -> Result<u64, Trap> {
    let host = p.context();
    p.announce_at(EventKind::RequestHandover, host, Structure::RequestPacket, packet, device);
    Ok(p.load(packet, request_packet::LENGTH_IN)?.min(length.wrapping_sub(header::BYTES)))
}

/// The device that the running process hosts a driver for, and its extension; `None` when none.
fn hosted(p: &mut Processor<'_>) -> Result<Option<(u64, u64)>, Trap> {
    let host = current_process(p)?;
    let device = p.load(host, process::HOSTED_DEVICE)?;
    if device == 0 {
        return Ok(None);
    }
    let extension = p.load(device, device_object::EXTENSION)?;
    Ok(Some((device, extension)))
}

/// Copies a request's head to the host. Locals: 0 device; 2 the host's buffer; 3 its length; 4 packet;
/// 5 bytes of data to come; 6 to 9 the head.
pub(super) fn pass_head(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (packet, buffer, length) = (p.local(4)?, p.local(2)?, p.local(3)?);
    let device = p.local(0)?;
    let bytes = hand_over(p, packet, device, length)?;
    p.set_local(5, bytes)?;
    p.set_local(7, bytes)?;
    for (local, field) in
        [(6, request_packet::CODE), (8, request_packet::LENGTH_OUT), (9, request_packet::REQUESTOR)]
    {
        let value = p.load(packet, field)?;
        p.set_local(local, value)?;
    }
    let from = p.local_address(6);
    p.pass([buffer, from, header::BYTES]);
    Ok(Flow::Call)
}

/// Copies its data behind the head; goes on to `second` where there is none.
pub(super) fn pass_data(p: &mut Processor<'_>, second: u8) -> Result<Flow, Trap> {
    let outcome = p.result();
    if outcome != status::SUCCESS {
        return Ok(answer(p, outcome, 0));
    }
    let (packet, bytes) = (p.local(4)?, p.local(5)?);
    if bytes == 0 {
        if method(p, packet)? == METHOD_IN_DIRECT {
            return Ok(Flow::To(second));
        }
        return Ok(answer(p, status::SUCCESS, 0));
    }
    let target = p.local(2)?.wrapping_add(header::BYTES);
    let from = p.load(packet, request_packet::BUFFER)?;
    p.pass([target, from, bytes]);
    Ok(Flow::Call)
}

/// Copies the second buffer behind the data, where it is the host's to read; else the host has its request.
pub(super) fn pass_second(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (outcome, packet) = (p.result(), p.local(4)?);
    if outcome != status::SUCCESS || method(p, packet)? != METHOD_IN_DIRECT {
        return passed(p);
    }
    let (buffer, length) = (p.local(2)?, p.local(3)?);
    let behind = header::BYTES + p.local(5)?.next_multiple_of(8);
    let bytes = p.load(packet, request_packet::LENGTH_OUT)?.min(LENGTH_MAX);
    let bytes = bytes.min(length.saturating_sub(behind));
    if bytes == 0 {
        return passed(p);
    }
    let captured = p.local(1)?.wrapping_add(extension::CAPTURED.offset);
    p.pass([buffer.wrapping_add(behind), captured, bytes]);
    Ok(Flow::Call)
}

/// Whether a host answers more than its request has room for.
pub(super) fn is_too_long(p: &mut Processor<'_>, packet: u64, length: u64) -> Result<bool, Trap> {
    let room = p.load(packet, request_packet::LENGTH_OUT)?;
    Ok(length > room && p.defects() & switches::ANSWER_OVERRUNS == 0)
}

/// Copies what a host answers to the system buffer. With `METHOD_OUT_DIRECT` it goes where the reflector copies
/// from, at the step `capture`; with `METHOD_IN_DIRECT` nowhere, on to `finish`.
pub(super) fn take_answer(p: &mut Processor<'_>, capture: u8, finish: u8) -> Result<Flow, Trap> {
    let outcome = p.result();
    if outcome != status::SUCCESS {
        return Ok(answer(p, outcome, 0));
    }
    let (extension, data, length) = (p.local(1)?, p.local(3)?, p.local(4)?);
    if length == 0 {
        return Ok(Flow::To(finish));
    }
    let packet = p.load(extension, extension::TAKEN)?;
    match method(p, packet)? {
        METHOD_IN_DIRECT => Ok(Flow::To(finish)),
        METHOD_OUT_DIRECT => Ok(Flow::To(capture)),
        _ => {
            let target = p.load(packet, request_packet::BUFFER)?;
            p.pass([data, target, length]);
            Ok(Flow::Call)
        }
    }
}

/// Copies it where the reflector copies from.
pub(super) fn capture_answer(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (extension, data, length) = (p.local(1)?, p.local(3)?, p.local(4)?);
    p.pass([data, extension.wrapping_add(extension::CAPTURED.offset), length]);
    Ok(Flow::Call)
}

/// The host has its request: how many bytes of data came with it.
pub(super) fn passed(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (outcome, bytes) = (p.result(), p.local(5)?);
    Ok(answer(p, outcome, bytes))
}

routine! {
    /// Service: a driver host waits for its next request. Buffer in r8, length in r9; see [`header`].
    /// The length of the request's data comes back in rdx.
    pub static NT_HOST_WAIT = "NtWaitForDriverRequest", frame 10;
    // Locals: 0 device; 1 extension; 2 buffer; 3 its length; 4 packet; 5 bytes of data; 6 to 9 the
    // header.
    start, call PROBE_FOR_WRITE => |p| {
        let (buffer, length) = (p.argument(4), p.argument(5));
        let Some((device, extension)) = hosted(p)? else {
            return Ok(answer(p, status::INVALID_DEVICE_REQUEST, 0));
        };
        if length < header::BYTES {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        for (local, value) in [device, extension, buffer, length].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        p.pass([buffer, length]);
        Ok(Flow::Call)
    },
    probed => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            return Ok(answer(p, outcome, 0));
        }
        Ok(Flow::Next)
    },
    take => |p| {
        let (device, extension) = (p.local(0)?, p.local(1)?);
        let target = p.load(extension, extension::TAKE)?;
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.pass([device, current]);
        Ok(Flow::CallAt(target))
    },
    taken, call KI_WAIT => |p| {
        let packet = p.result();
        if packet != 0 {
            p.set_local(4, packet)?;
            return Ok(Flow::To(At::head as u8));
        }
        let extension = p.local(1)?;
        p.pass([extension.wrapping_add(extension::SIGNAL.offset), WAIT_DRIVER_DATA]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::take as u8)),
    head, call COPY_STACK_TO_USER => pass_head,
    data, call COPY_TO_USER => |p| pass_data(p, At::second as u8),
    second, call COPY_DATA_TO_USER => pass_second,
    done => passed,
}

routine! {
    /// Service: a driver host answers the request it has. Arguments: status; data in rdx, its length
    /// in r10.
    pub static NT_HOST_COMPLETE = "NtCompleteDriverRequest", frame 5;
    // Locals: 0 device; 1 extension; 2 status; 3 data; 4 its length.
    start, call PROBE_FOR_READ => |p| {
        let (outcome, data, length) = (p.argument(0), p.argument(2), p.argument(3));
        let Some((device, extension)) = hosted(p)? else {
            return Ok(answer(p, status::INVALID_DEVICE_REQUEST, 0));
        };
        let packet = p.load(extension, extension::TAKEN)?;
        if packet == 0 || is_too_long(p, packet, length)? {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        for (local, value) in [device, extension, outcome, data, length].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        p.pass([data, length]);
        Ok(Flow::Call)
    },
    copy, call COPY_FROM_USER => |p| {
        take_answer(p, At::capture as u8, At::finish as u8)
    },
    copied => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            return Ok(answer(p, outcome, 0));
        }
        Ok(Flow::Next)
    },
    finish => |p| {
        let (device, extension) = (p.local(0)?, p.local(1)?);
        let (outcome, length) = (p.local(2)?, p.local(4)?);
        let target = p.load(extension, extension::FINISH)?;
        p.pass([device, outcome, length]);
        Ok(Flow::CallAt(target))
    },
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
    capture, call COPY_DATA_FROM_USER => capture_answer,
    captured => |_| Ok(Flow::To(At::copied as u8)),
}

routine! {
    /// A process has ended: if it was a driver host, its requests are completed and it is started
    /// again, or its device given up. Argument: the process object.
    pub static IO_PROCESS_ENDED = "IopDriverHostEnded", frame 5;
    // Locals: 0 the process; 1 device; 2 extension; 3 how often it has ended; 4 the order, and what of it is
    // done.
    start => |p| {
        let host = p.argument(0);
        let device = p.load(host, process::HOSTED_DEVICE)?;
        if device == 0 {
            return Ok(Flow::Return);
        }
        let extension = p.load(device, device_object::EXTENSION)?;
        p.set_local(0, host)?;
        p.set_local(1, device)?;
        p.set_local(2, extension)?;
        host_stack::remove(p, device)?;
        Ok(Flow::Next)
    },
    order => |p| {
        let (device, extension) = (p.local(1)?, p.local(2)?);
        let order = p.load(extension, shared::ORDER)?;
        p.store(extension, shared::ORDER, order.rotate_right(order::BITS))?;
        let order = order & ((1 << order::BITS) - 1);
        p.set_local(4, order)?;
        let failures = p.load(extension, extension::RESTARTS)?.wrapping_add(1);
        p.set_local(3, failures)?;
        if order::before_event(order) == 0 {
            host_stack::tell(p, device)?;
        }
        let may_restart = failures <= p.load(extension, extension::RESTARTS_MAX)?;
        let is_late = order::is_late(order) && may_restart;
        Ok(if is_late { Flow::To(At::restart as u8) } else { Flow::Next })
    },
    lost => |p| {
        let (device, extension) = (p.local(1)?, p.local(2)?);
        let target = p.load(extension, extension::LOST)?;
        p.pass([device]);
        Ok(Flow::CallAt(target))
    },
    completed => |p| {
        let (failures, done) = (p.result(), p.local(4)?);
        p.set_local(3, failures)?;
        p.set_local(4, done | COMPLETED)?;
        if done & TRIED != 0 {
            return Ok(Flow::To(At::rest as u8));
        }
        let (device, extension) = (p.local(1)?, p.local(2)?);
        if order::before_event(done) == 1 {
            host_stack::tell(p, device)?;
        }
        let may_restart = failures <= p.load(extension, extension::RESTARTS_MAX)?;
        Ok(if may_restart { Flow::Next } else { Flow::To(At::rest as u8) })
    },
    restart, call PS_CREATE_HOST => |p| {
        let (host, device, extension) = (p.local(0)?, p.local(1)?, p.local(2)?);
        let principal = p.load(host, process::PRINCIPAL)?;
        let pattern = p.load(extension, extension::PATTERN)?;
        p.pass([principal, device, pattern]);
        Ok(Flow::Call)
    },
    restarted => |p| {
        let (made, done) = (p.result() != 0, p.local(4)?);
        p.set_local(4, done | TRIED | if made { RESTARTED } else { 0 })?;
        if made {
            let host = p.local(0)?;
            let subject = Principal((p.load(host, process::PRINCIPAL)? & 63) as u8);
            let failures = p.local(3)?;
            p.announce(EventKind::HostRestarted, subject, Structure::Process, [0, 0, failures, 0]);
        }
        if done & COMPLETED != 0 {
            return Ok(Flow::Next);
        }
        if order::before_event(done) == 1 {
            let device = p.local(1)?;
            host_stack::tell(p, device)?;
        }
        Ok(Flow::To(At::lost as u8))
    },
    rest => |p| {
        let (device, done) = (p.local(1)?, p.local(4)?);
        if order::before_event(done) == 2 {
            host_stack::tell(p, device)?;
        }
        Ok(if done & RESTARTED == 0 { Flow::Next } else { Flow::Return })
    },
    disable => |p| {
        let (device, failures) = (p.local(1)?, p.local(3)?);
        host_stack::give_up(p, device)?;
        let number = p.load(device, device_object::NUMBER)?;
        let host = p.local(0)?;
        let subject = Principal((p.load(host, process::PRINCIPAL)? & 63) as u8);
        p.announce(EventKind::DeviceDisabled, subject, Structure::DeviceObject, [0, device, number, failures]);
        Ok(Flow::Return)
    },
}
