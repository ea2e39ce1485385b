//! What hardware writes to an entry is not lost.
//!
//! A processor sets the dirty flag of a leaf whenever a write goes through it, also between the load
//! and the store of software that changes the entry. If the store puts the flag back to 0 while the
//! page stays mapped, the write is forgotten: the page will be thrown away as clean. So it is when the entry
//! is replaced by others: a large page that is split has a flag for each of its parts then, and nobody
//! knows any more which was written to, so all must have it; one that is merged from small ones must have it
//! if any of them had.
//!
//! The accessed flag says less: its loss costs time and no data. It is judged for code that declares to keep it, where
//! the processor set it during the call and the same entry maps the page still.
//!
//! Not checked here: accessed flags of entries that are replaced by those of other tables, and pages that are being
//! unmapped, whose flags an interface may or may not hand out.

use crate::base::PhysAddr;
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::Rule;
use crate::conformance::memory::Unread;
use crate::conformance::operation::{Call, size_name};
use crate::conformance::scene::Scene;
use crate::conformance::tables::Leaf;

pub(crate) fn lost(scene: &Scene, at: PhysAddr, bits: u64) -> Breach {
    let way = scene.listing.use_of(at.frame());
    let virt = way.map(|way| scene.format.first_of(way.level, way.first, at.offset() / 8));
    let what = format!(
        "overwrites bits {bits:#x} of the entry at {:#x}, which the processor set after it was read",
        at.raw()
    );
    let rule = scene.format.rule(Rule::Marks);
    Breach { virt, ..scene.breach(Check::Marks, "dirty flag is lost", what, rule) }
}

/// When a call has returned: an entry that lost the accessed flag which a processor set during the call.
pub(crate) fn unaccessed(
    scene: &Scene,
    call: &Call,
    (at, bits): (PhysAddr, u64),
) -> Option<Breach> {
    let used = scene.used?;
    let leaf = scene.listing.leaves.iter().find(|leaf| leaf.at == at)?;
    let is_map = matches!(call, Call::Map { .. } | Call::MapRange { .. });
    let is_anew = is_map && call.region().holds(leaf.first.page());
    let is_same = used.at == at && leaf.page == used.page && leaf.size == used.size && !is_anew;
    if !is_same || scene.word(at) & bits == bits {
        return None;
    }
    let what = format!(
        "leaves the entry of {} without bits {bits:#x}, which the processor set during the call",
        leaf.first
    );
    let rule = scene.format.rule(Rule::Marks);
    let kind = "accessed flag is lost";
    Some(Breach { virt: Some(leaf.first), ..scene.breach(Check::Marks, kind, what, rule) })
}

/// When a call has returned: a page that a processor wrote to, whose entry is gone with a flag that nobody had
/// read, and which is still mapped without it.
pub(crate) fn returned(scene: &Scene, call: &Call, unread: &Unread) -> Option<Breach> {
    let used = scene.used?;
    let is_map = matches!(call, Call::Map { .. } | Call::MapRange { .. });
    let region = call.region();
    let is_same = |leaf: &&Leaf| {
        let first = leaf.first.max(used.first);
        let meets = first.0 - leaf.first.0 < leaf.size.bytes()
            && first.0 - used.first.0 < used.size.bytes();
        let address = |leaf: &Leaf| leaf.page.plus(first.0 - leaf.first.0);
        // What is mapped anew is another page, be it in the same frame.
        meets && address(leaf) == address(&used) && !(is_map && region.holds(first.page()))
    };
    let mut leaves = scene.listing.leaves.iter().filter(is_same);
    let leaf = leaves.find(|leaf| !unread.is_in(scene.word(leaf.at)))?;
    let what = format!(
        "replaces the entry of the {} page at {}, in which the processor set bits {:#x} that were not read, \
         by one for a {} page at {} that does not have them",
        size_name(used.size),
        used.first,
        unread.bits,
        size_name(leaf.size),
        leaf.first
    );
    let rule = scene.format.rule(Rule::Marks);
    let kind = "dirty flag is lost with the entry that had it";
    Some(Breach { virt: Some(leaf.first), ..scene.breach(Check::Marks, kind, what, rule) })
}
