//! Exceptions: a process ends, a handler is found, or the machine stops.
//!
//! | module | answers |
//! |---|---|
//! | [`resolve`](mod@resolve) | what becomes of an exception of kernel-mode code? |
//! | `dispatch` | what is there to decide it by? |
//! | `debug` | whose stack and GS are there, when a breakpoint comes? |
//! | `fast_fail` | for which reason does kernel mode fail fast? |
//! | `access_fault` | is it a page that was only away? |
//!
//! Here is where the gates lead.

mod access_fault;
mod debug;
mod dispatch;
pub(super) mod fast_fail;
pub mod resolve;

use crate::base::{Access, Rule, Structure};
use crate::machine::registers::USER_CODE;
use crate::machine::{Flow, Processor, Reg, Trap, routine};

pub use access_fault::KI_PAGE_FAULT_PAGED;
pub use debug::KI_DEBUG_TRAP_CHECKED;

use super::bug_check::KE_BUG_CHECK;
use super::process_end::PS_EXIT_PROCESS;
use super::status;
use dispatch::{KI_DISPATCH_EXCEPTION, cause};
use resolve::{AddressClass, Cause, KernelException, Resolution, class_of, resolve};

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
        "Whose code faulted chooses between 0x0A (Windows's own) and 0xD1 (a driver's, or nowhere).",
        "Bug Check 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL; Bug Check 0x0A: IRQL_NOT_LESS_OR_EQUAL",
    ),
    Rule::inferred(
        "second-level-asks-no-level",
        "A refusal of the second level is 0x18D at any level: it is no page fault of the tables.",
        "Bug Check 0x18D: SECURE_FAULT_UNHANDLED (names no level)",
    ),
    Rule::inferred(
        "exception-code-extended",
        "0x1E and 0x7E tell an exception's code sign-extended to 64 bits, 0x3B with zeros.",
        "Bug Check 0x3B: SYSTEM_SERVICE_EXCEPTION (its example); debuggers' output for 0x1E and 0x7E on x64",
    ),
    Rule::inferred(
        "general-protection-told",
        "A general protection in kernel mode is an access violation: a read of 0xffffffffffffffff.",
        "debuggers' output for 0x1E on x64, as in dokany issue 85 and WinDivert issue 129 (no page says it)",
    ),
    Rule::documented(
        "trimmed-page-comes-back",
        "Below dispatch level a trimmed page of the system is brought in and the access made again.",
        "Managing Hardware Priorities; Force IRQL Checking",
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
    Rule::inferred(
        "unhandled-otherwise",
        "An exception that nobody handles elsewhere, as in a deferred call, is 0x1E.",
        "Bug Check 0x1E: KMODE_EXCEPTION_NOT_HANDLED (excludes no path)",
    ),
    Rule::documented(
        "handlers-up-the-stack",
        "A handler is looked for frame by frame, from the code that faulted outwards.",
        "Exception Dispatching",
    ),
    Rule::inferred(
        "no-image-no-handler",
        "Code in no image has no handler, and nothing there is read to look for one.",
        "struct RUNTIME_FUNCTION; RtlLookupFunctionEntry function",
    ),
    Rule::inferred(
        "traps-are-exceptions",
        "A divide error or an invalid opcode in kernel mode is an exception that a handler may catch.",
        "Bug Check 0x1E: KMODE_EXCEPTION_NOT_HANDLED; Bug Check 0x7F: UNEXPECTED_KERNEL_MODE_TRAP",
    ),
    Rule::documented(
        "non-canonical-reference",
        "A kernel-mode reference to an address in the hole is 0x50 with 4.",
        "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA",
    ),
    Rule::inferred(
        "non-canonical-routed",
        "The general protection of a reference to the hole becomes an invalid reference at any level.",
        "Bug Check 0x50 (has the code); no page says how the general protection comes to be one",
    ),
    Rule::inferred(
        "non-canonical-before-1507",
        "Kernels with the older access codes of 0x50 raise an access violation for it at any level.",
        "debuggers' output for 0x1E on x64, at dispatch level too (which versions do is in no page)",
    ),
    Rule::inferred(
        "jump-to-hole-in-kernel-mode",
        "A call or return into the hole is an exception that a handler may catch, at any level.",
        "debuggers' output for 0x1E on x64 (no page says it)",
    ),
    Rule::inferred(
        "non-canonical-in-user-mode",
        "In user mode an address in the hole is an access violation.",
        "Handling Exceptions (access beyond the space)",
    ),
    Rule::inferred(
        "user-page-not-allowed",
        "A page with the user bit that SMAP closes to kernel mode is 0x50 with 0xF, in either half.",
        "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA (doesn't name what forbids it)",
    ),
    Rule::inferred(
        "smep-violation",
        "A user page that SMEP closes to kernel mode is 0xFC.",
        "Bug Check 0xFC: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY",
    ),
    Rule::inferred(
        "second-level-denial",
        "What the second level of permissions refuses is 0x18D.",
        "Bug Check 0x18D: SECURE_FAULT_UNHANDLED (doesn't say what raises it)",
    ),
    Rule::inferred(
        "unused-entry-is-no-table",
        "0x50 says 2 for an entry that was never used as for a missing table, 0 for one marked free.",
        "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA",
    ),
    Rule::inferred(
        "corrupt-entry-on-the-way",
        "Reserved bits in an entry for a system address are 0x1A with 0x41792.",
        "Bug Check 0x1A: MEMORY_MANAGEMENT",
    ),
    Rule::inferred(
        "pool-code-blamed",
        "A fault in the pool's own code at dispatch level is 0xC5.",
        "Bug Check 0xC5: DRIVER_CORRUPTED_EXPOOL",
    ),
    Rule::inferred(
        "debug-trap-unchecked",
        "Until May 2018 a debug exception at the kernel's first instruction ran on the user's stack and GS.",
        "NIST National Vulnerability Database, CVE-2018-8897",
    ),
    Rule::inferred(
        "debug-trap-checked",
        "Since then it runs on a stack of its own and a breakpoint of user mode's is passed over.",
        "NIST National Vulnerability Database, CVE-2018-8897 (doesn't say how it was mended)",
    ),
    Rule::documented(
        "double-fault-stops",
        "A double fault, as after a kernel stack's overflow, is 0x7F with parameter 8.",
        "Bug Check 0x7F: UNEXPECTED_KERNEL_MODE_TRAP",
    ),
    Rule::chosen(
        "shadow-stack-violation",
        "A return address that the shadow stack doesn't have is a fast fail (0x139, 0x39).",
        "Intel SDM volume 3A, Interrupt 21—Control Protection Exception (the bug check is in no page)",
    ),
    Rule::documented(
        "fast-fail-has-no-handler",
        "Fast fail runs no handler: it ends the process, or in kernel mode the machine (0x139).",
        "__fastfail",
    ),
];

