//! The end of a thread, and of a process with two.
//!
//! A thread that ends leaves its process; with the last one the process ends ("Terminating a Thread",
//! "Terminating a Process"). Whoever ends the process, be it by a service, an exception or from another
//! process, ends all of its threads: each of the others is marked, and meets the mark where it would go back
//! to user mode, whether it comes from a service or was interrupted there. One that runs on another processor
//! is interrupted; one that is not running is, once it is chosen again. In Windows that is an asynchronous
//! procedure call to each thread. Until the last of them is gone nothing of the process is freed that
//! they share: its address space and its handles.
//!
//! A thread that waits for a request ends when that is complete, since what the request refers to is the
//! thread's; one that waits for nothing ends at once.
//!
//! | routine | takes the place of |
//! |---|---|
//! | [`PS_EXIT_PROCESS_THREADED`] | [`PS_EXIT_PROCESS`], which is still how the last thread ends |
//! | [`NT_TERMINATE_PROCESS_THREADED`] | [`NT_TERMINATE_PROCESS`] |
//! | [`KI_WAIT_THREADED`] | [`KI_WAIT`] |
//! | [`KI_SWAP_CONTEXT_THREADED`], [`KI_EXIT_THREAD_THREADED`] | [`KI_SWAP_CONTEXT`], [`KI_EXIT_THREAD`] |

use crate::base::{EventKind, Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Reg, Routine, Substitute, Trap, routine};

use super::handle::{CURRENT_THREAD, OB_REFERENCE_BY_HANDLE, access};
use super::host_time_out::{KI_INTERPROCESSOR_INTERRUPT_ENDING, interrupt_others};
use super::interrupt::KI_INTERPROCESSOR_INTERRUPT;
use super::layout::{
    address, kernel_data, object_type, process, processor_block, switches, thread, thread_state,
};
use super::object::{
    OB_CREATE_OBJECT, OB_CREATE_OBJECT_LINKED, OB_DEREFERENCE, current_process, principal_of,
};
use super::paging::load_tagged_root;
use super::previous_mode::previous_mode;
use super::process_end::{
    self, EXIT_STATUS, NT_TERMINATE_PROCESS, PENDING, PS_EXIT_PROCESS, give_stack_back,
    pass_own_status, sought,
};
use super::schedule::{self, KI_EXIT_THREAD, KI_SWAP_CONTEXT, KI_WAIT, KI_WAKE};
use super::service::answer;
use super::status;
use super::thread_create::{KI_START_THREAD, KI_START_THREAD_SHADOWED};
use super::virtual_memory::NT_FREE_VIRTUAL_MEMORY;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "last-thread-ends-process",
        "A thread's end leaves its process, unless it is the last one.",
        "Terminating a Thread; Terminating a Process",
    ),
    Rule::documented(
        "process-end-ends-threads",
        "A service or an exception that ends a process ends all of its threads.",
        "Terminating a Process; ExitProcess function",
    ),
    Rule::documented(
        "thread-stack-freed",
        "The stack of a thread that ends is freed.",
        "TerminateThread function; Thread Stack Size",
    ),
    Rule::inferred(
        "ends-on-return-to-user-mode",
        "A thread that is ended goes on to where it would return to user mode, and ends there.",
        "TerminateThread function (no user-mode code runs any more); Types of APCs (preempt user mode)",
    ),
    Rule::inferred(
        "ending-thread-interrupted",
        "A thread that is ended while it runs on another processor is interrupted there.",
        "TerminateThread function; Types of APCs (says nothing of other processors)",
    ),
    Rule::inferred(
        "end-waits-for-request",
        "A thread that waits for a request ends when that is complete.",
        "Canceling IRPs; TerminateThread function",
    ),
];

/// Beside [`PENDING`]: the thread ends, and its process goes on.
const ALONE: u64 = 1 << 34;

/// What takes a routine's place where processes make threads.
pub const SUBSTITUTES: &[Substitute] = &[
    (&OB_CREATE_OBJECT, &OB_CREATE_OBJECT_LINKED),
    (&PS_EXIT_PROCESS, &PS_EXIT_PROCESS_THREADED),
    (&NT_TERMINATE_PROCESS, &NT_TERMINATE_PROCESS_THREADED),
    (&KI_WAIT, &KI_WAIT_THREADED),
];

