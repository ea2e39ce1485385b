//! Interrupt request levels, as drivers change them: raised and lowered, and with a spin lock.
//!
//! "Managing Hardware Priorities", "KeRaiseIrql", "KeAcquireSpinLock". A level is a register of the
//! processor; what it forbids is noticed by whoever faults or waits, and not here. Driver Verifier's
//! force-IRQL checking steps in where the level goes up ("Force IRQL Checking"). To raise it to a lower
//! level, or to lower it to a higher one, stops the machine with and without Driver Verifier.
//!
//! | routine | arguments | result |
//! |---|---|---|
//! | [`KE_RAISE_IRQL`] | level | the level before |
//! | [`KE_LOWER_IRQL`] | level | – |
//! | [`KE_ACQUIRE_SPIN_LOCK`] | address of the lock's word, driver data | the level before |
//! | [`KE_RELEASE_SPIN_LOCK`] | the same, the level before | – |

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::Flow;

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::exception::resolve::DISPATCH_LEVEL;
use super::layout::{switches, verifier as options};
use super::residency::{self, MM_TRIM_WORKING_SET};
use super::verified::{self, verified_routine};
use super::verifier;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "spin-lock-raises",
        "Who holds a spin lock runs at dispatch level.",
        "KeAcquireSpinLock; Managing Hardware Priorities",
    ),
    Rule::documented(
        "levels-go-their-way",
        "Raising the level to a lower one, or lowering it to a higher one, is fatal.",
        "KeRaiseIrql; KeRaiseIrqlToDpcLevel; KeLowerIrql",
    ),
    Rule::inferred(
        "codes-of-levels",
        "It is 0x9 where the level was to be raised and 0xA where it was to be lowered.",
        "KeRaiseIrql and KeLowerIrql name no code; Bug Check 0x9, 0xA by their names",
    ),
    Rule::documented(
        "force-irql-trims",
        "With force-IRQL checking all pageable memory is trimmed when a driver raises the level.",
        "Force IRQL Checking",
    ),
];

bug_checks! {
    RAISED_TO_LOWER: IRQL_NOT_GREATER_OR_EQUAL,
    when "the level is raised to a lower one, or a spin lock is taken above dispatch level",
    parameters "level", "level asked for", "reserved", "reserved",
    source "KeRaiseIrql; Bug Check 0x09: IRQL_NOT_GREATER_OR_EQUAL" inferred;

    // The page describes accesses alone; what tells this one from them is chosen.
    LOWERED_TO_HIGHER: IRQL_NOT_LESS_OR_EQUAL, parameter 4 = 1,
    when "the level is lowered to a higher one",
    parameters "level", "level asked for", "reserved", "what: lowered to a higher level",
    source "KeLowerIrql; Bug Check 0x0A: IRQL_NOT_LESS_OR_EQUAL" inferred;
}

/// The highest level: nothing but a non-maskable interrupt comes in.
pub const HIGH_LEVEL: u64 = 15;

verified_routine! {
    /// Raises the level. Argument: the new level. Result: the old one.
    KE_RAISE_IRQL, KE_RAISE_IRQL_VERIFIED = "KeRaiseIrql", frame 1, by verified::of_raise;
    raise, call MM_TRIM_WORKING_SET => |p| {
        let level = p.argument(0);
        if level < p.irql()? {
            return Ok(Flow::To(At::refuse as u8));
        }
        let before = p.set_irql(level)?;
        p.set_local(0, before)?;
        let switches = configured(p)?;
        if level < DISPATCH_LEVEL
            || switches & switches::PAGEABLE == 0
            || !verifier::is_on(p, options::FORCE_IRQL)?
        {
            return Ok(p.give_back(before));
        }
        p.pass([residency::ALL]);
        Ok(Flow::Call)
    },
    raised => |p| {
        let before = p.local(0)?;
        Ok(p.give_back(before))
    },
    refuse, call KE_BUG_CHECK => |p| {
        let (level, before) = (p.argument(0), p.irql()?);
        p.pass(RAISED_TO_LOWER.with([before, level, 0, 0]));
        Ok(Flow::Call)
    },
    refused => |_| Ok(Flow::Stay),
}

verified_routine! {
    /// Lowers the level. Argument: the new level.
    KE_LOWER_IRQL, KE_LOWER_IRQL_VERIFIED = "KeLowerIrql", frame 0, by verified::of_lower;
    lower => |p| {
        let level = p.argument(0);
        if level > p.irql()? {
            return Ok(Flow::To(At::refuse as u8));
        }
        p.set_irql(level)?;
        Ok(Flow::Return)
    },
    refuse, call KE_BUG_CHECK => |p| {
        let (level, before) = (p.argument(0), p.irql()?);
        p.pass(LOWERED_TO_HIGHER.with([before, level, 0, 1]));
        Ok(Flow::Call)
    },
    refused => |_| Ok(Flow::Stay),
}

verified_routine! {
    /// Raises the level to dispatch level and takes a spin lock, or spins until it is free. Argument: the
    /// lock's word. Result: the level before.
    KE_ACQUIRE_SPIN_LOCK, KE_ACQUIRE_SPIN_LOCK_VERIFIED = "KeAcquireSpinLockRaiseToDpc", frame 2, by verified::of_acquire;
    raise, call KE_RAISE_IRQL => |p| {
        let lock = p.argument(0);
        p.set_local(0, lock)?;
        p.pass([DISPATCH_LEVEL]);
        Ok(Flow::Call)
    },
    raised => |p| {
        let before = p.result();
        p.set_local(1, before)?;
        Ok(Flow::Next)
    },
    take => |p| {
        let lock = p.local(0)?;
        if p.load_at(lock, Structure::DriverData)? != 0 {
            return Ok(Flow::Stay);
        }
        p.store_at(lock, Structure::DriverData, 1)?;
        let before = p.local(1)?;
        Ok(p.give_back(before))
    },
}

verified_routine! {
    /// Gives a spin lock back and goes back to a level. Arguments: the lock's word, the level.
    KE_RELEASE_SPIN_LOCK, KE_RELEASE_SPIN_LOCK_VERIFIED = "KeReleaseSpinLock", frame 0, by verified::of_release;
    release => |p| {
        let (lock, level) = (p.argument(0), p.argument(1));
        p.store_at(lock, Structure::DriverData, 0)?;
        p.set_irql(level)?;
        Ok(Flow::Return)
    },
}
