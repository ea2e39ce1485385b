//! Driver Verifier's forced pending: some requests that a driver has completed at once are told as pending.
//!
//! "Force Pending I/O Requests": whoever hands a request on must be prepared to wait for it, and seldom has to. With
//! this option the completion is put off until after the hand-over has come back. Here it is put off until somebody
//! waits, before which nothing of the request may be used; which requests it happens to is drawn, from a sequence that
//! begins with the world's seed. One is put off at a time. The option needs I/O verification and switches it on.

use crate::base::Rule;
use crate::machine::{Flow, Processor, Trap, routine};

use super::layout::{address, put_off, verifier as options};
use super::request::IO_COMPLETE_REQUEST;
use super::schedule::{self, KI_SWAP_CONTEXT};
use super::thread_end;
use super::verifier::{draws, is_on};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "forced-pending",
        "Some requests that are completed at once are told as pending and completed later.",
        "Force Pending I/O Requests",
    ),
    Rule::chosen(
        "forced-pending-until-a-wait",
        "Half of them, one at a time, and until somebody waits.",
        "this model: the page tells neither how many nor how long",
    ),
];

/// Notes which packet's driver is called now.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn note_call(p: &mut Processor<'_>, packet: u64) -> Result<(), Trap> {
    if is_on(p, options::FORCE_PENDING)? {
        p.store(address::KERNEL_DATA, put_off::CALLED, packet)?;
    }
    Ok(())
}

/// Whether a completion is put off. Arguments: packet, status, bytes.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn puts_off(p: &mut Processor<'_>) -> Result<bool, Trap> {
    if !is_on(p, options::FORCE_PENDING)? {
        return Ok(false);
    }
    let (packet, status, information) = (p.argument(0), p.argument(1), p.argument(2));
    let waiting = p.load(address::KERNEL_DATA, put_off::PACKET)?;
    if waiting == packet {
        // Its time has come.
        p.store(address::KERNEL_DATA, put_off::PACKET, 0)?;
        return Ok(false);
    }
    let called = p.load(address::KERNEL_DATA, put_off::CALLED)?;
    if waiting != 0 || called != packet || !draws(p, 1, 2)? {
        return Ok(false);
    }
    for (field, value) in
        [(put_off::PACKET, packet), (put_off::STATUS, status), (put_off::INFORMATION, information)]
    {
        p.store(address::KERNEL_DATA, field, value)?;
    }
    Ok(true)
}

/// Whether a packet whose driver has come back is one whose completion is put off.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn is_put_off(p: &mut Processor<'_>, packet: u64) -> Result<bool, Trap> {
    if !is_on(p, options::FORCE_PENDING)? {
        return Ok(false);
    }
    p.store(address::KERNEL_DATA, put_off::CALLED, 0)?;
    Ok(p.load(address::KERNEL_DATA, put_off::PACKET)? == packet)
}

/// Completes what was put off, if anything, before the running thread waits.
fn complete(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (at, kind) = (p.argument(0), p.argument(1));
    p.set_local(1, at)?;
    p.set_local(2, kind)?;
    let packet = p.load(address::KERNEL_DATA, put_off::PACKET)?;
    if packet == 0 {
        return Ok(Flow::Next);
    }
    let status = p.load(address::KERNEL_DATA, put_off::STATUS)?;
    let information = p.load(address::KERNEL_DATA, put_off::INFORMATION)?;
    p.pass([packet, status, information]);
    Ok(Flow::Call)
}

/// Goes on to wait.
fn completed(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (at, kind) = (p.local(1)?, p.local(2)?);
    p.pass([at, kind]);
    Ok(Flow::Next)
}

routine! {
    /// [`KI_WAIT`](schedule::KI_WAIT) where completions are put off until somebody waits.
    pub(super) static KI_WAIT_FORCED = "KeWaitForSingleObject", frame 3;
    // Locals: 0 see there; 1 the address; 2 which structure it is of.
    complete, call IO_COMPLETE_REQUEST => complete,
    completed => completed,
    keep => schedule::keep_wait,
    check, call KI_SWAP_CONTEXT => schedule::check_wait,
    again => |_| Ok(Flow::To(At::check as u8)),
}

routine! {
    /// The same where a thread that waits for nothing may be ended.
    pub(super) static KI_WAIT_THREADED_FORCED = "KeWaitForSingleObject", frame 3;
    complete, call IO_COMPLETE_REQUEST => complete,
    completed => completed,
    keep => schedule::keep_wait,
    check, call KI_SWAP_CONTEXT => thread_end::check_wait,
    again => |_| Ok(Flow::To(At::check as u8)),
}
