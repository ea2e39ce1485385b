//! Watchdogs: who stays too long at a level at which nothing else can run is found, by a tick.
//!
//! At each tick of the clock every processor is interrupted, whatever it keeps out, and looks at its own
//! level and at the other processors:
//!
//! | a processor stays | noticed by | bug check |
//! |---|---|---|
//! | in one deferred call or interrupt routine | itself | 0x133, 0: more ticks than a single one may take |
//! | at dispatch level or above, below the clock's | itself | 0x133, 1: more ticks in a row than the watchdog's period |
//! | at the clock's level or above | another processor | 0x101: it did not answer so many ticks |
//! | below dispatch level, or in user mode | nobody | none |
//!
//! "Bug Check 0x133: DPC_WATCHDOG_VIOLATION", "Bug Check 0x101: CLOCK_WATCHDOG_TIMEOUT",
//! "KeQueryDpcWatchdogInformation". The tick is not maskable, because this kernel runs its services with
//! interrupts off, which Windows doesn't: whether the clock would have come in is told by the level.
//! Waiting for the kernel's one lock doesn't count: it stands for many, and for waits at a low level.

use crate::base::Rule;
use crate::machine::{Flow, Processor, Trap, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::exception::resolve::DISPATCH_LEVEL;
use super::interrupt::{restore_registers, save_registers};
use super::layout::{address, kernel_data, watchdog};
use super::transition::KI_WATCHDOG_EXIT;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "deferred-call-watched",
        "A deferred call or interrupt routine that takes too long, or dispatch level kept too long, is 0x133.",
        "Bug Check 0x133: DPC_WATCHDOG_VIOLATION",
    ),
    Rule::documented(
        "clock-watched",
        "A processor of several that doesn't take the clock's interrupt in time is 0x101.",
        "Bug Check 0x101: CLOCK_WATCHDOG_TIMEOUT",
    ),
    Rule::inferred(
        "watchdogs-by-level",
        "From the clock's level on a processor takes no clock interrupt, so nobody counts its own time.",
        "Managing Hardware Priorities",
    ),
    Rule::chosen(
        "watchdog-tick-not-maskable",
        "The tick comes in at any level and with interrupts off; waits for the kernel lock don't count.",
        "this model: services run with interrupts off",
    ),
];

bug_checks! {
    CALL_TOO_LONG: DPC_WATCHDOG_VIOLATION, parameter 1 = 0,
    when "a single deferred call or interrupt routine takes more ticks than it may",
    parameters "what: a single call", "ticks taken", "ticks allowed", "reserved",
    source "Bug Check 0x133: DPC_WATCHDOG_VIOLATION" documented;

    LEVEL_TOO_LONG: DPC_WATCHDOG_VIOLATION, parameter 1 = 1,
    when "a processor stays at dispatch level or above for more ticks than the watchdog's period",
    parameters "what: all together", "ticks of the period", "reserved", "reserved",
    source "Bug Check 0x133: DPC_WATCHDOG_VIOLATION" documented;

    CLOCK_UNANSWERED: CLOCK_WATCHDOG_TIMEOUT,
    when "a processor didn't answer the clock for more ticks than it may, by another one's count",
    parameters "ticks allowed", "reserved", "processor block", "processor",
    source "Bug Check 0x101: CLOCK_WATCHDOG_TIMEOUT" documented;
}

/// The clock's level: from here on its interrupt doesn't come in (`CLOCK_LEVEL` of x64, wdm.h).
pub const CLOCK_LEVEL: u64 = 13;
/// Bytes of what is kept of each processor.
const PROCESSOR_BYTES: u64 = 32;

/// Where is kept what is known of a processor.
const fn of(number: u64) -> u64 {
    address::WATCHDOG.wrapping_add(number.wrapping_mul(PROCESSOR_BYTES))
}

/// Begins the time of an interrupt routine and of the deferred call behind it.
///
/// # Errors
///
/// What the stores raise.
pub(super) fn begin(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let own = of(p.number() as u64);
    p.store(own, watchdog::CALL_TICKS, 0)?;
    p.store(own, watchdog::IN_CALL, 1)?;
    Ok(Flow::Next)
}

/// Ends it.
///
/// # Errors
///
/// What the store raises.
pub(super) fn end(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let own = of(p.number() as u64);
    p.store(own, watchdog::IN_CALL, 0)?;
    Ok(Flow::Next)
}