/// The reason of a fast fail for a return address that the shadow stack doesn't have
/// (`FAST_FAIL_CONTROL_INVALID_RETURN_ADDRESS`).
const INVALID_RETURN_ADDRESS: u64 = 0x39;

/// Offsets in the frame that delivery pushes, from the lowest word.
pub(super) mod frame {
    /// Error code.
    pub(in super::super) const CODE: u64 = 0;
    /// Instruction pointer.
    pub(in super::super) const RIP: u64 = 8;
    /// Code selector.
    pub(in super::super) const CS: u64 = 16;
    /// Stack pointer.
    pub(in super::super) const RSP: u64 = 32;
}

/// Whether the exception was raised at ring 3; then GS is exchanged.
fn came_from_user(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let stack = p.get(Reg::Rsp);
    if p.load_at(stack.wrapping_add(frame::CS), Structure::KernelStack)? != USER_CODE {
        return Ok(false);
    }
    p.swap_gs()?;
    Ok(true)
}

/// Hands the exception over to the dispatcher: what was raised, and a status or reason.
fn dispatch(p: &mut Processor<'_>, cause: u64, status: u64) -> Flow {
    let stack = p.get(Reg::Rsp);
    p.pass([cause, stack, status]);
    Flow::Call
}

/// Continues with the handler that the dispatcher found.
fn land(p: &mut Processor<'_>) -> Flow {
    let frame_pointer = p.result();
    p.put(Reg::Rbp, frame_pointer);
    Flow::InterruptReturn
}

/// Whether the last general protection was raised by an address in the hole: of user mode the kernel decodes the
/// instruction to know.
fn is_non_canonical(p: &Processor<'_>) -> Result<bool, Trap> {
    Ok(class_of(p.refused_address()?) == AddressClass::NonCanonical)
}

