//! What can be said of a handle, and of a process's handles, after they were opened.
//!
//! A handle may be inherited by children and may be protected from closing ("SetHandleInformation
//! function"). A process may ask that every use of a handle it has not raises an exception in it; it
//! can't take that back ("PROCESS_MITIGATION_STRICT_HANDLE_CHECK_POLICY structure").

use crate::base::Rule;
use crate::machine::{Flow, Reg, routine};

use super::handle::{
    OB_REFERENCE_BY_HANDLE, access, entry_in, is_pseudo_handle, leads_to_kernels, table_owner,
};
use super::layout::{handle_entry, process};
use super::object::{OB_DEREFERENCE, current_process};
use super::previous_mode::previous_mode;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "handle-flags",
        "A handle may be marked for inheritance and protected from closing after it was opened.",
        "SetHandleInformation function",
    ),
    Rule::documented(
        "strict-checks-stay",
        "Strict handle checks, once asked for, stay for the process.",
        "PROCESS_MITIGATION_STRICT_HANDLE_CHECK_POLICY structure",
    ),
];

/// Children inherit the handle (`HANDLE_FLAG_INHERIT`).
pub const INHERIT: u64 = 1;
/// The handle can't be closed (`HANDLE_FLAG_PROTECT_FROM_CLOSE`).
pub const PROTECT_FROM_CLOSE: u64 = 2;

/// The number of the policy on handles (`ProcessStrictHandleCheckPolicy`).
pub const STRICT_HANDLE_CHECK_POLICY: u64 = 3;
/// The policy's flag (`RaiseExceptionOnInvalidHandleReference`).
pub const RAISE_EXCEPTION: u64 = 1;

/// The bits of an access mask that flags stand for.
const fn mask_of(flags: u64) -> u64 {
    let inherit = if flags & INHERIT != 0 { access::INHERIT } else { 0 };
    let protect = if flags & PROTECT_FROM_CLOSE != 0 { access::PROTECT } else { 0 };
    inherit | protect
}

routine! {
    /// Service: changes the flags of a handle. Arguments: handle, which flags, their values.
    pub static NT_SET_INFORMATION_OBJECT = "NtSetInformationObject", frame 4;
    // Locals: 0 handle; 1 the bits that change; 2 their values; 3 mode.
    look, call OB_REFERENCE_BY_HANDLE => |p| {
        let (handle, which, values) = (p.argument(0), p.argument(1), p.argument(2));
        if is_pseudo_handle(handle) {
            return Ok(answer(p, status::INVALID_HANDLE, 0));
        }
        let mode = previous_mode(p)?;
        for (number, word) in [handle, mask_of(which), mask_of(values), mode].into_iter().enumerate() {
            p.set_local(number as u64, word)?;
        }
        p.pass([handle, 0, 0, mode, 0]);
        Ok(Flow::Call)
    },
    change, call OB_DEREFERENCE => |p| {
        let (object, refused) = (p.result(), p.get(Reg::Rdx));
        if object == 0 {
            return Ok(answer(p, refused, 0));
        }
        let (handle, which, values, mode) = (p.local(0)?, p.local(1)?, p.local(2)?, p.local(3)?);
        let caller = current_process(p)?;
        let owner = table_owner(p, caller, handle, mode)?;
        let table = p.load(owner, process::HANDLES)?;
        let is_kernels = leads_to_kernels(p, handle, mode);
        if let Some(entry) = entry_in(table, handle, is_kernels) {
            let mask = p.load(entry, handle_entry::ACCESS)?;
            p.store(entry, handle_entry::ACCESS, mask & !which | values & which)?;
        }
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
}

routine! {
    /// Service: sets a mitigation policy of the caller. Arguments: the policy's number, of which only
    /// [`STRICT_HANDLE_CHECK_POLICY`] is known, its flags.
    pub static NT_SET_INFORMATION_PROCESS = "NtSetInformationProcess", frame 0;
    set => |p| {
        let (policy, flags) = (p.argument(0), p.argument(1));
        if policy != STRICT_HANDLE_CHECK_POLICY {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let caller = current_process(p)?;
        if flags & RAISE_EXCEPTION == 0 {
            // Once on it stays.
            let is_on = p.load(caller, process::STRICT_HANDLES)? != 0;
            let outcome = if is_on { status::ACCESS_DENIED } else { status::SUCCESS };
            return Ok(answer(p, outcome, 0));
        }
        p.store(caller, process::STRICT_HANDLES, 1)?;
        Ok(answer(p, status::SUCCESS, 0))
    },
}
