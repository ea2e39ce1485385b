//! Driver Verifier's deadlock detection: in which order spin locks are taken.
//!
//! A graph among the kernel's variables has a node for each lock and an arrow wherever one was taken while
//! another was held; a lock whose taking would close a loop can deadlock some day, and the machine stops before it does,
//! whether or not anybody else holds anything now ("Deadlock Detection"; "Bug Check 0xC4:
//! DRIVER_VERIFIER_DETECTED_VIOLATION"). Who holds a lock is known by the processor: at dispatch level no thread gives
//! it away.
//!
//! Looked at in what takes the place of the spin lock routines, see [`verified`](super::verified). Eight locks are
//! known; of others nothing is said. Not modelled: mutexes and fast mutexes,
//! which this kernel has not, so that nothing is initialised (0x1002, 0x1005) or deleted (0x100B), and no lock has
//! two sorts of routine (0x1008, 0x1009).

use crate::base::Rule;
use crate::machine::{Processor, Trap};

use super::bug_check::bug_checks;
use super::layout::{address, deadlock, element, processor_block};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "verifier-lock-order",
        "A spin lock that is taken against the order of before is found, deadlock or not.",
        "Deadlock Detection",
    ),
    Rule::documented(
        "verifier-lock-release",
        "A spin lock given back by who does not hold it, or before a later one, is found.",
        "Deadlock Detection; Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION",
    ),
    Rule::inferred(
        "verifier-lock-taken-twice",
        "A spin lock that its holder takes once more is a self-deadlock.",
        "Deadlock Detection (0xC4 has the number for resources that are owned shared)",
    ),
];

bug_checks! {
    SELF_DEADLOCK: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x1000,
    when "a driver takes a spin lock that it holds (deadlock detection)",
    parameters "what: self-deadlock", "spin lock", "reserved", "reserved",
    source "Deadlock Detection; Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" inferred;

    AGAINST_ORDER: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x1001,
    when "a driver takes a spin lock while it holds one that was taken behind it before (deadlock detection)",
    parameters "what: deadlock", "spin lock", "reserved", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    RELEASED_EARLY: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x1003,
    when "a driver gives a spin lock back before one that it took later (deadlock detection)",
    parameters "what: release out of order", "spin lock", "the one to be given back first", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    RELEASED_BY_ANOTHER: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x1004,
    when "a driver gives a spin lock back that another processor's thread holds (deadlock detection)",
    parameters "what: another's lock", "spin lock", "thread that took it", "thread",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    RELEASED_UNTAKEN: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x1007,
    when "a driver gives a spin lock back that nobody holds (deadlock detection)",
    parameters "what: lock not taken", "spin lock", "reserved", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;
}

/// Locks that are known at most.
const LOCKS_MAX: u64 = 8;
/// Locks that a processor is known to hold at most, one in each byte of a word: all that are known.
const HELD_MAX: u64 = LOCKS_MAX;

/// What was found: the arguments of the bug check.
type Found = Result<Option<[u64; 5]>, Trap>;

