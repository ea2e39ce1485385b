//! What can make an invariant change its answer.

use crate::base::EventKind;

/// A set of kinds of event and of news from the books.
///
/// Loads, stores and steps are never in it: what is out of place about them is news of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kinds(u64);

impl Kinds {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A store, load, fetch or transfer that was not granted.
    pub const TRESPASS: Self = Self(1 << 48);
    /// A claim that was not true.
    pub const FALSE_CLAIM: Self = Self(1 << 49);
    /// A store to a page table.
    pub const TABLE_STORE: Self = Self(1 << 50);
    /// A withdrawal that has become binding.
    pub const BOUND: Self = Self(1 << 51);
    /// A copy to a process of what it may not read.
    pub const DISCLOSURE: Self = Self(1 << 52);
    /// Memory handed out with another's content.
    pub const RESIDUE: Self = Self(1 << 53);
    /// A step, load, store or push that is out of place by itself.
    pub const SUSPECT: Self = Self(1 << 54);
    /// A processor goes back to user mode after mappings have changed.
    pub const RETURNING: Self = Self(1 << 55);
    /// A processor is in a mode that no switch led to.
    pub const MODE_MISMATCH: Self = Self(1 << 56);

    /// These kinds of event.
    #[must_use]
    pub const fn of(kinds: &[EventKind]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < kinds.len() {
            bits |= 1 << kinds[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
