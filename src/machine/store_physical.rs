//! What does a store to physical memory change besides memory?

use super::Machine;
use super::paging::x86_64::Entry;
use crate::base::PhysAddr;

impl Machine {
    /// Writes physical memory as software or a device does; keeps track of tables.
    #[inline(always)]
    pub(crate) fn write_physical(&mut self, at: PhysAddr, value: u64) -> u64 {
        let old = self.memory.write(at, value);
        if self.tables.is_table(at.frame()) && old != value {
            self.table_written(at, old, value);
        }
        old
    }

    #[cold]
    fn table_written(&mut self, at: PhysAddr, old: u64, new: u64) {
        if self.points.is_striking() {
            self.changed_entries.add(at);
        }
        if (old | new) & Entry::P == 0 {
            return;
        }
        self.tables.entry_written(&self.memory, at, new);
        if !self.tables.is_of_processors(at.frame()) {
            return;
        }
        for state in &mut self.processors {
            state.may_hold.table_store(&self.memory, &state.controls, at, old, new);
        }
    }

    /// What was just written at `at` is meant to be an entry of a table.
    #[inline]
    pub(super) fn entry_is_meant(&mut self, at: PhysAddr) {
        if !self.changed_entries.are_none() {
            self.changed_entries.forget(at);
        }
    }
}
