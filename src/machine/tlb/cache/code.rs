//! Which rights does an entry of a cache grant? A number, to look something up by.
//!
//! R/W of every entry on the way, U/S of every one, not XD of any; and of a dirty leaf R/W of every entry
//! above it, which tells pages of shadow stacks from other pages that can't be written (Intel SDM volume
//! 3A, "Determination of Access Rights").

use crate::machine::paging::x86_64::Rights;

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
}
