//! Everything a root leads to: tables and leaves.

use super::format::{Decoded, Format, size_at};
use super::permissions::Permissions;
use super::rights::Rights;
use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;

/// Table uses that are read at most. Tables that name themselves can have 512^4 ways.
const USES_MAX: usize = 512;

/// One way to a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TableUse {
    pub(crate) frame: Frame,
    pub(crate) level: u8,
    pub(crate) first: VirtAddr,
    pub(crate) limit: Permissions,
}

/// One leaf on one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Leaf {
    pub(crate) first: VirtAddr,
    pub(crate) page: PhysAddr,
    pub(crate) size: PageSize,
    pub(crate) rights: Rights,
    pub(crate) global: bool,
    /// Where the entry lies.
    pub(crate) at: PhysAddr,
    /// Its bits.
    pub(crate) bits: u64,
}

/// All tables and leaves, in the order of entries.
#[derive(Clone, Default, Debug)]
pub(crate) struct Listing {
    pub(crate) tables: Vec<TableUse>,
    pub(crate) leaves: Vec<Leaf>,
    /// More tables than the bound.
    pub(crate) is_cut: bool,
}

impl Listing {
    /// Reads everything below `root`, but for what these entries of it lead to. `table_at` gives `None`
    /// outside memory: such a table is empty.
    pub(crate) fn of(
        format: &dyn Format,
        root: PhysAddr,
        reserved: &[u64],
        table_at: &dyn Fn(Frame) -> Option<TableWords>,
    ) -> Self {
        let mut listing = Self::default();
        let root = TableUse {
            frame: root.frame(),
            level: format.levels(),
            first: VirtAddr(0),
            limit: Permissions::ALL,
        };
        let table_at = |frame| {
            let mut words = table_at(frame)?;
            if frame == root.frame {
                reserved.iter().for_each(|&index| {
                    if let Some(word) = words.get_mut(usize::try_from(index).unwrap_or(usize::MAX))
                    {
                        *word = 0;
                    }
                });
            }
            Some(words)
        };
        listing.descend(format, &table_at, root);
        listing.leaves.sort_by_key(|leaf| leaf.first);
        listing
    }

    fn descend(
        &mut self,
        format: &dyn Format,
        table_at: &dyn Fn(Frame) -> Option<TableWords>,
        table: TableUse,
    ) {
        if self.tables.len() >= USES_MAX {
            self.is_cut = true;
            return;
        }
        self.tables.push(table);
        let Some(words) = table_at(table.frame) else { return };
        for (index, bits) in (0..format.entries(table.level)).zip(words) {
            if bits == 0 {
                continue;
            }
            let first = format.first_of(table.level, table.first, index);
            match format.decode(table.level, bits) {
                Decoded::Invalid | Decoded::Malformed | Decoded::Inaccessible => {}
                Decoded::Table { at, limit } => {
                    let limit = table.limit.within(limit);
                    let level = table.level - 1;
                    let below = TableUse { frame: at.frame(), level, first, limit };
                    self.descend(format, table_at, below);
                }
                Decoded::Leaf { .. } => self.leaves.extend(leaf_in(format, &table, index, bits)),
            }
        }
    }

    /// How a frame is used as a table, the first way.
    pub(crate) fn use_of(&self, frame: Frame) -> Option<&TableUse> {
        self.ways_to(frame).next()
    }

    /// Every way to a table.
    pub(crate) fn ways_to(&self, frame: Frame) -> impl Iterator<Item = &TableUse> {
        self.tables.iter().filter(move |table| table.frame == frame)
    }

    /// What a store over one entry changes of this, where no table is linked or unlinked by it: hundreds of stores
    /// fill one table, and each would read all others. `None` when everything has to be read anew.
    pub(crate) fn change(
        &self,
        format: &dyn Format,
        at: PhysAddr,
        [old, new]: [u64; 2],
    ) -> Option<Change> {
        let index = at.offset() / 8;
        let is_table = |level, bits| matches!(format.decode(level, bits), Decoded::Table { .. });
        let mut change = Change::default();
        for way in self.ways_to(at.frame()) {
            let level = way.level;
            if is_table(level, old) || is_table(level, new) || index >= format.entries(level) {
                return None;
            }
            let first = format.first_of(level, way.first, index);
            let was = self.leaves.binary_search_by_key(&first, |leaf| leaf.first);
            change.before.extend(was.ok().and_then(|place| self.leaves.get(place)));
            change.after.extend(leaf_in(format, way, index, new));
        }
        change.before.sort_by_key(|leaf| leaf.first);
        change.after.sort_by_key(|leaf| leaf.first);
        Some(change)
    }

