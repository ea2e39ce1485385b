//! What is mapped at all? Every table and every leaf that a root leads to.
//!
//! A table frame may be reached on several ways, a self-map slot included: it is found once for
//! each of them. Tables that lie about themselves can make that explode (512 entries that name
//! their own table give 512^4 ways), so a caller bounds the number of tables read.

use super::controls::Controls;
use super::entry::{Entry, EntryKind, Level, Reserved};
use super::rights::Rights;
use super::walk::Reach;
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::TableMemory;

/// One way to reach a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableUse {
    /// Where the table starts.
    pub at: PhysAddr,
    /// As what it is read on this way.
    pub level: Level,
    /// The first linear address that its first entry translates.
    pub first: VirtAddr,
    /// What every entry above allows.
    pub rights: Rights,
}

impl TableUse {
    /// The root itself.
    #[must_use]
    pub const fn root(controls: &Controls) -> Self {
        Self {
            at: controls.root(),
            level: Level::top(controls),
            first: VirtAddr(0),
            rights: Rights::ROOT,
        }
    }

    /// The first linear address that entry `index` translates, sign-extended as the mode has it.
    #[must_use]
    #[inline(always)]
    pub const fn first_of(&self, controls: &Controls, index: u64) -> VirtAddr {
        let virt = self.first.0.wrapping_add((index & 511) << self.level.shift());
        // Only the root's first address is not yet extended, and it is 0.
        let unused = match Level::top(controls) {
            Level::Pml5 => 7,
            _ => 16,
        };
        VirtAddr(((virt << unused).cast_signed() >> unused).cast_unsigned())
    }

    /// What is found in entry `index` when it holds `entry`.
    #[must_use]
    #[inline(always)]
    pub const fn found(&self, controls: &Controls, index: u64, entry: Entry) -> Option<Found> {
        let first = self.first_of(controls, index);
        match entry.kind(self.level, Reserved::new(controls)) {
            EntryKind::NotPresent | EntryKind::Reserved => None,
            EntryKind::Table(at) => {
                let rights = self.rights.through_table(entry);
                Some(Found::Table(Self { at, level: self.level.below(), first, rights }))
            }
            EntryKind::Leaf(page, size) => {
                let rights = self.rights.through_leaf(entry);
                Some(Found::Leaf { first, reach: Reach { page, size, rights, leaf: entry } })
            }
        }
    }
}

/// What was found on the way through the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// A table, before what it leads to.
    Table(TableUse),
    /// A page.
    Leaf {
        /// The first linear address of the page.
        first: VirtAddr,
        /// What it leads to.
        reach: Reach,
    },
}

/// How to go on after a find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// On, and into the table that was found.
    Into,
    /// On, but past the table that was found.
    Past,
    /// No further.
    Stop,
}

/// Whether everything was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an incomplete list proves nothing"]
pub enum Extent {
    /// Every way was followed, or left out by the visitor.
    Complete,
    /// The visitor stopped, or the bound on tables was reached.
    Cut,
}

/// Shows `visit` each table and leaf below `from`, in the order of linear addresses, reading at most
/// `tables_max` tables.
pub fn leaves(
    memory: &impl TableMemory,
    controls: &Controls,
    from: &TableUse,
    tables_max: usize,
    visit: &mut impl FnMut(Found) -> Next,
) -> Extent {
    let mut left = tables_max;
    go(memory, controls, from, &mut left, visit)
}

/// Entries that are looked at together where a table lies at hand.
const AT_ONCE: usize = 32;

/// Recursion is bounded by the levels: each call goes one level down.
fn go(
    memory: &impl TableMemory,
    controls: &Controls,
    from: &TableUse,
    left: &mut usize,
    visit: &mut impl FnMut(Found) -> Next,
) -> Extent {
    if *left == 0 {
        return Extent::Cut;
    }
    *left -= 1;
    let mut enter = |index: u64, entry: Entry| {
        let Some(found) = from.found(controls, index, entry) else { return Extent::Complete };
        match (visit(found), found) {
            (Next::Stop, _) => Extent::Cut,
            (Next::Into, Found::Table(below)) => go(memory, controls, &below, left, visit),
            _ => Extent::Complete,
        }
    };
    if let Some(entries) = memory.table(from.at) {
        let (parts, _) = entries.as_chunks::<AT_ONCE>();
        for (first, part) in (0..).step_by(AT_ONCE).zip(parts) {
            if part.iter().fold(0, |all, entry| all | entry) & Entry::P == 0 {
                continue;
            }
            for (index, &entry) in (first..).zip(part) {
                if entry & Entry::P != 0 && enter(index, Entry(entry)) == Extent::Cut {
                    return Extent::Cut;
                }
            }
        }
        return Extent::Complete;
    }
    let mut next = 0;
    while next < 512 {
        if next % 8 == 0 && memory.are_eight_absent(from.at.plus(8 * next)) {
            next += 8;
            continue;
        }
        let index = next;
        next += 1;
        let entry = Entry(memory.entry(from.at.plus(8 * index)));
        if entry.has(Entry::P) && enter(index, entry) == Extent::Cut {
            return Extent::Cut;
        }
    }
    Extent::Complete
}

