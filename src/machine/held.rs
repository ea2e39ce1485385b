//! What a processor uses of all that it may: a translation that was withdrawn, or one that nobody
//! asked for yet.
//!
//! Both are legal at any time (Intel SDM volume 3A, "Details of TLB Use"): the processor remembers what
//! it could have remembered. What it *may* hold is as it was.

use crate::base::{Page, PhysAddr, VirtAddr};

use super::Machine;
use super::paging::TableMemory;
use super::paging::x86_64::{Controls, Entry, Found, Reach, TableUse};
use super::tlb::{Withdrawn, WithdrawnKind};

/// Tables on the way to a page: one of each level.
const LEVELS_MAX: usize = 5;

/// The way from a table to a page: the entries that were used, and what the last of them says.
struct Way {
    used: [PhysAddr; LEVELS_MAX],
    count: usize,
    reach: Reach,
}

/// Where `virt` leads from this table on, rights aside.
fn way(
    memory: &impl TableMemory,
    controls: &Controls,
    from: TableUse,
    virt: VirtAddr,
) -> Option<Way> {
    let mut table = from;
    let mut used = [PhysAddr::default(); LEVELS_MAX];
    for count in 1..=LEVELS_MAX {
        let index = table.level.index(virt);
        let at = table.at.plus(8 * index);
        used[count - 1] = at;
        match table.found(controls, index, Entry(memory.entry(at)))? {
            Found::Table(below) => table = below,
            Found::Leaf { reach, .. } => return Some(Way { used, count, reach }),
        }
    }
    None
}

impl Machine {
    /// Makes a processor use a translation that it may still hold although the tables no longer grant
    /// it: of this page or, for `None`, of any; the one on which `drawn` falls. Returns the address that
    /// it translates. `None` when there is none, or when it is to be found in a table that no longer
    /// leads anywhere.
    pub(super) fn hold(
        &mut self,
        number: usize,
        page: Option<VirtAddr>,
        drawn: u64,
    ) -> Option<VirtAddr> {
        // What it would remember isn't narrowed by the second level.
        if self.second_level.is_on() {
            return None;
        }
        let state = &mut self.processors[number];
        let serves = |member: &&Withdrawn| page.is_none_or(|virt| member.translates(virt.page()));
        let members = || state.may_hold.members().iter().filter(serves);
        let count = members().count() as u64;
        let chosen = usize::try_from(drawn.checked_rem(count)?).ok()?;
        let member = *members().nth(chosen)?;
        let any = || Page(member.first.0.wrapping_add(drawn / count % member.pages));
        let page = page.map_or_else(any, VirtAddr::page);
        match member.kind {
            WithdrawnKind::Leaf(_) => state.tlb.hold(&state.controls, &member, page),
            WithdrawnKind::Table(level) => {
                let controls = Controls { cr3: member.pcid, ..state.controls };
                let (at, first) = (member.frame.start(), member.first.start());
                let table = TableUse { at, level, first, rights: member.rights };
                self.remember(number, &controls, table, page.start())?;
            }
        }
        Some(page.start())
    }

    /// Makes a processor load the translation of a page before anybody asks for it. Whether there is
    /// one.
    pub(super) fn prefetch(&mut self, number: usize, virt: VirtAddr) -> bool {
        let controls = self.processors[number].controls;
        !self.second_level.is_on()
            && controls.is_canonical(virt)
            && self.remember(number, &controls, TableUse::root(&controls), virt).is_some()
    }

    /// Makes a processor remember where `virt` leads from this table on.
    fn remember(
        &mut self,
        number: usize,
        controls: &Controls,
        from: TableUse,
        virt: VirtAddr,
    ) -> Option<()> {
        let Way { used, count, reach } = way(&self.memory, controls, from, virt)?;
        for at in used.into_iter().take(count) {
            if !Entry(self.memory.entry(at)).has(Entry::A) {
                self.mark(number, virt, at, Entry::A);
            }
        }
        self.processors[number].tlb.keep(controls, virt, &reach);
        Some(())
    }
}

/// What tests of a machine with a few pages need.
#[cfg(test)]
pub(super) mod testing {
    use std::sync::Arc;

    use super::super::code::Program;
    use super::*;
    use crate::base::Principal;
    use crate::machine::paging::x86_64::ControlFlags;

    /// A page whose entry is the first of the page table.
    pub(in crate::machine) const PAGE: VirtAddr = VirtAddr(0x7f12_3460_0000);
    const TABLE: u64 = Entry::P | Entry::RW | Entry::US;

    /// The root in frame 1, the page table of [`PAGE`] in frame 4, nothing mapped.
    pub(in crate::machine) fn machine(flags: ControlFlags) -> Machine {
        let controls = Controls { flags, ..Controls::default() };
        let mut machine = Machine::new(16, 1, 1, controls, Arc::new(Program::link(&[])));
        for (frame, shift) in [(1, 39), (2, 30), (3, 21)] {
            machine.write_physical(entry(frame, shift, PAGE), (frame + 1) << 12 | TABLE);
        }
        machine.settle();
        machine.preset_root(0, 0x1000, Principal::KERNEL);
        machine
    }

    pub(in crate::machine) fn entry(frame: u64, shift: u32, virt: VirtAddr) -> PhysAddr {
        PhysAddr::truncated(frame << 12 | (virt.0 >> shift & 511) << 3)
    }

