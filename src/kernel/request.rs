//! Requests to drivers: built, handed over, completed, freed.
//!
//! The order of things follows the public driver documentation: "I/O request packets", "Passing IRPs
//! down the Driver Stack" and "Completing IRPs". A packet is lent to every driver that it is handed
//! to until it is complete.
//!
//! | routine | arguments | result |
//! |---|---|---|
//! | [`IO_BUILD_REQUEST`] | device object, offset of the dispatch routine, bytes in, bytes out, code, file | packet, or 0 |
//! | [`IO_CALL_DRIVER`] | device object, packet | status; unless it is [`PENDING`](status::PENDING) the packet is complete |
//! | [`IO_COMPLETE_REQUEST`] | packet, status, information | – |
//! | [`IO_FREE_REQUEST`] | packet | – |

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Routine, Trap, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::control_code::method_of;
pub use super::control_code::{
    ACCESS_SHIFT, METHOD, METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_NEITHER, METHOD_OUT_DIRECT,
    control_code, function,
};
use super::driver_code::whose_driver;
use super::exception::resolve::DISPATCH_LEVEL;
use super::host_stack;
use super::keys;
use super::layout::{
    REQUEST_BYTES, address, device_object, kernel_data, process, processor_block, request_packet,
    switches, thread, verifier as options,
};
use super::mdl;
use super::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL, UNINITIALISED};
use super::schedule::KI_WAKE;
use super::verified::{self, verified_routine};
use super::{ddi_compliance, force_pending, status, verifier};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "requests-pass-down-the-stack",
        "A request is handed from driver to driver and any of them may complete it.",
        "I/O request packets; Passing IRPs down the Driver Stack",
    ),
    Rule::documented(
        "completed-once",
        "A packet completed twice is 0x44.",
        "Bug Check 0x44: MULTIPLE_IRP_COMPLETE_REQUESTS",
    ),
    Rule::documented(
        "status-has-32-bits",
        "Of what a driver gives as a status 32 bits are told; what it produced is a word.",
        "IO_STATUS_BLOCK structure (wdm.h); [MS-ERREF], NTSTATUS",
    ),
];

/// The routines of this file.
pub const ROUTINES: &[&Routine] =
    &[&IO_BUILD_REQUEST, &IO_CALL_DRIVER, &IO_COMPLETE_REQUEST, &IO_FREE_REQUEST];

bug_checks! {
    COMPLETED_TWICE: MULTIPLE_IRP_COMPLETE_REQUESTS,
    when "a request packet is completed that is complete",
    parameters "packet", "reserved", "reserved", "reserved",
    source "Bug Check 0x44: MULTIPLE_IRP_COMPLETE_REQUESTS" documented;
}

/// The tag of request packets: "Irp ".
pub const PACKET_TAG: u64 = 0x2070_7249;
/// The tag of system buffers: "IoSB".
pub const BUFFER_TAG: u64 = 0x4253_6f49;
/// Bytes of one request's data at most.
pub const LENGTH_MAX: u64 = 256;

/// How a packet hands its buffers over.
///
/// # Errors
///
/// What reading the packet raises.
pub fn method(p: &mut Processor<'_>, packet: u64) -> Result<u64, Trap> {
    let major = p.load(packet, request_packet::MAJOR)?;
    let code = p.load(packet, request_packet::CODE)?;
    Ok(method_of(major, code))
}

/// Whether a packet carries nothing but a system buffer.
///
/// # Errors
///
/// What reading the packet raises.
pub fn is_buffered(p: &mut Processor<'_>, packet: u64) -> Result<bool, Trap> {
    Ok(method(p, packet)? == METHOD_BUFFERED)
}

/// Whether a packet carries the user's own addresses instead of a system buffer.
///
/// # Errors
///
/// What reading the packet raises.
pub fn is_neither(p: &mut Processor<'_>, packet: u64) -> Result<bool, Trap> {
    Ok(method(p, packet)? == METHOD_NEITHER)
}

/// The level that [`IO_CALL_DRIVER`] keeps when nobody compares it.
const UNVERIFIED: u64 = u64::MAX;

/// Words of a packet's system buffer.
fn buffer_words(p: &mut Processor<'_>, packet: u64, method: u64) -> Result<u64, Trap> {
    let length_in = p.load(packet, request_packet::LENGTH_IN)?;
    if method != METHOD_BUFFERED {
        return Ok(length_in.min(LENGTH_MAX).div_ceil(8));
    }
    let length_out = p.load(packet, request_packet::LENGTH_OUT)?;
    Ok(length_in.max(length_out).min(LENGTH_MAX).div_ceil(8))
}