/// What besides does where user mode runs on the roots of kernel mode.
pub const SUBSTITUTES_PLAIN: &[Substitute] = &[
    (&KI_SWAP_CONTEXT, &KI_SWAP_CONTEXT_THREADED),
    (&KI_EXIT_THREAD, &KI_EXIT_THREAD_THREADED),
    (&KI_INTERPROCESSOR_INTERRUPT, &KI_INTERPROCESSOR_INTERRUPT_ENDING),
];

/// And where it runs on shadow roots; of the interrupt see [`SUBSTITUTES_IN_TIME`](super::shadow::SUBSTITUTES_IN_TIME).
pub const SUBSTITUTES_SHADOWED: &[Substitute] = &[
    (&KI_SWAP_CONTEXT, &KI_SWAP_CONTEXT_THREADED_SHADOWED),
    (&KI_EXIT_THREAD, &KI_EXIT_THREAD_THREADED_SHADOWED),
    (&KI_START_THREAD, &KI_START_THREAD_SHADOWED),
];

/// [`PS_EXIT_PROCESS`] by itself: its place is taken wherever it is called.
pub static PS_EXIT_LAST_THREAD: Routine = Routine {
    name: "PspExitLastThread",
    frame: PS_EXIT_PROCESS.frame,
    steps: PS_EXIT_PROCESS.steps,
};

/// The other thread of the running thread's process; 0 when there is none.
fn sibling(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let owner = p.load(current, thread::PROCESS)?;
    let first = p.load(owner, process::THREAD)?;
    if first == current { p.load(current, thread::SIBLING) } else { Ok(first) }
}

/// Marks a thread for its end.
fn mark(p: &mut Processor<'_>, its_thread: u64, status: u64) -> Result<(), Trap> {
    p.store(its_thread, thread::PENDING_EXCEPTION, PENDING | status)
}

/// Whether the running thread is to end.
fn is_to_end(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    Ok(p.load(current, thread::PENDING_EXCEPTION)? & PENDING != 0)
}

