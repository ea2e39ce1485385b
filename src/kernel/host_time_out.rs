//! Time-outs of user-mode drivers: a host that leaves a critical request unanswered for too long is ended.
//!
//! Critical are Plug and Play, power and cancellation; no other request has a time-out, so that an
//! application which asks a driver that hangs waits for as long as it likes to ("Host Process Timeouts in
//! UMDF"). Of those this kernel has two:
//!
//! | critical request | begins when | is answered when |
//! |---|---|---|
//! | start | the reflector is loaded, for the host that the boot makes; a host is made again | the host asks for its first request |
//! | cancellation | the process is ended whose request the host works on | the host answers that request |
//!
//! It is the host that has the time, from when it gets the critical request: while a driver manager has yet to
//! decide there is nobody who could be late, and a manager that never does leaves the devices waiting. A host
//! of several devices is timed by the first of them.
//!
//! A request that still waits for the host is completed with [`status::CANCELLED`] at once. When the time
//! is over the host is ended, whatever it does, with [`status::IO_TIMEOUT`]; what follows is what follows
//! each loss of a host: its requests are completed with
//! [`status::DRIVER_PROCESS_TERMINATED`], and it counts as a failure.
//!
//! | routine | arguments | result |
//! |---|---|---|
//! | [`IO_CANCEL_THREAD_IO`] | the thread that is to end | – |
//! | [`IO_BEGIN_CRITICAL`] | device object | – |
//! | [`IO_END_CRITICAL`] | device object | – |
//! | [`IO_EXPIRE_CRITICAL`] | – | – |
//!
//! Of the documented figures the ratio is kept: a time-out is 60 seconds, and failures are forgotten after
//! 30 minutes. A kernel without time-outs has none of these routines. The time is the processor's time
//! stamp, and one timer, told by the HAL, interrupts at the next deadline. What is known of each device is
//! in its reflector's page, see [`critical`]. A process that is ended while it runs in user mode ends at
//! the next interrupt by another processor or by the timer, and not only when it comes back from a
//! service.
//!
//! Not modelled: that a driver which is seen to work on a critical request gets more time; the error
//! report; Plug and Play beyond the start, and power.

use crate::base::Rule;
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Reg, Routine, Substitute, Trap, routine};

use super::hal::HAL_SET_TIMER;
use super::host::extension;
use super::host_create::PS_CREATE_HOST;
use super::host_expiry::IO_EXPIRE_CRITICAL;
use super::interrupt::{self, KI_INTERPROCESSOR_INTERRUPT, came_from_user, interrupt_routine};
use super::layout::{
    address, device_object, element, kernel_data, processor_block, request_packet, switches, thread,
};
use super::object::OB_DEREFERENCE;
use super::process_end::{
    self, EXIT_STATUS, NT_TERMINATE_PROCESS, PENDING, PS_EXIT_PROCESS, sought,
};
use super::request::IO_COMPLETE_REQUEST;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "critical-requests-time-out",
        "A host that leaves a critical request unanswered for 60 seconds is ended, and a restart tried.",
        "Host Process Timeouts in UMDF",
    ),
    Rule::documented(
        "time-begins-with-host",
        "The time-out of a start begins when the host gets it, and not while there is no host.",
        "Host Process Timeouts in UMDF",
    ),
    Rule::documented(
        "ordinary-requests-wait",
        "Reading, writing and device control have no time-out: whoever asked waits.",
        "Host Process Timeouts in UMDF (names the critical requests)",
    ),
    Rule::documented(
        "failures-forgotten",
        "A failure more than 30 minutes after the last one is the first.",
        "Using Device Pooling in UMDF Drivers",
    ),
    Rule::documented(
        "end-cancels-requests",
        "When a process is ended its outstanding requests at a host are cancelled.",
        "How UMDF Handles Application Failures",
    ),
    Rule::inferred(
        "waiting-request-cancelled-at-once",
        "A request that no host has yet is completed as cancelled by the reflector.",
        "How UMDF Handles Application Failures; Canceling IRPs",
    ),
    Rule::chosen(
        "minute-of-the-time-out",
        "The time-out's steps are a minute; half an hour is 30 times as many.",
        "this model: only the ratio of the limits is documented",
    ),
];

