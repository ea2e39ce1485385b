//! A process makes a second thread of its own.
//!
//! The thread shares the process's address space and handle table and has its own object, kernel stack and
//! user stack; it is scheduled as any other, on any processor. It begins at an address of the caller's choice,
//! with one argument ("Creating Threads", "CreateThread function"). A process has two threads at a time at
//! most.
//!
//! A kernel in whose world nobody makes a thread has none of these routines, nor those of
//! [`thread_end`](super::thread_end): each of its processes has one thread, with nothing to look for others.

use crate::base::{EventKind, Rule, Structure};
use crate::machine::registers::{FLAGS_FIXED, INTERRUPT_FLAG, IO_PRIVILEGE};
use crate::machine::{Flow, Processor, Reg, Routine, Trap, routine};

use super::configured::configured;
use super::exception::resolve::{AddressClass, class_of};
use super::handle::{OB_CREATE_HANDLE, access};
use super::layout::{
    LINKED_THREAD_BYTES, object_type, process, processor_block, stack_top, switches, thread,
    thread_state,
};
use super::object::{OB_CREATE_OBJECT, OB_DEREFERENCE, current_process, principal_of};
use super::process_create::take_stack;
use super::schedule::KI_READY_THREAD;
use super::service::answer;
use super::status;
use super::transition::KI_SERVICE_EXIT;
use super::virtual_memory::{MM_CREATE_STACK, NT_FREE_VIRTUAL_MEMORY};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "threads-share-their-process",
        "All threads of a process share its address space and its handles; each has its own stacks.",
        "About Processes and Threads; Thread Stack Size",
    ),
    Rule::documented(
        "thread-begins-where-asked",
        "A new thread begins at an address that its maker names, with one argument.",
        "CreateThread function",
    ),
    Rule::inferred(
        "no-thread-while-ending",
        "A process that is ending gets no new thread.",
        "Terminating a Process; [MS-ERREF], STATUS_PROCESS_IS_TERMINATING",
    ),
    Rule::chosen(
        "two-threads",
        "A process has two threads at a time at most.",
        "this model: few kernel stacks",
    ),
];

/// The routines of this file that nothing else leads to.
pub const ROOTS: &[&Routine] = &[&NT_CREATE_THREAD, &super::thread_end::NT_TERMINATE_THREAD];

/// All rights to a thread.
const THREAD_RIGHTS: u64 = access::TERMINATE | access::SYNCHRONIZE;

/// Words below the top of a new thread's kernel stack, under those that its first switch takes: where it
/// begins and with which argument.
const BEGIN: u64 = 24;
const ARGUMENT: u64 = 32;

