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

#[cfg(test)]
mod tests {
    use super::super::sparse::{Sparse, TABLE, address};
    use super::super::{Request, walk};
    use super::*;
    use crate::base::{Access, Ring, VirtAddr};
    use crate::machine::paging::TableMemory;

    const VIRT: VirtAddr = VirtAddr(0x12_3456_7000);

    /// What an access sets when the PML4E has A and the leaf has `leaf`.
    fn set_by(access: Access, leaf: u64) -> (Vec<(u64, u64)>, Sparse) {
        let indices = [0, 0x48, 0x1a2, 0x167];
        assert_eq!(address(indices, 0), VIRT);
        let mut memory = Sparse::new(&[
            (0, 0x2000 | TABLE | Entry::A),
            (0x48, 0x3000 | TABLE),
            (0x1a2, 0x4000 | TABLE),
            (0x167, 0x9000 | TABLE | leaf),
        ]);
        let request = Request::new(VIRT, access, Ring::User);
        let marks =
            walk(&memory, &Sparse::controls(), &request).expect("mapped and permitted").marks;
        apply(&mut memory, &marks);
        assert_eq!(marks.is_empty(), marks.items().is_empty());
        (marks.items().iter().map(|(at, bits)| (at.raw(), *bits)).collect(), memory)
    }

    const PDPTE: u64 = 0x2000 + 8 * 0x48;
    const PDE: u64 = 0x3000 + 8 * 0x1a2;
    const PTE: u64 = 0x4000 + 8 * 0x167;

    #[test]
    fn every_entry_used_gets_a_and_the_leaf_of_a_write_gets_d() {
        let (read, _) = set_by(Access::Read, 0);
        let (write, memory) = set_by(Access::Write, 0);

        assert_eq!(read, [(PDPTE, 0x20), (PDE, 0x20), (PTE, 0x20)]);
        assert_eq!(write, [(PDPTE, 0x20), (PDE, 0x20), (PTE, 0x60)]);
        let in_memory = [PDPTE, PDE, PTE].map(|at| memory.entry(PhysAddr::truncated(at)));
        assert_eq!(in_memory, [0x3027, 0x4027, 0x9067]);
    }

    #[test]
    fn what_is_set_is_not_set_again() {
        for (access, leaf, wanted) in [
            (Access::Write, Entry::A, vec![(PTE, 0x40)]),
            (Access::Write, Entry::D, vec![(PTE, 0x20)]),
            (Access::Write, Entry::A | Entry::D, vec![]),
            (Access::Read, Entry::A, vec![]),
            (Access::Read, Entry::D, vec![(PTE, 0x20)]),
            (Access::Execute, 0, vec![(PTE, 0x20)]),
        ] {
            let (set, _) = set_by(access, leaf);

            assert_eq!(set[..2], [(PDPTE, 0x20), (PDE, 0x20)]);
            assert_eq!(set[2..], wanted, "{access:?} {leaf:#x}");
        }
    }

    #[test]
    fn once_all_is_marked_nothing_is_left_to_set() {
        let (_, memory) = set_by(Access::Write, 0);

        let request = Request::new(VIRT, Access::Write, Ring::User);
        let again = walk(&memory, &Sparse::controls(), &request).expect("still mapped");

        assert!(again.marks.is_empty());
        assert!(again.leaf_is_dirty);
    }
}
