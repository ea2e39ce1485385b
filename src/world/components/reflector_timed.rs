//! The reflector where hosts have time-outs: it says when a critical request begins and ends.
//!
//! A host's start begins when the kernel makes it, or when the boot does, and is answered when it asks for its
//! first request; a cancellation is answered with the request that was cancelled ("Host Process Timeouts in
//! UMDF"). A failure counts as the first one when the last was long enough ago ("Using Device Pooling in
//! UMDF Drivers": the count is reset to one; that this failure is that one is inferred). A request of a thread
//! that is to end is cancelled at once and never gets to the host: it may come after all others of that thread
//! were cancelled, and nobody would cancel it any more ("Canceling IRPs": a driver that queues a request looks
//! whether it was cancelled meanwhile).

use crate::kernel::host::extension;
use crate::kernel::host_pool::IO_SIGNAL_SHARED_HOST;
use crate::kernel::host_time_out::{IO_BEGIN_CRITICAL, IO_END_CRITICAL, critical, is_cancelled};
use crate::kernel::layout::{address, element, kernel_data};
use crate::kernel::loader::Dispatch;
use crate::kernel::mdl::MM_MAP_LOCKED_PAGES;
use crate::kernel::request::{IO_COMPLETE_REQUEST, is_neither};
use crate::kernel::schedule::KI_WAKE;
use crate::kernel::status;
use crate::machine::{Flow, Processor, Routine, Substitute, Trap, routine};

use super::reflector::{
    self, REFLECT, REFLECT_FINISH, REFLECT_LOST, REFLECT_TAKE, append, capture, drain,
    extension_of, finish, map, signal, take,
};

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[
    &REFLECT_START,
    &REFLECT_TIMED,
    &REFLECT_SHARED_TIMED,
    &REFLECT_TAKE_TIMED,
    &REFLECT_FINISH_TIMED,
    &REFLECT_LOST_TIMED,
];

/// What takes the place of the routine that queues requests: for hosts of one device, and for those that
/// devices share.
pub const OWN_QUEUE: Substitute = (&REFLECT, &REFLECT_TIMED);
/// As [`OWN_QUEUE`].
pub const SHARED_QUEUE: Substitute = (&REFLECT, &REFLECT_SHARED_TIMED);

/// The routines that take the place of those without time-outs.
pub const SUBSTITUTES: &[Substitute] = &[
    (&REFLECT_TAKE, &REFLECT_TAKE_TIMED),
    (&REFLECT_FINISH, &REFLECT_FINISH_TIMED),
    (&REFLECT_LOST, &REFLECT_LOST_TIMED),
];

/// Completes what no host gets: requests with `METHOD_NEITHER`, and those of a thread that is to
/// end. Goes on to `queue` with others. Locals: 0 device; 1 packet; 2 the status.
fn sort(p: &mut Processor<'_>, queue: u8) -> Result<Flow, Trap> {
    let (device, packet) = (p.argument(0), p.argument(1));
    p.set_local(0, device)?;
    p.set_local(1, packet)?;
    let refusal = if is_neither(p, packet)? {
        status::INVALID_DEVICE_REQUEST
    } else if is_cancelled(p, packet)? {
        status::CANCELLED
    } else {
        return Ok(Flow::To(queue));
    };
    p.set_local(2, refusal)?;
    p.pass([packet, refusal, 0]);
    Ok(Flow::Call)
}

/// The driver's entry points: it is told when it is loaded.
pub const DISPATCH: Dispatch = Dispatch { entry: Some(&REFLECT_START), ..reflector::DISPATCH };
/// The driver's code: what takes the place of it, and its entry.
pub const CODE: &[&Routine] =
    &[&REFLECT, &REFLECT_TAKE, &REFLECT_FINISH, &REFLECT_LOST, &REFLECT_START];