routine! {
    /// Service: makes a thread of the caller. Arguments: where it begins, its argument. A handle with all
    /// rights comes back in rdx.
    pub static NT_CREATE_THREAD = "NtCreateThreadEx", frame 7;
    // Locals: 0 where it begins; 1 its argument; 2 status; 3 the user stack; 4 the thread; 5 the handle;
    // 6 the process.
    start, call MM_CREATE_STACK => |p| {
        let (begin, argument) = (p.argument(0), p.argument(1));
        let caller = current_process(p)?;
        for (local, value) in [begin, argument, 0, 0, 0, 0, caller].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        // `sysret` leads there.
        if class_of(begin) != AddressClass::User {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        if p.load(caller, process::ALIVE)? == 0 {
            return Ok(answer(p, status::PROCESS_IS_TERMINATING, 0));
        }
        let first = p.load(caller, process::THREAD)?;
        if p.load(first, thread::SIBLING)? != 0 {
            return Ok(answer(p, status::INSUFFICIENT_RESOURCES, 0));
        }
        Ok(Flow::Call)
    },
    body, call OB_CREATE_OBJECT => |p| {
        let (outcome, page) = (status::of(p.get(Reg::Rax)), p.get(Reg::Rdx));
        if outcome != status::SUCCESS {
            return Ok(answer(p, outcome, 0));
        }
        p.set_local(2, status::INSUFFICIENT_RESOURCES)?;
        p.set_local(3, page)?;
        let caller = p.local(6)?;
        let creator = p.load(caller, process::PRINCIPAL)?;
        p.pass([object_type::THREAD, LINKED_THREAD_BYTES, creator]);
        Ok(Flow::Call)
    },
    open, call OB_CREATE_HANDLE => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        p.set_local(4, object)?;
        let (caller, page) = (p.local(6)?, p.local(3)?);
        p.store(object, thread::PROCESS, caller)?;
        p.store(object, thread::USER_STACK, page)?;
        p.pass([caller, object, THREAD_RIGHTS]);
        Ok(Flow::Call)
    },
    stack => |p| {
        let handle = p.result();
        p.set_local(5, handle)?;
        if handle == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        let Some(number) = take_stack(p)? else {
            return Ok(Flow::To(At::undo as u8));
        };
        let made = p.local(4)?;
        p.store(made, thread::STACK_NUMBER, number)?;
        p.store(made, thread::STACK_TOP, stack_top(number))?;
        Ok(Flow::Next)
    },
    // Never calls: the operand of its code word is the address where the thread begins.
    first_frame, call KI_START_THREAD => |p| {
        let operand = p.registers().rip.wrapping_add(8);
        let code = p.load_at(operand, Structure::Code)?;
        let (made, begin, argument) = (p.local(4)?, p.local(0)?, p.local(1)?);
        let top = p.load(made, thread::STACK_TOP)?;
        for (below, word) in [(8, code), (16, 0), (BEGIN, begin), (ARGUMENT, argument)] {
            p.store_at(top.wrapping_sub(below), Structure::KernelStack, word)?;
        }
        p.shadow(top.wrapping_sub(8), code)?;
        p.store(made, thread::STACK, top.wrapping_sub(16))?;
        p.store(made, thread::FRAME_POINTER, top.wrapping_sub(16))?;
        p.store(made, thread::STATE, thread_state::WAITING)?;
        Ok(Flow::Next)
    },
    link, call KI_READY_THREAD => |p| {
        let (caller, made) = (p.local(6)?, p.local(4)?);
        let first = p.load(caller, process::THREAD)?;
        p.store(first, thread::SIBLING, made)?;
        let subject = principal_of(p, caller)?;
        p.announce(EventKind::ThreadCreated, subject, Structure::Thread, [0, made, 0, 0]);
        p.pass([made]);
        Ok(Flow::Call)
    },
    done => |p| {
        let handle = p.local(5)?;
        Ok(answer(p, status::SUCCESS, handle))
    },

    // Nothing is left of a thread that could not be made.
    undo, call super::handle_close::OB_CLOSE_HANDLE => |p| {
        let (handle, caller) = (p.local(5)?, p.local(6)?);
        if handle == 0 {
            return Ok(Flow::Next);
        }
        p.pass([caller, handle, super::handle_close::AT_EXIT]);
        Ok(Flow::Call)
    },
    undo_thread, call OB_DEREFERENCE => |p| {
        let object = p.local(4)?;
        if object == 0 {
            return Ok(Flow::Next);
        }
        p.pass([object]);
        Ok(Flow::Call)
    },
    undo_stack, call NT_FREE_VIRTUAL_MEMORY => |p| {
        let page = p.local(3)?;
        p.pass([page]);
        Ok(Flow::Call)
    },
    undone => |p| {
        let status = p.local(2)?;
        Ok(answer(p, status, 0))
    },
}

/// Fills the registers that a thread of its process's making begins with; returns its user stack's top.
fn first_registers(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let block = p.gs();
    let current = p.load(block, processor_block::CURRENT_THREAD)?;
    let top = p.load(block, processor_block::KERNEL_STACK)?;
    let begin = p.load_at(top.wrapping_sub(BEGIN), Structure::KernelStack)?;
    let argument = p.load_at(top.wrapping_sub(ARGUMENT), Structure::KernelStack)?;
    let page = p.load(current, thread::USER_STACK)?;
    let switches = configured(p)?;
    let ports = if switches & switches::IO_PORTS_OPEN == 0 { 0 } else { IO_PRIVILEGE };
    p.put(Reg::Rcx, begin);
    p.put(Reg::R11, FLAGS_FIXED | INTERRUPT_FLAG | ports);
    p.put(Reg::Rbp, 0);
    p.pass([argument]);
    Ok(page.wrapping_add(4096))
}

routine! {
    /// Where a thread of its process's making begins: gives the lock back and goes to user mode.
    pub static KI_START_THREAD = "PspUserThreadStartup", frame 0;
    release => |p| super::lock::release(p),
    leave => |p| {
        let stack = first_registers(p)?;
        p.set_stack(stack);
        p.swap_gs()?;
        Ok(Flow::SysReturn)
    },
}

routine! {
    /// [`KI_START_THREAD`] where user mode runs on shadow roots.
    pub static KI_START_THREAD_SHADOWED = "PspUserThreadStartup", frame 0;
    release => |p| super::lock::release(p),
    leave, call KI_SERVICE_EXIT => |p| {
        let stack = first_registers(p)?;
        p.store(p.gs(), processor_block::USER_STACK, stack)?;
        Ok(Flow::Jump)
    },
}
