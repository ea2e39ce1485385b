//! What the processor sets in an entry is not lost when other entries take its place.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Fault, FaultKind, Mapper, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::tables::Tables;

const LARGE: PageSize = PageSize::Mib2;
const TO: PhysAddr = PhysAddr::truncated(0x20_0000_0000);

fn rights() -> Rights {
    Rights::WRITE.and(Rights::USER)
}

/// Another processor uses the entry in front of the first store over a live one.
fn case(calls: &[Call]) -> Case {
    let fault = Some(Fault { kind: FaultKind::HardwareWalk, nth: 1 });
    Case { calls: calls.to_vec(), fault }
}

fn map_large() -> Call {
    Call::Map { page: VirtAddr(0), to: TO, size: LARGE, rights: rights() }
}

fn told(run: impl FnOnce()) -> Option<String> {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).err()?;
    payload.downcast_ref::<String>().cloned()
}

#[test]
fn a_page_that_was_written_to_while_it_was_split_is_not_clean() {
    let part = VirtAddr(0x7000);
    let rights = Rights::WRITE;
    let case = case(&[map_large(), Call::ProtectRange { first: part, bytes: 4096, rights }]);

    conformance::replay(&case, |memory| Tables::new(memory, None));
    let bug = Some(Bug::SplitLosesDirtyFlag);
    let told = told(|| conformance::replay(&case, |memory| Tables::new(memory, bug)));

    let told = told.expect("a finding");
    for part in [
        "finding    marks: dirty flag is lost with the entry that had it",
        "replaces the entry of the 2 MiB page at 0x0, in which the processor set bits 0x40",
        "by one for a 4 KiB page at 0x0 that does not have them",
        "fault      hardware-walk at store over a live entry 1",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_page_that_is_withdrawn_may_take_its_flag_with_it() {
    let case = case(&[map_large(), Call::UnmapRange { first: VirtAddr(0), bytes: LARGE.bytes() }]);

    for bug in [None, Some(Bug::SplitLosesDirtyFlag)] {
        conformance::replay(&case, |memory| Tables::new(memory, bug));
    }
}

/// How small pages become a large one.
#[derive(Clone, Copy)]
enum Merge {
    /// The table is unlinked first, and its entries are read when nobody can change them any more.
    Unlinked,
    /// The entries are read while processors use them.
    InUse,
}

/// Maps its first 2 MiB by small pages and merges them when it cleans up.
struct Merging {
    tables: Tables,
    memory: Memory,
    how: Merge,
}

impl Mapper for Merging {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::PLAIN.with(Capability::Ranges).with(Capability::CleanUp);
        plain.with(Capability::HardwareMarks).with(Capability::Invalidates)
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
        self.tables.map(page, to, size, rights)
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        (0..bytes).step_by(4096).try_for_each(|distance| {
            self.map(first.plus(distance), to.plus(distance), PageSize::Kib4, rights)
        })
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.tables.unmap(page, size)
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        const ADDRESS: u64 = 0xf_ffff_ffff_f000;
        const LARGE_BIT: u64 = 1 << 7;
        const MARKS: u64 = 0b11 << 5;
        let memory = &self.memory;
        let below = |at: PhysAddr| PhysAddr::truncated(memory.load(at) & ADDRESS);
        let link = below(below(self.tables.root()));
        let table = below(link);
        if matches!(self.how, Merge::Unlinked) {
            let _ = memory.swap(link, 0);
            memory.invalidate_all();
        }
        let entries: Vec<u64> = (0..512).map(|index| memory.load(table.plus(8 * index))).collect();
        let marks = entries.iter().fold(0, |marks, entry| marks | entry & MARKS);
        let merged = entries.first().copied().unwrap_or(0) | marks | LARGE_BIT;
        memory.store(link, merged);
        memory.invalidate_all();
        memory.free(table);
        Ok(())
    }
}

#[test]
fn pages_that_were_written_to_while_they_were_merged_are_not_clean() {
    let bytes = LARGE.bytes();
    let first = VirtAddr(0);
    let case = case(&[Call::MapRange { first, to: TO, bytes, rights: rights() }, Call::CleanUp]);
    let run = |how| {
        conformance::replay(&case, |memory: Memory| {
            let tables = Tables::new(memory.clone(), None);
            Merging { tables, memory, how }
        });
    };

    run(Merge::Unlinked);
    let told = told(|| run(Merge::InUse)).expect("a finding");

    for part in [
        "finding    marks: dirty flag is lost with the entry that had it",
        "replaces the entry of the 4 KiB page at 0x0",
        "by one for a 2 MiB page at 0x0 that does not have them",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}