/// What a reflector keeps of time-outs, behind what [`shared`](super::host_pool::shared) has.
pub mod critical {
    use crate::base::{Field, Structure};

    const fn word(offset: u64, name: &'static str) -> Field {
        Field::new(Structure::DriverData, offset, name)
    }

    /// The time stamp at which the host has had its time, 0 while no critical request is outstanding.
    pub const DEADLINE: Field = word(0xc8, "critical request's deadline");
    /// Steps of a time-out.
    pub const TIME_OUT: Field = word(0xd0, "host time-out");
    /// The time stamp of the last failure, 0 before the first.
    pub const LAST_FAILURE: Field = word(0xd8, "last failure of the host");
    /// Steps without a failure after which failures are forgotten.
    pub const FORGOTTEN_AFTER: Field = word(0xe0, "failures are forgotten after");
}

/// Steps of one processor at most that the start of a host takes, from the end of the one before to its first
/// request, where nobody else runs: what the kernel and the manager do for it, and its own first steps.
pub const START_STEPS: u64 = 500;
/// Time-outs after which failures are forgotten: half an hour of minutes.
pub const FORGOTTEN_AFTER: u64 = 30;
/// Devices at most.
const DEVICES_MAX: u64 = 16;
/// Requests that wait for a host at most: one for each thread.
const QUEUE_MAX: u64 = 64;

/// The routines that take the place of those without time-outs.
pub const SUBSTITUTES: &[Substitute] = &[
    (&NT_TERMINATE_PROCESS, &NT_TERMINATE_PROCESS_CANCELLING),
    (&KI_INTERPROCESSOR_INTERRUPT, &KI_INTERPROCESSOR_INTERRUPT_ENDING),
    (&PS_CREATE_HOST, &PS_CREATE_HOST_TIMED),
];

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[
    &NT_TERMINATE_PROCESS_CANCELLING,
    &KI_INTERPROCESSOR_INTERRUPT_ENDING,
    &KI_TIMER_INTERRUPT,
    &PS_CREATE_HOST_TIMED,
    &PS_CREATE_HOST_UNTIMED,
    &PS_END_THREAD,
    &IO_CANCEL_THREAD_IO,
    &IO_BEGIN_CRITICAL,
    &IO_END_CRITICAL,
    &IO_EXPIRE_CRITICAL,
];

/// The number, device object and extension of the first reflector from this number on.
pub(super) fn reflector_from(
    p: &mut Processor<'_>,
    from: u64,
) -> Result<Option<(u64, u64, u64)>, Trap> {
    let reflectors = p.load(address::KERNEL_DATA, kernel_data::REFLECTORS)?;
    let Some(number) = (from..DEVICES_MAX).find(|number| reflectors >> number & 1 != 0) else {
        return Ok(None);
    };
    let device = p.load(element(address::KERNEL_DATA, number), kernel_data::DEVICES)?;
    let extension = p.load(device, device_object::EXTENSION)?;
    Ok(Some((number, device, extension)))
}

/// Whether a weakness is planted.
pub(super) fn is_weak(p: &mut Processor<'_>, weakness: u64) -> Result<bool, Trap> {
    Ok(configured(p)? & weakness != 0)
}

/// Hands the earliest deadline to the timer's routine, 0 when there is none.
pub(super) fn arm(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (mut earliest, mut from) = (0, 0);
    while let Some((number, _, extension)) = reflector_from(p, from)? {
        let deadline = p.load(extension, critical::DEADLINE)?;
        if deadline != 0 && (earliest == 0 || deadline < earliest) {
            earliest = deadline;
        }
        from = number + 1;
    }
    p.pass([earliest]);
    Ok(Flow::Call)
}

fn begin(p: &mut Processor<'_>, extension: u64) -> Result<(), Trap> {
    let deadline = p.time_stamp().wrapping_add(p.load(extension, critical::TIME_OUT)?);
    p.store(extension, critical::DEADLINE, deadline)
}

