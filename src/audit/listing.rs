//! Which pages are there, one by one.

use core::fmt;

use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::x86_64::{Entry, Extent, Found, Next, TableUse, leaves};

use super::space::Space;

/// The heading of a list of pages.
pub const HEADER: &str = "va,pa,flags";

/// A page, as QEMU's `info tlb` tells of it: the flags are those of the leaf entry alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its first address, sign-extended.
    pub virt: VirtAddr,
    /// Where it starts in physical memory.
    pub page: PhysAddr,
    /// The leaf entry.
    pub leaf: Entry,
}

impl fmt::Display for Page {
    /// `va,pa,flags`: hexadecimal without prefix, and the letters `XGPDACTUW` for XD, global, bit 7,
    /// dirty, accessed, cache disable, write-through, U/S and R/W, `-` where the bit is 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x},{:x},", self.virt.0, self.page.raw())?;
        for (bit, letter) in [
            (63, "X"),
            (8, "G"),
            (7, "P"),
            (6, "D"),
            (5, "A"),
            (4, "C"),
            (3, "T"),
            (2, "U"),
            (1, "W"),
        ] {
            f.write_str(if self.leaf.has(1 << bit) { letter } else { "-" })?;
        }
        Ok(())
    }
}

/// Shows every page in the order of addresses until `visit` returns `false`. Pages are not gathered
/// first: tables that name themselves may make any number of them.
pub fn pages(space: &Space, mut visit: impl FnMut(&Page) -> bool) -> Extent {
    let root = TableUse::root(&space.controls);
    leaves(&space.image, &space.controls, &root, usize::MAX, &mut |found| match found {
        Found::Table(_) => Next::Into,
        Found::Leaf { first, reach } => {
            let page = Page { virt: first, page: reach.page, leaf: reach.leaf };
            if visit(&page) { Next::Into } else { Next::Stop }
        }
    })
}
