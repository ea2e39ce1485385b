//! Which entries of tables were changed since a fault struck?
//!
//! A processor that remembers no translation reads entries and tells nobody. Whoever asks what became of a
//! corrupt entry must know. To tell of every entry that is read would cost more than the walks themselves;
//! so those are told of that were changed by other stores than those meant for tables. The same holds for the
//! IOMMU, which remembers none.

use core::cell::Cell;

use super::memory::Memory;
use super::paging::TableMemory;
use super::paging::x86_64::{self, Controls};
use crate::base::{PhysAddr, VirtAddr};

/// Entries that are told apart at most; beyond it all count as changed.
const ENTRIES_MAX: usize = 64;

/// Levels of tables at most.
const LEVELS: usize = 5;

/// Addresses of changed entries.
#[derive(Clone, Debug, Default)]
pub(super) struct ChangedEntries {
    entries: Vec<PhysAddr>,
    /// A bit for each 64th frame: where it is clear, no entry of them was changed.
    frames: u64,
}

#[inline(always)]
const fn bit(at: PhysAddr) -> u64 {
    1 << (at.frame().0 % 64)
}

impl ChangedEntries {
    #[inline(always)]
    pub(super) const fn are_none(&self) -> bool {
        self.frames == 0
    }

    /// The entry at `at` was changed.
    pub(super) fn add(&mut self, at: PhysAddr) {
        self.frames |= bit(at);
        if self.entries.len() < ENTRIES_MAX && !self.entries.contains(&at) {
            self.entries.push(at);
        }
    }

    /// The entry at `at` was written as an entry is meant to be.
    pub(super) fn forget(&mut self, at: PhysAddr) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.retain(|changed| *changed != at);
            self.frames = self.entries.iter().fold(0, |frames, at| frames | bit(*at));
        }
    }

    fn has(&self, at: PhysAddr) -> bool {
        self.entries.len() == ENTRIES_MAX || self.entries.contains(&at)
    }

    /// Which of them are read on the way to `virt`, from the root down: to the leaf, or to the entry at which
    /// a walk ends in a fault.
    pub(super) fn read_on_the_way(
        &self,
        memory: &Memory,
        controls: &Controls,
        virt: VirtAddr,
    ) -> [Option<PhysAddr>; LEVELS] {
        let way =
            Way { memory, read: Default::default(), count: Cell::new(0), frames: Cell::new(0) };
        // Where it leads is for others to ask.
        let _ = x86_64::lookup(&way, controls, virt);
        if way.frames.get() & self.frames == 0 && self.entries.len() < ENTRIES_MAX {
            return [None; LEVELS];
        }
        way.read.map(|at| at.into_inner().filter(|at| self.has(*at)))
    }

    /// Which of those that the IOMMU reads were changed.
    pub(super) fn of_these<const N: usize>(
        &self,
        read: [Option<PhysAddr>; N],
    ) -> [Option<PhysAddr>; N] {
        read.map(|at| at.filter(|at| self.has(*at)))
    }
}

/// Memory that takes note of what is read from it.
struct Way<'m> {
    memory: &'m Memory,
    read: [Cell<Option<PhysAddr>>; LEVELS],
    count: Cell<usize>,
    frames: Cell<u64>,
}

impl TableMemory for Way<'_> {
    #[inline(always)]
    fn entry(&self, at: PhysAddr) -> u64 {
        if let Some(read) = self.read.get(self.count.get()) {
            read.set(Some(at));
        }
        self.count.set(self.count.get() + 1);
        self.frames.set(self.frames.get() | bit(at));
        self.memory.read(at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::testing::{PAGE, entry, machine, pte};
    use super::*;
    use crate::base::{Access, EventKind};
    use crate::machine::paging::x86_64::{ControlFlags, Entry};
    use crate::machine::{Machine, Processor};

    const MARKED: u64 = Entry::P | Entry::RW | Entry::A | Entry::D;

    fn told(machine: &mut Machine, virt: VirtAddr) -> Vec<u64> {
        machine.events.clear();
        let _ = Processor { machine, number: 0 }.translate(virt.0, Access::Read);
        let loads = machine.events.iter().filter(|event| event.kind == EventKind::TableLoad);
        loads.map(|event| event.phys).collect()
    }

    #[test]
    fn a_walk_tells_of_changed_entries_down_to_where_it_ends() {
        let mut machine = machine(ControlFlags::NONE);
        machine.write_physical(pte(PAGE), 0x5000 | MARKED);
        let next = PAGE.plus(4096);
        assert_eq!(told(&mut machine, next), [0; 0], "nothing struck");

        let directory = entry(3, 21, PAGE);
        for at in [pte(next), directory] {
            machine.changed_entries.add(at);
        }

        assert_eq!(
            told(&mut machine, next),
            [directory.raw(), pte(next).raw()],
            "it is not present"
        );
        assert_eq!(told(&mut machine, PAGE), [directory.raw()]);
        assert_eq!(told(&mut machine, PAGE), [0; 0], "it is remembered");
        machine.write_physical(directory, 0);
        machine.processors[0].tlb.flush_all();
        assert_eq!(told(&mut machine, PAGE), [directory.raw()], "the walk ends there");
    }

    #[test]
    fn an_entry_written_as_one_is_as_it_should_be() {
        let mut machine = machine(ControlFlags::NONE);
        machine.changed_entries.add(pte(PAGE));
        machine.changed_entries.add(entry(1, 39, PAGE));

        machine.entry_is_meant(pte(PAGE));

        assert_eq!(told(&mut machine, PAGE), [entry(1, 39, PAGE).raw()]);
    }

    #[test]
    fn where_too_many_were_changed_every_entry_counts() {
        let mut machine = machine(ControlFlags::NONE);
        for number in 0..ENTRIES_MAX as u64 {
            machine.changed_entries.add(PhysAddr::truncated(0x5000 + 8 * number));
        }

        machine.entry_is_meant(PhysAddr::truncated(0x5000));

        assert_eq!(told(&mut machine, PAGE).len(), 4);
    }
}
