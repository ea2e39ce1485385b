//! Which addresses are asked for: near the places where implementations go wrong; in tables of any words also such at
//! the borders of some entry of each level, and any at all.

use crate::base::{Access, Ring, VirtAddr};
use crate::conformance::draw::Draw;
use crate::conformance::format::Format;
use crate::conformance::subject::Attempt;

/// The first byte of a page.
pub(super) fn page(draw: &mut Draw<'_>, format: &dyn Format, is_any: bool) -> VirtAddr {
    match draw.below(16) {
        _ if !is_any => near_an_edge(draw, format),
        0..=3 => near_an_edge(draw, format),
        4..=14 => by_entries(draw, format),
        _ => VirtAddr(draw.below(u64::MAX) & !0xfff),
    }
}

/// A page near a border, and often the one right behind it or in front of it: that alone may be refused, or taken
/// for one of the other half.
fn near_an_edge(draw: &mut Draw<'_>, format: &dyn Format) -> VirtAddr {
    let edge = draw.pick(format.edges()).unwrap_or(0);
    let distance = if draw.one_in(2) { draw.below(600) } else { draw.below(2) };
    VirtAddr(match draw.below(4) {
        0 => edge.wrapping_sub((1 + distance) << 12),
        _ => edge.wrapping_add(distance << 12),
    })
}

/// A page that is translated, by the entries on the way to it.
fn by_entries(draw: &mut Draw<'_>, format: &dyn Format) -> VirtAddr {
    (1..=format.levels()).rev().fold(VirtAddr(0), |first, level| {
        let entries = format.entries(level);
        let index = match draw.below(8) {
            0 => 0,
            1 => entries - 1,
            2 => entries / 2,
            3 => (entries / 2).saturating_sub(1),
            4 => (1 << draw.below(9)) % entries,
            _ => draw.below(entries),
        };
        format.first_of(level, first, index)
    })
}

/// A question about a byte of the so many around `virt`: a power of two, aligned.
pub(super) fn attempt(draw: &mut Draw<'_>, virt: VirtAddr, bytes: u64) -> Attempt {
    let access = draw.pick(&[Access::Read, Access::Write, Access::Execute]).unwrap_or(Access::Read);
    let ring = draw.pick(&[Ring::Kernel, Ring::User]).unwrap_or(Ring::Kernel);
    // The first and the last byte of a page are where ranges of one byte go wrong.
    let byte = match draw.below(4) {
        0 => 0,
        1 => bytes - 1,
        _ => draw.below(bytes),
    };
    Attempt { virt: VirtAddr(virt.0 & !(bytes - 1) | byte), access, ring }
}
