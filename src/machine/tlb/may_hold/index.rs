//! Which linear addresses pass through a table entry? The tables below a root, found by frame.
//!
//! A table is listed once for each way that leads to it: with a self-map slot a page table is also
//! data, a page directory also a page table, and so on.

use super::withdrawn::Withdrawn;
use crate::base::{Frame, PhysAddr};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{Controls, Extent, Found, Level, Next, TableUse, leaves};

/// Ways to tables that are listed. A world has tens of tables; tables that lie about themselves
/// have more ways than anybody can list.
const USES_MAX: usize = 1 << 14;

/// Tables that may be read to list them.
const READS_MAX: usize = 1 << 12;

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Sorted by place, then by level and first address.
    uses: Vec<TableUse>,
    /// One bit for each frame number modulo 256: most frames are not tables.
    filter: [u64; 4],
}

#[allow(clippy::cast_possible_truncation, reason = "both are remainders")]
const fn filter_bit(frame: Frame) -> (usize, u64) {
    ((frame.0 / 64 % 4) as usize, 1 << (frame.0 % 64))
}

impl Index {
    /// Lists the tables below the root.
    pub(super) fn rebuild(&mut self, memory: &impl TableMemory, controls: &Controls) -> Extent {
        let uses = &mut self.uses;
        let root = TableUse::root(controls);
        uses.clear();
        uses.push(root);
        let extent = leaves(memory, controls, &root, READS_MAX, &mut |found| match found {
            Found::Leaf { .. } => Next::Past,
            Found::Table(_) if uses.len() >= USES_MAX => Next::Stop,
            Found::Table(table) => {
                uses.push(table);
                if table.level == Level::Pt { Next::Past } else { Next::Into }
            }
        });
        uses.sort_unstable_by_key(|table| (table.at, table.level, table.first));
        self.filter = [0; 4];
        for table in &self.uses {
            let (word, bit) = filter_bit(table.at.frame());
            self.filter[word] |= bit;
        }
        extent
    }

    /// Every way to the table in `frame`.
    #[inline]
    pub(super) fn uses_of(&self, frame: Frame) -> &[TableUse] {
        let (word, bit) = filter_bit(frame);
        if self.filter[word] & bit == 0 {
            return &[];
        }
        let at: PhysAddr = frame.start();
        let from = self.uses.partition_point(|table| table.at < at);
        let rest = self.uses.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|table| table.at == at).count();
        rest.get(..count).unwrap_or_default()
    }

    /// Whether the tables still grant a way to a table, as it was withdrawn.
    pub(super) fn holds(&self, member: &Withdrawn, level: Level) -> bool {
        self.uses_of(member.frame).iter().any(|table| {
            table.level == level
                && table.first.page() == member.first
                && table.rights.has(member.rights)
        })
    }
}
