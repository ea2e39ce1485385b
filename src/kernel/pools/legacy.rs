//! The pool up to Windows 10 1809: plain headers, links that lead both ways.
//!
//! Nothing is noticed when it happens. A header that was overwritten is noticed when its block, or one
//! beside it, is freed or taken off a list, by whoever does that (bug check 0x19: "may or may not be
//! due to the caller"). What lies within a block's own 16-byte granule, or in the body of another
//! block, is never noticed.
//!
//! Source: "Bug Check 0x19: BAD_POOL_HEADER", "Bug Check 0xC2: BAD_POOL_CALLER". Which look finds which
//! kind is inferred from the pages' descriptions.

use super::blocks::{self, Generation};
use super::damage::{self, Damage};

/// The legacy pool's words.
pub struct Legacy;

impl Generation for Legacy {
    fn stops_with(damage: Damage) -> [u64; 5] {
        damage::legacy(damage)
    }
}

super::pool_routines! {
    /// Hands out a block of what it is called for, to its caller. Arguments: bytes, tag, flags. Result: its
    /// address, 0 when there is none.
    EX_ALLOCATE_LEGACY, EX_ALLOCATE_LEGACY_VERIFIED = "ExAllocatePoolWithTag",
    /// Takes a block back. Arguments: its address, the tag it was allocated with.
    EX_FREE_LEGACY = "ExFreePool",
    Legacy
}
