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
    let mut next = 0;
    while next < 512 {
        if next % 8 == 0 && memory.are_eight_absent(from.at.plus(8 * next)) {
            next += 8;
            continue;
        }
        let index = next;
        next += 1;
        let entry = Entry(memory.entry(from.at.plus(8 * index)));
        if !entry.has(Entry::P) {
            continue;
        }
        let Some(found) = from.found(controls, index, entry) else { continue };
        match (visit(found), found) {
            (Next::Stop, _) => return Extent::Cut,
            (Next::Into, Found::Table(below))
                if go(memory, controls, &below, left, visit) == Extent::Cut =>
            {
                return Extent::Cut;
            }
            _ => {}
        }
    }
    Extent::Complete
}
