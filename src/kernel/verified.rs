//! Routines that Driver Verifier puts in the place of what drivers call: the same, with a look at the caller
//! first.
//!
//! Which are there is decided when a world is linked, by the options that look at them; in a world without
//! these options nothing of it exists, and no step is more. Each has the name of the routine whose place it
//! takes, so that a point of injection is the same with and without ("Driver Verifier Options", "Automatic
//! Checks", "Security Checks", "I/O Verification"; "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION").
//!
//! In this model the kernel's own calls are looked at as well. Not modelled: rules about objects that the model
//! has not (strings, resources, lookaside lists, remove locks, timers, APCs).

use crate::base::Rule;
use crate::machine::code::substituted;
use crate::machine::{Flow, Processor, Substitute, Trap};

use super::bug_check::bug_checks;
use super::delay_fuzzing::delays;
use super::exception::resolve::{AddressClass, DISPATCH_LEVEL, class_of};
use super::irql::HIGH_LEVEL;
use super::layout::{MDL_BYTES, REQUEST_BYTES, mdl as list_fields, verifier as options};
use super::paging::is_valid;
use super::pools::state::{PAGED_PAGES, PAGED_POOL};
use super::pools::{legacy, segment, special};
use super::user_buffer::is_user_range;
use super::verifier::is_on;
use super::{
    ddi_compliance, deadlock, event, force_pending, hal, handle, invariant_mdl, irql, mdl, pool,
    previous_mode, request, schedule, status, thread_end, video,
};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "verifier-levels",
        "Levels that are raised to lower or lowered to higher ones are found.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; Automatic Checks",
    ),
    Rule::documented(
        "verifier-spin-lock-levels",
        "Spin locks taken above dispatch level, or given back elsewhere, are found.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; Automatic Checks",
    ),
    Rule::documented(
        "verifier-synchronization-objects",
        "A lock at an address that is invalid or pageable is found.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION",
    ),
    Rule::documented(
        "verifier-completion",
        "A request completed as pending, or above dispatch level, is found.",
        "Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION",
    ),
    Rule::documented(
        "verifier-locking-levels",
        "Pages that are locked or unlocked above dispatch level are found.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION",
    ),
    Rule::inferred(
        "verifier-structures-by-security-checks",
        "Packets and lists that lie in user space are found where they are completed, locked or unlocked.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (names no functions)",
    ),
    Rule::chosen(
        "automatic-checks-are-an-option",
        "Automatic checks are an option of their own; elsewhere every verified driver has them.",
        "this model; Automatic Checks (\"You cannot activate or deactivate these checks\")",
    ),
    Rule::inferred(
        "verifier-locking-by-automatic-checks",
        "Levels at which pages are locked are looked at by the automatic checks.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (names no option)",
    ),
    Rule::inferred(
        "verifier-kernel-handles-by-miscellaneous-checks",
        "Kernel handles in user mode's name are looked at by the miscellaneous checks, as user handles.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (names no option)",
    ),
    Rule::inferred(
        "verifier-locks-by-security-checks",
        "Where synchronization objects lie is looked at by the security checks, as other addresses.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (names no option; 0xE1 stands among them)",
    ),
];

