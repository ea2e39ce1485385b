//! Which changes must be broken before they are made.
//!
//! Arm ARM, "Using break-before-make when updating translation table entries": a processor that holds
//! the old translation and meets the new one may use either, or a mixture, or raise a TLB conflict
//! abort, and coherency and ordering are lost. Permissions, the Access flag and bits for software may
//! change in place. Two cases are judged by the strict reading, since a trace of stores can't tell
//! otherwise: an output address always counts as changed for good (the manual excuses two read-only
//! pages with the same bytes), and FEAT_BBM, which excuses changes of block size, counts as absent.

use super::{AArch64, Regime, descriptor as bit};
use crate::conformance::format::{Decoded, Format as _, Met};

pub(super) fn conflict(format: &AArch64, was: Met, is: Met) -> Option<&'static str> {
    match (format.decode(was.level, was.bits), format.decode(is.level, is.bits)) {
        (Decoded::Leaf { page, global, .. }, Decoded::Leaf { page: to, global: becomes, .. }) => {
            let differs = |bits: u64| (was.bits ^ is.bits) & bits != 0;
            let attributes = match format.regime {
                Regime::El1 | Regime::El2 => bit::ATTR_INDEX,
                Regime::Stage2 => 0b1111 << 2,
            };
            if was.level != is.level {
                Some("the size of the block changes")
            } else if page != to || (format.regime != Regime::Stage2 && differs(bit::NS)) {
                Some("the output address changes")
            } else if differs(attributes) {
                Some("the memory type changes")
            } else if differs(bit::SHAREABILITY) {
                Some("the shareability changes")
            } else if differs(bit::CONTIGUOUS) {
                Some("the Contiguous bit changes")
            } else if becomes && !global {
                Some("a translation of one address space becomes global")
            } else {
                None
            }
        }
        (Decoded::Table { at, .. }, Decoded::Table { at: to, .. }) => {
            (at != to && was.level == is.level).then_some("another table takes its place")
        }
        (Decoded::Leaf { .. }, Decoded::Table { .. }) => {
            (was.level == is.level).then_some("a table takes the place of a block")
        }
        (Decoded::Table { .. }, Decoded::Leaf { .. }) => {
            (was.level == is.level).then_some("a block takes the place of a table")
        }
        _ => None,
    }
}
