//! The pool from Windows 10 1903 on: a heap whose headers and links are encoded.
//!
//! Looked at in the same places as the legacy pool, but a word that was written does not decode, so
//! that hardly any damage to a header passes for a header; and the second word of a header, right in
//! front of the block, is checked too, so that an underrun shows. Which damage is said to be what is
//! inferred from the page's descriptions: an overrun when the next header does not decode and the
//! block's own does, an underrun when only the word in front of the block does not, a use after free
//! when the links of a free block are wrong behind a good header, the free list otherwise.
//!
//! Source: "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION". The generation's date differs between
//! sources (1809 or 1903).

use super::blocks::{self, Generation};
use super::damage::{self, Damage};

/// The segment heap's words.
pub struct Segment;

impl Generation for Segment {
    fn stops_with(damage: Damage) -> [u64; 5] {
        damage::segment(damage)
    }
}

super::pool_routines! {
    /// Hands out a block of what it is called for, to its caller. Arguments: bytes, tag, flags. Result: its
    /// address, 0 when there is none.
    EX_ALLOCATE_HEAP, EX_ALLOCATE_HEAP_VERIFIED = "ExAllocateHeapPool",
    /// Takes a block back. Arguments: its address, the tag it was allocated with.
    EX_FREE_HEAP = "ExFreeHeapPool",
    Segment
}
