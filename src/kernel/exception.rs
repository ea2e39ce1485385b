//! Exceptions: a process ends, a handler is found, or the machine stops.
//!
//! The order of decisions for a kernel-mode access that goes wrong follows the debugger
//! documentation of the bug checks named; where the documents leave a choice between two codes it is
//! made by whose code faulted.

use crate::base::{PhysAddr, Rule, Structure};
use crate::machine::registers::USER_CODE;
use crate::machine::{Flow, Processor, Reg, Trap, routine};

use super::bug_check::{BugCheck, KE_BUG_CHECK, bug_checks};
use super::layout::{address, process, processor_block, thread};
use super::pools::special::{self, Place};
use super::process_end::PS_EXIT_PROCESS;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "user-exception-ends-process",
        "An exception that user mode doesn't handle ends the process with the exception's code.",
        "Exception Dispatching; Terminating a Process",
    ),
    Rule::documented(
        "raised-level-is-fatal",
        "At dispatch level or above a page fault stops the machine; no handler helps.",
        "Managing Hardware Priorities; Bug Check 0x0A: IRQL_NOT_LESS_OR_EQUAL",
    ),
    Rule::inferred(
        "raised-level-blames-code",
        "Whose code faulted chooses between 0xD1 (a driver's) and 0x0A (Windows's own).",
        "Bug Check 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL; Bug Check 0x0A: IRQL_NOT_LESS_OR_EQUAL",
    ),
    Rule::documented(
        "system-address-has-no-handler",
        "An invalid system address stops the machine; try-except doesn't protect from it.",
        "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA",
    ),
    Rule::documented(
        "user-address-raises-exception",
        "A user address that isn't mapped or allowed raises an exception that a handler may catch.",
        "Handling Exceptions; Bug Check 0x1E: KMODE_EXCEPTION_NOT_HANDLED",
    ),
    Rule::documented(
        "unhandled-in-service",
        "An exception that nobody handles in a system service is 0x3B.",
        "Bug Check 0x3B: SYSTEM_SERVICE_EXCEPTION",
    ),
    Rule::documented(
        "unhandled-in-system-thread",
        "An exception that nobody handles in a system thread is 0x7E.",
        "Bug Check 0x7E: SYSTEM_THREAD_EXCEPTION_NOT_HANDLED",
    ),
    Rule::documented(
        "double-fault-stops",
        "A double fault, as after a kernel stack's overflow, is 0x7F with parameter 8.",
        "Bug Check 0x7F: UNEXPECTED_KERNEL_MODE_TRAP",
    ),
    Rule::documented(
        "fast-fail-has-no-handler",
        "Fast fail runs no handler: it ends the process, or in kernel mode the machine (0x139).",
        "__fastfail",
    ),
];

/// Offsets in the frame that delivery pushes, from the lowest word.
pub(super) mod frame {
    /// Error code.
    pub(in super::super) const CODE: u64 = 0;
    /// Instruction pointer.
    pub(in super::super) const RIP: u64 = 8;
    /// Code selector.
    pub(in super::super) const CS: u64 = 16;
}

/// Page-fault error code bits (Intel SDM volume 3A, "Interrupt 14—Page-Fault Exception").
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const FETCH: u64 = 16;

/// Level from which on no page fault can be resolved ("Managing Hardware Priorities").
const DISPATCH_LEVEL: u64 = 2;

