//! What hardware writes to an entry is not lost.
//!
//! A processor sets the dirty flag of a leaf whenever a write goes through it, also between the load
//! and the store of software that changes the entry. If the store puts the flag back to 0 while the
//! page stays mapped, the write is forgotten: the page will be thrown away as clean.
//!
//! Not checked here: the accessed flag, whose loss costs time and no data, and pages that are being
//! unmapped, whose flags an interface may or may not hand out.

use crate::base::PhysAddr;
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::Rule;
use crate::conformance::scene::Scene;

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
