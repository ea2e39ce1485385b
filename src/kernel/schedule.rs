//! Threads: who runs next, how to wait, how to begin.

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::interrupt::TSS_RSP0;
use crate::machine::registers::{FLAGS_FIXED, INTERRUPT_FLAG, IO_PRIVILEGE};
use crate::machine::{Flow, Processor, Reg, Trap, routine};

use super::layout::{
    address, kernel_data, process, processor_block, ready_queue, switches, thread, thread_state,
};
use super::paging::load_tagged_root;
use super::shadow;
use super::transition::KI_SERVICE_EXIT;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::chosen(
    "round-robin",
    "Ready threads run in turn; there are no priorities.",
    "this model: no rule of isolation depends on priorities",
)];

/// Takes the first ready thread off the queue into rbx, or the idle thread when none is ready.
pub(super) fn choose(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let head = p.load(address::KERNEL_DATA, ready_queue::HEAD)?;
    if head == 0 {
        let idle = p.load(p.gs(), processor_block::IDLE_THREAD)?;
        p.put(Reg::Rbx, idle);
        return Ok(Flow::Next);
    }
    let behind = p.load(head, thread::NEXT)?;
    p.store(address::KERNEL_DATA, ready_queue::HEAD, behind)?;
    if behind == 0 {
        p.store(address::KERNEL_DATA, ready_queue::TAIL, 0)?;
    }
    p.put(Reg::Rbx, head);
    Ok(Flow::Next)
}

/// Makes the thread in rbx the running one, with its kernel stack; returns that.
fn make_current(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let next = p.get(Reg::Rbx);
    let block = p.gs();
    p.store(block, processor_block::CURRENT_THREAD, next)?;
    p.store(next, thread::STATE, thread_state::RUNNING)?;
    let top = p.load(next, thread::STACK_TOP)?;
    p.store(block, processor_block::KERNEL_STACK, top)?;
    Ok(top)
}

/// Makes the thread in rbx the running one, with its kernel stack for the gates.
pub(super) fn install(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let top = make_current(p)?;
    let block = p.gs();
    let task_state = p.load(block, processor_block::TASK_STATE)?;
    p.store_at(task_state.wrapping_add(TSS_RSP0), Structure::TaskState, top)?;
    Ok(Flow::Next)
}

/// As [`install`]; the gates keep the stack that shadow roots map.
pub(super) fn install_shadowed(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    make_current(p)?;
    Ok(Flow::Next)
}

/// Loads the address space of the thread in rbx, if it is not there; returns its root.
fn load_space(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let next = p.get(Reg::Rbx);
    let owner = p.load(next, thread::PROCESS)?;
    let root = p.load(owner, process::ROOT)?;
    if p.root()? != root {
        load_tagged_root(p, root)?;
        // A breakpoint is its process's; another must not meet it. It is not set again for who set it.
        p.set_breakpoint(0)?;
    }
    Ok(root)
}

/// Loads the address space of the thread in rbx, if it is not there.
pub(super) fn change_space(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    load_space(p)?;
    Ok(Flow::Next)
}

/// As [`change_space`]; notes the two roots for the entries and exits.
pub(super) fn change_space_shadowed(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let root = load_space(p)?;
    shadow::note_roots(p, root)?;
    Ok(Flow::Next)
}

/// Keeps where the running thread gives the processor away.
pub(super) fn save(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let (stack, frame) = (p.get(Reg::Rsp), p.get(Reg::Rbp));
    p.store(current, thread::STACK, stack)?;
    p.store(current, thread::FRAME_POINTER, frame)?;
    Ok(Flow::Next)
}

/// Continues the thread in rbx where it gave the processor away.
pub(super) fn resume(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let next = p.get(Reg::Rbx);
    let stack = p.load(next, thread::STACK)?;
    let frame = p.load(next, thread::FRAME_POINTER)?;
    p.put(Reg::Rsp, stack);
    p.put(Reg::Rbp, frame);
    Ok(Flow::Return)
}

routine! {
    /// Gives the processor to the next ready thread, or to the idle thread; returns when the caller's
    /// thread is chosen again. Called with the lock held; the lock goes over to whoever continues.
    pub static KI_SWAP_CONTEXT = "KiSwapContext", frame 0;
    save => save,
    choose => choose,
    install => install,
    change_space => change_space,
    resume => resume,
}

routine! {
    /// [`KI_SWAP_CONTEXT`] where user mode runs on shadow roots.
    pub static KI_SWAP_CONTEXT_SHADOWED = "KiSwapContext", frame 0;
    save => save,
    choose => choose,
    install => install_shadowed,
    change_space => change_space_shadowed,
    resume => resume,
}

routine! {
    /// [`KI_EXIT_THREAD`] where user mode runs on shadow roots.
    pub static KI_EXIT_THREAD_SHADOWED = "KiSwapThreadOut", frame 0;
    choose => choose,
    install => install_shadowed,
    change_space => change_space_shadowed,
    resume => resume,
}

routine! {
    /// Gives the processor away for good: as [`KI_SWAP_CONTEXT`], but nothing is kept of a thread
    /// that has ended.
    pub static KI_EXIT_THREAD = "KiSwapThreadOut", frame 0;
    choose => choose,
    install => install,
    change_space => change_space,
    resume => resume,
}