bug_checks! {
    RAISED_IN_WINDOWS: IRQL_NOT_LESS_OR_EQUAL,
    when "at dispatch level or above Windows's own code raises a page fault",
    parameters "referenced", "level", "access", "by the code at",
    source "Bug Check 0x0A: IRQL_NOT_LESS_OR_EQUAL" inferred;

    IN_SYSTEM_SERVICE: SYSTEM_SERVICE_EXCEPTION,
    when "nobody handles an exception in a system service",
    parameters "exception", "at", "", "",
    source "Bug Check 0x3B: SYSTEM_SERVICE_EXCEPTION" documented;

    FREED: PAGE_FAULT_IN_NONPAGED_AREA, parameter 4 = 0,
    when "a system address is referenced whose entry maps no page any more",
    parameters "referenced", "access", "by the code at", "",
    source "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA" documented;

    NO_TABLE: PAGE_FAULT_IN_NONPAGED_AREA, parameter 4 = 2,
    when "a system address is referenced for which there is no page table",
    parameters "referenced", "access", "by the code at", "",
    source "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA" documented;

    IN_SYSTEM_THREAD: SYSTEM_THREAD_EXCEPTION_NOT_HANDLED,
    when "nobody handles an exception in a system thread",
    parameters "exception", "at", "", "",
    source "Bug Check 0x7E: SYSTEM_THREAD_EXCEPTION_NOT_HANDLED" documented;

    DOUBLE_FAULT: UNEXPECTED_KERNEL_MODE_TRAP, parameter 1 = 8,
    when "an exception cannot be delivered, as when the kernel's stack has run over",
    parameters "trap", "", "", "",
    source "Bug Check 0x7F: UNEXPECTED_KERNEL_MODE_TRAP" documented;

    READ_ONLY: ATTEMPTED_WRITE_TO_READONLY_MEMORY,
    when "kernel mode writes to a system page that is read-only",
    parameters "written", "", "", "",
    source "Bug Check 0xBE: ATTEMPTED_WRITE_TO_READONLY_MEMORY" documented;

    RAISED_IN_DRIVER: DRIVER_IRQL_NOT_LESS_OR_EQUAL,
    when "at dispatch level or above a driver's code raises a page fault",
    parameters "referenced", "level", "access", "by the code at",
    source "Bug Check 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL" inferred;

    EXECUTED: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY,
    when "kernel mode executes a page that is there and may not be executed",
    parameters "executed", "", "", "",
    source "Bug Check 0xFC: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY" documented;

    FAST_FAIL: KERNEL_SECURITY_CHECK_FAILURE, parameter 1 = 0,
    when "kernel mode asks to be stopped (int 29h) for a stack that was overrun",
    parameters "what", "", "", "",
    source "Bug Check 0x139: KERNEL_SECURITY_CHECK_FAILURE" documented;
}

/// What becomes of a page fault raised by kernel-mode code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// The routine's own handler continues with an access violation.
    Handler,
    /// The machine stops: code and four parameters.
    BugCheck([u64; 5]),
}

/// What the kernel knows when one of its own accesses raises a page fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelPageFault {
    /// The address that was accessed.
    pub virt: u64,
    /// The error code.
    pub error: u64,
    /// Where the access was made.
    pub rip: u64,
    /// The interrupt request level.
    pub irql: u64,
    /// The entry that maps the address, as far as the tables go.
    pub entry: u64,
    /// Whether the routine has a handler for this step.
    pub has_handler: bool,
    /// Whether the code is a driver's and not Windows's own.
    pub in_driver: bool,
    /// Whether the running thread is the system's and not a process's.
    pub system_thread: bool,
    /// What the address is in special pool.
    pub special: Place,
}

