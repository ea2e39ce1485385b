//! How does an entry of a cache keep rights?
//!
//! In the order of a leaf's bits, so that they are taken from there together: R/W of every entry on the
//! way, U/S of every one, not XD of any; and of a dirty leaf R/W of every entry above it, which tells
//! pages of shadow stacks from other pages that can't be written (Intel SDM volume 3A, "Determination
//! of Access Rights").

use crate::machine::paging::x86_64::walker::Permitted;
use crate::machine::paging::x86_64::{Entry, Rights};

const WRITABLE: u64 = 1;
const USER: u64 = 2;
const EXECUTABLE: u64 = 4;
const DIRTY_AND_WRITABLE_ABOVE: u64 = 8;
const ALL: u64 = 15;

/// Rights as four bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Code(u64);

impl Code {
    #[inline(always)]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits & ALL)
    }

    /// Below 16.
    #[inline(always)]
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// The same, to look something up by.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "four bits")]
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    #[inline(always)]
    pub(super) const fn of(permitted: &Permitted) -> Self {
        let denied = permitted.denied_by_all();
        let denied = (denied & (Entry::RW | Entry::US)) >> 1 | denied >> 61 & EXECUTABLE;
        let above = permitted.leaf >> 3 & !(permitted.denied << 2) & DIRTY_AND_WRITABLE_ABOVE;
        Self(denied ^ (WRITABLE | USER | EXECUTABLE) | above)
    }

    #[inline(always)]
    pub(super) fn rights(self) -> Rights {
        let bit = |set, right: Rights| if self.0 & set != 0 { right.bits() } else { 0 };
        let is_shadow_stack =
            self.0 & (WRITABLE | DIRTY_AND_WRITABLE_ABOVE) == DIRTY_AND_WRITABLE_ABOVE;
        Rights::from_bits(
            bit(WRITABLE, Rights::WRITABLE)
                | bit(USER, Rights::USER)
                | bit(EXECUTABLE, Rights::EXECUTABLE)
                | if is_shadow_stack { Rights::SHADOW_STACK.bits() } else { 0 },
        )
    }

    /// Of a leaf with these rights, which is dirty or not.
    #[inline(always)]
    pub(super) fn new(rights: Rights, is_dirty: bool) -> Self {
        let bit = |right, set| if rights.has(right) { set } else { 0 };
        // What can be written is writable above, and so is a shadow stack, which is dirty anyway.
        let above = if is_dirty { DIRTY_AND_WRITABLE_ABOVE } else { 0 };
        Self(
            bit(Rights::WRITABLE, WRITABLE | above)
                | bit(Rights::USER, USER)
                | bit(Rights::EXECUTABLE, EXECUTABLE)
                | bit(Rights::SHADOW_STACK, DIRTY_AND_WRITABLE_ABOVE),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::paging::PageSize;

    #[test]
    fn of_any_leaf_below_any_entries_the_rights_come_back() {
        let bits = [Entry::RW, Entry::US, Entry::XD, Entry::D];
        let set = |number: u64| {
            (0..4).filter(|bit| number >> bit & 1 == 1).fold(0, |all, bit| all | bits[bit])
        };

        for (above, leaf) in (0..8).flat_map(|above| (0..16).map(move |leaf| (above, leaf))) {
            let denied = set(above);
            let table = (Entry::RW | Entry::US) ^ denied;
            let leaf = set(leaf);
            let rights = Rights::ROOT.through_table(Entry(table)).through_leaf(Entry(leaf));

            let code = Code::of(&Permitted { denied, leaf, size: PageSize::Kib4 });

            assert_eq!(code.rights(), rights, "{denied:#x} {leaf:#x}");
            assert_eq!(Code::new(rights, leaf & Entry::D != 0), code, "{denied:#x} {leaf:#x}");
        }
    }
}
