//! Bytes of fields that are kept though no flip of them makes a difference, each with the reason.
//!
//! A field that nobody reads is decoration: a wild write to it would be harmless for a reason that no
//! real kernel has. `ringfence live-bytes --all` lists such fields; those here are meant to be so.

use crate::base::{Field, Structure};

use super::layout::{event_log, gate, kernel_data, mdl, put_off, request_packet, thread, watchdog};
use super::pools::state;

/// Asked for bug check 0xC5 alone.
const POOL_CODE: &str = "asked only when pool code has crashed";

/// Told with bug check 0x4E alone.
const HIGHEST: &str = "asked only when the free list is damaged";

/// Written for whoever looks what happened.
const LOG: &str = "only the event log's reader wants it";

/// Deferred calls here end within a tick, unless a fault hangs one.
const CALL: &str = "decides only when a deferred call hangs";

/// A field of which these bytes are not live, and why; bit 0: its lowest.
pub type Unread = (Field, u8, &'static str);

/// Every byte.
const ALL: u8 = 0xff;

/// Fields, bytes and reasons.
pub const UNREAD: &[Unread] = &[
    (gate::HIGH, 0xf0, "reserved by the architecture"),
    (kernel_data::POOL_CODE, ALL, POOL_CODE),
    (kernel_data::POOL_CODE_END, ALL, POOL_CODE),
    (kernel_data::SWITCHES, 0xc7, "defects, which code has or has not; nothing in bytes 6 and 7"),
    (kernel_data::VERIFIER, 0xf8, "no option has a bit there"),
    (kernel_data::REFLECTORS, 0xfc, "no device has such a number"),
    (kernel_data::SELF_MAP_SLOT, 0xfc, "beyond the nine bits of a slot"),
    (kernel_data::SPAWNABLE, 0xfe, "the lowest number is taken, in byte 0"),
    (state::PAGES, 0xfe, "only large allocations have more"),
    (watchdog::CALL_MAX, ALL, CALL),
    (watchdog::CALL_TICKS, ALL, CALL),
    (kernel_data::HIGHEST_FRAME, ALL, HIGHEST),
    (event_log::ENTRY, ALL, LOG),
    (event_log::TIME, ALL, LOG),
    (thread::STACK, ALL, "the return goes by the frame pointer"),
    (request_packet::STATUS, 0xf0, "a status has 32 bits"),
    (put_off::STATUS, 0xf0, "a status has 32 bits"),
    (mdl::FLAGS, 0xfe, "no flag has a bit there"),
];

/// Which bytes of a field need not be live, and why. None where no reason is known.
#[must_use]
pub fn reason(structure: Structure, name: &str) -> Option<(u8, &'static str)> {
    let mut all = UNREAD.iter();
    let found = all.find(|(field, ..)| field.structure == structure && field.name == name);
    found.map(|&(_, bytes, why)| (bytes, why))
}
