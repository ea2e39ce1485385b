//! A process ends: by its own wish, by an exception, never half.
//!
//! All its handles are closed, its memory is given back, its exit status stays in its object for as
//! long as somebody has a handle to that; children go on ("Terminating a Process"). The end of a
//! process the system cannot do without is bug check 0xEF ("Bug Check 0xEF:
//! CRITICAL_PROCESS_DIED").

use crate::base::{EventKind, Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Reg, Trap, routine};

use super::address_space_end::MM_DELETE_ADDRESS_SPACE;
use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::handle::{
    CURRENT_PROCESS, HANDLE_TABLE_TAG, OB_REFERENCE_BY_HANDLE, PROCESSES_MAX, access,
};
use super::handle_close::OB_CLOSE_ALL;
use super::host::IO_PROCESS_ENDED;
use super::layout::{
    address, element, kernel_data, object_type, process, processor_block, switches, thread,
    thread_state, verifier as options,
};
use super::object::{OB_DEREFERENCE, current_process, principal_of};
use super::paging::context_of;
use super::pool::EX_FREE_POOL;
use super::previous_mode::previous_mode;
use super::schedule::{KI_EXIT_THREAD, KI_READY_THREAD, KI_SWAP_CONTEXT};
use super::service::answer;
use super::{shadow, status, verifier};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "critical-process-stops",
        "The end of a critical process is 0xEF.",
        "Bug Check 0xEF: CRITICAL_PROCESS_DIED",
    ),
    Rule::inferred(
        "system-process-is-critical",
        "The system process is one that the system cannot do without.",
        "Bug Check 0xEF: CRITICAL_PROCESS_DIED (names processes of user mode; says what makes one critical)",
    ),
    Rule::inferred(
        "critical-handle-error",
        "A handle that is none on a critical thread with strict handle checks is 0x1ED.",
        "Bug Check 0x1ED: HANDLE_ERROR_ON_CRITICAL_THREAD (doesn't say which checks find it)",
    ),
    Rule::documented(
        "terminate-needs-right",
        "Ending another process takes the right to it.",
        "TerminateProcess function; Process Security and Access Rights",
    ),
    Rule::chosen(
        "terminated-on-return",
        "Another process that is ended ends when its thread comes back from a service.",
        "this model: nothing interrupts it there, but where hosts have time-outs or processes make threads",
    ),
    Rule::documented(
        "children-go-on",
        "The end of a process doesn't end its children.",
        "Terminating a Process",
    ),
];

/// Set in a pending exception: 0 is a status too.
pub(super) const PENDING: u64 = 1 << 32;
/// The status in a pending exception.
pub(super) const EXIT_STATUS: u64 = 0xffff_ffff;
/// A pending exception, and the status of the end that it leads to, for a handle that is none: anybody may
/// end with the same status.
pub(super) const BAD_HANDLE_USED: u64 = 1 << 33 | status::INVALID_HANDLE;

bug_checks! {
    CRITICAL_PROCESS: CRITICAL_PROCESS_DIED, parameter 2 = 0,
    when "a process ends that the system cannot do without",
    parameters "process", "what: a process", "reserved", "reserved",
    source "Bug Check 0xEF: CRITICAL_PROCESS_DIED" documented;

    BAD_HANDLE: HANDLE_ERROR_ON_CRITICAL_THREAD,
    when "a process the system cannot do without uses a handle that is none, with strict handle checks",
    parameters "reserved", "reserved", "reserved", "reserved",
    source "Bug Check 0x1ED: HANDLE_ERROR_ON_CRITICAL_THREAD" inferred;

    ENDS_LOCKED: PROCESS_HAS_LOCKED_PAGES, parameter 1 = 0,
    when "a process ends with pages that a driver has locked",
    parameters "what: end with locked pages", "process", "pages locked", "tracking",
    source "Bug Check 0x76: PROCESS_HAS_LOCKED_PAGES" documented;
}

/// Gives the kernel stack of a thread back. It is in use until the lock is given back, and only then can it be
/// taken.
pub(super) fn give_stack_back(p: &mut Processor<'_>, its_thread: u64) -> Result<Flow, Trap> {
    let stack = p.load(its_thread, thread::STACK_NUMBER)?;
    let used = p.load(address::KERNEL_DATA, kernel_data::STACKS_IN_USE)?;
    // A number that no stack has gives none back.
    let bit = if stack < 64 { 1 << stack } else { 0 };
    p.store(address::KERNEL_DATA, kernel_data::STACKS_IN_USE, used & !bit)?;
    Ok(Flow::Next)
}