routine! {
    /// [`PS_EXIT_PROCESS`] where there may be another thread: that is marked, and ends the process as the
    /// last.
    pub static PS_EXIT_PROCESS_THREADED = "PspExitProcess", frame 1;
    // Locals: 0 the exit status.
    start, call KI_WAKE => |p| {
        let told = p.argument(0);
        let block = p.gs();
        let current = p.load(block, processor_block::CURRENT_THREAD)?;
        let object = current_process(p)?;
        let is_ending = p.load(object, process::ALIVE)? == 0;
        // The first who ended it said how.
        let status = if is_ending { p.load(object, process::EXIT_STATUS)? } else { told };
        p.set_local(0, status)?;
        let other = sibling(p)?;
        let is_ignored = configured(p)? & switches::SIBLINGS_IGNORED != 0;
        if other == 0 || is_ignored {
            return Ok(Flow::To(At::last as u8));
        }
        if p.load(current, thread::PENDING_EXCEPTION)? & ALONE != 0 {
            return Ok(Flow::To(At::leave as u8));
        }
        // The system can't do without the process, whichever of its threads ends it.
        if p.load(object, process::CRITICAL)? != 0 {
            return Ok(Flow::To(At::last as u8));
        }
        if is_ending {
            return Ok(Flow::To(At::leave as u8));
        }
        p.store(object, process::ALIVE, 0)?;
        p.store(object, process::EXIT_STATUS, status & EXIT_STATUS)?;
        mark(p, other, status & EXIT_STATUS)?;
        p.pass([other]);
        Ok(Flow::Call)
    },
    others => |p| {
        interrupt_others(p)?;
        Ok(Flow::Next)
    },
    leave, call PS_EXIT_THREAD => |_| Ok(Flow::Call),
    left => |_| Ok(Flow::Stay),
    last, call PS_EXIT_LAST_THREAD => |p| {
        let status = p.local(0)?;
        p.pass([status]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}

routine! {
    /// Ends the running thread, whose process has another, and gives the processor away; does not return.
    /// Called as [`PS_EXIT_PROCESS`] is.
    pub static PS_EXIT_THREAD = "PspExitThread", frame 1;
    // Locals: 0 the thread.
    unlink, call NT_FREE_VIRTUAL_MEMORY => |p| {
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.set_local(0, current)?;
        let object = current_process(p)?;
        let first = p.load(object, process::THREAD)?;
        let behind = p.load(current, thread::SIBLING)?;
        if first == current {
            p.store(object, process::THREAD, behind)?;
        } else {
            p.store(first, thread::SIBLING, behind)?;
        }
        p.store(current, thread::STATE, thread_state::ENDED)?;
        let subject = principal_of(p, object)?;
        p.announce(EventKind::ThreadEnded, subject, Structure::Thread, [0, current, 0, 0]);
        let page = p.load(current, thread::USER_STACK)?;
        if page == 0 {
            return Ok(Flow::Next);
        }
        p.pass([page]);
        Ok(Flow::Call)
    },
    // From here on the processor acts for the system, and has the process's address space no longer.
    leave_space => |p| {
        let block = p.gs();
        let idle = p.load(block, processor_block::IDLE_THREAD)?;
        p.store(block, processor_block::CURRENT_THREAD, idle)?;
        let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
        let root = p.load(system, process::ROOT)?;
        load_tagged_root(p, root)?;
        p.set_breakpoint(0)?;
        Ok(Flow::Next)
    },
    stack => |p| {
        let ended = p.local(0)?;
        give_stack_back(p, ended)
    },
    drop, call OB_DEREFERENCE => |p| {
        let ended = p.local(0)?;
        p.pass([ended]);
        Ok(Flow::Call)
    },
    give_way, call KI_EXIT_THREAD => |_| Ok(Flow::Call),
    gone => |_| Ok(Flow::Stay),
}

routine! {
    /// Service: ends a thread. Arguments: the exit status, a handle to the thread with
    /// [`access::TERMINATE`] (0 or [`CURRENT_THREAD`]: the caller). With the last thread the process ends.
    pub static NT_TERMINATE_THREAD = "NtTerminateThread", frame 2;
    // Locals: 0 the exit status; 1 the thread.
    look, call OB_REFERENCE_BY_HANDLE => |p| {
        let (status, handle) = (p.argument(0), p.argument(1));
        p.set_local(0, status)?;
        if matches!(handle, 0 | CURRENT_THREAD) {
            return Ok(Flow::To(At::own as u8));
        }
        let mode = previous_mode(p)?;
        p.pass([handle, access::TERMINATE, object_type::THREAD, mode, 0]);
        Ok(Flow::Call)
    },
    mark, call KI_WAKE => |p| {
        let (object, refused) = (p.result(), p.get(Reg::Rdx));
        if object == 0 {
            return Ok(answer(p, refused, 0));
        }
        let status = p.local(0)? & EXIT_STATUS;
        p.set_local(1, object)?;
        p.set_local(0, status::SUCCESS)?;
        let is_ended = p.load(object, thread::STATE)? == thread_state::ENDED;
        if is_ended || p.load(object, thread::PENDING_EXCEPTION)? & PENDING != 0 {
            p.set_local(0, status::THREAD_IS_TERMINATING)?;
            return Ok(Flow::To(At::drop as u8));
        }
        mark(p, object, ALONE | status)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    others => |p| {
        interrupt_others(p)?;
        Ok(Flow::Next)
    },
    drop, call OB_DEREFERENCE => |p| {
        let object = p.local(1)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(0)?;
        Ok(answer(p, outcome, 0))
    },
    // As if another had ended it: who is not the last leaves.
    own, call PS_EXIT_PROCESS => |p| {
        let status = p.local(0)? & EXIT_STATUS;
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        mark(p, current, ALONE | status)?;
        p.pass([status]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}

routine! {
    /// [`NT_TERMINATE_PROCESS`] where there may be two threads to be ended, which are interrupted and
    /// woken.
    pub static NT_TERMINATE_PROCESS_THREADED = "NtTerminateProcess", frame 4;
    // Locals: 0 the exit status; 1 status; 2 the process; 3 the thread in hand.
    look, call OB_REFERENCE_BY_HANDLE => |p| sought(p, At::end as u8),
    mark => |p| {
        let object = p.result();
        if object == 0 {
            let refused = p.get(Reg::Rdx);
            return Ok(answer(p, refused, 0));
        }
        p.set_local(2, object)?;
        Ok(match process_end::mark(p, object)? {
            None => Flow::To(At::drop as u8),
            Some(first) => {
                p.set_local(3, first)?;
                Flow::Next
            }
        })
    },
    wake, call KI_WAKE => |p| {
        let in_hand = p.local(3)?;
        if in_hand == 0 {
            return Ok(Flow::To(At::others as u8));
        }
        let status = p.local(0)? & EXIT_STATUS;
        mark(p, in_hand, status)?;
        let behind = p.load(in_hand, thread::SIBLING)?;
        p.set_local(3, behind)?;
        p.pass([in_hand]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::wake as u8)),
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
    end, call PS_EXIT_PROCESS => pass_own_status,
    gone => |_| Ok(Flow::Stay),
}

/// [`schedule::check_wait`], for a thread that may be ended.
pub(super) fn check_wait(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    // What is not a kernel variable is somebody's who will be done with it.
    if p.local(0)? == 0 && is_to_end(p)? {
        return Ok(Flow::Return);
    }
    schedule::check_wait(p)
}

routine! {
    /// [`KI_WAIT`] where a thread that waits for nothing may be ended.
    pub static KI_WAIT_THREADED = "KeWaitForSingleObject", frame 1;
    keep => schedule::keep_wait,
    check, call KI_SWAP_CONTEXT => check_wait,
    again => |_| Ok(Flow::To(At::check as u8)),
}

/// Says which thread runs here from now on; a breakpoint is its thread's.
fn tell(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let next = p.get(Reg::Rbx);
    if p.load(p.gs(), processor_block::CURRENT_THREAD)? != next {
        p.set_breakpoint(0)?;
    }
    let owner = p.load(next, thread::PROCESS)?;
    let subject = principal_of(p, owner)?;
    p.announce(EventKind::ThreadChosen, subject, Structure::Thread, [0, next, 0, 0]);
    Ok(Flow::Next)
}

/// Interrupts this processor once it is in user mode, if the thread in rbx was ended while it did not run.
fn remind(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let next = p.get(Reg::Rbx);
    if p.load(next, thread::PENDING_EXCEPTION)? & PENDING != 0 {
        let own = p.number();
        p.wake_processor(own)?;
    }
    Ok(Flow::Next)
}

macro_rules! swaps {
    ($($(#[$meta:meta])* $NAME:ident = $text:literal, $install:ident, $change_space:ident $(, $first:ident)?;)*) => {
        $(routine! {
            $(#[$meta])*
            pub static $NAME = $text, frame 0;
            $($first => schedule::$first,)?
            choose => schedule::choose,
            tell => tell,
            install => schedule::$install,
            change_space => schedule::$change_space,
            remind => remind,
            resume => schedule::resume,
        })*
    };
}

swaps! {
    /// [`KI_SWAP_CONTEXT`] to a thread that may have been ended.
    KI_SWAP_CONTEXT_THREADED = "KiSwapContext", install, change_space, save;
    /// The same where user mode runs on shadow roots.
    KI_SWAP_CONTEXT_THREADED_SHADOWED = "KiSwapContext", install_shadowed, change_space_shadowed, save;
    /// [`KI_EXIT_THREAD`] to such a thread.
    KI_EXIT_THREAD_THREADED = "KiSwapThreadOut", install, change_space;
    /// The same where user mode runs on shadow roots.
    KI_EXIT_THREAD_THREADED_SHADOWED = "KiSwapThreadOut", install_shadowed, change_space_shadowed;
}
