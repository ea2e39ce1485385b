//! What somebody else does to one entry between two calls.

use core::ops::Range;

use super::format::Decoded;
use super::operation::Disturbance;
use super::scene::Scene;
use super::tables::level_of;
use crate::base::PhysAddr;
use crate::machine::paging::PageSize;

/// One entry that changes.
pub(crate) struct Change {
    pub(crate) at: PhysAddr,
    pub(crate) old: u64,
    pub(crate) new: u64,
    pub(crate) level: u8,
}

/// Chooses the entry. Physical addresses outside of `reach` must not become tables; `own_bits` are the
/// code's and stay as they are. `None` when there is nothing to choose from or nothing would change.
pub(crate) fn choose(
    scene: &Scene,
    which: u64,
    how: Disturbance,
    reach: &Range<u64>,
    own_bits: u64,
) -> Option<Change> {
    let format = scene.format;
    let change = match how {
        Disturbance::Flip(bits) => {
            // The table first: most entries are those of the last level.
            let tables = scene.listing.tables.as_slice();
            let table = pick(tables, which)?;
            let ats = (0..512).map(|index| table.frame.start().plus(8 * index));
            let is_one = |at: &PhysAddr| scene.word(*at) != 0 && !scene.is_reserved(*at);
            let entries: Vec<PhysAddr> = ats.filter(is_one).collect();
            let (at, level) = (pick(&entries, which / tables.len() as u64)?, table.level);
            let old = scene.word(at);
            Change { at, old, new: old ^ bits & !own_bits, level }
        }
        Disturbance::Mark | Disturbance::Decorate(_) | Disturbance::Hide => {
            let leaves = &scene.listing.leaves;
            let large = leaves.iter().filter(|leaf| leaf.size != PageSize::Kib4);
            let large: Vec<_> = large.filter(|_| which % 2 == 1).copied().collect();
            let leaf = pick(if large.is_empty() { leaves } else { &large }, which / 2)?;
            let level = level_of(leaf.size);
            let old = scene.word(leaf.at);
            let new = match how {
                Disturbance::Mark => format.marked(level, old, true),
                Disturbance::Decorate(bits) => old | bits & format.decorations(level) & !own_bits,
                _ => old & !format.valid_bit(),
            };
            Change { at: leaf.at, old, new, level }
        }
    };
    if change.new == change.old || leads_away(scene, &change, reach) {
        return None;
    }
    Some(change)
}

fn pick<T: Copy>(choices: &[T], which: u64) -> Option<T> {
    let index = which.checked_rem(choices.len() as u64)?;
    choices.get(usize::try_from(index).ok()?).copied()
}

/// Whether code with raw pointers would follow the altered entry beyond its reach: that crashes the
/// process and shows nothing.
fn leads_away(scene: &Scene, change: &Change, reach: &Range<u64>) -> bool {
    let address_bits = scene.format.address_bits();
    let may_be_table = change.level > 1;
    let address = |bits| {
        (
            bits & address_bits,
            matches!(scene.format.decode(change.level, bits), Decoded::Leaf { .. }),
        )
    };
    let (old, new) = (address(change.old), address(change.new));
    // A page leads where there is no memory, so one that is a page still may lead anywhere.
    let stays_page = old.1 && new.1;
    may_be_table && !stays_page && !reach.contains(&new.0) && old != new
}
