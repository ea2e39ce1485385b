//! Driver Verifier's invariant checks: what a request hands to a driver to be read is as it was when it is complete.
//!
//! A signature of the locked memory is taken when the request is handed over first. What is handed over to be read is
//! compared when the request is complete ("Invariant MDL Checking for Stack"), or at every hand-over too ("Invariant MDL
//! Checking for Driver"); what is handed over to be written may be changed only by who has it last, so that is compared
//! where it is handed on, with the second option ("Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION", 0x1010, 0x1011).
//!
//! Whoever changed it is not named, and need not be a driver: the memory is the process's own, and one that writes to
//! it meanwhile is found as well. Whether Windows compares buffers of user mode at all, no page tells. In this model
//! control codes with a direct method have such a buffer; reads and writes go through a copy. Not modelled: the
//! comparison of what is to be written at the last hand-over, with the first option.

use crate::base::{Rule, Structure};
use crate::machine::{Flow, Processor, Trap};

use super::bug_check::bug_checks;
use super::layout::{
    address, element, invariant_mdl, mdl as list_fields, request_packet, verifier as options,
};
use super::mdl::{self, MAPPINGS_MAX, PAGES_MAX, mapping_address};
use super::request::{METHOD_IN_DIRECT, METHOD_OUT_DIRECT, method};
use super::verified::Found;
use super::verifier::is_on;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "invariant-buffers",
        "What a request hands over to be read is signed, and compared when it is complete.",
        "Invariant MDL Checking for Stack; Invariant MDL Checking for Driver",
    ),
    Rule::inferred(
        "invariant-buffers-of-control-codes",
        "METHOD_IN_DIRECT hands a buffer over as a write does, METHOD_OUT_DIRECT as a read.",
        "Invariant MDL Checking for Stack (speaks of reads and writes); Buffer Descriptions for I/O Control Codes",
    ),
    Rule::inferred(
        "invariant-buffers-of-processes",
        "A process that writes to its own buffer meanwhile is found like a driver.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (says that contents were modified, and not by whom)",
    ),
    Rule::chosen(
        "invariant-buffers-with-io-verification",
        "I/O verification comes with these options.",
        "Invariant MDL Checking for Stack (it must be switched on beside them)",
    ),
];

bug_checks! {
    BUFFER_CHANGED: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x1010,
    when "what a request hands over to be read is not as it was (invariant MDL checking)",
    parameters "what: buffer changed", "device object", "packet", "the buffer's system address",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    CHANGED_ON_THE_WAY: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x1011,
    when "what a request hands over to be written is changed before it is handed on (invariant MDL checking)",
    parameters "what: buffer changed on the way", "device object", "packet", "the buffer's system address",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;
}

const EITHER: u64 = options::INVARIANT_STACK | options::INVARIANT_DRIVER;

/// The list of the memory that a packet hands over.
fn list_of(p: &mut Processor<'_>, packet: u64) -> Result<Option<u64>, Trap> {
    if !matches!(method(p, packet)?, METHOD_IN_DIRECT | METHOD_OUT_DIRECT) {
        return Ok(None);
    }
    let list = p.load(packet, request_packet::USER_BUFFER)?;
    if list == 0 || p.load(list, list_fields::FLAGS)? & mdl::LOCKED == 0 {
        return Ok(None);
    }
    Ok(Some(list))
}

/// Where a mapping of the system's is in the tables.
fn entry_of(at: u64) -> Option<u64> {
    let number = at.wrapping_sub(mapping_address(0)) / (PAGES_MAX * 4096);
    (number < MAPPINGS_MAX).then(|| element(address::KERNEL_DATA, number))
}

/// The signature of what a list describes, seen at `at`.
fn signature(p: &mut Processor<'_>, list: u64, at: u64) -> Result<u64, Trap> {
    let bytes = p.load(list, list_fields::BYTES)?.min(PAGES_MAX * 4096);
    let end = at.wrapping_add(bytes);
    let mut word = at & !7;
    let mut sum = bytes;
    while word < end {
        // Of the first and the last word only what is the buffer's.
        let before = at.saturating_sub(word) * 8;
        let behind = word.wrapping_add(8).saturating_sub(end) * 8;
        let value = p.load_at(word, Structure::UserData)?;
        sum = crate::machine::processor::mix(sum, value >> before << before << behind >> behind);
        word = word.wrapping_add(8);
    }
    Ok(sum)
}

/// Compares what a packet describes with its signature, which is there when it was handed over before.
fn compared(p: &mut Processor<'_>, [device, packet, list, at]: [u64; 4]) -> Found {
    let Some(entry) = entry_of(at) else { return Ok(None) };
    if p.load(entry, invariant_mdl::PACKETS)? != packet {
        return Ok(None);
    }
    let now = signature(p, list, at)?;
    if p.load(entry, invariant_mdl::SIGNATURES)? == now {
        return Ok(None);
    }
    Ok(Some(match method(p, packet)? {
        METHOD_IN_DIRECT => BUFFER_CHANGED.with([0x1010, device, packet, at]),
        _ => CHANGED_ON_THE_WAY.with([0x1011, device, packet, at]),
    }))
}

/// Of a packet that is handed over, the list that the system has to map, so that its memory can be signed. Arguments:
/// device object, packet; they are kept in locals 0 and 1.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn to_be_mapped(p: &mut Processor<'_>) -> Result<Option<u64>, Trap> {
    if !is_on(p, EITHER)? {
        return Ok(None);
    }
    let (device, packet) = (p.argument(0), p.argument(1));
    p.set_local(0, device)?;
    p.set_local(1, packet)?;
    list_of(p, packet)
}

/// Signs what is mapped now, or compares it with its signature. Passes the arguments on, and goes to `on`.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn sign(p: &mut Processor<'_>, on: u8) -> Result<Flow, Trap> {
    let (at, device, packet) = (p.result(), p.local(0)?, p.local(1)?);
    if let Some(entry) = entry_of(at)
        && let Some(list) = list_of(p, packet)?
    {
        if p.load(entry, invariant_mdl::PACKETS)? != packet {
            let signature = signature(p, list, at)?;
            p.store(entry, invariant_mdl::PACKETS, packet)?;
            p.store(entry, invariant_mdl::SIGNATURES, signature)?;
        } else if is_on(p, options::INVARIANT_DRIVER)?
            && let Some(parameters) = compared(p, [device, packet, list, at])?
        {
            p.pass(parameters);
            return Ok(Flow::Call);
        }
    }
    p.pass([device, packet]);
    Ok(Flow::To(on))
}

/// What is wrong with the memory of a request that is complete. Forgets its signature.
pub(super) fn of_completion(p: &mut Processor<'_>, packet: u64) -> Found {
    if !is_on(p, EITHER)? {
        return Ok(None);
    }
    let Some(list) = list_of(p, packet)? else { return Ok(None) };
    let at = p.load(list, list_fields::SYSTEM)?;
    let device = p.load(packet, request_packet::DEVICE)?;
    let is_final = method(p, packet)? == METHOD_IN_DIRECT;
    let found = if is_final { compared(p, [device, packet, list, at])? } else { None };
    if let Some(entry) = entry_of(at)
        && p.load(entry, invariant_mdl::PACKETS)? == packet
    {
        p.store(entry, invariant_mdl::PACKETS, 0)?;
        p.store(entry, invariant_mdl::SIGNATURES, 0)?;
    }
    Ok(found)
}