/// Counts a tick of the running processor; the bug check that it leads to.
fn count(p: &mut Processor<'_>) -> Result<Option<[u64; 5]>, Trap> {
    let number = p.number() as u64;
    let own = of(number);
    let mut ticks = p.load(address::WATCHDOG, watchdog::TICKS)?;
    if number == 0 {
        ticks = ticks.wrapping_add(1);
        p.store(address::WATCHDOG, watchdog::TICKS, ticks)?;
    }
    let level = p.irql()?;
    if level >= CLOCK_LEVEL {
        return Ok(None);
    }
    p.store(own, watchdog::ANSWERED, ticks)?;
    if level < DISPATCH_LEVEL {
        p.store(own, watchdog::RAISED_TICKS, 0)?;
    } else if let Some(stop) = raised(p, own, number)? {
        return Ok(Some(stop));
    }
    silent(p, number, ticks)
}

/// Counts a tick at a raised level.
fn raised(p: &mut Processor<'_>, own: u64, number: u64) -> Result<Option<[u64; 5]>, Trap> {
    let holder = p.load(address::KERNEL_DATA, kernel_data::LOCK)?;
    if holder != 0 && holder != number.wrapping_add(1) {
        return Ok(None);
    }
    if p.load(own, watchdog::IN_CALL)? != 0 {
        let taken = p.load(own, watchdog::CALL_TICKS)?.wrapping_add(1);
        p.store(own, watchdog::CALL_TICKS, taken)?;
        let allowed = p.load(address::WATCHDOG, watchdog::CALL_MAX)?;
        if allowed != 0 && taken > allowed {
            return Ok(Some(CALL_TOO_LONG.with([0, taken, allowed, 0])));
        }
    }
    let taken = p.load(own, watchdog::RAISED_TICKS)?.wrapping_add(1);
    p.store(own, watchdog::RAISED_TICKS, taken)?;
    let period = p.load(address::WATCHDOG, watchdog::RAISED_MAX)?;
    Ok((period != 0 && taken > period).then(|| LEVEL_TOO_LONG.with([1, period, 0, 0])))
}

/// Looks for another processor that doesn't answer.
fn silent(p: &mut Processor<'_>, number: u64, ticks: u64) -> Result<Option<[u64; 5]>, Trap> {
    let allowed = p.load(address::WATCHDOG, watchdog::SILENCE_MAX)?;
    if allowed == 0 {
        return Ok(None);
    }
    for other in (0..p.processor_count() as u64).filter(|&other| other != number) {
        // The other one may have counted a tick that this one has not, or have yet to take this one.
        let answered = p.load(of(other), watchdog::ANSWERED)?;
        let silence = ticks.wrapping_add(1).wrapping_sub(answered);
        if silence > allowed.saturating_add(2) {
            let block = address::PROCESSOR_BLOCKS + other * 4096;
            return Ok(Some(CLOCK_UNANSWERED.with([allowed, 0, block, other])));
        }
    }
    Ok(None)
}

/// Counts a tick; goes on to `leave` when it stops nothing.
fn look(p: &mut Processor<'_>, leave: u8) -> Result<Flow, Trap> {
    let Some(parameters) = count(p)? else { return Ok(Flow::To(leave)) };
    p.pass(parameters);
    Ok(Flow::Call)
}

routine! {
    /// The watchdogs' tick, on a stack of its own. Nothing of it needs the GS base: it comes in anywhere.
    pub static KI_WATCHDOG_TICK = "KiWatchdogTick", frame 0;
    enter => |p| {
        save_registers(p)?;
        Ok(Flow::Next)
    },
    count, call KE_BUG_CHECK => |p| look(p, At::leave as u8),
    stopped => |_| Ok(Flow::Stay),
    leave => |p| {
        restore_registers(p)?;
        Ok(Flow::InterruptReturn)
    },
}

routine! {
    /// [`KI_WATCHDOG_TICK`] where user mode runs on shadow roots: the root that was loaded waits on the
    /// stack.
    pub static KI_WATCHDOG_TICK_SHADOWED = "KiWatchdogTick", frame 0;
    enter => |p| {
        save_registers(p)?;
        Ok(Flow::Next)
    },
    count, call KE_BUG_CHECK => |p| look(p, At::leave as u8),
    stopped => |_| Ok(Flow::Stay),
    leave, call KI_WATCHDOG_EXIT => |p| {
        restore_registers(p)?;
        Ok(Flow::Jump)
    },
}