/// Decides what becomes of a page fault raised by kernel-mode code.
///
/// At or above dispatch level nothing helps (bug checks 0xD1, 0x0A). For system addresses no handler
/// is asked (0x50 "cannot be protected by try-except"; 0xCC, 0xCD, 0xD5, 0xD6 in special pool; 0xBE
/// and 0xFC where the page is there but the access is not allowed). For user addresses the handler decides, else the exception is
/// unhandled: 0x3B on a system service's path, 0x7E in a system thread.
#[must_use]
pub fn resolve(fault: &KernelPageFault) -> Resolution {
    let kind = if fault.error & FETCH != 0 { 0x10 } else { fault.error & WRITE };
    let stop = |row: &'static BugCheck, parameters| Resolution::BugCheck(row.with(parameters));
    if fault.irql >= DISPATCH_LEVEL {
        let row = if fault.in_driver { &RAISED_IN_DRIVER } else { &RAISED_IN_WINDOWS };
        return stop(row, [fault.virt, fault.irql, kind >> 1, fault.rip]);
    }
    if fault.error & FETCH != 0 && fault.error & PRESENT != 0 {
        return stop(&EXECUTED, [fault.virt, fault.entry, 0, 0]);
    }
    if fault.virt >> 63 == 1 {
        if fault.error & PRESENT != 0 && fault.error & WRITE != 0 {
            return stop(&READ_ONLY, [fault.virt, fault.entry, 0, 0]);
        }
        if let Some(row) = special::absent(fault.special, fault.in_driver) {
            return stop(row, [fault.virt, fault.error >> 1 & 1, fault.rip, 0]);
        }
        let (row, subtype) = if fault.entry == 0 { (&NO_TABLE, 2) } else { (&FREED, 0) };
        return stop(row, [fault.virt, kind, fault.rip, subtype]);
    }
    if fault.has_handler {
        return Resolution::Handler;
    }
    unhandled(status::ACCESS_VIOLATION, fault.rip, fault.system_thread, [0, fault.virt])
}

/// An exception in kernel mode that nobody handles.
#[must_use]
pub fn unhandled(exception: u64, rip: u64, system_thread: bool, rest: [u64; 2]) -> Resolution {
    let row = if system_thread { &IN_SYSTEM_THREAD } else { &IN_SYSTEM_SERVICE };
    Resolution::BugCheck(row.with([exception, rip, rest[0], rest[1]]))
}

/// Whether the running thread belongs to the system process.
fn is_system_thread(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let owner = p.load(current, thread::PROCESS)?;
    Ok(p.load(owner, process::PRINCIPAL)? == 0)
}

/// Steps from the faulting one to its handler, out of its code word; 0 when there is none.
fn landing(p: &mut Processor<'_>, rip: u64) -> Result<u64, Trap> {
    if p.locate(rip).is_none() {
        return Ok(0);
    }
    let word = p.load_at(rip & !7, Structure::Code)?;
    #[allow(clippy::cast_possible_truncation, reason = "one byte of the code word")]
    let steps = (word >> 16) as u8;
    Ok(i64::from(steps.cast_signed())
        .cast_unsigned()
        .wrapping_mul(crate::machine::code::STEP_BYTES))
}

