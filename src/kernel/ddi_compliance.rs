//! Driver Verifier's DDI compliance checking: at which level a routine may be called, and what becomes of spin locks.
//!
//! Each rule has a name and a number of its own in bug check 0xC4; what it says is told by a string, which this model
//! has not ("DDI compliance checking", and the page of each rule; "Bug Check 0xC4:
//! DRIVER_VERIFIER_DETECTED_VIOLATION"). Which spin locks a processor holds is kept where
//! [`deadlock`](super::deadlock) keeps it. What the automatic and the I/O checks find as well they have said before;
//! deadlock detection comes after.
//!
//! Not modelled: the rules for routines that this kernel has not, so the two of the additional checks of levels
//! (`IoCreateFileEx` and others, file-system routines), regions without APCs, queued spin locks; the rule for the
//! pool's allocation, which the automatic checks have; the level that a spin lock is given back with; and of the
//! additional rule, which wants taking and giving back in turn, the taking.

use crate::base::Rule;
use crate::machine::Processor;

use super::bug_check::bug_checks;
use super::deadlock;
use super::exception::resolve::DISPATCH_LEVEL;
use super::layout::verifier as options;
use super::verified::Found;
use super::verifier::is_on;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "ddi-compliance-levels",
        "Seven routines, and dispatch routines, have rules for levels; what breaks one is found.",
        "DDI compliance checking; Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION",
    ),
    Rule::documented(
        "ddi-compliance-spin-locks",
        "A spin lock taken once more, kept by a dispatch routine, or not taken before, is found.",
        "SpinLock rule (wdm); SpinlockRelease rule (wdm)",
    ),
    Rule::inferred(
        "ddi-compliance-release-number",
        "A spin lock given back that is not held has the number 0x4000A.",
        "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (the rule's own page has 0x4000B)",
    ),
    Rule::inferred(
        "ddi-compliance-comes-last",
        "What the automatic and I/O checks look at as well is told by them.",
        "Driver Verifier Options (no page tells the order)",
    ),
];