/// The number of a lock that is known; of 0, which is none, that of a free place.
fn known(p: &mut Processor<'_>, lock: u64) -> Result<Option<u64>, Trap> {
    for number in 0..LOCKS_MAX {
        if p.load(element(address::KERNEL_DATA, number), deadlock::LOCKS)? == lock {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// The number of a lock, known from now on; `None` where there is no room, and of 0, where no lock is.
fn number_of(p: &mut Processor<'_>, lock: u64) -> Result<Option<u64>, Trap> {
    if lock == 0 {
        return Ok(None);
    }
    if let Some(number) = known(p, lock)? {
        return Ok(Some(number));
    }
    let free = known(p, 0)?;
    if let Some(number) = free {
        p.store(element(address::KERNEL_DATA, number), deadlock::LOCKS, lock)?;
    }
    Ok(free)
}

/// The locks a processor holds, the last in the lowest byte.
fn held_by(p: &mut Processor<'_>, processor: u64) -> Result<u64, Trap> {
    p.load(element(address::KERNEL_DATA, processor), deadlock::HELD)
}

fn hold(p: &mut Processor<'_>, held: u64) -> Result<(), Trap> {
    let own = p.number() as u64;
    p.store(element(address::KERNEL_DATA, own), deadlock::HELD, held)
}

/// The numbers of the locks in a word of [`deadlock::HELD`], the last first.
fn numbers(held: u64) -> impl Iterator<Item = u64> {
    let bytes = (0..HELD_MAX).map(move |place| held >> (8 * place) & 0xff);
    bytes.take_while(|byte| *byte != 0).map(|byte| (byte - 1) % LOCKS_MAX)
}

/// The locks that were taken while one of a set was held, and so on: the set and all that is behind it.
fn behind(p: &mut Processor<'_>, from: u64) -> Result<u64, Trap> {
    let mut all = from;
    // Each turn finds one more at least, or none.
    for _ in 0..LOCKS_MAX {
        let mut more = all;
        for number in (0..LOCKS_MAX).filter(|number| all >> number & 1 == 1) {
            more |= p.load(element(address::KERNEL_DATA, number), deadlock::BEHIND)?;
        }
        if more == all {
            break;
        }
        all = more;
    }
    Ok(all)
}

/// Whether this processor holds a lock.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn is_held(p: &mut Processor<'_>, lock: u64) -> Result<bool, Trap> {
    if lock == 0 {
        return Ok(false);
    }
    let Some(number) = known(p, lock)? else { return Ok(false) };
    let held = held_by(p, p.number() as u64)?;
    Ok(numbers(held).any(|one| one == number))
}

/// Whether this processor holds locks.
///
/// # Errors
///
/// What the load raises.
pub(super) fn holds_any(p: &mut Processor<'_>) -> Result<bool, Trap> {
    Ok(held_by(p, p.number() as u64)? != 0)
}

/// Whether a lock would be known if it had been taken: it is, or there is room for it.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn would_be_known(p: &mut Processor<'_>, lock: u64) -> Result<bool, Trap> {
    Ok(known(p, lock)?.is_some() || known(p, 0)?.is_some())
}

/// Takes a lock, for who does not care for the order.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn take(p: &mut Processor<'_>, lock: u64) -> Result<(), Trap> {
    let Some(number) = number_of(p, lock)? else { return Ok(()) };
    let held = held_by(p, p.number() as u64)?;
    hold(p, held << 8 | (number + 1))
}

/// Gives a lock back that this processor holds, whether or not it is the last.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn give_back(p: &mut Processor<'_>, lock: u64) -> Result<(), Trap> {
    let Some(number) = known(p, lock)? else { return Ok(()) };
    let held = held_by(p, p.number() as u64)?;
    let others = numbers(held).filter(|one| *one != number);
    let others = others.zip(0..).fold(0, |word, (one, place)| word | (one + 1) << (8 * place));
    hold(p, others)
}

/// What is wrong with taking a lock now. Where nothing is, it is held from now on.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn of_acquire(p: &mut Processor<'_>, lock: u64) -> Found {
    let Some(number) = number_of(p, lock)? else { return Ok(None) };
    let own = p.number() as u64;
    let held = held_by(p, own)?;
    if numbers(held).any(|one| one == number) {
        return Ok(Some(SELF_DEADLOCK.with([0x1000, lock, 0, 0])));
    }
    let after = behind(p, 1 << number)?;
    if numbers(held).any(|one| after >> one & 1 == 1) {
        return Ok(Some(AGAINST_ORDER.with([0x1001, lock, 0, 0])));
    }
    for one in numbers(held) {
        let at = element(address::KERNEL_DATA, one);
        let known = p.load(at, deadlock::BEHIND)?;
        p.store(at, deadlock::BEHIND, known | 1 << number)?;
    }
    hold(p, held << 8 | (number + 1))?;
    Ok(None)
}

/// What is wrong with giving a lock back now. Where nothing is, it is no longer held.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn of_release(p: &mut Processor<'_>, lock: u64) -> Found {
    let Some(number) = known(p, lock)? else {
        // There may have been no room for it.
        let is_full = known(p, 0)?.is_none();
        return Ok((!is_full).then(|| RELEASED_UNTAKEN.with([0x1007, lock, 0, 0])));
    };
    let own = p.number() as u64;
    let held = held_by(p, own)?;
    if let Some(last) = numbers(held).next().filter(|last| *last != number)
        && numbers(held).any(|one| one == number)
    {
        let first = p.load(element(address::KERNEL_DATA, last), deadlock::LOCKS)?;
        return Ok(Some(RELEASED_EARLY.with([0x1003, lock, first, 0])));
    }
    if numbers(held).next() == Some(number) {
        hold(p, held >> 8)?;
        return Ok(None);
    }
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    for other in (0..p.processor_count() as u64).filter(|other| *other != own) {
        let theirs = held_by(p, other)?;
        if numbers(theirs).any(|one| one == number) {
            let block = address::PROCESSOR_BLOCKS.wrapping_add(other.wrapping_mul(4096));
            let holder = p.load(block, processor_block::CURRENT_THREAD)?;
            return Ok(Some(RELEASED_BY_ANOTHER.with([0x1004, lock, holder, current])));
        }
    }
    Ok(Some(RELEASED_UNTAKEN.with([0x1007, lock, 0, 0])))
}