routine! {
    /// Where the gate of vector 14 leads.
    pub static KI_PAGE_FAULT = "KiPageFault", frame 0;
    sort => |p| {
        let stack = p.get(Reg::Rsp);
        if p.load_at(stack.wrapping_add(frame::CS), Structure::KernelStack)? == USER_CODE {
            p.swap_gs()?;
            return Ok(Flow::To(At::acquire as u8));
        }
        Ok(Flow::Next)
    },
    resolve, call KE_BUG_CHECK => |p| {
        let stack = p.get(Reg::Rsp);
        let rip = p.load_at(stack.wrapping_add(frame::RIP), Structure::KernelStack)?;
        let error = p.load_at(stack.wrapping_add(frame::CODE), Structure::KernelStack)?;
        let virt = p.fault_address()?;
        let landing = landing(p, rip)?;
        let entry = p.locate(virt).unwrap_or(0);
        let fault = KernelPageFault {
            virt,
            error,
            rip,
            irql: p.irql()?,
            entry: PhysAddr::truncated(entry).frame().start().raw(),
            has_handler: landing != 0,
            in_driver: (address::DRIVER_CODE..address::KERNEL_DATA).contains(&rip),
            system_thread: is_system_thread(p)?,
            special: special::place(p, virt)?,
        };
        match resolve(&fault) {
            Resolution::Handler => {
                p.store_at(stack.wrapping_add(frame::RIP), Structure::KernelStack, rip.wrapping_add(landing))?;
                Ok(Flow::InterruptReturn)
            }
            Resolution::BugCheck(parameters) => {
                p.pass(parameters);
                Ok(Flow::Call)
            }
        }
    },
    stopped => |_| Ok(Flow::Stay),
    acquire => |p| super::lock::acquire(p),
    end_process, call PS_EXIT_PROCESS => |p| {
        p.pass([status::ACCESS_VIOLATION]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}

/// What an exception other than a page fault comes to, at ring 3 and at ring 0.
fn settle(p: &mut Processor<'_>, exception: u64) -> Result<Option<[u64; 5]>, Trap> {
    let stack = p.get(Reg::Rsp);
    if p.load_at(stack.wrapping_add(frame::CS), Structure::KernelStack)? == USER_CODE {
        p.swap_gs()?;
        return Ok(None);
    }
    let rip = p.load_at(stack.wrapping_add(frame::RIP), Structure::KernelStack)?;
    let system_thread = is_system_thread(p)?;
    match unhandled(exception, rip, system_thread, [0, 0]) {
        Resolution::BugCheck(parameters) => Ok(Some(parameters)),
        Resolution::Handler => Ok(None),
    }
}

macro_rules! exception_entry {
    ($(#[$meta:meta])* $NAME:ident = $text:literal, $exception:expr, $status:expr) => {
        routine! {
            $(#[$meta])*
            pub static $NAME = $text, frame 0;
            sort, call KE_BUG_CHECK => |p| {
                match settle(p, $exception)? {
                    None => Ok(Flow::To(At::acquire as u8)),
                    Some(parameters) => {
                        p.pass(parameters);
                        Ok(Flow::Call)
                    }
                }
            },
            stopped => |_| Ok(Flow::Stay),
            acquire => |p| super::lock::acquire(p),
            end_process, call PS_EXIT_PROCESS => |p| {
                p.pass([$status]);
                Ok(Flow::Call)
            },
            gone => |_| Ok(Flow::Stay),
        }
    };
}

exception_entry!(
    /// Where the gate of vector 0 leads.
    KI_DIVIDE_ERROR = "KiDivideErrorFault", status::INTEGER_DIVIDE_BY_ZERO, status::INTEGER_DIVIDE_BY_ZERO
);
exception_entry!(
    /// Where the gate of vector 3 leads.
    KI_BREAKPOINT = "KiBreakpointTrap", status::BREAKPOINT, status::BREAKPOINT
);
exception_entry!(
    /// Where the gate of vector 6 leads.
    KI_INVALID_OPCODE = "KiInvalidOpcodeFault", status::ILLEGAL_INSTRUCTION, status::ILLEGAL_INSTRUCTION
);
exception_entry!(
    /// Where the gates of vectors 11 and 13 lead. At ring 3 it is a privileged instruction or an
    /// address that is not canonical; both end the process.
    KI_GENERAL_PROTECTION = "KiGeneralProtectionFault", status::ACCESS_VIOLATION, status::PRIVILEGED_INSTRUCTION
);

routine! {
    /// Where the gate of vector 8 leads, on a stack of its own.
    pub static KI_DOUBLE_FAULT = "KiDoubleFaultAbort", frame 0;
    stop, call KE_BUG_CHECK => |p| {
        p.pass(DOUBLE_FAULT.with([u64::from(Trap::DOUBLE_FAULT), 0, 0, 0]));
        Ok(Flow::Call)
    },
    stopped => |_| Ok(Flow::Stay),
}

routine! {
    /// Where the gate of vector 29h leads.
    pub static KI_FAST_FAIL = "KiRaiseSecurityCheckFailure", frame 0;
    sort, call KE_BUG_CHECK => |p| {
        let stack = p.get(Reg::Rsp);
        if p.load_at(stack.wrapping_add(frame::CS), Structure::KernelStack)? == USER_CODE {
            p.swap_gs()?;
            return Ok(Flow::To(At::acquire as u8));
        }
        p.pass(FAST_FAIL.with([0, 0, 0, 0]));
        Ok(Flow::Call)
    },
    stopped => |_| Ok(Flow::Stay),
    acquire => |p| super::lock::acquire(p),
    end_process, call PS_EXIT_PROCESS => |p| {
        p.pass([status::STACK_BUFFER_OVERRUN]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}