bug_checks! {
    LOOKED_UP_ABOVE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_001b,
    when "a handle is looked up above passive level (DDI compliance)",
    parameters "what: IrqlObPassive", "its text", "its state", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlObPassive rule (wdm)" documented;

    SET_ABOVE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_0016,
    when "an event is set above dispatch level (DDI compliance)",
    parameters "what: IrqlKeSetEvent", "its text", "its state", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlKeSetEvent rule (wdm)" documented;

    CLOSED_ABOVE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_001f,
    when "a handle is closed in the kernel's name above passive level (DDI compliance)",
    parameters "what: IrqlZwPassive", "its text", "its state", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlZwPassive rule (wdm)" documented;

    TAKEN_ABOVE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_0011,
    when "a spin lock is taken above dispatch level (DDI compliance)",
    parameters "what: IrqlKeDispatchLte", "its text", "its state", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlKeDispatchLte rule (wdm)" documented;

    GIVEN_BACK_ELSEWHERE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_0015,
    when "a spin lock is given back at another level than dispatch level (DDI compliance)",
    parameters "what: IrqlKeReleaseSpinLock", "its text", "its state", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlKeReleaseSpinLock rule (wdm)" documented;

    DELAYED_ABOVE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_000f,
    when "a thread lets time pass above APC level (DDI compliance)",
    parameters "what: IrqlKeApcLte1", "its text", "its state", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlKeApcLte1 rule (wdm)" documented;

    BUILT_ABOVE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_000a,
    when "a request is made above APC level (DDI compliance)",
    parameters "what: IrqlIoPassive1", "its text", "its state", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlIoPassive1 rule (wdm)" documented;

    RETURNED_ELSEWHERE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0002_001d,
    when "a dispatch routine returns at another level (DDI compliance)",
    parameters "what: IrqlReturn", "its text", "its state", "its further state",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; IrqlReturn rule (wdm)" documented;

    TAKEN_OR_KEPT: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0004_0009,
    when "a spin lock is taken by its holder, or a dispatch routine returns with one (DDI compliance)",
    parameters "what: SpinLock", "its text", "its state", "its further state",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION; SpinLock rule (wdm)" documented;

    NEVER_TAKEN: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x0004_000a,
    when "a spin lock is given back that is not held (additional DDI compliance)",
    parameters "what: SpinlockRelease", "its text", "its state", "its further state",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION (the rule's own page has 0x4000B)" inferred;
}

/// The highest level at which APCs are held off, and nothing else.
const APC_LEVEL: u64 = 1;
/// Options with which it is known which spin locks a processor holds.
const LOCK_RULES: u64 = options::DDI_COMPLIANCE | options::DDI_COMPLIANCE_ADDITIONAL;

/// What a call is that is made above `highest`, where the rule for it is followed.
fn above(p: &mut Processor<'_>, highest: u64, violated: [u64; 5]) -> Found {
    let is_found = p.irql()? > highest && is_on(p, options::DDI_COMPLIANCE)?;
    Ok(is_found.then_some(violated))
}

/// What is wrong with looking a handle up.
pub(super) fn of_look_up(p: &mut Processor<'_>) -> Found {
    above(p, 0, LOOKED_UP_ABOVE.with([0x0002_001b, 0, 0, 0]))
}

/// What is wrong with closing a handle in the kernel's own name.
pub(super) fn of_close(p: &mut Processor<'_>) -> Found {
    above(p, 0, CLOSED_ABOVE.with([0x0002_001f, 0, 0, 0]))
}

/// What is wrong with setting an event.
pub(super) fn of_set_event(p: &mut Processor<'_>) -> Found {
    above(p, DISPATCH_LEVEL, SET_ABOVE.with([0x0002_0016, 0, 0, 0]))
}

/// What is wrong with letting time pass.
pub(super) fn of_delay(p: &mut Processor<'_>) -> Found {
    above(p, APC_LEVEL, DELAYED_ABOVE.with([0x0002_000f, 0, 0, 0]))
}

/// What is wrong with making a request.
pub(super) fn of_build(p: &mut Processor<'_>) -> Found {
    above(p, APC_LEVEL, BUILT_ABOVE.with([0x0002_000a, 0, 0, 0]))
}

/// What is wrong with taking a spin lock.
pub(super) fn of_acquire(p: &mut Processor<'_>, lock: u64) -> Found {
    let found = above(p, DISPATCH_LEVEL, TAKEN_ABOVE.with([0x0002_0011, 0, 0, 0]))?;
    if found.is_some() || !is_on(p, LOCK_RULES)? {
        return Ok(found);
    }
    if deadlock::is_held(p, lock)? && is_on(p, options::DDI_COMPLIANCE)? {
        return Ok(Some(TAKEN_OR_KEPT.with([0x0004_0009, 0, 0, 0])));
    }
    if !is_on(p, options::DEADLOCK)? {
        deadlock::take(p, lock)?;
    }
    Ok(None)
}

/// What is wrong with giving a spin lock back.
pub(super) fn of_release(p: &mut Processor<'_>, lock: u64) -> Found {
    if !is_on(p, LOCK_RULES)? {
        return Ok(None);
    }
    if p.irql()? != DISPATCH_LEVEL && is_on(p, options::DDI_COMPLIANCE)? {
        return Ok(Some(GIVEN_BACK_ELSEWHERE.with([0x0002_0015, 0, 0, 0])));
    }
    if !deadlock::is_held(p, lock)? {
        // There may have been no room for it.
        let is_found =
            is_on(p, options::DDI_COMPLIANCE_ADDITIONAL)? && deadlock::would_be_known(p, lock)?;
        return Ok(is_found.then(|| NEVER_TAKEN.with([0x0004_000a, 0, 0, 0])));
    }
    if !is_on(p, options::DEADLOCK)? {
        deadlock::give_back(p, lock)?;
    }
    Ok(None)
}

/// What is wrong with how a dispatch routine comes back.
pub(super) fn of_return(p: &mut Processor<'_>, [before, after]: [u64; 2]) -> Found {
    if !is_on(p, options::DDI_COMPLIANCE)? {
        return Ok(None);
    }
    // Who calls at dispatch level may hold locks of its own.
    if before < DISPATCH_LEVEL && deadlock::holds_any(p)? {
        return Ok(Some(TAKEN_OR_KEPT.with([0x0004_0009, 0, 0, 0])));
    }
    Ok((before != after).then(|| RETURNED_ELSEWHERE.with([0x0002_001d, 0, 0, 0])))
}