#[cfg(test)]
mod tests {
    use super::super::sparse::{Sparse, TABLE, address};
    use super::super::{ControlFlags, lookup};
    use super::*;
    use crate::machine::memory::Memory;
    use crate::machine::paging::PageSize;

    /// Frame 1: the root, with a lower and an upper half. Frame 4: a page table with its first and
    /// its last page; beside it a page of 2 MiB, above it one of 1 GiB.
    fn memory() -> Sparse {
        let mut memory = Sparse::new(&[
            (0, 0x2000 | TABLE),
            (9, 0x3000 | TABLE),
            (511, 0x4000 | TABLE),
            (0, 0x9000 | TABLE),
        ]);
        memory.put(0x1000 + 8 * 511, 0x2000 | Entry::P);
        memory.put(0x2000 + 8 * 10, 0x4000_0000 | TABLE | Entry::PS);
        memory.put(0x3000 + 8 * 8, 0x20_0000 | TABLE | Entry::PS | Entry::XD);
        memory.put(0x4000 + 8 * 511, 0xa000 | Entry::P);
        memory
    }

    /// What is shown, tables as their frame and level, pages as address and size.
    fn shown(memory: &Sparse, controls: &Controls, tables_max: usize) -> (Vec<Shown>, Extent) {
        let mut all = Vec::new();
        let root = TableUse::root(controls);
        let extent = leaves(memory, controls, &root, tables_max, &mut |found| {
            all.push(match found {
                Found::Table(table) => {
                    let frame = table.at.frame().0;
                    Shown::Table(frame, table.level, table.first.0, table.rights.bits())
                }
                Found::Leaf { first, reach } => {
                    assert_eq!(lookup(memory, controls, first), Some(reach));
                    Shown::Page(first.0, reach.size)
                }
            });
            Next::Into
        });
        (all, extent)
    }

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Shown {
        Table(u64, Level, u64, u8),
        Page(u64, PageSize),
    }

    fn half(top: u64, rights: u8) -> [Shown; 7] {
        let at = |indices: [u64; 3]| {
            let [pdpt, pd, pt] = indices;
            address([top, pdpt, pd, pt], 0).0
        };
        [
            Shown::Table(2, Level::Pdpt, at([0, 0, 0]), rights),
            Shown::Table(3, Level::Pd, at([9, 0, 0]), rights),
            Shown::Page(at([9, 8, 0]), PageSize::Mib2),
            Shown::Table(4, Level::Pt, at([9, 511, 0]), rights),
            Shown::Page(at([9, 511, 0]), PageSize::Kib4),
            Shown::Page(at([9, 511, 511]), PageSize::Kib4),
            Shown::Page(at([10, 0, 0]), PageSize::Gib1),
        ]
    }

    #[test]
    fn every_way_is_shown_in_the_order_of_addresses() {
        for skips in [false, true] {
            let memory = Sparse { skips, ..memory() };

            let (all, extent) = shown(&memory, &Sparse::controls(), 7);

            assert_eq!(extent, Extent::Complete);
            assert_eq!(all, [half(0, 7), half(511, 4)].concat());
            // Seven tables: whole, or those eighths in which something is present.
            let reads = 8 * (2 + 2 * (1 + 2 + 2));
            let looked_up = memory.reads.get() - if skips { reads } else { 7 * 512 };
            assert_eq!(looked_up, 2 * (4 + 4 + 3 + 2), "reads by the look-ups of the test");
        }
    }

    #[test]
    fn too_few_tables_are_told() {
        for tables_max in 0..7 {
            let (all, extent) = shown(&memory(), &Sparse::controls(), tables_max);

            assert_eq!(extent, Extent::Cut, "{tables_max}");
            let tables = all.iter().filter(|one| matches!(one, Shown::Table(..))).count();
            assert_eq!(tables, tables_max, "the last of them was shown and not read");
        }
    }

