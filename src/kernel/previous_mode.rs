//! In whose name a service was asked for: user mode's, or the kernel's own.
//!
//! A service that user mode asks for compares rights and probes buffers; one that a driver asks for,
//! through an entry whose name begins with Zw, does neither ("PreviousMode", "Using Nt and Zw Versions
//! of the Native System Services Routines"). The answer lies in the thread, so that a wild write to
//! it switches all of these checks off at once.

use crate::base::Rule;
use crate::machine::{Flow, Processor, Trap, routine};

use super::bug_check::KE_BUG_CHECK;
use super::event::{NT_CREATE_EVENT, NT_QUERY_EVENT, NT_SET_EVENT};
use super::handle_close::NT_CLOSE;
use super::layout::{processor_block, thread};
use super::process_end::NT_TERMINATE_PROCESS;
use super::process_open::NT_OPEN_PROCESS;
use super::verified::verified_routine;
use super::{ddi_compliance, verifier};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "previous-mode",
        "A service checks rights and buffers when user mode asked for it and not when a driver did.",
        "PreviousMode; Using Nt and Zw Versions of the Native System Services Routines",
    ),
    Rule::inferred(
        "previous-mode-in-memory",
        "Who asked is a word of the thread, which anything that writes kernel memory can change.",
        "PreviousMode",
    ),
];

/// Kernel mode asks: nothing is compared, nothing is probed.
pub const KERNEL: u64 = 0;
/// User mode asks.
pub const USER: u64 = 1;

/// In whose name the running thread's service was asked for.
///
/// # Errors
///
/// What the loads raise.
pub fn previous_mode(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    p.load(current, thread::PREVIOUS_MODE)
}

/// Changes it; gives back what it was.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn change(p: &mut Processor<'_>, mode: u64) -> Result<u64, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let before = p.load(current, thread::PREVIOUS_MODE)?;
    p.store(current, thread::PREVIOUS_MODE, mode)?;
    Ok(before)
}

/// Goes on in the kernel's own name.
fn enter(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let before = change(p, KERNEL)?;
    p.set_local(0, before)?;
    Ok(Flow::Call)
}

/// Goes on in the name of before. The service's results stay in their registers.
fn leave(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let before = p.local(0)?;
    change(p, before)?;
    Ok(Flow::Return)
}

macro_rules! zw {
    ($(#[$meta:meta])* $NAME:ident = $text:literal, $SERVICE:path) => {
        routine! {
            $(#[$meta])*
            pub static $NAME = $text, frame 1;
            enter, call $SERVICE => enter,
            leave => leave,
        }
    };
}

verified_routine! {
    /// [`NT_CLOSE`] in the kernel's own name, for drivers.
    ZW_CLOSE, ZW_CLOSE_VERIFIED = "ZwClose", frame 1, by ddi_compliance::of_close;
    enter, call NT_CLOSE => enter,
    leave => leave,
}
zw!(
    /// [`NT_CREATE_EVENT`] in the kernel's own name, for drivers.
    ZW_CREATE_EVENT = "ZwCreateEvent", NT_CREATE_EVENT
);
zw!(
    /// [`NT_SET_EVENT`] in the kernel's own name, for drivers.
    ZW_SET_EVENT = "ZwSetEvent", NT_SET_EVENT
);
zw!(
    /// [`NT_OPEN_PROCESS`] in the kernel's own name, for drivers.
    ZW_OPEN_PROCESS = "ZwOpenProcess", NT_OPEN_PROCESS
);
zw!(
    /// [`NT_TERMINATE_PROCESS`] in the kernel's own name, for drivers.
    ZW_TERMINATE_PROCESS = "ZwTerminateProcess", NT_TERMINATE_PROCESS
);

routine! {
    /// [`NT_QUERY_EVENT`] in the kernel's own name, for drivers: the buffer is not probed.
    pub static ZW_QUERY_EVENT = "ZwQueryEvent", frame 1;
    verify, call KE_BUG_CHECK => |p| {
        let buffer = p.argument(4);
        match verifier::of_address(p, buffer)? {
            None => Ok(Flow::To(At::enter as u8)),
            Some(parameters) => {
                p.pass(parameters);
                Ok(Flow::Call)
            }
        }
    },
    stopped => |_| Ok(Flow::Stay),
    enter, call NT_QUERY_EVENT => |p| {
        let before = change(p, KERNEL)?;
        p.set_local(0, before)?;
        Ok(Flow::Call)
    },
    leave => |p| {
        let before = p.local(0)?;
        change(p, before)?;
        Ok(Flow::Return)
    },
}
