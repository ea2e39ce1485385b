//! The way in and out of the kernel for system services.
//!
//! `syscall` enters on the caller's stack; the first step changes to the thread's kernel stack
//! before anything is pushed. Services run with interrupts off and the kernel's lock held: one
//! processor at a time, the others in user mode or spinning.

use crate::base::{Rule, Structure};
use crate::machine::{Flow, Reg, routine};

use super::layout::{address, element, kernel_data, processor_block, switches, thread};
use super::process_end::{EXIT_STATUS, PS_EXIT_PROCESS};
use super::{previous_mode, service, status};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::inferred(
    "services-on-kernel-stack",
    "A service runs on the thread's kernel stack, changed to before anything is pushed.",
    "Intel SDM volume 2B, SYSCALL (doesn't change the stack)",
)];

routine! {
    /// Where `syscall` leads: service number in rax, arguments in rdi, rsi, rdx, r10, r8, r9.
    pub static KI_SYSTEM_CALL = "KiSystemCall64", frame 0;
    change_stack => |p| {
        p.swap_gs()?;
        let block = p.gs();
        let user_stack = p.get(Reg::Rsp);
        p.store(block, processor_block::USER_STACK, user_stack)?;
        let on_user_stack = p.load(address::KERNEL_DATA, kernel_data::SWITCHES)? & switches::ON_USER_STACK != 0;
        if !on_user_stack {
            let kernel_stack = p.load(block, processor_block::KERNEL_STACK)?;
            p.set_stack(kernel_stack);
        }
        Ok(Flow::Next)
    },
    save => |p| {
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
    },
    acquire => |p| super::lock::acquire(p),
    dispatch => |p| {
        let number = p.get(Reg::Rax);
        if number >= service::COUNT {
            p.put(Reg::Rax, status::INVALID_SYSTEM_SERVICE);
            return Ok(Flow::To(At::release as u8));
        }
        let target = p.load_at(element(address::SERVICE_TABLE, number), Structure::ServiceTable)?;
        Ok(Flow::CallAt(target))
    },
    // What a service found wrong with its caller is raised in the caller, once nothing is half done.
    raise, call PS_EXIT_PROCESS => |p| {
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        let pending = p.load(current, thread::PENDING_EXCEPTION)?;
        if pending == 0 {
            return Ok(Flow::To(At::release as u8));
        }
        p.pass([pending & EXIT_STATUS]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
    release => |p| super::lock::release(p),
    restore => |p| {
        let frame = p.pop()?;
        let user_stack = p.pop()?;
        let flags = p.pop()?;
        let back = p.pop()?;
        p.put(Reg::Rbp, frame);
        p.put(Reg::R11, flags);
        p.put(Reg::Rcx, back);
        p.store(p.gs(), processor_block::USER_STACK, user_stack)?;
        Ok(Flow::Next)
    },
    leave => |p| {
        let user_stack = p.load(p.gs(), processor_block::USER_STACK)?;
        p.set_stack(user_stack);
        p.swap_gs()?;
        Ok(Flow::SysReturn)
    },
}
