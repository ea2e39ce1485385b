//! Protection keys: a driver runs with leave to write its own data page and no other driver's.
//!
//! Each driver's data page carries a key; while the driver's code runs, the register that says what
//! keys allow denies writes through every other driver's (Intel SDM volume 3A, "Protection Keys":
//! IA32_PKRS for supervisor pages). Windows doesn't do this; it is what supervisor protection keys
//! were made for elsewhere ("stray write protection" of persistent memory in Linux). Memory of the
//! kernel itself has key 0 and stays open to all.

use crate::base::Rule;
use crate::kernel::configured::configured;
use crate::machine::{Processor, Trap};

use super::layout::{device_object, switches};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::chosen(
        "key-per-driver",
        "With protection keys a driver's code can't write another driver's data page.",
        "Intel SDM volume 3A, Protection Keys (which pages get which key is this model's)",
    ),
    Rule::chosen(
        "key-violation",
        "A write that a page's protection key refuses is 0xBE, with an entry that may be written.",
        "this model: Windows gives system pages no keys, so that no page names a bug check for one",
    ),
];

/// Everything is allowed.
pub(super) const ALL: u64 = 0;
/// Writes are denied through every key but 0.
const NONE: u64 = 0xaaaa_aaa8;
/// Where an entry keeps its key.
const KEY_SHIFT: u64 = 59;

/// The key of the driver with this number.
const fn key_of(number: u64) -> u64 {
    1 + number % 15
}

/// The bits of an entry that give a driver's page its key.
#[must_use]
pub(super) const fn entry_bits(number: u64) -> u64 {
    key_of(number) << KEY_SHIFT
}

/// Changes what keys allow, where there are keys; returns what they allowed.
///
/// # Errors
///
/// What the access to the kernel variable raises.
pub(super) fn set(p: &mut Processor<'_>, allowed: u64) -> Result<u64, Trap> {
    if configured(p)? & switches::PROTECTION_KEYS == 0 {
        return Ok(ALL);
    }
    p.set_protection_keys(allowed)
}

/// Lets a driver's code write its own data page only. Argument: its device object.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn enter_driver(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    if configured(p)? & switches::PROTECTION_KEYS == 0 {
        return Ok(ALL);
    }
    let number = p.load(device, device_object::NUMBER)?;
    p.set_protection_keys(NONE & !(3 << (2 * key_of(number))))
}
