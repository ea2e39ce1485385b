//! A host whose time is over is ended, whatever it does.
//!
//! One that waits for work, or for good, is made ready and ends when it is its turn; one that runs ends when
//! it is interrupted, and is told again until it has. What is over, and since when, is said by
//! [`super::host_time_out`].

use crate::base::Structure;
use crate::machine::{Flow, Processor, Trap, routine};

use super::hal::HAL_SET_TIMER;
use super::host::extension;
use super::host_pool::shared;
use super::host_stack::is_given_up;
use super::host_time_out::{
    PS_END_THREAD, arm, critical, interrupt_others, is_weak, reflector_from,
};
use super::layout::{
    address, device_object, element, kernel_data, process, switches, thread, thread_state,
};
use super::process_end::PENDING;
use super::schedule::KI_READY_THREAD;
use super::status;

/// Steps until a host that was told to end and runs on is told again.
const AGAIN: u64 = 64;

/// The thread of the host behind a device whose time is over, unless there is nothing to end: the
/// device is given up, nobody makes the host, or it was started meanwhile, through another of its devices.
fn overdue(p: &mut Processor<'_>, device: u64, extension: u64) -> Result<Option<u64>, Trap> {
    if is_weak(p, switches::DEADLINES_IGNORED)? {
        return Ok(None);
    }
    let host = p.load(extension, extension::HOST)? & 63;
    let object = p.load(element(address::KERNEL_DATA, host), kernel_data::PROCESSES)?;
    if object == 0 || is_given_up(p, device)? {
        return Ok(None);
    }
    let first = p.load(extension, shared::FIRST)?;
    let first = if first == 0 { extension } else { p.load(first, device_object::EXTENSION)? };
    if p.load(extension, extension::TAKEN)? == 0 && p.load(first, extension::HOST_THREAD)? != 0 {
        return Ok(None);
    }
    let its_thread = p.load(object, process::THREAD)?;
    Ok((its_thread != 0).then_some(its_thread))
}

/// Whether a thread waits for a request, or for good: then nothing is half done on its stack.
fn waits_for_work(p: &mut Processor<'_>, its_thread: u64, extension: u64) -> Result<bool, Trap> {
    if p.load(its_thread, thread::STATE)? != thread_state::WAITING {
        return Ok(false);
    }
    let first = p.load(extension, shared::FIRST)?;
    let first = if first == 0 { extension } else { p.load(first, device_object::EXTENSION)? };
    let at = p.load(its_thread, thread::WAIT)?;
    Ok(at == address::KERNEL_DATA + kernel_data::NEVER.offset
        || at == first.wrapping_add(extension::SIGNAL.offset))
}

routine! {
    /// Ends the hosts whose time is over. One that waits ends when it is its turn; one that runs when it is
    /// interrupted, so it is told until it has.
    pub static IO_EXPIRE_CRITICAL = "IopExpireCriticalRequests", frame 2;
    // Locals: 0 the number of the device in hand; 1 the thread to end.
    keep => |p| {
        p.set_local(0, 0)?;
        Ok(Flow::Next)
    },
    look => |p| {
        let from = p.local(0)?;
        let Some((number, device, extension)) = reflector_from(p, from)? else {
            return Ok(Flow::To(At::arm as u8));
        };
        p.set_local(0, number + 1)?;
        let (deadline, now) = (p.load(extension, critical::DEADLINE)?, p.time_stamp());
        if deadline == 0 || deadline > now {
            return Ok(Flow::Stay);
        }
        let Some(its_thread) = overdue(p, device, extension)? else {
            p.store(extension, critical::DEADLINE, 0)?;
            return Ok(Flow::Stay);
        };
        p.set_local(1, its_thread)?;
        p.store(extension, critical::DEADLINE, now.wrapping_add(AGAIN))?;
        p.store(its_thread, thread::PENDING_EXCEPTION, PENDING | status::IO_TIMEOUT)?;
        if waits_for_work(p, its_thread, extension)? {
            return Ok(Flow::Next);
        }
        interrupt_others(p)?;
        Ok(Flow::Stay)
    },
    // Never calls: the operand of its code word is the address where the thread goes on.
    turn, call PS_END_THREAD => |p| {
        let operand = p.registers().rip.wrapping_add(8);
        let end = p.load_at(operand, Structure::Code)?;
        let its_thread = p.local(1)?;
        let top = p.load(its_thread, thread::STACK_TOP)?;
        p.store_at(top.wrapping_sub(8), Structure::KernelStack, end)?;
        p.shadow(top.wrapping_sub(8), end)?;
        p.store_at(top.wrapping_sub(16), Structure::KernelStack, 0)?;
        p.store(its_thread, thread::STACK, top.wrapping_sub(16))?;
        p.store(its_thread, thread::FRAME_POINTER, top.wrapping_sub(16))?;
        Ok(Flow::Next)
    },
    ready, call KI_READY_THREAD => |p| {
        let its_thread = p.local(1)?;
        p.pass([its_thread]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::look as u8)),
    arm, call HAL_SET_TIMER => arm,
    done => |_| Ok(Flow::Return),
}
