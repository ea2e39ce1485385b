//! Interrupts: they arrive on whatever thread happens to run.
//!
//! An interrupt routine saves every register, raises the level, does its work, runs the deferred
//! routine at dispatch level, and leaves. Interrupts are off while the kernel's lock is held, so the
//! interrupted code is user mode or the idle loop.

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::registers::USER_CODE;
use crate::machine::{Flow, Processor, Reg, Trap};

use super::integrity::KI_CHECK_INTEGRITY;
use super::keys;
use super::layout::{
    address, device_object, driver_object, element, kernel_data, processor_block, ready_queue,
    switches,
};
use super::residency::{self, MM_TRIM_WORKING_SET};
use super::schedule::{KI_READY_THREAD, KI_SWAP_CONTEXT};
use super::watchdog;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "interrupts-in-arbitrary-context",
        "An interrupt and its deferred routine run on whatever thread happens to run.",
        "Virtual address spaces; Dispatch Routines and IRQLs",
    ),
    Rule::documented(
        "deferred-at-dispatch-level",
        "A deferred routine runs at DISPATCH_LEVEL.",
        "Dispatch Routines and IRQLs",
    ),
    Rule::inferred(
        "quantum-by-clock",
        "A thread gives way after a count of clock interrupts; the count is this model's.",
        "Managing Hardware Priorities",
    ),
];

/// The registers an interrupt saves, in the order of their pushes.
pub const SAVED: [Reg; 15] = [
    Reg::Rax,
    Reg::Rcx,
    Reg::Rdx,
    Reg::Rbx,
    Reg::Rbp,
    Reg::Rsi,
    Reg::Rdi,
    Reg::R8,
    Reg::R9,
    Reg::R10,
    Reg::R11,
    Reg::R12,
    Reg::R13,
    Reg::R14,
    Reg::R15,
];
/// Bytes of them.
pub const SAVED_BYTES: u64 = 8 * SAVED.len() as u64;

/// Bytes from the register pushed last to this one; of one that isn't saved, to what the gate pushed last.
#[must_use]
pub fn saved_at(register: Reg) -> u64 {
    let place = SAVED.into_iter().rev().position(|saved| saved == register);
    place.map_or(SAVED_BYTES, |place| 8 * place as u64)
}

/// Level of device interrupts ("Managing Hardware Priorities": above dispatch level).
const DEVICE_LEVEL: u64 = 5;
const DISPATCH_LEVEL: u64 = 2;
/// Clock interrupts until a thread must give way.
const QUANTUM: u64 = 1;

/// Pushes every register that a routine may change.
///
/// # Errors
///
/// What the stores raise.
pub(super) fn save_registers(p: &mut Processor<'_>) -> Result<(), Trap> {
    for reg in SAVED {
        let value = p.get(reg);
        p.push(value)?;
    }
    Ok(())
}

/// Takes back what [`save_registers`] pushed.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn restore_registers(p: &mut Processor<'_>) -> Result<(), Trap> {
    for reg in SAVED.into_iter().rev() {
        let value = p.pop()?;
        p.put(reg, value);
    }
    Ok(())
}

pub(super) fn enter(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let stack = p.get(Reg::Rsp);
    if p.load_at(stack.wrapping_add(16), Structure::KernelStack)? == USER_CODE {
        p.swap_gs()?;
    }
    save_registers(p)?;
    p.put(Reg::Rbp, 0);
    p.set_irql(DEVICE_LEVEL)?;
    Ok(Flow::Next)
}

/// Takes back what [`enter`] kept; whether the interrupted code was user mode.
fn put_back(p: &mut Processor<'_>) -> Result<bool, Trap> {
    p.set_irql(0)?;
    restore_registers(p)?;
    let stack = p.get(Reg::Rsp);
    Ok(p.load_at(stack.wrapping_add(16), Structure::KernelStack)? == USER_CODE)
}

pub(super) fn leave(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    if put_back(p)? {
        p.swap_gs()?;
    }
    Ok(Flow::InterruptReturn)
}

