//! Driver Verifier: what it looks at besides, and when it stops the machine.
//!
//! Its options are switches in memory; with none, nothing here happens. It finds what would go on
//! unseen otherwise: user handles that a driver uses in kernel mode's name, user addresses that it
//! passes to services, pages that it left locked. And it refuses memory: now and then, or once for each
//! way that leads to an allocation ("Driver Verifier Options", "Miscellaneous Checks", "Security
//! Checks", "I/O Verification", "Pool Tracking", "Low Resources Simulation", "Systematic Low Resources
//! Simulation"; "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION").
//!
//! In this model every driver is verified, and for refused memory the kernel itself too. Special
//! pool is an option too, and is a pool of its own: see [`pools`](super::pools).

use crate::base::{Rule, Structure};
use crate::machine::{Processor, Reg, Trap};

use super::bug_check::bug_checks;
use super::ddi_compliance;
use super::handle::{is_kernel_handle, is_pseudo_handle};
use super::layout::{address, element, kernel_data, process, request_packet, verifier};
use super::user_buffer::is_user_range;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "verifier-user-handles",
        "A driver that uses a user handle in kernel mode's name is found.",
        "Miscellaneous Checks",
    ),
    Rule::documented(
        "verifier-user-addresses",
        "A driver that passes a user address to a Zw routine is found.",
        "Driver Verifier Security Checks",
    ),
    Rule::documented(
        "verifier-requestor-mode",
        "A request in kernel mode's name that has a user address in it is found.",
        "Driver Verifier Security Checks; Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION",
    ),
    Rule::documented(
        "verifier-kernel-handles",
        "A kernel handle used in user mode's name in the system process is found.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION",
    ),
    Rule::documented(
        "verifier-hand-over-level",
        "A request that is handed over above dispatch level is found.",
        "Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION",
    ),
    Rule::documented(
        "verifier-locked-pages",
        "With pool tracking a process that ends with locked pages is 0xCB and not 0x76.",
        "Bug Check 0xCB: DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS",
    ),
    Rule::documented(
        "verifier-low-resources",
        "Six in a hundred allocations are refused.",
        "Low Resources Simulation",
    ),
    Rule::documented(
        "verifier-systematic-low-resources",
        "Each allocation is refused once, by the calls that led to it.",
        "Systematic Low Resources Simulation",
    ),
    Rule::chosen(
        "verifier-all-drivers",
        "Every driver is verified, and allocations of the kernel are refused as well.",
        "this model: Driver Verifier is told which drivers",
    ),
];

bug_checks! {
    NULL_HANDLE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0xf5,
    when "a driver uses a handle that is 0 (miscellaneous checks)",
    parameters "what: null handle", "the handle's address", "type", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    USER_HANDLE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0xf6,
    when "a driver uses a user handle in kernel mode's name (miscellaneous checks)",
    parameters "what: user handle", "handle", "process", "instruction",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    BAD_HANDLE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x3c,
    when "a driver uses a handle that is none (miscellaneous checks)",
    parameters "what: bad handle", "handle", "type", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    REFERENCE_REVIVED: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x3f,
    when "a reference count goes from 0 to 1 (security checks)",
    parameters "what: count from 0 to 1", "object", "count", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    USER_ADDRESS: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0xe3,
    when "a driver passes a user address to a Zw routine (security checks)",
    parameters "what: user address", "instruction", "address", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    USER_ADDRESS_IN_PACKET: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0xe2,
    when "a request in kernel mode's name is handed over with a user address in it (security checks)",
    parameters "what: user address", "packet", "address", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    BAD_DEVICE: DRIVER_VERIFIER_IOMANAGER_VIOLATION, parameter 1 = 4,
    when "a request is handed to what is no device object (I/O verification)",
    parameters "what: bad device object", "device object", "reserved", "reserved",
    source "Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION" documented;

    IRQL_CHANGED: DRIVER_VERIFIER_IOMANAGER_VIOLATION, parameter 1 = 5,
    when "a dispatch routine returns at another level (I/O verification)",
    parameters "what: level changed", "device object", "level before", "level after",
    source "Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION" documented;

    CALLED_TOO_HIGH: DRIVER_VERIFIER_IOMANAGER_VIOLATION, parameter 1 = 0x10,
    when "a request is handed over above dispatch level (I/O verification)",
    parameters "what: bad level", "level", "reserved", "reserved",
    source "Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION" documented;

    KERNEL_HANDLE_FOR_USER: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0xf7,
    when "a kernel handle is used in user mode's name in the system process (miscellaneous checks)",
    parameters "what: kernel handle", "handle", "type", "access mode",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    LEFT_LOCKED: DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS,
    when "a process ends with pages that are locked (pool tracking)",
    parameters "tracking", "reserved", "memory descriptor list", "pages locked",
    source "Bug Check 0xCB: DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS" documented;
}

/// Frames of the stack that tell one way to an allocation from another.
const PATH_FRAMES: usize = 5;
/// Ways that are remembered.
pub(crate) const PATHS_MAX: u64 = 64;
/// Of so many allocations …
const OUT_OF: u64 = 10_000;
/// … so many fail: the default of the low-resources simulation.
const REFUSED: u64 = 600;

/// Whether an option is on.
///
/// # Errors
///
/// What the load raises.
pub(super) fn is_on(p: &mut Processor<'_>, option: u64) -> Result<bool, Trap> {
    Ok(p.load(address::KERNEL_DATA, kernel_data::VERIFIER)? & option != 0)
}