bug_checks! {
    RAISED_BADLY: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x30,
    when "a driver raises the level to a lower one, or beyond the highest (automatic checks)",
    parameters "what: bad level", "level", "level asked for", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    LOWERED_BADLY: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x31,
    when "a driver lowers the level to a higher one, or beyond the highest (automatic checks)",
    parameters "what: bad level", "level", "level asked for", "why: the level is bad",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    RELEASED_BADLY: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x32,
    when "a driver gives a spin lock back at another level than dispatch level (automatic checks)",
    parameters "what: bad level", "level", "spin lock", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    ACQUIRED_TOO_HIGH: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x42,
    when "a driver takes a spin lock above dispatch level (automatic checks)",
    parameters "what: bad level", "level", "spin lock", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    LOCKED_TOO_HIGH: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x70,
    when "a driver locks pages above dispatch level (automatic checks)",
    parameters "what: bad level", "level", "memory descriptor list", "access mode",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    UNLOCKED_TOO_HIGH: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x78,
    when "a driver unlocks pages above dispatch level (automatic checks)",
    parameters "what: bad level", "level", "memory descriptor list", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    BAD_SYNCHRONIZATION_OBJECT: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0xe1,
    when "a driver takes a lock that is nowhere, pageable or the user's (security checks)",
    parameters "what: bad address", "synchronization object", "reserved", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    USER_ADDRESS_PASSED: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0xe0,
    when "a driver passes a user address as a packet or memory descriptor list (security checks)",
    parameters "what: user address", "address", "bytes", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (names no functions)" inferred;

    NEVER_LOCKED: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x7c,
    when "a driver unlocks pages that are not locked (automatic checks)",
    parameters "what: not locked", "memory descriptor list", "its flags", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    COMPLETED_PENDING: DRIVER_VERIFIER_IOMANAGER_VIOLATION, parameter 1 = 6,
    when "a driver completes a request as pending, or with status -1 (I/O verification)",
    parameters "what: pending", "status", "packet", "reserved",
    source "Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION" documented;

    COMPLETED_TOO_HIGH: DRIVER_VERIFIER_IOMANAGER_VIOLATION, parameter 1 = 0xe,
    when "a driver completes a request above dispatch level (I/O verification)",
    parameters "what: bad level", "level", "packet", "reserved",
    source "Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION" documented;
}

