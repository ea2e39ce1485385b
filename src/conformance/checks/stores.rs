//! Stores and loads go only to frames owned as tables.
//!
//! Translations alone do not show it: a store to a frame of data corrupts somebody else's bytes and
//! changes no translation at all. Owned is what the code's own allocator gave it and it has not given
//! back. Loads are judged too, as long as nobody altered the tables: a walk that reads a frame of
//! data as a table acts on whatever its owner wrote there.
//!
//! Not checked here: loads through raw pointers, which nobody sees.

use crate::base::PhysAddr;
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::scene::Scene;

pub(crate) fn judge(scene: &Scene, at: PhysAddr, old: u64, new: u64) -> Option<Breach> {
    if scene.is_owned(at.frame()) {
        return None;
    }
    let what = format!(
        "stores {new:#x} over {old:#x} at {:#x}, in a frame that is none of its tables",
        at.raw()
    );
    // Entries that bits were flipped in may name any frame as a table.
    if scene.relaxed.altered {
        return None;
    }
    Some(scene.breach(Check::Stores, "store outside of tables", what, INTERFACE))
}

pub(crate) fn outside(scene: &Scene, at: PhysAddr, new: u64) -> Option<Breach> {
    if scene.relaxed.altered {
        return None;
    }
    if !at.raw().is_multiple_of(8) {
        let what = format!("stores {new:#x} at {:#x}, which is no multiple of 8", at.raw());
        return Some(scene.breach(Check::Stores, "misaligned store", what, INTERFACE));
    }
    let what = format!("stores {new:#x} at {:#x}, where there is no memory", at.raw());
    Some(scene.breach(Check::Stores, "store outside of memory", what, INTERFACE))
}

pub(crate) fn load(scene: &Scene, at: PhysAddr) -> Option<Breach> {
    if scene.relaxed.altered {
        return None;
    }
    if !at.raw().is_multiple_of(8) {
        let what = format!("reads {:#x} as an entry, which is no multiple of 8", at.raw());
        return Some(scene.breach(Check::Stores, "misaligned load", what, INTERFACE));
    }
    let what = format!("reads {:#x} as an entry, in a frame that is none of its tables", at.raw());
    Some(scene.breach(Check::Stores, "load outside of tables", what, INTERFACE))
}