routine! {
    /// Puts a thread at the end of the ready queue and wakes the other processors. Argument: the
    /// thread.
    pub static KI_READY_THREAD = "KiReadyThread", frame 0;
    append => |p| {
        let ready = p.argument(0);
        p.store(ready, thread::STATE, thread_state::READY)?;
        p.store(ready, thread::NEXT, 0)?;
        let tail = p.load(address::KERNEL_DATA, ready_queue::TAIL)?;
        if tail == 0 {
            p.store(address::KERNEL_DATA, ready_queue::HEAD, ready)?;
        } else {
            p.store(tail, thread::NEXT, ready)?;
        }
        p.store(address::KERNEL_DATA, ready_queue::TAIL, ready)?;
        Ok(Flow::Next)
    },
    wake => |p| {
        for other in 0..p.processor_count() {
            if other != p.number() {
                p.wake_processor(other)?;
            }
        }
        Ok(Flow::Return)
    },
}

/// Keeps what the running thread waits for: it is in its block, and read there whenever it is woken.
pub(super) fn keep_wait(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (at, kind) = (p.argument(0), p.argument(1));
    p.set_local(0, kind)?;
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    p.store(current, thread::WAIT, at)?;
    Ok(Flow::Next)
}

/// Returns if the running thread has what it waits for, and gives the processor away otherwise.
pub(super) fn check_wait(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let at = p.load(current, thread::WAIT)?;
    let structure = waited_structure(p.local(0)?);
    if p.load_at(at, structure)? != 0 {
        return Ok(Flow::Return);
    }
    p.store(current, thread::STATE, thread_state::WAITING)?;
    Ok(Flow::Call)
}

routine! {
    /// Waits until the word at an address is not zero. Arguments: the address, and which structure it
    /// is in (1 a request packet, else a kernel variable).
    pub static KI_WAIT = "KeWaitForSingleObject", frame 1;
    keep => keep_wait,
    check, call KI_SWAP_CONTEXT => check_wait,
    again => |_| Ok(Flow::To(At::check as u8)),
}

routine! {
    /// Service: waits for good, as a service process does that has nothing to do.
    pub static NT_DELAY_EXECUTION = "NtDelayExecution", frame 0;
    wait, call KI_WAIT => |p| {
        p.pass([address::KERNEL_DATA + kernel_data::NEVER.offset, 0]);
        Ok(Flow::Call)
    },
    woken => |p| Ok(super::service::answer(p, super::status::SUCCESS, 0)),
}

/// Which structure a thread waits on, by the number that [`KI_WAIT`] takes.
const fn waited_structure(kind: u64) -> Structure {
    match kind {
        1 => Structure::RequestPacket,
        2 => Structure::ObjectBody,
        3 => Structure::DriverData,
        _ => Structure::KernelData,
    }
}

routine! {
    /// Makes a thread ready if it waits. Argument: the thread.
    pub static KI_WAKE = "KiUnwaitThread", frame 0;
    look, call KI_READY_THREAD => |p| {
        let waiting = p.argument(0);
        if waiting == 0 || p.load(waiting, thread::STATE)? != thread_state::WAITING {
            return Ok(Flow::Return);
        }
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

/// Fills the registers that a thread begins with in user mode, but for the stack pointer.
fn first_registers(p: &mut Processor<'_>) -> Result<(), Trap> {
    p.put(Reg::Rcx, address::USER_CODE);
    let switches = configured(p)?;
    let ports = if switches & switches::IO_PORTS_OPEN == 0 { 0 } else { IO_PRIVILEGE };
    p.put(Reg::R11, FLAGS_FIXED | INTERRUPT_FLAG | ports);
    p.put(Reg::Rbp, 0);
    Ok(())
}

routine! {
    /// Where a new thread of a process begins: gives the lock back and goes to user mode.
    pub static KI_THREAD_START = "KiStartUserThread", frame 0;
    release => |p| super::lock::release(p),
    leave => |p| {
        first_registers(p)?;
        p.set_stack(address::USER_STACK_TOP);
        p.swap_gs()?;
        Ok(Flow::SysReturn)
    },
}

routine! {
    /// [`KI_THREAD_START`] where user mode runs on shadow roots.
    pub static KI_THREAD_START_SHADOWED = "KiStartUserThread", frame 0;
    release => |p| super::lock::release(p),
    leave, call KI_SERVICE_EXIT => |p| {
        first_registers(p)?;
        p.store(p.gs(), processor_block::USER_STACK, address::USER_STACK_TOP)?;
        Ok(Flow::Jump)
    },
}

routine! {
    /// What a processor does when nobody is ready.
    pub static KI_IDLE_LOOP = "KiIdleLoop", frame 0;
    look => |p| {
        p.set_interrupts(false)?;
        if p.load(address::KERNEL_DATA, ready_queue::HEAD)? == 0 {
            return Ok(Flow::To(At::rest as u8));
        }
        Ok(Flow::Next)
    },
    acquire => |p| super::lock::acquire(p),
    give_way, call KI_SWAP_CONTEXT => |_| Ok(Flow::Call),
    release => |p| super::lock::release(p),
    again => |_| Ok(Flow::To(At::look as u8)),
    rest => |p| {
        p.set_interrupts(true)?;
        Ok(Flow::Halt)
    },
    woken => |_| Ok(Flow::To(At::look as u8)),
}