/// Declares a routine and what takes its place where Driver Verifier looks at its callers: the same with two
/// steps before it, in which `$look` says what is wrong, if anything. With `twin` there is only the second; with
/// `, at once` these steps never wait; with `, signing` there are three more, in which the memory is mapped and signed
/// that the second argument hands over.
macro_rules! verified_routine {
    (@pair [$($meta:tt)*] $NAME:ident, $VERIFIED:ident = $text:literal, frame $frame:literal,
        $first:path, $look:path, [$($more:tt)*], [$($steps:tt)*]) => {
        $crate::machine::routine! {
            $($meta)*
            pub static $NAME = $text, frame $frame;
            $($steps)*
        }
        $crate::kernel::verified::verified_routine! {
            @twin [#[doc = "The same where Driver Verifier looks at its callers."]]
            $VERIFIED = $text, frame $frame, $first, $look, [$($more)*], [$($steps)*]
        }
    };
    (@twin [$($meta:tt)*] $VERIFIED:ident = $text:literal, frame $frame:literal,
        $first:path, $look:path, [$($more:tt)*], [$($steps:tt)*]) => {
        $crate::machine::routine! {
            $($meta)*
            pub static $VERIFIED = $text, frame $frame;
            verify, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| $first(p, $look),
            condemned => |_| Ok($crate::machine::Flow::Stay),
            $($more)*
            $($steps)*
        }
    };
    (
        $(#[$meta:meta])*
        twin $VERIFIED:ident = $text:literal, frame $frame:literal, by $look:path;
        $($steps:tt)*
    ) => {
        $crate::kernel::verified::verified_routine! {
            @twin [$(#[$meta])*] $VERIFIED = $text, frame $frame,
            $crate::kernel::verified::before, $look, [], [$($steps)*]
        }
    };
    (
        $(#[$meta:meta])*
        $NAME:ident, $VERIFIED:ident = $text:literal, frame $frame:literal, by $look:path;
        $($steps:tt)*
    ) => {
        $crate::kernel::verified::verified_routine! {
            @pair [$(#[$meta])*] $NAME, $VERIFIED = $text, frame $frame,
            $crate::kernel::verified::before, $look, [], [$($steps)*]
        }
    };
    (
        $(#[$meta:meta])*
        $NAME:ident, $VERIFIED:ident = $text:literal, frame $frame:literal, by $look:path, at once;
        $($steps:tt)*
    ) => {
        $crate::kernel::verified::verified_routine! {
            @pair [$(#[$meta])*] $NAME, $VERIFIED = $text, frame $frame,
            $crate::kernel::verified::at_once, $look, [], [$($steps)*]
        }
    };
    (
        $(#[$meta:meta])*
        $NAME:ident, $VERIFIED:ident = $text:literal, frame $frame:literal, by $look:path, signing;
        $($steps:tt)*
    ) => {
        $crate::kernel::verified::verified_routine! {
            @pair [$(#[$meta])*] $NAME, $VERIFIED = $text, frame $frame,
            $crate::kernel::verified::before, $look, [
                map, call $crate::kernel::mdl::MM_MAP_LOCKED_PAGES => |p| {
                    Ok(match $crate::kernel::invariant_mdl::to_be_mapped(p)? {
                        None => $crate::machine::Flow::To(5),
                        Some(list) => {
                            p.pass([list]);
                            $crate::machine::Flow::Call
                        }
                    })
                },
                sign, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                    $crate::kernel::invariant_mdl::sign(p, 5)
                },
                unsound => |_| Ok($crate::machine::Flow::Stay),
            ], [$($steps)*]
        }
    };
}
pub(super) use verified_routine;

/// What takes the place of what, by the options that look at it.
const SUBSTITUTES: &[(u64, Substitute)] = &[
    (
        options::AUTOMATIC | options::DELAY_FUZZING,
        (&irql::KE_RAISE_IRQL, &irql::KE_RAISE_IRQL_VERIFIED),
    ),
    (
        options::AUTOMATIC | options::DELAY_FUZZING,
        (&irql::KE_LOWER_IRQL, &irql::KE_LOWER_IRQL_VERIFIED),
    ),
    (
        options::AUTOMATIC | options::SECURITY | LOCKS | options::DELAY_FUZZING,
        (&irql::KE_ACQUIRE_SPIN_LOCK, &irql::KE_ACQUIRE_SPIN_LOCK_VERIFIED),
    ),
    (
        options::AUTOMATIC | LOCKS | options::DELAY_FUZZING,
        (&irql::KE_RELEASE_SPIN_LOCK, &irql::KE_RELEASE_SPIN_LOCK_VERIFIED),
    ),
    (
        options::AUTOMATIC | options::SECURITY | options::DELAY_FUZZING,
        (&mdl::MM_PROBE_AND_LOCK_PAGES, &mdl::MM_PROBE_AND_LOCK_PAGES_VERIFIED),
    ),
    (
        options::AUTOMATIC | options::SECURITY | options::DELAY_FUZZING,
        (&mdl::MM_UNLOCK_PAGES, &mdl::MM_UNLOCK_PAGES_VERIFIED),
    ),
    (options::FORCE_PENDING, (&request::IO_COMPLETE_REQUEST, &request::IO_COMPLETE_REQUEST_FORCED)),
    (
        options::IO | options::SECURITY | options::DELAY_FUZZING,
        (&request::IO_COMPLETE_REQUEST, &request::IO_COMPLETE_REQUEST_VERIFIED),
    ),
    (
        options::INVARIANT_STACK
            | options::INVARIANT_DRIVER
            | options::FORCE_PENDING
            | options::DELAY_FUZZING,
        (&request::IO_CALL_DRIVER, &request::IO_CALL_DRIVER_VERIFIED),
    ),
    (options::DDI_COMPLIANCE, (&request::IO_BUILD_REQUEST, &request::IO_BUILD_REQUEST_VERIFIED)),
    (
        options::DDI_COMPLIANCE,
        (&handle::OB_REFERENCE_BY_HANDLE, &handle::OB_REFERENCE_BY_HANDLE_VERIFIED),
    ),
    (options::DDI_COMPLIANCE, (&previous_mode::ZW_CLOSE, &previous_mode::ZW_CLOSE_VERIFIED)),
    (options::DDI_COMPLIANCE, (&event::KE_SET_EVENT, &event::KE_SET_EVENT_VERIFIED)),
    (options::DDI_COMPLIANCE, (&video::KE_DELAY_EXECUTION, &video::KE_DELAY_EXECUTION_VERIFIED)),
    (options::FORCE_PENDING, (&schedule::KI_WAIT, &force_pending::KI_WAIT_FORCED)),
    (
        options::FORCE_PENDING,
        (&thread_end::KI_WAIT_THREADED, &force_pending::KI_WAIT_THREADED_FORCED),
    ),
    (options::DMA, (&hal::HAL_MAP_TRANSFER, &hal::HAL_MAP_TRANSFER_VERIFIED)),
    (options::DMA, (&hal::HAL_UNMAP_TRANSFER, &hal::HAL_UNMAP_TRANSFER_VERIFIED)),
    (options::DMA, (&hal::HAL_START_TRANSFER, &hal::HAL_START_TRANSFER_VERIFIED)),
    (options::CODE_INTEGRITY, (&pool::EX_ALLOCATE_POOL, &pool::EX_ALLOCATE_POOL_VERIFIED)),
    (options::CODE_INTEGRITY, (&legacy::EX_ALLOCATE_LEGACY, &legacy::EX_ALLOCATE_LEGACY_VERIFIED)),
    (options::CODE_INTEGRITY, (&segment::EX_ALLOCATE_HEAP, &segment::EX_ALLOCATE_HEAP_VERIFIED)),
    (
        options::CODE_INTEGRITY,
        (&special::MM_ALLOCATE_SPECIAL, &special::MM_ALLOCATE_SPECIAL_VERIFIED),
    ),
];

/// Options that look at the order of spin locks, or at who holds them.
const LOCKS: u64 = options::DEADLOCK | options::DDI_COMPLIANCE | options::DDI_COMPLIANCE_ADDITIONAL;

/// Adds what takes the place of what drivers call, with these options of Driver Verifier: of a routine that has taken
/// another's place as well.
pub fn substitute(substitutes: &mut Vec<Substitute>, bits: u64) {
    let those = SUBSTITUTES.iter().filter(|(options, _)| bits & options != 0);
    let those: Vec<Substitute> = those.map(|&(_, substitute)| substitute).collect();
    for (_, by) in &mut *substitutes {
        *by = substituted(&those, by);
    }
    substitutes.extend(those);
}

/// The first step of what takes a routine's place.
///
/// # Errors
///
/// What `look` raises.
pub(super) fn before(
    p: &mut Processor<'_>,
    look: fn(&mut Processor<'_>) -> Found,
) -> Result<Flow, Trap> {
    if delays(p)? {
        return Ok(Flow::Stay);
    }
    at_once(p, look)
}

/// The same, without delays: for routines that may not write to the kernel's data.
///
/// # Errors
///
/// What `look` raises.
pub(super) fn at_once(
    p: &mut Processor<'_>,
    look: fn(&mut Processor<'_>) -> Found,
) -> Result<Flow, Trap> {
    Ok(match look(p)? {
        None => Flow::To(2),
        Some(parameters) => {
            p.pass(parameters);
            Flow::Call
        }
    })
}

/// What was found: the arguments of the bug check.
pub(super) type Found = Result<Option<[u64; 5]>, Trap>;

/// What is wrong with the address of a structure of the kernel's: it is user mode's.
fn of_structure(p: &mut Processor<'_>, at: u64, bytes: u64) -> Found {
    // Nothing is, with most.
    let is_found = is_user_range(at, bytes) && is_on(p, options::SECURITY)?;
    Ok(is_found.then(|| USER_ADDRESS_PASSED.with([0xe0, at, bytes, 0])))
}

/// What is wrong with raising the level.
pub(super) fn of_raise(p: &mut Processor<'_>) -> Found {
    let (level, before) = (p.argument(0), p.irql()?);
    let is_bad = level < before || level > HIGH_LEVEL;
    Ok(is_bad.then(|| RAISED_BADLY.with([0x30, before, level, 0])))
}

/// What is wrong with lowering the level.
pub(super) fn of_lower(p: &mut Processor<'_>) -> Found {
    let (level, before) = (p.argument(0), p.irql()?);
    let is_bad = level > before || level > HIGH_LEVEL;
    Ok(is_bad.then(|| LOWERED_BADLY.with([0x31, before, level, 0])))
}

/// What is wrong with taking a spin lock.
pub(super) fn of_acquire(p: &mut Processor<'_>) -> Found {
    let (lock, level) = (p.argument(0), p.irql()?);
    if is_on(p, options::SECURITY)? {
        let is_paged = (PAGED_POOL..PAGED_POOL + PAGED_PAGES * 4096).contains(&lock)
            || special::is_paged(p, lock)?;
        let is_nowhere = class_of(lock) == AddressClass::NonCanonical;
        if is_user_range(lock, 8) || is_paged || is_nowhere || !is_valid(p, lock)? {
            return Ok(Some(BAD_SYNCHRONIZATION_OBJECT.with([0xe1, lock, 0, 0])));
        }
    }
    if level > DISPATCH_LEVEL && is_on(p, options::AUTOMATIC)? {
        return Ok(Some(ACQUIRED_TOO_HIGH.with([0x42, level, lock, 0])));
    }
    if let Some(found) = ddi_compliance::of_acquire(p, lock)? {
        return Ok(Some(found));
    }
    if is_on(p, options::DEADLOCK)? { deadlock::of_acquire(p, lock) } else { Ok(None) }
}

/// What is wrong with giving a spin lock back.
pub(super) fn of_release(p: &mut Processor<'_>) -> Found {
    let (lock, level) = (p.argument(0), p.irql()?);
    if level != DISPATCH_LEVEL && is_on(p, options::AUTOMATIC)? {
        return Ok(Some(RELEASED_BADLY.with([0x32, level, lock, 0])));
    }
    if let Some(found) = ddi_compliance::of_release(p, lock)? {
        return Ok(Some(found));
    }
    if is_on(p, options::DEADLOCK)? { deadlock::of_release(p, lock) } else { Ok(None) }
}

/// What is wrong with locking pages.
pub(super) fn of_lock_pages(p: &mut Processor<'_>) -> Found {
    let (list, mode, level) = (p.argument(0), p.argument(1), p.irql()?);
    if let Some(found) = of_structure(p, list, MDL_BYTES)? {
        return Ok(Some(found));
    }
    let is_bad = level > DISPATCH_LEVEL && is_on(p, options::AUTOMATIC)?;
    Ok(is_bad.then(|| LOCKED_TOO_HIGH.with([0x70, level, list, mode])))
}

/// What is wrong with unlocking pages.
pub(super) fn of_unlock_pages(p: &mut Processor<'_>) -> Found {
    let (list, level) = (p.argument(0), p.irql()?);
    if let Some(found) = of_structure(p, list, MDL_BYTES)? {
        return Ok(Some(found));
    }
    if !is_on(p, options::AUTOMATIC)? {
        return Ok(None);
    }
    if level > DISPATCH_LEVEL {
        return Ok(Some(UNLOCKED_TOO_HIGH.with([0x78, level, list, 0])));
    }
    let flags = p.load(list, list_fields::FLAGS)?;
    Ok((flags & mdl::LOCKED == 0).then(|| NEVER_LOCKED.with([0x7c, list, flags, 0])))
}

/// What is wrong with handing a request over: what is looked at later on the way. Notes whose turn it is.
pub(super) fn of_call(p: &mut Processor<'_>) -> Found {
    let packet = p.argument(1);
    force_pending::note_call(p, packet)?;
    Ok(None)
}

/// What is wrong with completing a request.
pub(super) fn of_completion(p: &mut Processor<'_>) -> Found {
    let (packet, outcome, level) = (p.argument(0), p.argument(1), p.irql()?);
    if let Some(found) = of_structure(p, packet, REQUEST_BYTES)? {
        return Ok(Some(found));
    }
    if !status::is_final(outcome) && is_on(p, options::IO)? {
        return Ok(Some(COMPLETED_PENDING.with([6, outcome, packet, 0])));
    }
    if level > DISPATCH_LEVEL && is_on(p, options::IO)? {
        return Ok(Some(COMPLETED_TOO_HIGH.with([0xe, level, packet, 0])));
    }
    invariant_mdl::of_completion(p, packet)
}
