//! The way in and out of the kernel for system services.
//!
//! `syscall` enters on the caller's stack; the first step changes to the thread's kernel stack
//! before anything is pushed. Services run with interrupts off and the kernel's lock held: one
//! processor at a time, the others in user mode or spinning.

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Reg, Trap, routine};

use super::layout::{address, element, processor_block, switches, thread};
use super::process_end::{BAD_HANDLE_USED, EXIT_STATUS, PS_EXIT_PROCESS};
use super::transition::KI_SERVICE_EXIT;
use super::{previous_mode, service, status};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::inferred(
    "services-on-kernel-stack",
    "A service runs on the thread's kernel stack, changed to before anything is pushed.",
    "Intel SDM volume 2B, SYSCALL (doesn't change the stack)",
)];

/// Changes from the caller's stack to the thread's.
fn change_stack(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let block = p.gs();
    let user_stack = p.get(Reg::Rsp);
    p.store(block, processor_block::USER_STACK, user_stack)?;
    let on_user_stack = configured(p)? & switches::ON_USER_STACK != 0;
    if !on_user_stack {
        let kernel_stack = p.load(block, processor_block::KERNEL_STACK)?;
        p.set_stack(kernel_stack);
    }
    Ok(Flow::Next)
}

/// Keeps where and how the caller goes on.
fn save(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let back = p.get(Reg::Rcx);
    let flags = p.get(Reg::R11);
    let user_stack = p.load(p.gs(), processor_block::USER_STACK)?;
    let frame = p.get(Reg::Rbp);
    p.push(back)?;
    p.push(flags)?;
    p.push(user_stack)?;
    p.push(frame)?;
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    p.store(current, thread::PREVIOUS_MODE, previous_mode::USER)?;
    Ok(Flow::Next)
}

/// Calls the service; goes on to `release` when there is none of that number.
fn dispatch(p: &mut Processor<'_>, release: u8) -> Result<Flow, Trap> {
    let number = p.get(Reg::Rax);
    if number >= service::COUNT {
        p.put(Reg::Rax, status::INVALID_SYSTEM_SERVICE);
        return Ok(Flow::To(release));
    }
    let target = p.load_at(element(address::SERVICE_TABLE, number), Structure::ServiceTable)?;
    // The last services are in the table only where processes make threads.
    if number >= service::ALWAYS && target == 0 {
        p.put(Reg::Rax, status::INVALID_SYSTEM_SERVICE);
        return Ok(Flow::To(release));
    }
    Ok(Flow::CallAt(target))
}

/// Calls the end of the process for what a service found wrong with its caller, which is raised in the
/// caller once nothing is half done; goes on to `release` when there is nothing.
fn raise(p: &mut Processor<'_>, release: u8) -> Result<Flow, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let pending = p.load(current, thread::PENDING_EXCEPTION)?;
    if pending == 0 {
        return Ok(Flow::To(release));
    }
    p.pass([pending & (EXIT_STATUS | BAD_HANDLE_USED)]);
    Ok(Flow::Call)
}

/// Takes back what was kept; the caller's stack pointer waits in the processor's block.
fn restore(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let frame = p.pop()?;
    let user_stack = p.pop()?;
    let flags = p.pop()?;
    let back = p.pop()?;
    p.put(Reg::Rbp, frame);
    p.put(Reg::R11, flags);
    p.put(Reg::Rcx, back);
    p.store(p.gs(), processor_block::USER_STACK, user_stack)?;
    Ok(Flow::Next)
}

routine! {
    /// Where `syscall` leads: service number in rax, arguments in rdi, rsi, rdx, r10, r8, r9.
    pub static KI_SYSTEM_CALL = "KiSystemCall64", frame 0;
    change_stack => |p| {
        p.swap_gs()?;
        change_stack(p)
    },
    save => save,
    acquire => |p| super::lock::acquire(p),
    dispatch => |p| dispatch(p, At::release as u8),
    raise, call PS_EXIT_PROCESS => |p| raise(p, At::release as u8),
    gone => |_| Ok(Flow::Stay),
    release => |p| super::lock::release(p),
    restore => restore,
    leave => |p| {
        let user_stack = p.load(p.gs(), processor_block::USER_STACK)?;
        p.set_stack(user_stack);
        p.swap_gs()?;
        Ok(Flow::SysReturn)
    },
}

routine! {
    /// [`KI_SYSTEM_CALL`] where user mode runs on shadow roots: what the entry there jumps to, with the
    /// full root loaded and GS exchanged.
    pub static KI_SYSTEM_SERVICE_USER = "KiSystemCall64", frame 0;
    change_stack => change_stack,
    save => save,
    acquire => |p| super::lock::acquire(p),
    dispatch => |p| dispatch(p, At::release as u8),
    raise, call PS_EXIT_PROCESS => |p| raise(p, At::release as u8),
    gone => |_| Ok(Flow::Stay),
    release => |p| super::lock::release(p),
    restore => restore,
    leave, call KI_SERVICE_EXIT => |_| Ok(Flow::Jump),
}