/// Announces that a driver may, or may no longer, write a packet and its buffer.
fn announce_loan(
    p: &mut Processor<'_>,
    kind: EventKind,
    driver: u64,
    packet: u64,
) -> Result<Principal, Trap> {
    let borrower = whose_driver(p, driver);
    p.announce_range(kind, borrower, Structure::RequestPacket, packet, REQUEST_BYTES / 8);
    let buffer = p.load(packet, request_packet::BUFFER)?;
    let method = method(p, packet)?;
    if buffer != 0 && method != METHOD_NEITHER {
        let words = buffer_words(p, packet, method)?;
        p.announce_range(kind, borrower, Structure::SystemBuffer, buffer, words);
    }
    // What is locked to be read is not lent: who writes it is wrong, though nothing stops it.
    if method == METHOD_OUT_DIRECT {
        let list = p.load(packet, request_packet::USER_BUFFER)?;
        if list != 0 {
            mdl::announce_loan(p, kind, borrower, list)?;
        }
    }
    Ok(borrower)
}

/// Whether system buffers are handed out as they are: where a world says so, and the weakness needs it.
fn is_stale(p: &mut Processor<'_>) -> Result<bool, Trap> {
    Ok(configured(p)? & (switches::STALE_OUTPUT | switches::STALE_BUFFERS) != 0)
}

/// Changes the number of requests a packet's device has open.
fn count_outstanding(p: &mut Processor<'_>, packet: u64, by: u64) -> Result<(), Trap> {
    let device = p.load(packet, request_packet::DEVICE)?;
    let open = p.load(device, device_object::OUTSTANDING)?;
    p.store(device, device_object::OUTSTANDING, open.wrapping_add(by))
}

verified_routine! {
    /// Makes a packet with its system buffer. Arguments: device object, offset of the dispatch
    /// routine in the driver object, bytes in, bytes out, control code or file offset, file number.
    /// Result: the packet, 0 when there is no memory.
    IO_BUILD_REQUEST, IO_BUILD_REQUEST_VERIFIED = "IoBuildDeviceIoControlRequest", frame 7, by ddi_compliance::of_build;
    keep => |p| {
        for number in 0..6 {
            let value = p.argument(number);
            p.set_local(number as u64, value)?;
        }
        Ok(Flow::Next)
    },
    packet, call EX_ALLOCATE_POOL, of RequestPacket => |p| {
        p.pass([REQUEST_BYTES, PACKET_TAG, 0]);
        Ok(Flow::Call)
    },
    describe => |p| {
        let packet = p.result();
        if packet == 0 {
            return Ok(p.give_back(0));
        }
        p.set_local(6, packet)?;
        let fields = [
            request_packet::DEVICE,
            request_packet::MAJOR,
            request_packet::LENGTH_IN,
            request_packet::LENGTH_OUT,
            request_packet::CODE,
            request_packet::FILE,
        ];
        for (number, field) in fields.into_iter().enumerate() {
            let value = p.local(number as u64)?;
            p.store(packet, field, value)?;
        }
        Ok(Flow::Next)
    },
    requestor => |p| {
        let packet = p.local(6)?;
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        let owner = p.load(current, thread::PROCESS)?;
        let principal = p.load(owner, process::PRINCIPAL)?;
        p.store(packet, request_packet::THREAD, current)?;
        p.store(packet, request_packet::REQUESTOR, principal)?;
        Ok(Flow::Next)
    },
    buffer, call EX_ALLOCATE_POOL, of SystemBuffer => |p| {
        let (length_in, length_out) = (p.local(2)?, p.local(3)?);
        let bytes = length_in.max(length_out);
        if bytes == 0 {
            return Ok(Flow::To(At::count as u8));
        }
        let as_it_is = if is_stale(p)? { UNINITIALISED } else { 0 };
        p.pass([bytes, BUFFER_TAG, as_it_is]);
        Ok(Flow::Call)
    },
    attach => |p| {
        let buffer = p.result();
        let packet = p.local(6)?;
        if buffer == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        p.store(packet, request_packet::BUFFER, buffer)?;
        Ok(Flow::Next)
    },
    count => |p| {
        let packet = p.local(6)?;
        count_outstanding(p, packet, 1)?;
        Ok(p.give_back(packet))
    },
    undo, call EX_FREE_POOL => |p| {
        let packet = p.local(6)?;
        p.pass([packet, PACKET_TAG]);
        Ok(Flow::Call)
    },
    nothing => |p| Ok(p.give_back(0)),
}