/// Takes a thread's request off a reflector's queue; 0 when it has none there.
fn unqueue(p: &mut Processor<'_>, extension: u64, wanted: u64) -> Result<u64, Trap> {
    let (mut before, mut packet) = (0, p.load(extension, extension::HEAD)?);
    for _ in 0..QUEUE_MAX {
        if packet == 0 {
            break;
        }
        let behind = p.load(packet, request_packet::LINK)?;
        if p.load(packet, request_packet::THREAD)? != wanted {
            (before, packet) = (packet, behind);
            continue;
        }
        if before == 0 {
            p.store(extension, extension::HEAD, behind)?;
        } else {
            p.store(before, request_packet::LINK, behind)?;
        }
        if behind == 0 {
            p.store(extension, extension::TAIL, before)?;
        }
        return Ok(packet);
    }
    Ok(0)
}

/// Interrupts the other processors, so that a thread that is to end and runs there ends.
pub(super) fn interrupt_others(p: &mut Processor<'_>) -> Result<(), Trap> {
    for other in 0..p.processor_count() {
        if other != p.number() {
            p.wake_processor(other)?;
        }
    }
    Ok(())
}

/// Whether the thread that asked for a request is to end, so that nobody waits for an answer.
///
/// # Errors
///
/// What the loads raise.
pub fn is_cancelled(p: &mut Processor<'_>, packet: u64) -> Result<bool, Trap> {
    let its_thread = p.load(packet, request_packet::THREAD)?;
    Ok(p.load(its_thread, thread::PENDING_EXCEPTION)? & PENDING != 0)
}

/// The status that the running thread is to end with, if it is.
fn pending_end(p: &mut Processor<'_>) -> Result<Option<u64>, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let pending = p.load(current, thread::PENDING_EXCEPTION)?;
    Ok((pending & PENDING != 0).then_some(pending & EXIT_STATUS))
}

/// Passes the status that the interrupted thread is to end with; goes on to `release` when it is not.
fn end_interrupted(p: &mut Processor<'_>, release: u8) -> Result<Flow, Trap> {
    if !came_from_user(p)? {
        return Ok(Flow::To(release));
    }
    let Some(status) = pending_end(p)? else { return Ok(Flow::To(release)) };
    p.set_irql(0)?;
    p.pass([status]);
    Ok(Flow::Call)
}

routine! {
    /// Service: ends a process, as [`NT_TERMINATE_PROCESS`]; what it has asked of user-mode drivers is
    /// cancelled, and it ends when it is interrupted too.
    pub static NT_TERMINATE_PROCESS_CANCELLING = "NtTerminateProcessCancelling", frame 3;
    // Locals: 0 the exit status; 1 status; 2 the process.
    look, call super::handle::OB_REFERENCE_BY_HANDLE => |p| sought(p, At::end as u8),
    mark, call IO_CANCEL_THREAD_IO => |p| {
        let object = p.result();
        if object == 0 {
            let refused = p.get(Reg::Rdx);
            return Ok(answer(p, refused, 0));
        }
        p.set_local(2, object)?;
        let Some(its_thread) = process_end::mark(p, object)? else {
            return Ok(Flow::To(At::drop as u8));
        };
        p.pass([its_thread]);
        Ok(Flow::Call)
    },
    others => |p| {
        interrupt_others(p)?;
        Ok(Flow::Next)
    },
    drop, call OB_DEREFERENCE => |p| {
        let object = p.local(2)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(1)?;
        Ok(answer(p, outcome, 0))
    },
    end, call PS_EXIT_PROCESS => process_end::pass_own_status,
    gone => |_| Ok(Flow::Stay),
}

interrupt_routine! {
    /// Another processor made a thread ready, or has ended the process that runs here.
    KI_INTERPROCESSOR_INTERRUPT_ENDING = "KiIpiInterruptEnding", KI_INTERPROCESSOR_INTERRUPT_ENDING_SHADOWED = "KiIpiInterruptEnding";
    enter => interrupt::enter,
    look => |p| {
        if came_from_user(p)? && pending_end(p)?.is_some() {
            return Ok(Flow::Next);
        }
        Ok(Flow::To(At::leave as u8))
    },
    acquire => |p| super::lock::acquire(p),
    end, call PS_EXIT_PROCESS => |p| end_interrupted(p, At::release as u8),
    gone => |_| Ok(Flow::Stay),
    release => |p| super::lock::release(p),
}

