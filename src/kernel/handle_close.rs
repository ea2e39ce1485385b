//! Handles are closed: one by the process that has it, all of them when it ends.
//!
//! Closing the last handle does not free an object that something else still refers to ("ZwClose",
//! "Terminating a Process"). A protected handle stays: user mode is told, kernel mode is stopped
//! ("SetHandleInformation function"; "Bug Check 0x93: INVALID_KERNEL_HANDLE", which also says what
//! becomes of a handle that kernel mode closes and that is none). The end of a process closes protected
//! handles too; that is inferred from "Terminating a Process", which knows no exception.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::kernel::configured::configured;
use crate::machine::{Flow, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::handle::{access, entry_in, raise_if_strict, table_owner};
use super::host_stack;
use super::layout::{HANDLES_MAX, handle_entry, object_header, object_type, process, switches};
use super::object::{OB_DEREFERENCE, current_process, principal_of};
use super::previous_mode::{self, previous_mode};
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "exit-closes-handles",
        "A process's handles are closed when it ends; objects live on while somebody refers to them.",
        "Terminating a Process; ZwClose",
    ),
    Rule::documented(
        "protected-handles",
        "A protected handle is not closed; kernel mode that tries is stopped with 0x93.",
        "SetHandleInformation function; Bug Check 0x93: INVALID_KERNEL_HANDLE",
    ),
    Rule::inferred(
        "exit-closes-protected-handles",
        "The end of a process closes its protected handles too.",
        "Terminating a Process",
    ),
    Rule::inferred(
        "handle-count-checked",
        "Closing a handle to an object that counts none is 0x18.",
        "Bug Check 0x18: REFERENCE_BY_POINTER",
    ),
];

bug_checks! {
    NO_HANDLE_LEFT: REFERENCE_BY_POINTER,
    when "a handle is closed to an object that counts no handles",
    parameters "type", "object", "reserved", "reserved",
    source "Bug Check 0x18: REFERENCE_BY_POINTER" inferred;

    CLOSED_PROTECTED: INVALID_KERNEL_HANDLE, parameter 2 = 0,
    when "kernel mode closes a handle that is protected",
    parameters "handle", "what: protected", "handle table", "reserved",
    source "Bug Check 0x93: INVALID_KERNEL_HANDLE" documented;

    CLOSED_INVALID: INVALID_KERNEL_HANDLE, parameter 2 = 1,
    when "kernel mode closes a handle that is none",
    parameters "handle", "what: no handle", "reserved", "reserved",
    source "Bug Check 0x93: INVALID_KERNEL_HANDLE" documented;
}

/// Closes whatever it is: the process ends.
pub const AT_EXIT: u64 = 2;

routine! {
    /// Empties one entry of a process's table and drops its references. Arguments: process, handle,
    /// mode, or [`AT_EXIT`]. Result: status.
    ///
    /// With [`switches::EARLY_FREE`] an object that only handles refer to is freed with the first.
    pub static OB_CLOSE_HANDLE = "ObpCloseHandle", frame 1;
    empty, call KE_BUG_CHECK => |p| {
        let (owner, handle, mode) = (p.argument(0), p.argument(1), p.argument(2));
        let table = p.load(owner, process::HANDLES)?;
        let subject = principal_of(p, owner)?;
        let entry = entry_in(table, handle, subject == Principal::KERNEL);
        let object = match entry {
            Some(entry) => p.load(entry, handle_entry::OBJECT)?,
            None => 0,
        };
        let (Some(entry), true) = (entry, object != 0) else {
            if mode == previous_mode::KERNEL {
                p.pass(CLOSED_INVALID.with([handle, 1, 0, 0]));
                return Ok(Flow::Call);
            }
            return Ok(p.give_back(status::INVALID_HANDLE));
        };
        let is_kept = p.defects() & switches::PROTECTION_IGNORED == 0 && mode != AT_EXIT;
        if is_kept && p.load(entry, handle_entry::ACCESS)? & access::PROTECT != 0 {
            if mode == previous_mode::KERNEL {
                p.pass(CLOSED_PROTECTED.with([handle, 0, table, 0]));
                return Ok(Flow::Call);
            }
            return Ok(p.give_back(status::HANDLE_NOT_CLOSABLE));
        }
        p.set_local(0, object)?;
        p.store(entry, handle_entry::OBJECT, 0)?;
        p.store(entry, handle_entry::ACCESS, 0)?;
        p.announce(EventKind::HandleClosed, subject, Structure::HandleTable, [0, object, handle & !3, 0]);
        let count = p.load(object, object_header::HANDLE_COUNT)?;
        if count == 0 {
            let kind = p.load(object, object_header::TYPE)?;
            p.pass(NO_HANDLE_LEFT.with([kind, object, 0, 0]));
            return Ok(Flow::Call);
        }
        p.store(object, object_header::HANDLE_COUNT, count.wrapping_sub(1))?;
        if count == 1 && p.load(object, object_header::TYPE)? == object_type::FILE {
            host_stack::closed(p, object)?;
        }
        Ok(Flow::To(At::release as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    release, call OB_DEREFERENCE => |p| {
        let object = p.local(0)?;
        let switches = configured(p)?;
        if switches & switches::REFERENCE_KEPT != 0 {
            return Ok(Flow::Next);
        }
        if switches & switches::EARLY_FREE != 0 {
            let handles = p.load(object, object_header::HANDLE_COUNT)?;
            let pointers = p.load(object, object_header::POINTER_COUNT)?;
            if pointers == handles.wrapping_add(1) {
                p.store(object, object_header::POINTER_COUNT, 1)?;
            }
        }
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

routine! {
    /// Closes every handle of a process. Argument: the process.
    pub static OB_CLOSE_ALL = "ObKillProcess", frame 2;
    start => |p| {
        let owner = p.argument(0);
        p.set_local(0, owner)?;
        p.set_local(1, 0)?;
        Ok(Flow::Next)
    },
    each, call OB_CLOSE_HANDLE => |p| {
        let (owner, handle) = (p.local(0)?, p.local(1)?.wrapping_add(4));
        if handle > HANDLES_MAX * 4 {
            return Ok(Flow::Return);
        }
        p.set_local(1, handle)?;
        p.pass([owner, handle, AT_EXIT]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::each as u8)),
}

routine! {
    /// Service: closes a handle of the caller. Argument: the handle.
    pub static NT_CLOSE = "NtClose", frame 1;
    close, call OB_CLOSE_HANDLE => |p| {
        let asked = p.argument(0);
        let (operation, verdict) = p.pass_point(PointKind::HandleLookup, asked, 0)?;
        if verdict == Verdict::Skip {
            return Ok(answer(p, status::INVALID_HANDLE, 0));
        }
        let (caller, mode) = (current_process(p)?, previous_mode(p)?);
        p.set_local_for(0, mode, mode)?;
        let owner = table_owner(p, caller, operation.virt, mode)?;
        p.pass([owner, operation.virt, mode]);
        Ok(Flow::Call)
    },
    done => |p| {
        let status = p.result();
        if status == status::INVALID_HANDLE && p.local(0)? == previous_mode::USER {
            raise_if_strict(p)?;
        }
        Ok(answer(p, status, 0))
    },
}