verified_routine! {
    /// Hands a packet to a device's driver. Arguments: device object, packet. Result: the status. A
    /// packet that no driver takes is completed here, so that every packet is completed once.
    IO_CALL_DRIVER, IO_CALL_DRIVER_VERIFIED = "IoCallDriver", frame 5, by verified::of_call, signing;
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let (operation, verdict) = p.pass_point(PointKind::Handover, packet, device)?;
        if verdict == Verdict::Skip {
            // Lost on the way: nobody will ever complete it.
            return Ok(p.give_back(status::PENDING));
        }
        p.set_local_for(0, operation.value, device)?;
        p.set_local_for(1, operation.virt, packet)?;
        Ok(Flow::Next)
    },
    check, call KE_BUG_CHECK => |p| {
        let device = p.local(0)?;
        // The level is followed by the verifier only.
        let checks = p.load(address::KERNEL_DATA, kernel_data::VERIFIER)?;
        let is_verified = checks & options::IO != 0;
        let is_compared = checks & (options::IO | options::DDI_COMPLIANCE) != 0;
        let level = if is_compared { p.irql()? } else { UNVERIFIED };
        p.set_local(4, level)?;
        if is_verified && level > DISPATCH_LEVEL {
            p.pass(verifier::CALLED_TOO_HIGH.with([0x10, level, 0, 0]));
            return Ok(Flow::Call);
        }
        if is_verified && p.load(device, device_object::DRIVER)? == 0 {
            p.pass(verifier::BAD_DEVICE.with([4, device, 0, 0]));
            return Ok(Flow::Call);
        }
        if checks & options::SECURITY != 0 {
            let packet = p.local(1)?;
            if let Some(parameters) = verifier::of_packet(p, packet)? {
                p.pass(parameters);
                return Ok(Flow::Call);
            }
        }
        if let Some(refusal) = host_stack::refusal(p, device)? {
            p.set_local(2, refusal)?;
            return Ok(Flow::To(At::refuse as u8));
        }
        if p.load(device, device_object::DRIVER)? == 0 {
            p.set_local(2, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::refuse as u8));
        }
        Ok(Flow::To(At::lend as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    lend => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let driver = p.load(device, device_object::DRIVER)?;
        let borrower = announce_loan(p, EventKind::Lend, driver, packet)?;
        p.announce_at(EventKind::RequestHandover, borrower, Structure::RequestPacket, packet, device);
        Ok(Flow::Next)
    },
    dispatch => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let driver = p.load(device, device_object::DRIVER)?;
        let major = p.load(packet, request_packet::MAJOR)?;
        let target = p.load_at(driver.wrapping_add(major), Structure::DriverObject)?;
        if target == 0 {
            p.set_local(2, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::refuse as u8));
        }
        let allowed = keys::enter_driver(p, device)?;
        p.set_local(3, allowed)?;
        p.pass([device, packet]);
        Ok(Flow::CallAt(target))
    },
    back, call KE_BUG_CHECK => |p| {
        let allowed = p.local(3)?;
        keys::set(p, allowed)?;
        let before = p.local(4)?;
        if before == UNVERIFIED {
            return Ok(Flow::Return);
        }
        let (device, packet) = (p.local(0)?, p.local(1)?);
        match verifier::of_return(p, device, before)? {
            Some(parameters) => p.pass(parameters),
            None if force_pending::is_told_as_pending(p, packet)? => {
                return Ok(p.give_back(status::PENDING));
            }
            None => return Ok(Flow::Return),
        }
        Ok(Flow::Call)
    },
    halted => |_| Ok(Flow::Stay),
    refuse, call IO_COMPLETE_REQUEST => |p| {
        let (packet, refusal) = (p.local(1)?, p.local(2)?);
        p.pass([packet, refusal, 0]);
        Ok(Flow::Call)
    },
    refused => |p| {
        let refusal = p.local(2)?;
        Ok(p.give_back(refusal))
    },
}

/// Bit of the packet in hand of [`IO_COMPLETE_REQUEST`]: its caller completes it once more. An address
/// that was loaded from has this bit as it has the highest, so that no damaged pointer gives that order.
const ONCE_MORE: u64 = 1 << 62;

/// The packet in hand, and whether it is to be completed once more.
fn completed(p: &mut Processor<'_>) -> Result<(u64, bool), Trap> {
    let in_hand = p.local(0)?;
    let is_once_more = (in_hand ^ in_hand << 1) >> 63 != 0;
    Ok((if is_once_more { in_hand ^ ONCE_MORE } else { in_hand }, is_once_more))
}