interrupt_routine! {
    /// The timer: a host has had its time.
    KI_TIMER_INTERRUPT = "KiTimerInterrupt", KI_TIMER_INTERRUPT_SHADOWED = "KiTimerInterrupt";
    enter => interrupt::enter,
    acquire => |p| super::lock::acquire(p),
    expire, call IO_EXPIRE_CRITICAL => |p| {
        p.set_irql(0)?;
        Ok(Flow::Call)
    },
    // It may have been the interrupted one.
    end, call PS_EXIT_PROCESS => |p| end_interrupted(p, At::release as u8),
    gone => |_| Ok(Flow::Stay),
    release => |p| super::lock::release(p),
}

routine! {
    /// Where a thread goes on that is ended while it waits: it ends. Never returns.
    pub static PS_END_THREAD = "PspEndThread", frame 0;
    end, call PS_EXIT_PROCESS => |p| {
        let status = pending_end(p)?.unwrap_or(status::IO_TIMEOUT);
        p.pass([status]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}

/// [`PS_CREATE_HOST`] by itself: its place is taken wherever it is called.
pub static PS_CREATE_HOST_UNTIMED: Routine = Routine {
    name: "PspCreateDriverHostUntimed",
    frame: PS_CREATE_HOST.frame,
    steps: PS_CREATE_HOST.steps,
};

routine! {
    /// As [`PS_CREATE_HOST`]: the host that was made must start in time.
    pub static PS_CREATE_HOST_TIMED = "PspCreateDriverHostTimed", frame 2;
    // Locals: 0 the device, the first of the host's; 1 the process object.
    make, call PS_CREATE_HOST_UNTIMED => |p| {
        let device = p.argument(1);
        p.set_local(0, device)?;
        Ok(Flow::Call)
    },
    begin, call IO_BEGIN_CRITICAL => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(p.give_back(0));
        }
        p.set_local(1, object)?;
        let device = p.local(0)?;
        p.pass([device]);
        Ok(Flow::Call)
    },
    made => |p| {
        let object = p.local(1)?;
        Ok(p.give_back(object))
    },
}

routine! {
    /// A critical request of a device begins: its host must answer it in time. Argument: device object.
    pub static IO_BEGIN_CRITICAL = "IopBeginCriticalRequest", frame 0;
    begin, call HAL_SET_TIMER => |p| {
        let device = p.argument(0);
        let extension = p.load(device, device_object::EXTENSION)?;
        begin(p, extension)?;
        arm(p)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// The host of a device has answered its critical request. Argument: device object.
    pub static IO_END_CRITICAL = "IopEndCriticalRequest", frame 0;
    end, call HAL_SET_TIMER => |p| {
        let device = p.argument(0);
        let extension = p.load(device, device_object::EXTENSION)?;
        p.store(extension, critical::DEADLINE, 0)?;
        arm(p)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// What a thread has asked of user-mode drivers is cancelled. Argument: the thread.
    pub static IO_CANCEL_THREAD_IO = "IopCancelThreadRequests", frame 2;
    // Locals: 0 the thread; 1 the number of the device in hand.
    keep => |p| {
        let its_thread = p.argument(0);
        p.set_local(0, its_thread)?;
        p.set_local(1, 0)?;
        Ok(Flow::Next)
    },
    look, call IO_COMPLETE_REQUEST => |p| {
        let (its_thread, from) = (p.local(0)?, p.local(1)?);
        let Some((number, _, extension)) = reflector_from(p, from)? else {
            return Ok(Flow::To(At::arm as u8));
        };
        p.set_local(1, number + 1)?;
        let taken = p.load(extension, extension::TAKEN)?;
        if taken != 0 && p.load(taken, request_packet::THREAD)? == its_thread {
            if is_weak(p, switches::TAKEN_CANCELLED)? {
                p.pass([taken, status::CANCELLED, 0]);
                return Ok(Flow::Call);
            }
            if p.load(extension, critical::DEADLINE)? == 0 {
                begin(p, extension)?;
            }
            return Ok(Flow::Stay);
        }
        let packet = unqueue(p, extension, its_thread)?;
        if packet == 0 {
            return Ok(Flow::Stay);
        }
        p.pass([packet, status::CANCELLED, 0]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::look as u8)),
    arm, call HAL_SET_TIMER => arm,
    done => |_| Ok(Flow::Return),
}