/// Where the running routine goes back to: who called it.
///
/// # Errors
///
/// What the load raises.
pub(super) fn caller(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let frame = p.get(Reg::Rbp);
    p.load_at(frame.wrapping_add(8), Structure::KernelStack)
}

/// What is wrong with a handle that a driver uses in kernel mode's name for `process`.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn of_handle(
    p: &mut Processor<'_>,
    handle: u64,
    process: u64,
    kind: u64,
) -> Result<Option<[u64; 5]>, Trap> {
    if !is_on(p, verifier::MISCELLANEOUS)? {
        return Ok(None);
    }
    if handle == 0 {
        return Ok(Some(NULL_HANDLE.with([0xf5, handle, kind, 0])));
    }
    // The system process's own table is the kernel's.
    let is_systems = p.load(process, process::PRINCIPAL)? == 0;
    if is_kernel_handle(handle) || is_pseudo_handle(handle) || is_systems {
        return Ok(None);
    }
    let at = caller(p)?;
    Ok(Some(USER_HANDLE.with([0xf6, handle, process, at])))
}

/// What is wrong with a kernel handle that is used in user mode's name, where the system process is the
/// caller: no process of user mode's can name one there.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn of_kernel_handle(
    p: &mut Processor<'_>,
    [handle, kind, mode]: [u64; 3],
    caller: u64,
) -> Result<Option<[u64; 5]>, Trap> {
    // Of user mode's ordinary handles nothing more is read.
    if !is_kernel_handle(handle) {
        return Ok(None);
    }
    let is_systems = p.load(caller, process::PRINCIPAL)? == 0;
    let is_found = is_systems && is_on(p, verifier::MISCELLANEOUS)?;
    Ok(is_found.then(|| KERNEL_HANDLE_FOR_USER.with([0xf7, handle, kind, mode])))
}

/// What is wrong with an address that a driver passes to a Zw routine.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn of_address(p: &mut Processor<'_>, virt: u64) -> Result<Option<[u64; 5]>, Trap> {
    if virt == 0 || !is_user_range(virt, 1) || !is_on(p, verifier::SECURITY)? {
        return Ok(None);
    }
    let at = caller(p)?;
    Ok(Some(USER_ADDRESS.with([0xe3, at, virt, 0])))
}

/// What is wrong with a packet that is handed over: it is the system's own and has a user address in it.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn of_packet(p: &mut Processor<'_>, packet: u64) -> Result<Option<[u64; 5]>, Trap> {
    if p.load(packet, request_packet::REQUESTOR)? != 0 {
        return Ok(None);
    }
    for field in [request_packet::BUFFER, request_packet::USER_BUFFER] {
        let member = p.load(packet, field)?;
        if member != 0 && is_user_range(member, 1) {
            return Ok(Some(USER_ADDRESS_IN_PACKET.with([0xe2, packet, member, 0])));
        }
    }
    Ok(None)
}

/// What is wrong with how a device's dispatch routine comes back, which was called at the level `before`.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn of_return(
    p: &mut Processor<'_>,
    device: u64,
    before: u64,
) -> Result<Option<[u64; 5]>, Trap> {
    let after = p.irql()?;
    if before != after && is_on(p, verifier::IO)? {
        return Ok(Some(IRQL_CHANGED.with([5, device, before, after])));
    }
    ddi_compliance::of_return(p, [before, after])
}

/// Draws whether something happens that does in `share` of `out_of` cases.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn draws(p: &mut Processor<'_>, share: u64, out_of: u64) -> Result<bool, Trap> {
    // Knuth's linear congruential generator, in memory: the seed of a world is in its first value.
    let last = p.load(address::KERNEL_DATA, kernel_data::VERIFIER_RANDOM)?;
    let next = last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    p.store(address::KERNEL_DATA, kernel_data::VERIFIER_RANDOM, next)?;
    Ok((next >> 33) % out_of < share)
}

/// Whether an allocation is refused that the running routine was asked for.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn refuses_allocation(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let options = p.load(address::KERNEL_DATA, kernel_data::VERIFIER)?;
    if options & verifier::LOW_RESOURCES != 0 && draws(p, REFUSED, OUT_OF)? {
        return Ok(true);
    }
    if options & verifier::SYSTEMATIC_LOW_RESOURCES != 0 {
        return is_first_of_its_path(p);
    }
    Ok(false)
}

/// Whether nothing was allocated yet by the calls that led here. Remembers them.
fn is_first_of_its_path(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let mut path = 0;
    let mut frame = p.get(Reg::Rbp);
    for _ in 0..PATH_FRAMES {
        // Out of the kernel stacks there is no frame of the kernel's.
        if frame < address::KERNEL_STACKS || !frame.is_multiple_of(8) {
            break;
        }
        let back = p.load_at(frame.wrapping_add(8), Structure::KernelStack)?;
        path = crate::machine::processor::mix(path, back);
        frame = p.load_at(frame, Structure::KernelStack)?;
    }
    // 0 is an entry that is free.
    let path = path | 1;
    for number in 0..PATHS_MAX {
        let at = element(address::KERNEL_DATA, number);
        let known = p.load(at, kernel_data::FAILED_PATHS)?;
        if known == path {
            return Ok(false);
        }
        if known == 0 {
            p.store(at, kernel_data::FAILED_PATHS, path)?;
            return Ok(true);
        }
    }
    Ok(false)
}
