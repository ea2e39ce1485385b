//! What the system does about a display adapter that hangs: time-out, reset, and in the end a stop.
//!
//! Since Windows Vista a task that the adapter doesn't finish within two seconds has the adapter reset, and
//! whoever asked for it is told; the machine goes on. More than five of that within a minute stop it
//! ("Timeout Detection and Recovery (TDR)", "TDR Registry Keys", "Bug Check 0x116: VIDEO_TDR_FAILURE").
//! Time is the processor's time stamp; that a second is a thousand steps is this model's, the ratio of the
//! limits is the documented one.
//!
//! | routine | arguments | result |
//! |---|---|---|
//! | [`TDR_RECOVER`] | history of the adapter, driver data of [`HISTORY_WORDS`] words; an address in the driver | – |
//! | [`KE_DELAY_EXECUTION`] | – | – |

use crate::base::{Rule, Structure};
use crate::machine::{Flow, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::layout::{element, processor_block};
use super::schedule::{KI_READY_THREAD, KI_SWAP_CONTEXT};
use super::verified::verified_routine;
use super::{ddi_compliance, lock, status};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "adapter-reset-after-time-out",
        "An adapter that doesn't finish within two seconds is reset, and the machine goes on.",
        "Timeout Detection and Recovery (TDR)",
    ),
    Rule::documented(
        "adapter-resets-limited",
        "More than five resets of an adapter within a minute are 0x116.",
        "TDR Registry Keys; Bug Check 0x116: VIDEO_TDR_FAILURE",
    ),
    Rule::chosen(
        "second-of-a-thousand-steps",
        "A second is a thousand steps where seconds are counted.",
        "this model: only the ratio of the limits is documented",
    ),
];

bug_checks! {
    RESET_TOO_OFTEN: VIDEO_TDR_FAILURE,
    when "a display adapter hangs that was reset five times within the last minute",
    parameters "history of resets", "in the driver", "status", "reserved",
    source "Bug Check 0x116: VIDEO_TDR_FAILURE" documented;
}

/// Steps of a second.
pub const SECOND: u64 = 1000;
/// How long a task of the adapter may take (`TdrDelay`).
pub const DELAY: u64 = 2 * SECOND;
/// Within which time resets are counted (`TdrLimitTime`).
const LIMIT_TIME: u64 = 60 * SECOND;
/// Resets within that time (`TdrLimitCount`).
const LIMIT_COUNT: u64 = 5;
/// Words of an adapter's history: the times of the last resets, and which is the oldest.
pub const HISTORY_WORDS: u64 = LIMIT_COUNT + 1;

routine! {
    /// Notes a reset of an adapter; stops the machine when there were too many.
    pub static TDR_RECOVER = "TdrResetFromTimeout", frame 2;
    // Locals: 0 history; 1 an address in the driver.
    keep => |p| {
        let (history, driver) = (p.argument(0), p.argument(1));
        p.set_local(0, history)?;
        p.set_local(1, driver)?;
        Ok(Flow::Next)
    },
    count, call KE_BUG_CHECK => |p| {
        let history = p.local(0)?;
        let now = p.time_stamp();
        let mut recent = 0;
        for number in 0..LIMIT_COUNT {
            let at = p.load_at(element(history, number), Structure::DriverData)?;
            recent += u64::from(at != 0 && now.wrapping_sub(at) <= LIMIT_TIME);
        }
        if recent < LIMIT_COUNT {
            return Ok(Flow::To(At::note as u8));
        }
        let driver = p.local(1)?;
        p.pass(RESET_TOO_OFTEN.with([history, driver, status::IO_TIMEOUT, 0]));
        Ok(Flow::Call)
    },
    stopped => |_| Ok(Flow::Stay),
    note => |p| {
        let (history, now) = (p.local(0)?, p.time_stamp());
        let oldest = p.load_at(element(history, LIMIT_COUNT), Structure::DriverData)? % LIMIT_COUNT;
        p.store_at(element(history, oldest), Structure::DriverData, now)?;
        p.store_at(element(history, LIMIT_COUNT), Structure::DriverData, oldest.wrapping_add(1))?;
        Ok(Flow::Return)
    },
}

verified_routine! {
    /// Lets time pass: gives the kernel's lock back and lets interrupts in for a moment, then lets other
    /// threads run. Called in a system service.
    KE_DELAY_EXECUTION, KE_DELAY_EXECUTION_VERIFIED = "KeDelayExecutionThread", frame 0, by ddi_compliance::of_delay;
    release => |p| lock::release(p),
    open => |p| {
        p.set_interrupts(true)?;
        Ok(Flow::Next)
    },
    pass => |_| Ok(Flow::Next),
    close => |p| {
        p.set_interrupts(false)?;
        Ok(Flow::Next)
    },
    acquire => |p| lock::acquire(p),
    ready, call KI_READY_THREAD => |p| {
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.pass([current]);
        Ok(Flow::Call)
    },
    give_way, call KI_SWAP_CONTEXT => |_| Ok(Flow::Call),
    done => |_| Ok(Flow::Return),
}