    #[test]
    fn a_visitor_passes_over_a_table_or_stops() {
        let (memory, controls) = (memory(), Sparse::controls());
        let root = TableUse::root(&controls);
        let count = |answer: &dyn Fn(Found) -> Next| {
            let mut count = 0;
            let extent = leaves(&memory, &controls, &root, 7, &mut |found| {
                count += 1;
                answer(found)
            });
            (count, extent)
        };

        assert_eq!(count(&|_| Next::Past), (2, Extent::Complete));
        let stop = |found| match found {
            Found::Leaf { .. } => Next::Stop,
            Found::Table(_) => Next::Into,
        };
        assert_eq!(count(&stop), (3, Extent::Cut));
        let below = |found| match found {
            Found::Table(table) if table.level == Level::Pt => Next::Past,
            _ => Next::Into,
        };
        assert_eq!(count(&below), (10, Extent::Complete));
    }

    #[test]
    fn first_addresses_are_sign_extended_as_the_mode_has_it() {
        let four = Sparse::controls();
        let five = Controls { flags: four.flags | ControlFlags::LA57, ..four };
        let [root, root_of_five] = [&four, &five].map(TableUse::root);

        assert_eq!(root.first_of(&four, 255).0, 0x0000_7f80_0000_0000);
        assert_eq!(root.first_of(&four, 256).0, 0xffff_8000_0000_0000);
        assert_eq!(root.first_of(&four, 512 + 1).0, 1 << 39, "nine bits of it count");
        assert_eq!(root_of_five.first_of(&five, 255).0, 0x00ff_0000_0000_0000);
        assert_eq!(root_of_five.first_of(&five, 256).0, 0xff00_0000_0000_0000);
        assert_eq!((root.level, root_of_five.level), (Level::Pml4, Level::Pml5));
        assert_eq!((root.at.raw(), root.rights, root.first.0), (0x1000, Rights::ROOT, 0));
    }

    #[test]
    fn nothing_is_found_in_an_entry_that_leads_nowhere() {
        let controls = Sparse::controls();
        let root = TableUse::root(&controls);

        assert_eq!(root.found(&controls, 3, Entry(0x2000)), None);
        assert_eq!(root.found(&controls, 3, Entry(0x2001 | 1 << 45)), None);
        let Some(Found::Table(table)) = root.found(&controls, 3, Entry(0x2001)) else {
            panic!("a table");
        };
        assert_eq!((table.at.raw(), table.level), (0x2000, Level::Pdpt));
        assert_eq!((table.first.0, table.rights), (3 << 39, Rights::EXECUTABLE));
    }

    /// Memory whose tables are read entry by entry.
    struct Singly<'a>(&'a Memory);

    impl TableMemory for Singly<'_> {
        fn entry(&self, at: PhysAddr) -> u64 {
            self.0.entry(at)
        }
    }

    fn found(memory: &impl TableMemory, tables_max: usize) -> (Vec<Found>, Extent) {
        let (mut all, controls) = (Vec::new(), Sparse::controls());
        let root = TableUse::root(&controls);
        let extent = leaves(memory, &controls, &root, tables_max, &mut |found| {
            all.push(found);
            Next::Into
        });
        (all, extent)
    }

    #[test]
    fn a_table_at_hand_shows_what_its_entries_show() {
        let mut stream = crate::base::Seed(5).stream("leaves", 0);
        let (mut pages, mut cut) = (0, 0);
        for _ in 0..60 {
            let mut memory = Memory::new(8);
            for _ in 0..80 {
                let at = stream.below(8) << 12 | stream.below(512) << 3;
                // Frame 8 is outside memory, where all is present and reserved.
                let flags = stream.below(64) << 2 | u64::from(stream.below(4) != 0);
                memory.write(PhysAddr::truncated(at), stream.below(9) << 12 | flags);
            }

            let (at_hand, extent) = found(&memory, 24);

            assert_eq!((at_hand.clone(), extent), found(&Singly(&memory), 24));
            pages += at_hand.iter().filter(|found| matches!(found, Found::Leaf { .. })).count();
            cut += usize::from(extent == Extent::Cut);
        }
        assert!(pages > 500 && cut > 0 && cut < 60, "{pages} pages, {cut} times cut");
    }

    #[test]
    fn an_entry_of_nothing_but_the_present_bit_leads_to_page_0() {
        let mut memory = Memory::new(8);
        for (at, entry) in [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003), (0x4140, 1)] {
            memory.write(PhysAddr::truncated(at), entry);
        }

        let (all, extent) = found(&memory, 4);

        let Some(Found::Leaf { first, reach }) = all.last() else { panic!("{all:?}") };
        assert_eq!((all.len(), extent), (4, Extent::Complete));
        assert_eq!((first.0, reach.page.raw(), reach.leaf), (40 << 12, 0, Entry(1)));
    }
}