/// Passes the point of injection of a completion: packet and bytes as they stand then, and the verdict.
fn pass_completion(p: &mut Processor<'_>) -> Result<(u64, u64, Verdict), Trap> {
    let (asked, told) = (p.argument(0), p.argument(2));
    let (operation, verdict) = p.pass_point_of_caller(PointKind::Complete, asked, told)?;
    Ok((operation.virt, operation.value, verdict))
}

/// Declares the completion of a packet, and what takes its place, or with `twin` that alone: `$pass` passes its point
/// of injection.
macro_rules! completion {
    ($(#[$meta:meta])* [$($name:tt)+], $pass:path) => {
        verified_routine! {
            $(#[$meta])*
            $($name)+ = "IoCompleteRequest", frame 2, by verified::of_completion;
            // Locals: 0 packet, and whether it is completed once more; 1 device object in hand.
            record, call KE_BUG_CHECK => |p| {
                let (packet, information, verdict) = $pass(p)?;
                if verdict == Verdict::Skip {
                    return Ok(Flow::Return);
                }
                let outcome = p.argument(1);
                if p.load(packet, request_packet::DONE)? != 0 {
                    p.pass(COMPLETED_TWICE.with([packet, 0, 0, 0]));
                    return Ok(Flow::Call);
                }
                p.store(packet, request_packet::STATUS, status::of(outcome))?;
                p.store(packet, request_packet::INFORMATION, information)?;
                let device = p.load(packet, request_packet::DEVICE)?;
                p.set_local(0, if verdict == Verdict::Repeat { packet ^ ONCE_MORE } else { packet })?;
                p.set_local(1, device)?;
                Ok(Flow::To(At::take_back as u8))
            },
            stopped => |_| Ok(Flow::Stay),
            take_back => |p| {
                let ((packet, _), device) = (completed(p)?, p.local(1)?);
                if device == 0 {
                    return Ok(Flow::Next);
                }
                let driver = p.load(device, device_object::DRIVER)?;
                if driver != 0 {
                    announce_loan(p, EventKind::Reclaim, driver, packet)?;
                }
                let lower = p.load(device, device_object::LOWER)?;
                p.set_local(1, lower)?;
                Ok(Flow::Stay)
            },
            wake, call KI_WAKE => |p| {
                let (packet, _) = completed(p)?;
                count_outstanding(p, packet, u64::MAX)?;
                let waiting = p.load(packet, request_packet::THREAD)?;
                p.store(packet, request_packet::DONE, 1)?;
                p.pass([waiting]);
                Ok(Flow::Call)
            },
            done => |p| {
                let (packet, is_once_more) = completed(p)?;
                if !is_once_more {
                    return Ok(Flow::Return);
                }
                let (outcome, information) =
                    (p.load(packet, request_packet::STATUS)?, p.load(packet, request_packet::INFORMATION)?);
                p.pass([packet, outcome, information]);
                Ok(Flow::To(At::record as u8))
            },
        }
    };
}

completion! {
    /// Completes a packet and wakes the thread that waits for it. Arguments: packet, status, bytes
    /// produced. Completing twice stops the machine (bug check 0x44).
    [IO_COMPLETE_REQUEST, IO_COMPLETE_REQUEST_VERIFIED], pass_completion
}

completion! {
    /// The same where Driver Verifier puts some off.
    [twin IO_COMPLETE_REQUEST_FORCED], force_pending::pass_completion
}

routine! {
    /// Gives a packet and its system buffer back to the pool. Argument: the packet, complete or never
    /// handed over.
    pub static IO_FREE_REQUEST = "IoFreeIrp", frame 1;
    keep => |p| {
        let packet = p.argument(0);
        p.set_local(0, packet)?;
        if p.load(packet, request_packet::DONE)? == 0 {
            count_outstanding(p, packet, u64::MAX)?;
        }
        Ok(Flow::Next)
    },
    buffer, call EX_FREE_POOL => |p| {
        let packet = p.local(0)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let is_kept = p.defects() & switches::BUFFER_KEPT != 0;
        if buffer == 0 || is_kept || is_neither(p, packet)? {
            return Ok(Flow::To(At::packet as u8));
        }
        p.pass([buffer, BUFFER_TAG]);
        Ok(Flow::Call)
    },
    packet, call EX_FREE_POOL => |p| {
        let packet = p.local(0)?;
        p.pass([packet, PACKET_TAG]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