routine! {
    /// Ends the running process and gives the processor away; does not return. Called with the
    /// kernel's lock held, which goes over to whoever runs next. Argument: the exit status.
    pub static PS_EXIT_PROCESS = "PspExitProcess", frame 3;
    // Locals: 0 the process; 1 its thread; 2 its root.
    start, call KE_BUG_CHECK => |p| {
        let told = p.argument(0);
        let is_for_handle = told == BAD_HANDLE_USED;
        let status = if is_for_handle { status::INVALID_HANDLE } else { told };
        let object = current_process(p)?;
        p.set_local(0, object)?;
        if p.load(object, process::CRITICAL)? != 0 {
            p.pass(if is_for_handle {
                BAD_HANDLE.with([0, 0, 0, 0])
            } else {
                CRITICAL_PROCESS.with([object, 0, 0, 0])
            });
            return Ok(Flow::Call);
        }
        p.store(object, process::ALIVE, 0)?;
        p.store(object, process::EXIT_STATUS, status)?;
        let its_thread = p.load(object, process::THREAD)?;
        let root = p.load(object, process::ROOT)?;
        p.set_local(1, its_thread)?;
        p.set_local(2, root)?;
        Ok(Flow::To(At::handles as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    handles, call OB_CLOSE_ALL => |p| {
        if configured(p)? & switches::HANDLES_LEAK != 0 {
            return Ok(Flow::Next);
        }
        let object = p.local(0)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    // Pages that a driver has locked can't be given back.
    locked, call KE_BUG_CHECK => |p| {
        let object = p.local(0)?;
        let pages = p.load(object, process::LOCKED_PAGES)?;
        if pages == 0 {
            return Ok(Flow::To(At::leave_space as u8));
        }
        if verifier::is_on(p, options::POOL_TRACKING)? {
            let list = p.load(object, process::LOCKED_LIST)?;
            let tracking = object.wrapping_add(process::LOCKED_LIST.offset);
            p.pass(verifier::LEFT_LOCKED.with([tracking, 0, list, pages]));
        } else {
            p.pass(ENDS_LOCKED.with([0, object, pages, 0]));
        }
        Ok(Flow::Call)
    },
    held => |_| Ok(Flow::Stay),
    // From here on the processor acts for the system: the dead thread is not saved, and no processor
    // has the dead address space loaded, or remembers anything of it.
    leave_space => |p| {
        let block = p.gs();
        let idle = p.load(block, processor_block::IDLE_THREAD)?;
        p.store(block, processor_block::CURRENT_THREAD, idle)?;
        let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
        let root = p.load(system, process::ROOT)?;
        p.load_root(root)?;
        let ended = p.local(2)?;
        let context = context_of(p, ended)?;
        if context != 0 {
            for number in 0..p.processor_count() {
                p.invalidate_context_on(number, context)?;
            }
        }
        Ok(Flow::Next)
    },
    memory, call MM_DELETE_ADDRESS_SPACE => |p| {
        let switches = configured(p)?;
        if switches & switches::KVA_SHADOW != 0 {
            let root = p.local(2)?;
            shadow::forget_user_context(p, root)?;
        }
        if switches & switches::FRAMES_LEAK != 0 {
            return Ok(Flow::Next);
        }
        let (object, root) = (p.local(0)?, p.local(2)?);
        p.store(object, process::ROOT, 0)?;
        let number = p.load(object, process::PRINCIPAL)?;
        p.pass([root, number]);
        Ok(Flow::Call)
    },
    table, call EX_FREE_POOL => |p| {
        if configured(p)? & switches::HANDLES_LEAK != 0 {
            return Ok(Flow::Next);
        }
        let object = p.local(0)?;
        let table = p.load(object, process::HANDLES)?;
        if table == 0 {
            return Ok(Flow::Next);
        }
        p.store(object, process::HANDLES, 0)?;
        p.pass([table, HANDLE_TABLE_TAG]);
        Ok(Flow::Call)
    },
    unregister => |p| {
        let (object, its_thread) = (p.local(0)?, p.local(1)?);
        let subject = principal_of(p, object)?;
        let number = p.load(object, process::PRINCIPAL)? % PROCESSES_MAX;
        p.store(element(address::KERNEL_DATA, number), kernel_data::PROCESSES, 0)?;
        let count = p.load(address::KERNEL_DATA, kernel_data::PROCESS_COUNT)?;
        p.store(address::KERNEL_DATA, kernel_data::PROCESS_COUNT, count.wrapping_sub(1))?;
        p.store(object, process::THREAD, 0)?;
        p.store(its_thread, thread::STATE, thread_state::ENDED)?;
        let status = p.load(object, process::EXIT_STATUS)?;
        p.announce(EventKind::ProcessEnded, subject, Structure::Process, [0, object, status, 0]);
        Ok(Flow::Next)
    },
    // After the process is gone, so that another one can have its number; with its stack still taken,
    // so that this one is not given to it.
    drivers, call IO_PROCESS_ENDED => |p| {
        let object = p.local(0)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    stack => |p| {
        let its_thread = p.local(1)?;
        give_stack_back(p, its_thread)
    },
    drop_thread, call OB_DEREFERENCE => |p| {
        let its_thread = p.local(1)?;
        p.pass([its_thread]);
        Ok(Flow::Call)
    },
    drop_process, call OB_DEREFERENCE => |p| {
        let object = p.local(0)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    give_way, call KI_EXIT_THREAD => |_| Ok(Flow::Call),
    gone => |_| Ok(Flow::Stay),
}

/// Looks for the process that is to end; goes on to `end` when it is the caller. Locals: 0 the exit status.
pub(super) fn sought(p: &mut Processor<'_>, end: u8) -> Result<Flow, Trap> {
    let (status, handle) = (p.argument(0), p.argument(1));
    p.set_local(0, status)?;
    if matches!(handle, 0 | CURRENT_PROCESS) {
        return Ok(Flow::To(end));
    }
    let mode = previous_mode(p)?;
    let takes_right = p.defects() & switches::NO_TERMINATE_RIGHT == 0;
    let right = if takes_right { access::TERMINATE } else { 0 };
    p.pass([handle, right, object_type::PROCESS, mode, 0]);
    Ok(Flow::Call)
}

/// Marks the thread of a process for its end and returns it; `None` when it has ended. Locals: 0 the exit
/// status; 1 becomes the status.
pub(super) fn mark(p: &mut Processor<'_>, object: u64) -> Result<Option<u64>, Trap> {
    let its_thread = p.load(object, process::THREAD)?;
    let is_there = p.load(object, process::ALIVE)? != 0 && its_thread != 0;
    p.set_local(1, if is_there { status::SUCCESS } else { status::PROCESS_IS_TERMINATING })?;
    if !is_there {
        return Ok(None);
    }
    let status = p.local(0)? & EXIT_STATUS;
    p.store(its_thread, thread::PENDING_EXCEPTION, PENDING | status)?;
    Ok(Some(its_thread))
}

/// Passes the status that the caller ends itself with, in local 0. Who names the status of a bad handle has
/// used none.
pub(super) fn pass_own_status(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let status = p.local(0)?;
    p.pass([if status == BAD_HANDLE_USED { status::INVALID_HANDLE } else { status }]);
    Ok(Flow::Call)
}

routine! {
    /// Service: ends a process. Arguments: the exit status, a handle to the process with
    /// [`access::TERMINATE`] (0 or [`CURRENT_PROCESS`]: the caller). Another process ends when its
    /// thread comes back from the service that it asked for last.
    pub static NT_TERMINATE_PROCESS = "NtTerminateProcess", frame 2;
    // Locals: 0 the exit status; 1 status.
    look, call OB_REFERENCE_BY_HANDLE => |p| sought(p, At::end as u8),
    mark, call OB_DEREFERENCE => |p| {
        let (object, refused) = (p.result(), p.get(Reg::Rdx));
        if object == 0 {
            return Ok(answer(p, refused, 0));
        }
        mark(p, object)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(1)?;
        Ok(answer(p, outcome, 0))
    },
    end, call PS_EXIT_PROCESS => pass_own_status,
    gone => |_| Ok(Flow::Stay),
}

routine! {
    /// Service: lets another ready thread run.
    pub static NT_YIELD_EXECUTION = "NtYieldExecution", frame 0;
    queue, call KI_READY_THREAD => |p| {
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.pass([current]);
        Ok(Flow::Call)
    },
    give_way, call KI_SWAP_CONTEXT => |_| Ok(Flow::Call),
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
}
