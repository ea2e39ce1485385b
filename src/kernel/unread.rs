//! Fields that are kept though no flip of them makes a difference, each with the reason.
//!
//! A field that nobody reads is decoration: a wild write to it would be harmless for a reason that no
//! real kernel has. `ringfence live-bytes --all` lists such fields; those here are meant to be so.

use crate::base::{Field, Structure};

use super::layout::{crash_block, event_log, kernel_data, thread, watchdog};
use super::pools::state;

/// Read after the machine has stopped, and by nobody before.
const DUMP: &str = "only the reader of the dump wants it";

/// Asked for bug check 0xC5 alone.
const POOL_CODE: &str = "asked only when the pool's own code has crashed";

/// Told with bug check 0x4E alone.
const HIGHEST: &str = "asked only when the free-frame list was found damaged";

/// Written for whoever looks what happened.
const LOG: &str = "only the reader of the event log wants it, and it is no part of the model";

/// Deferred calls here end within a tick, unless a fault hangs one.
const CALL: &str = "decides only when a deferred call hangs";

/// Fields and reasons.
pub const UNREAD: &[(Field, &str)] = &[
    (crash_block::PARAMETER_1, DUMP),
    (crash_block::PARAMETER_2, DUMP),
    (crash_block::PARAMETER_3, DUMP),
    (crash_block::PARAMETER_4, DUMP),
    (kernel_data::POOL_CODE, POOL_CODE),
    (kernel_data::POOL_CODE_END, POOL_CODE),
    (kernel_data::HIGHEST_FRAME, HIGHEST),
    (state::OLDEST_FREE, "asked only when every special slot was used once"),
    (watchdog::CALL_MAX, CALL),
    (watchdog::CALL_TICKS, CALL),
    (event_log::ENTRY, LOG),
    (event_log::TIME, LOG),
    (thread::STACK, "the return that follows goes by the saved frame pointer"),
];

/// Why a field need not be live. `None` where no reason is known.
#[must_use]
pub fn reason(structure: Structure, name: &str) -> Option<&'static str> {
    let mut all = UNREAD.iter();
    let found = all.find(|(field, _)| field.structure == structure && field.name == name);
    found.map(|&(_, why)| why)
}
