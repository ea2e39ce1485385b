//! A process opens another: by its principal number, with the rights that policy allows.
//!
//! Which rights to a process are granted is the security descriptor's decision ("Process Security
//! and Access Rights", "ZwOpenProcess"). This model's descriptor has one line: a process itself and
//! the one that created it (object header, creator) get whatever they ask for, nobody else gets
//! anything.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Trap, routine};

use super::handle::{OB_CREATE_HANDLE, PROCESSES_MAX, access};
use super::layout::{address, element, kernel_data, object_header, process};
use super::object::current_process;
use super::previous_mode::{self, previous_mode};
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::chosen(
        "process-access-by-descent",
        "A process itself and its creator get the rights they ask for, others none.",
        "Process Security and Access Rights (stands for a security descriptor)",
    ),
    Rule::documented(
        "kernel-opens-unchecked",
        "What is opened in kernel mode's name is not checked unless the check is asked for.",
        "InitializeObjectAttributes macro (OBJ_FORCE_ACCESS_CHECK); ZwOpenProcess",
    ),
];

/// Announces that a process is told whether another is there: either answer says so, and both are
/// documented ("ZwOpenProcess": `STATUS_INVALID_CID`, `STATUS_ACCESS_DENIED`).
pub(super) fn announce_sought(p: &mut Processor<'_>, caller: u64, number: u64) -> Result<(), Trap> {
    let caller = p.load(caller, process::PRINCIPAL)?;
    #[allow(clippy::cast_possible_truncation, reason = "as large as the kernel's table at most")]
    let subject = Principal(caller as u8);
    p.announce(EventKind::ProcessSought, subject, Structure::Process, [0, 0, number, 0]);
    Ok(())
}

/// Whether what is wanted is compared with what the caller may have.
fn is_checked(p: &mut Processor<'_>, wanted: u64) -> Result<bool, Trap> {
    Ok(wanted & access::FORCE_CHECK != 0 || previous_mode(p)? != previous_mode::KERNEL)
}

routine! {
    /// Service: opens a process. Arguments: principal number, wanted rights (and
    /// [`access::INHERIT`], [`access::FORCE_CHECK`]). The handle comes back in rdx.
    pub static NT_OPEN_PROCESS = "NtOpenProcess", frame 0;
    decide, call OB_CREATE_HANDLE => |p| {
        let (number, wanted) = (p.argument(0), p.argument(1));
        if number >= PROCESSES_MAX {
            return Ok(answer(p, status::INVALID_CID, 0));
        }
        let caller = current_process(p)?;
        announce_sought(p, caller, number)?;
        let target = p.load(element(address::KERNEL_DATA, number), kernel_data::PROCESSES)?;
        if target == 0 {
            return Ok(answer(p, status::INVALID_CID, 0));
        }
        let creator = p.load(target, object_header::CREATOR)?;
        let is_theirs = target == caller || p.load(caller, process::PRINCIPAL)? == creator;
        if !is_theirs && is_checked(p, wanted)? {
            return Ok(answer(p, status::ACCESS_DENIED, 0));
        }
        p.pass([caller, target, wanted & (access::PROCESS | access::INHERIT)]);
        Ok(Flow::Call)
    },
    done => |p| {
        let handle = p.result();
        let status = if handle == 0 { status::INSUFFICIENT_RESOURCES } else { status::SUCCESS };
        Ok(answer(p, status, handle))
    },
}
