//! Driver Verifier's forced pending: some requests that a driver has completed at once are told as pending.
//!
//! "Force Pending I/O Requests": whoever hands a request on must be prepared to wait for it, and seldom has to. With
//! this option the completion is put off until after the hand-over has come back. Here it is put off until somebody
//! waits, before which nothing of the request may be used; which requests it happens to is drawn, from a sequence that
//! begins with the world's seed. One is put off at a time, and none that no driver took. The option needs I/O
//! verification, which comes with it.

use crate::base::Rule;
use crate::injection::{PointKind, Verdict};
use crate::machine::{Flow, Processor, Trap, routine};

use super::layout::address::is_code_of_windows;
use super::layout::{address, put_off, request_packet, verifier as options};
use super::request::IO_COMPLETE_REQUEST;
use super::schedule::{self, KI_SWAP_CONTEXT};
use super::thread_end;
use super::verifier::{caller, draws, is_on};

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

/// [`STAGE`](put_off::STAGE): the completion is put off, and the hand-over has not come back.
const ASKED: u64 = 0;
/// It has come back, told as pending.
const TOLD: u64 = 1;
/// The completion is under way.
const DUE: u64 = 2;

/// Passes the point of injection of a completion, and puts the completion off where that is drawn: then nothing of it
/// happens now. What was put off and is due has passed its point before. Arguments: packet, status, bytes; they come
/// back as they stand now, without the status.
///
/// # Errors
///
/// What the accesses raise, or an injected exception.
pub(super) fn pass_completion(p: &mut Processor<'_>) -> Result<(u64, u64, Verdict), Trap> {
    let (asked, status, told) = (p.argument(0), p.argument(1), p.argument(2));
    let kept = p.load(address::KERNEL_DATA, put_off::PACKET)?;
    if kept == asked && p.load(address::KERNEL_DATA, put_off::STAGE)? == DUE {
        for field in [put_off::PACKET, put_off::STATUS, put_off::INFORMATION, put_off::STAGE] {
            p.store(address::KERNEL_DATA, field, 0)?;
        }
        return Ok((asked, told, Verdict::Proceed));
    }
    let (operation, verdict) = p.pass_point_of_caller(PointKind::Complete, asked, told)?;
    let packet = operation.virt;
    let is_called = p.load(address::KERNEL_DATA, put_off::CALLED)? == packet;
    if verdict != Verdict::Proceed
        || kept != 0
        || !is_called
        || !is_on(p, options::FORCE_PENDING)?
        || p.load(packet, request_packet::DONE)? != 0
        || is_code_of_windows(caller(p)?)
        || !draws(p, 1, 2)?
    {
        return Ok((packet, operation.value, verdict));
    }
    for (field, value) in [
        (put_off::PACKET, packet),
        (put_off::STATUS, status),
        (put_off::INFORMATION, operation.value),
        (put_off::STAGE, ASKED),
    ] {
        p.store(address::KERNEL_DATA, field, value)?;
    }
    Ok((packet, operation.value, Verdict::Skip))
}

/// Whether a packet whose driver has come back is told as pending: once, to who handed it to that driver. Who has
/// handed it on further tells by itself what came back.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn is_told_as_pending(p: &mut Processor<'_>, packet: u64) -> Result<bool, Trap> {
    if !is_on(p, options::FORCE_PENDING)? {
        return Ok(false);
    }
    p.store(address::KERNEL_DATA, put_off::CALLED, 0)?;
    let is_told = p.load(address::KERNEL_DATA, put_off::PACKET)? == packet
        && p.load(address::KERNEL_DATA, put_off::STAGE)? == ASKED;
    if is_told {
        p.store(address::KERNEL_DATA, put_off::STAGE, TOLD)?;
    }
    Ok(is_told)
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
    p.store(address::KERNEL_DATA, put_off::STAGE, DUE)?;
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