    /// Where the entry of a page near [`PAGE`] is.
    pub(in crate::machine) fn pte(virt: VirtAddr) -> PhysAddr {
        entry(4, 12, virt)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{PAGE, entry, machine, pte};
    use super::*;
    use crate::base::{Access, EventKind};
    use crate::machine::Processor;
    use crate::machine::paging::x86_64::ControlFlags;

    const LEAF: u64 = Entry::P | Entry::RW | Entry::A;

    fn leads_to(machine: &mut Machine, virt: VirtAddr, access: Access) -> Option<u64> {
        let mut processor = Processor { machine, number: 0 };
        processor.translate(virt.0, access).ok().map(PhysAddr::raw)
    }

    fn held(machine: &mut Machine, page: Option<VirtAddr>) -> Vec<u64> {
        let mut all: Vec<u64> =
            (0..64).filter_map(|drawn| machine.hold(0, page, drawn)).map(|virt| virt.0).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn a_withdrawn_translation_is_used_until_it_is_invalidated() {
        let mut machine = machine(ControlFlags::NONE);
        machine.write_physical(pte(PAGE), 0x5000 | LEAF);
        machine.write_physical(pte(PAGE), 0x6000 | LEAF);
        assert_eq!(leads_to(&mut machine, PAGE, Access::Read), Some(0x6000));

        assert_eq!(machine.hold(0, Some(PAGE), 7), Some(PAGE));

        for access in [Access::Read, Access::Write] {
            assert_eq!(leads_to(&mut machine, PAGE, access), Some(0x5000), "{access:?}");
        }
        Processor { machine: &mut machine, number: 0 }.invalidate(PAGE.0).expect("ring 0");
        assert_eq!(leads_to(&mut machine, PAGE, Access::Read), Some(0x6000));
        assert_eq!(machine.hold(0, Some(PAGE), 7), None);
    }

    #[test]
    fn what_was_read_only_stays_read_only_and_is_not_dirty() {
        let mut machine = machine(ControlFlags::WP);
        machine.write_physical(pte(PAGE), 0x5000 | LEAF & !Entry::RW);
        machine.write_physical(pte(PAGE), 0x6000 | LEAF);

        machine.hold(0, Some(PAGE), 0).expect("it was withdrawn");

        assert_eq!(leads_to(&mut machine, PAGE, Access::Read), Some(0x5000));
        assert_eq!(leads_to(&mut machine, PAGE, Access::Write), Some(0x6000), "as the tables say");
    }

    #[test]
    fn the_draw_falls_on_every_page_that_was_withdrawn_and_on_no_other() {
        let mut machine = machine(ControlFlags::NONE);
        let pages = [0u64, 1, 2, 5].map(|number| PAGE.plus(number << 12));
        for (number, page) in pages.into_iter().enumerate() {
            machine.write_physical(pte(page), (5 + number as u64) << 12 | LEAF);
        }
        for page in pages {
            machine.write_physical(pte(page), 0);
        }
        machine.write_physical(pte(PAGE.plus(9 << 12)), 0x9000 | LEAF);

        assert_eq!(held(&mut machine, None), pages.map(|page| page.0));
        assert_eq!(held(&mut machine, Some(pages[3])), [pages[3].0]);
        assert_eq!(held(&mut machine, Some(PAGE.plus(9 << 12))), [0; 0], "it is granted");
    }

    #[test]
    fn the_way_to_a_table_that_was_unlinked_leads_by_what_is_in_it_now() {
        let mut machine = machine(ControlFlags::NONE);
        let next = PAGE.plus(4096);
        machine.write_physical(entry(3, 21, PAGE), 0);
        machine.memory.write(pte(next), 0x7000 | Entry::P);
        machine.events.clear();

        assert_eq!(machine.hold(0, Some(next), 3), Some(next));

        assert_eq!(leads_to(&mut machine, next, Access::Read), Some(0x7000));
        assert_eq!(machine.memory.read(pte(next)), 0x7000 | Entry::P | Entry::A);
        let marks = machine.events.iter().filter(|event| event.kind == EventKind::TableMark);
        assert_eq!(marks.map(|event| event.phys).collect::<Vec<_>>(), [pte(next).raw()]);
        let nothing = PAGE.plus(3 * 4096);
        assert_eq!(machine.hold(0, Some(nothing), 3), None, "nothing is in that entry");
        Processor { machine: &mut machine, number: 0 }.invalidate(PAGE.0).expect("ring 0");
        assert_eq!(machine.hold(0, Some(next), 3), None, "INVLPG drops every way");
    }

    #[test]
    fn a_translation_is_loaded_before_anybody_asks_for_it() {
        let mut machine = machine(ControlFlags::NONE);
        machine.write_physical(pte(PAGE), 0x5000 | Entry::P);

        assert!(machine.prefetch(0, PAGE));

        assert_eq!(machine.memory.read(pte(PAGE)), 0x5000 | Entry::P | Entry::A);
        assert_eq!(machine.memory.read(entry(1, 39, PAGE)) & Entry::A, Entry::A);
        machine.memory.write(pte(PAGE), 0x6000 | Entry::P);
        assert_eq!(leads_to(&mut machine, PAGE, Access::Read), Some(0x5000));
    }

    #[test]
    fn nothing_is_loaded_where_nothing_is_mapped() {
        let mut machine = machine(ControlFlags::NONE);
        machine.write_physical(pte(PAGE), 0x5000 | Entry::P);

        assert!(!machine.prefetch(0, PAGE.plus(4096)));
        assert!(!machine.prefetch(0, VirtAddr(PAGE.0 | 1 << 47)), "it is not canonical");
        assert_eq!(machine.memory.read(entry(1, 39, PAGE)) & Entry::A, 0);
    }
}