routine! {
    /// The driver is loaded: the host that the boot makes must start in time. Argument: device object.
    pub static REFLECT_START = "ReflectorEntry", frame 0;
    begin, call IO_BEGIN_CRITICAL => |p| {
        let device = p.argument(0);
        p.pass([device]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// As [`REFLECT`]: what is cancelled already is not queued.
    pub static REFLECT_TIMED = "ReflectorDispatchTimed", frame 3;
    sort, call IO_COMPLETE_REQUEST => |p| sort(p, At::queue as u8),
    refused => |p| {
        let refusal = p.local(2)?;
        Ok(p.give_back(refusal))
    },
    queue, call KI_WAKE => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        signal(p, device, packet)
    },
    queued => |p| Ok(p.give_back(status::PENDING)),
}

routine! {
    /// As [`REFLECT_TIMED`], where the host waits for requests of several devices.
    pub static REFLECT_SHARED_TIMED = "ReflectorSharedDispatchTimed", frame 3;
    sort, call IO_COMPLETE_REQUEST => |p| sort(p, At::queue as u8),
    refused => |p| {
        let refusal = p.local(2)?;
        Ok(p.give_back(refusal))
    },
    queue, call IO_SIGNAL_SHARED_HOST => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let data = extension_of(p, device)?;
        append(p, data, packet)?;
        p.pass([device]);
        Ok(Flow::Call)
    },
    queued => |p| Ok(p.give_back(status::PENDING)),
}

routine! {
    /// As [`REFLECT_TAKE`]: a host that asks for the first time has started.
    pub static REFLECT_TAKE_TIMED = "ReflectorTakeTimed", frame 3;
    // Locals: 0 device; 1 the host's thread; 2 packet.
    started, call IO_END_CRITICAL => |p| {
        let (device, host) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, host)?;
        let data = extension_of(p, device)?;
        if p.load(data, extension::HOST_THREAD)? != 0 || p.load(data, critical::DEADLINE)? == 0 {
            return Ok(Flow::To(At::take as u8));
        }
        p.pass([device]);
        Ok(Flow::Call)
    },
    take => |p| {
        let (device, host) = (p.local(0)?, p.local(1)?);
        take(p, device, host, At::map as u8)
    },
    map, call MM_MAP_LOCKED_PAGES => map,
    capture, call IO_COMPLETE_REQUEST => capture,
    again => |_| Ok(Flow::To(At::take as u8)),
}

routine! {
    /// As [`REFLECT_FINISH`]: a request that was cancelled is answered.
    pub static REFLECT_FINISH_TIMED = "ReflectorFinishTimed", frame 3;
    // Locals: 0 device; 1 status; 2 bytes.
    answered, call IO_END_CRITICAL => |p| {
        let words = [p.argument(0), p.argument(1), p.argument(2)];
        for (local, word) in words.into_iter().enumerate() {
            p.set_local(local as u64, word)?;
        }
        let data = extension_of(p, words[0])?;
        if p.load(data, critical::DEADLINE)? == 0 {
            return Ok(Flow::To(At::finish as u8));
        }
        p.pass([words[0]]);
        Ok(Flow::Call)
    },
    finish, call IO_COMPLETE_REQUEST => |p| {
        let words = [p.local(0)?, p.local(1)?, p.local(2)?];
        finish(p, words)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// As [`REFLECT_LOST`]: old failures are forgotten, and nothing critical is outstanding any more.
    pub static REFLECT_LOST_TIMED = "ReflectorHostLostTimed", frame 2;
    // Locals: 0 the extension; 1 how often.
    count, call IO_END_CRITICAL => |p| {
        let device = p.argument(0);
        let data = extension_of(p, device)?;
        p.set_local(0, data)?;
        p.store(data, extension::HOST_THREAD, 0)?;
        let (last, now) = (p.load(data, critical::LAST_FAILURE)?, p.time_stamp());
        let forgotten_after = p.load(data, critical::FORGOTTEN_AFTER)?;
        let failures = if now.wrapping_sub(last) > forgotten_after {
            1
        } else {
            p.load(data, extension::RESTARTS)?.wrapping_add(1)
        };
        p.store(data, critical::LAST_FAILURE, now)?;
        p.store(data, extension::RESTARTS, failures)?;
        p.set_local(1, failures)?;
        // Of a host that is made again already the start is outstanding.
        let host = p.load(data, extension::HOST)? & 63;
        if p.load(element(address::KERNEL_DATA, host), kernel_data::PROCESSES)? != 0 {
            return Ok(Flow::Next);
        }
        p.pass([device]);
        Ok(Flow::Call)
    },
    drain, call IO_COMPLETE_REQUEST => |p| drain(p, At::done as u8),
    again => |_| Ok(Flow::To(At::drain as u8)),
    done => |p| {
        let failures = p.local(1)?;
        Ok(p.give_back(failures))
    },
}
