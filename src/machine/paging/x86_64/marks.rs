//! Which accessed and dirty bits a translation sets.
//!
//! Intel SDM volume 3A, "Accessed and Dirty Flags": every entry that was used gets A, and on a
//! write the leaf gets D. Bits that are set already are not written again.

use super::entry::Entry;
use super::walk::Path;
use crate::base::PhysAddr;
use crate::machine::paging::MarkMemory;

/// The entries to mark and the bits to set in each, at most one element a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    items: [(PhysAddr, u64); Path::STEPS_MAX],
    len: u8,
}

impl Marks {
    /// What using `path` sets; `writes` when the access that used it is a write.
    #[inline(always)]
    pub(super) fn of(path: &Path, writes: bool) -> Self {
        let mut marks = Self::default();
        let steps = path.steps();
        for (number, step) in steps.iter().enumerate() {
            let is_leaf = number + 1 == steps.len();
            let wanted = if is_leaf && writes { Entry::A | Entry::D } else { Entry::A };
            let missing = wanted & !step.entry.0;
            if missing != 0
                && let Some(item) = marks.items.get_mut(usize::from(marks.len))
            {
                *item = (step.at, missing);
                marks.len += 1;
            }
        }
        marks
    }

    /// The entries and their missing bits, from the root down.
    #[must_use]
    #[inline(always)]
    pub fn items(&self) -> &[(PhysAddr, u64)] {
        self.items.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether nothing is left to set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Sets the bits in memory.
#[inline(always)]
pub fn apply(memory: &mut impl MarkMemory, marks: &Marks) {
    for &(at, bits) in marks.items() {
        memory.set_bits(at, bits);
    }
}