    /// Takes in such a change.
    pub(crate) fn take_in(&mut self, change: &Change) {
        let place = |leaves: &[Leaf], first| leaves.binary_search_by_key(&first, |leaf| leaf.first);
        for leaf in &change.before {
            if let Ok(place) = place(&self.leaves, leaf.first) {
                self.leaves.remove(place);
            }
        }
        for leaf in &change.after {
            if let Err(place) = place(&self.leaves, leaf.first) {
                self.leaves.insert(place, *leaf);
            }
        }
    }
}

/// The leaves that an entry was and is, on every way to it, in the order of addresses.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) before: Vec<Leaf>,
    pub(crate) after: Vec<Leaf>,
}

/// The leaf that an entry of a table is on one way to it.
pub(crate) fn leaf_in(
    format: &dyn Format,
    table: &TableUse,
    index: u64,
    bits: u64,
) -> Option<Leaf> {
    let Decoded::Leaf { page, size, permissions, global } = format.decode(table.level, bits) else {
        return None;
    };
    let first = format.first_of(table.level, table.first, index);
    let rights = format.rights(permissions.within(table.limit));
    Some(Leaf { first, page, size, rights, global, at: table.frame.start().plus(8 * index), bits })
}

/// All leaves that a table itself holds, on one way to it.
pub(crate) fn leaves_in<'a>(
    format: &'a dyn Format,
    table: &'a TableUse,
    word_at: &'a dyn Fn(PhysAddr) -> u64,
) -> impl Iterator<Item = Leaf> + 'a {
    let start = table.frame.start();
    let indices = 0..format.entries(table.level);
    indices.filter_map(move |index| leaf_in(format, table, index, word_at(start.plus(8 * index))))
}

/// How a frame is used as a table, the first way in the order of a [`Listing`], without making one: a
/// signal handler asks too, and must not allocate.
pub(crate) fn use_of(
    format: &dyn Format,
    root: PhysAddr,
    word_at: &dyn Fn(PhysAddr) -> u64,
    frame: Frame,
) -> Option<TableUse> {
    let levels = format.levels();
    let root = TableUse {
        frame: root.frame(),
        level: levels,
        first: VirtAddr(0),
        limit: Permissions::ALL,
    };
    let mut left = USES_MAX;
    search(format, word_at, root, frame, &mut left)
}

fn search(
    format: &dyn Format,
    word_at: &dyn Fn(PhysAddr) -> u64,
    table: TableUse,
    wanted: Frame,
    left: &mut usize,
) -> Option<TableUse> {
    *left = left.checked_sub(1)?;
    if table.frame == wanted {
        return Some(table);
    }
    (0..512).find_map(|index| {
        let bits = word_at(table.frame.start().plus(8 * index));
        let Decoded::Table { at, limit } = format.decode(table.level, bits) else { return None };
        let first = format.first_of(table.level, table.first, index);
        let (frame, level) = (at.frame(), table.level - 1);
        let below = TableUse { frame, level, first, limit: table.limit.within(limit) };
        search(format, word_at, below, wanted, left)
    })
}

/// The first leaf below an entry that names a table, and its level; `None` when there is none. Allocates nothing.
pub(crate) fn leaf_below(
    format: &dyn Format,
    word_at: &dyn Fn(PhysAddr) -> u64,
    level: u8,
    at: PhysAddr,
) -> Option<(PhysAddr, u8)> {
    let Decoded::Table { at: table, .. } = format.decode(level, word_at(at)) else { return None };
    let below = level - 1;
    (0..format.entries(below)).find_map(|index| {
        let at = table.plus(8 * index);
        match format.decode(below, word_at(at)) {
            Decoded::Leaf { .. } => Some((at, below)),
            _ => leaf_below(format, word_at, below, at),
        }
    })
}

/// The 512 words of one table.
pub(crate) type TableWords = [u64; 512];

/// Bytes of linear addresses below one table at `level`.
pub(crate) fn span_of(level: u8) -> u64 {
    512u64.checked_shl(super::format::shift(level)).unwrap_or(u64::MAX)
}

/// The level whose leaves have this size.
pub(crate) fn level_of(size: PageSize) -> u8 {
    (1..=3).find(|&level| size_at(level) == Some(size)).unwrap_or(1)
}