macro_rules! exception_entry {
    ($(#[$meta:meta])* $NAME:ident = $text:literal, $told:expr, $status:expr) => {
        routine! {
            $(#[$meta])*
            pub static $NAME = $text, frame 0;
            sort, call KI_DISPATCH_EXCEPTION => |p| {
                if came_from_user(p)? {
                    return Ok(Flow::To(At::acquire as u8));
                }
                let told: fn(&mut Processor<'_>) -> Result<(u64, u64), Trap> = $told;
                let (cause, status) = told(p)?;
                Ok(dispatch(p, cause, status))
            },
            landed => |p| Ok(land(p)),
            acquire => |p| super::lock::acquire(p),
            end_process, call PS_EXIT_PROCESS => |p| {
                let status: fn(&mut Processor<'_>) -> Result<u64, Trap> = $status;
                let status = status(p)?;
                p.pass([status]);
                Ok(Flow::Call)
            },
            gone => |_| Ok(Flow::Stay),
        }
    };
}

exception_entry!(
    /// Where the gate of vector 14 leads.
    KI_PAGE_FAULT = "KiPageFault",
    |_| Ok((cause::PAGE_FAULT, 0)),
    |_| Ok(status::ACCESS_VIOLATION)
);
exception_entry!(
    /// Where the gate of vector 0 leads.
    KI_DIVIDE_ERROR = "KiDivideErrorFault",
    |_| Ok((cause::OTHER, status::INTEGER_DIVIDE_BY_ZERO)),
    |_| Ok(status::INTEGER_DIVIDE_BY_ZERO)
);
exception_entry!(
    /// Where the gate of vector 1 led until May 2018: ring 0 in the frame is taken for the kernel's stack
    /// and GS.
    KI_DEBUG_TRAP = "KiDebugTrapOrFault",
    |_| Ok((cause::OTHER, status::SINGLE_STEP)),
    |_| Ok(status::SINGLE_STEP)
);
exception_entry!(
    /// Where the gate of vector 3 leads.
    KI_BREAKPOINT = "KiBreakpointTrap",
    |_| Ok((cause::OTHER, status::BREAKPOINT)),
    |_| Ok(status::BREAKPOINT)
);
exception_entry!(
    /// Where the gate of vector 6 leads.
    KI_INVALID_OPCODE = "KiInvalidOpcodeFault",
    |_| Ok((cause::OTHER, status::ILLEGAL_INSTRUCTION)),
    |_| Ok(status::ILLEGAL_INSTRUCTION)
);
exception_entry!(
    /// Where the gates of vectors 11 and 13 lead. At ring 3 it is a privileged instruction or an
    /// address that is not canonical; both end the process. At ring 0 an access to such an address is one to
    /// memory that is invalid; anything else is an exception.
    KI_GENERAL_PROTECTION = "KiGeneralProtectionFault",
    |p| Ok(match p.refused_access()? {
        Some(access) => (cause::NON_CANONICAL, if access == Access::Write { resolve::WRITE } else { 0 }),
        None => (cause::OTHER, status::ACCESS_VIOLATION),
    }),
    |p| Ok(if is_non_canonical(p)? { status::ACCESS_VIOLATION } else { status::PRIVILEGED_INSTRUCTION })
);
exception_entry!(
    /// Where the gate of vector 20 leads: the second level of permissions refused what the tables
    /// allow (Intel SDM volume 3C, "Virtualization Exceptions"). At ring 3 it is an access violation.
    KI_SECURE_FAULT = "KiSecureFault",
    |_| Ok((cause::SECOND_LEVEL, 0)),
    |_| Ok(status::ACCESS_VIOLATION)
);
exception_entry!(
    /// Where the gate of vector 21 leads: a return address is not the one that was pushed. In kernel
    /// mode it is a fast fail; which reason Windows gives is in no public page.
    KI_CONTROL_PROTECTION = "KiControlProtectionFault",
    |_| Ok((cause::FAST_FAIL, INVALID_RETURN_ADDRESS)),
    |_| Ok(status::STACK_BUFFER_OVERRUN)
);
exception_entry!(
    /// Where the gate of vector 29h leads. The reason is in rcx ("__fastfail").
    KI_FAST_FAIL = "KiRaiseSecurityCheckFailure",
    |p| Ok((cause::FAST_FAIL, p.get(Reg::Rcx))),
    |_| Ok(status::STACK_BUFFER_OVERRUN)
);

routine! {
    /// Where the gate of vector 8 leads, on a stack of its own.
    pub static KI_DOUBLE_FAULT = "KiDoubleFaultAbort", frame 0;
    stop, call KE_BUG_CHECK => |p| match resolve(&KernelException::of(Cause::DoubleFault)) {
        Resolution::BugCheck(parameters) => {
            p.pass(parameters);
            Ok(Flow::Call)
        }
        Resolution::Handler | Resolution::PagedIn => Ok(Flow::Stay),
    },
    stopped => |_| Ok(Flow::Stay),
}
