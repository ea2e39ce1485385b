//! What is mapped and unmapped leaves every entry as it was that is not on the way to it.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Disturbance, Mapper, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::tables::Tables;

const SIZE: PageSize = PageSize::Kib4;

fn map(page: u64) -> Call {
    let rights = Rights::WRITE.and(Rights::USER);
    Call::Map { page: VirtAddr(page), to: PhysAddr::truncated(0x1_0006_0000), size: SIZE, rights }
}

fn unmap(page: u64) -> Call {
    Call::Unmap { page: VirtAddr(page), size: SIZE }
}

/// The first leaf there is gets out of memory: its entry keeps all other bits.
const HIDE: Call = Call::Disturb { which: 0, how: Disturbance::Hide };

fn told(bug: Option<Bug>, calls: &[Call]) -> Option<String> {
    let case = Case { calls: calls.to_vec(), fault: None };
    let run = || conformance::replay(&case, |memory| Tables::new(memory, bug));
    let payload = std::panic::catch_unwind(run).err()?;
    payload.downcast_ref::<String>().cloned()
}

#[test]
fn an_entry_beside_that_is_not_present_keeps_its_bits() {
    let calls = [map(0x4000), HIDE, map(0x5000), unmap(0x5000)];

    assert_eq!(told(None, &calls), None);
    let told = told(Some(Bug::ClearsHiddenNeighbour), &calls).expect("a finding");

    for part in [
        "finding    equivalence: map then unmap changes an entry that translates nothing",
        "because    it changes the entry at 0x100003020, which was 0x8000000100060006 (R/W U/S",
        "before pages elsewhere were mapped and unmapped, and is 0x0\n",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_directory_entry_beside_keeps_its_bits() {
    let calls = [map(0x20_0000), map(0x4000), unmap(0x4000)];

    assert_eq!(told(None, &calls), None);
    let told = told(Some(Bug::CountsInNextEntry), &calls).expect("a finding");

    let kind = "equivalence: map then unmap changes the entry of a table elsewhere";
    assert!(told.contains(kind) && told.contains(" and is 0x100003207\n"), "{told}");
}

#[test]
fn an_entry_on_the_way_may_change_and_an_empty_table_may_go() {
    // The page that is out of memory is mapped over; a directory entry is counted in that leads to the page.
    let over = [map(0x4000), HIDE, map(0x4000), unmap(0x4000)];
    let counted = [map(0x4000), map(0x1f_f000), unmap(0x1f_f000)];
    let beside = [map(0x20_0000), unmap(0x20_0000), map(0x4000), unmap(0x4000)];

    for calls in [&over[..], &counted, &beside] {
        assert_eq!(told(None, calls), None);
    }
    assert_eq!(told(Some(Bug::ClearsHiddenNeighbour), &over), None);
    assert_eq!(told(Some(Bug::CountsInNextEntry), &counted), None);
    let table = told(Some(Bug::CountsInNextEntry), &beside);
    assert!(table.is_some(), "an empty table is linked by an entry like any other");
}

/// Before each change it copies the tables on the way and links the copies, as somebody does who shares tables between
/// address spaces. A bug: a copy of a last-level table has no page in its last entry but one.
struct Copying {
    tables: Tables,
    memory: Memory,
    loses_one: bool,
}

impl Copying {
    fn at(table: PhysAddr, level: u32, page: VirtAddr) -> PhysAddr {
        table.plus(8 * (page.0 >> (12 + 9 * (level - 1)) & 511))
    }

    fn copy(
        &self,
        table: PhysAddr,
        level: u32,
        page: VirtAddr,
        old: &mut Vec<PhysAddr>,
    ) -> PhysAddr {
        let copy = self.memory.allocate().expect("no allocation fails here");
        old.push(table);
        for index in 0..512 {
            let is_lost = self.loses_one && level == 1 && index == 510;
            let word = if is_lost { 0 } else { self.memory.load(table.plus(8 * index)) };
            self.memory.store(copy.plus(8 * index), word);
        }
        if level > 1 {
            self.relink(Self::at(copy, level, page), level, page, old);
        }
        copy
    }

    /// Lets a present entry of that level lead to a copy of its table.
    fn relink(&self, at: PhysAddr, level: u32, page: VirtAddr, old: &mut Vec<PhysAddr>) {
        let entry = self.memory.load(at);
        if entry & 1 == 0 {
            return;
        }
        let address = ((1 << 52) - 1) & !0xfff;
        let copy = self.copy(PhysAddr::truncated(entry & address), level - 1, page, old);
        self.memory.store(at, entry & !address | copy.raw());
    }

    fn prepare(&self, page: VirtAddr) {
        let mut old = Vec::new();
        self.relink(Self::at(self.tables.root(), 4, page), 4, page, &mut old);
        self.memory.invalidate_all();
        old.into_iter().for_each(|table| self.memory.free(table));
    }
}

impl Mapper for Copying {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::PLAIN.with(Capability::Invalidates);
        plain.with(Capability::FreesOnDrop).with(Capability::UpperHalf)
    }

    fn root(&self) -> PhysAddr {
        self.tables.root()
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.prepare(page);
        self.tables.map(page, to, size, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.prepare(page);
        self.tables.unmap(page, size)
    }
}

#[test]
fn an_entry_may_be_copied_to_another_table_and_not_be_lost_there() {
    let copying = |loses_one| {
        conformance::mapper(move |memory: Memory| Copying {
            tables: Tables::new(memory.clone(), None),
            memory,
            loses_one,
        })
    };

    copying(false).check();
    let report = copying(true).run();

    assert!(!report.findings().is_empty(), "a page is lost");
}
