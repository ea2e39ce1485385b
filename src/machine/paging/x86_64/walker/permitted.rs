//! A leaf that lets the access through, or is about to, not yet taken apart.
//!
//! One caller wants an address, another the rights, a cache its own form of both: each takes what it
//! needs, and the compiler leaves out the rest.

use super::super::entry::Entry;
use super::super::rights::Rights;
use super::super::walk::Reach;
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;

/// A leaf below entries that were checked, and once it was too, one that permits an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::machine) struct Permitted {
    /// What the entries above deny, in the places of R/W, U/S and XD.
    pub(in crate::machine) above: u64,
    /// The leaf.
    pub(in crate::machine) leaf: u64,
    /// What it maps.
    pub(in crate::machine) size: PageSize,
}

impl Permitted {
    /// Where `virt` lies on its page.
    #[inline(always)]
    pub(in crate::machine) const fn address(&self, virt: VirtAddr) -> PhysAddr {
        PhysAddr::truncated(self.page() | virt.0 & (self.size.bytes() - 1))
    }

    /// All that is known of the page.
    #[inline(always)]
    pub(in crate::machine) const fn reach(&self) -> Reach {
        Reach {
            page: PhysAddr::truncated(self.page()),
            size: self.size,
            rights: self.rights(),
            leaf: Entry(self.leaf),
        }
    }

    /// The leaf, in which R/W and U/S deny like XD, and what is denied by any entry on the way.
    #[inline(always)]
    pub(in crate::machine) const fn denied(&self) -> u64 {
        self.above | self.leaf ^ (Entry::RW | Entry::US)
    }

    #[inline(always)]
    const fn page(&self) -> u64 {
        self.leaf & Entry::ADDRESS & !(self.size.bytes() - 1)
    }

    /// The rights that are left, without a branch: [`Rights::through_leaf`] says the same of one entry
    /// after the other.
    #[inline(always)]
    const fn rights(&self) -> Rights {
        let denied = self.denied();
        let granted = !denied;
        let user = (granted & Entry::US) >> 2;
        let executable = (granted & Entry::XD) >> 61;
        // Writable above, not writable itself, and dirty: a page of a shadow stack.
        let shadow_stack = (denied & !self.above & Entry::RW) & (denied & Entry::D) >> 5;
        #[allow(clippy::cast_possible_truncation, reason = "four bits")]
        Rights::from_bits((user | granted & Entry::RW | executable | shadow_stack << 2) as u8)
    }
}