/// As [`leave`]; the way back to user mode leads through the exit that changes the root.
pub(super) fn leave_shadowed(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    Ok(if put_back(p)? { Flow::Jump } else { Flow::InterruptReturn })
}

/// Declares an interrupt routine and what takes its place where user mode runs on shadow roots: the same
/// with another way back.
macro_rules! interrupt_routine {
    (
        $(#[$meta:meta])*
        $NAME:ident = $text:literal, $SHADOWED:ident = $shadowed:literal;
        $($steps:tt)*
    ) => {
        $crate::machine::routine! {
            $(#[$meta])*
            pub static $NAME = $text, frame 0;
            $($steps)*
            leave => $crate::kernel::interrupt::leave,
        }
        $crate::machine::routine! {
            /// The same where user mode runs on shadow roots.
            pub static $SHADOWED = $shadowed, frame 0;
            $($steps)*
            leave, call $crate::kernel::transition::KI_INTERRUPT_EXIT =>
                $crate::kernel::interrupt::leave_shadowed,
        }
    };
}
pub(super) use interrupt_routine;

/// Whether the interrupted code was user mode.
pub(super) fn came_from_user(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let stack = p.get(Reg::Rsp);
    Ok(p.load_at(stack.wrapping_add(SAVED_BYTES + 16), Structure::KernelStack)? == USER_CODE)
}

/// The deferred routine of the first driver that has one, with its device object in the first
/// argument's register; 0 when there is none.
fn deferred_routine(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let count = p.load(address::KERNEL_DATA, kernel_data::DEVICE_COUNT)?.min(16);
    for number in 0..count {
        let object = p.load(element(address::KERNEL_DATA, number), kernel_data::DEVICES)?;
        if object == 0 {
            continue;
        }
        let driver = p.load(object, device_object::DRIVER)?;
        let routine = p.load(driver, driver_object::DEFERRED)?;
        if routine != 0 {
            p.pass([object]);
            return Ok(routine);
        }
    }
    Ok(0)
}

/// Notes that the device's deferred routine is to run.
fn queue(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let block = p.gs();
    let waiting = p.load(block, processor_block::DEFERRED)?;
    p.store(block, processor_block::DEFERRED, waiting | 1)?;
    Ok(Flow::Next)
}

/// Lowers the level and runs the deferred routine; goes on to `done` when there is none.
fn lower(p: &mut Processor<'_>, done: u8) -> Result<Flow, Trap> {
    p.set_irql(DISPATCH_LEVEL)?;
    let block = p.gs();
    let waiting = p.load(block, processor_block::DEFERRED)?;
    if waiting == 0 {
        return Ok(Flow::To(done));
    }
    p.store(block, processor_block::DEFERRED, waiting & (waiting - 1))?;
    let routine = deferred_routine(p)?;
    if routine == 0 {
        return Ok(Flow::To(done));
    }
    let device = p.argument(0);
    keys::enter_driver(p, device)?;
    Ok(Flow::CallAt(routine))
}

interrupt_routine! {
    /// The transfer device is done: its driver's deferred routine completes the request.
    KI_TRANSFER_INTERRUPT = "KiTransferInterrupt", KI_TRANSFER_INTERRUPT_SHADOWED = "KiTransferInterrupt";
    enter => enter,
    acquire => |p| super::lock::acquire(p),
    queue => queue,
    lower => |p| lower(p, At::release as u8),
    release => |p| {
        keys::set(p, keys::ALL)?;
        super::lock::release(p)
    },
}

interrupt_routine! {
    /// The same where the watchdogs tick: it is known when it begins and ends.
    KI_TRANSFER_INTERRUPT_WATCHED = "KiTransferInterruptWatched", KI_TRANSFER_INTERRUPT_WATCHED_SHADOWED = "KiTransferInterruptWatched";
    enter => enter,
    begin => watchdog::begin,
    acquire => |p| super::lock::acquire(p),
    queue => queue,
    lower => |p| lower(p, At::end as u8),
    end => watchdog::end,
    release => |p| {
        keys::set(p, keys::ALL)?;
        super::lock::release(p)
    },
}

interrupt_routine! {
    /// The disk is done: whoever waits polls, so there is nothing to do.
    KI_DISK_INTERRUPT = "KiDiskInterrupt", KI_DISK_INTERRUPT_SHADOWED = "KiDiskInterrupt";
    enter => enter,
}

interrupt_routine! {
    /// Another processor made a thread ready.
    KI_INTERPROCESSOR_INTERRUPT = "KiIpiInterrupt", KI_INTERPROCESSOR_INTERRUPT_SHADOWED = "KiIpiInterrupt";
    enter => enter,
}

/// Counts a clock interrupt; goes on to `leave` when the thread keeps the processor.
fn count(p: &mut Processor<'_>, leave: u8) -> Result<Flow, Trap> {
    if !came_from_user(p)? {
        return Ok(Flow::To(leave));
    }
    let block = p.gs();
    let quantum = p.load(block, processor_block::QUANTUM)?.wrapping_add(1);
    p.store(block, processor_block::QUANTUM, quantum)?;
    if quantum < QUANTUM {
        return Ok(Flow::To(leave));
    }
    p.store(block, processor_block::QUANTUM, 0)?;
    Ok(Flow::Next)
}

/// Puts the running thread behind the others; goes on to `release` when there are none.
fn requeue(p: &mut Processor<'_>, release: u8) -> Result<Flow, Trap> {
    if p.load(address::KERNEL_DATA, ready_queue::HEAD)? == 0 {
        return Ok(Flow::To(release));
    }
    p.set_irql(0)?;
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    p.pass([current]);
    Ok(Flow::Call)
}

interrupt_routine! {
    /// The clock: a thread that has had its share gives way.
    KI_CLOCK_INTERRUPT = "KiClockInterrupt", KI_CLOCK_INTERRUPT_SHADOWED = "KiClockInterrupt";
    enter => enter,
    count => |p| count(p, At::leave as u8),
    acquire => |p| super::lock::acquire(p),
    requeue, call KI_READY_THREAD => |p| requeue(p, At::release as u8),
    give_way, call KI_SWAP_CONTEXT => |_| Ok(Flow::Call),
    release => |p| super::lock::release(p),
}

interrupt_routine! {
    /// The clock where pageable memory may be away: at each of its interrupts some of it is trimmed.
    KI_CLOCK_INTERRUPT_TRIMMING = "KiClockInterruptTrimming", KI_CLOCK_INTERRUPT_TRIMMING_SHADOWED = "KiClockInterruptTrimming";
    enter => enter,
    check, call KI_CHECK_INTEGRITY => |p| {
        let switches = configured(p)?;
        Ok(if switches & switches::INTEGRITY_CHECKS == 0 { Flow::Next } else { Flow::Call })
    },
    count => |p| count(p, At::leave as u8),
    acquire => |p| super::lock::acquire(p),
    trim, call MM_TRIM_WORKING_SET => |p| {
        p.pass([residency::SOME]);
        Ok(Flow::Call)
    },
    requeue, call KI_READY_THREAD => |p| requeue(p, At::release as u8),
    give_way, call KI_SWAP_CONTEXT => |_| Ok(Flow::Call),
    release => |p| super::lock::release(p),
}

interrupt_routine! {
    /// The clock where late integrity checks are on.
    KI_CLOCK_INTERRUPT_CHECKING = "KiClockInterruptChecking", KI_CLOCK_INTERRUPT_CHECKING_SHADOWED = "KiClockInterruptChecking";
    enter => enter,
    check, call KI_CHECK_INTEGRITY => |_| Ok(Flow::Call),
    count => |p| count(p, At::leave as u8),
    acquire => |p| super::lock::acquire(p),
    requeue, call KI_READY_THREAD => |p| requeue(p, At::release as u8),
    give_way, call KI_SWAP_CONTEXT => |_| Ok(Flow::Call),
    release => |p| super::lock::release(p),
}
