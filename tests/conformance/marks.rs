//! What the processor sets in an entry is not lost when other entries take its place.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Check, Fault, FaultKind, Mapper, Memory, Refusal,
    Rights,
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
        // What the finding rests on is there, behind 512 stores that say one thing.
        "       … likewise 511 times more, the last of them:\n         stores to 0x100003ff8, level 1, for 0x1ff000",
        "       the processor sets bits in 0x100002000, level 2, for 0x0",
        "P R/W U/S · table 0x100003000",
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

/// Changes rights by the entry as it was when it began, and takes over the dirty flag only.
struct Forgetful {
    tables: Tables,
    memory: Memory,
    capabilities: Capabilities,
}

impl Mapper for Forgetful {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
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

    fn protect(&mut self, page: VirtAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        let mut table = self.tables.root();
        for level in [3, 2, 1] {
            let index = page.0 >> (12 + 9 * level) & 511;
            table =
                PhysAddr::truncated(self.memory.load(table.plus(8 * index)) & 0xf_ffff_ffff_f000);
        }
        let at = table.plus(8 * (page.0 >> 12 & 511));
        let began = self.memory.load(at);
        let mut now = began;
        while let Err(other) = self.memory.compare_exchange(at, now, began & !2 | now & 1 << 6) {
            now = other;
        }
        self.memory.invalidate_page(page);
        Ok(())
    }
}

#[test]
fn an_accessed_flag_that_is_set_meanwhile_is_kept_by_code_that_declares_it() {
    let (page, size) = (VirtAddr(0x4000), PageSize::Kib4);
    let to = PhysAddr::truncated(0x1_0006_0000);
    let protect = Call::Protect { page, size, rights: Rights::USER };
    let case = case(&[Call::Map { page, to, size, rights: rights() }, protect]);
    let plain = Capabilities::PLAIN.with(Capability::Protect).with(Capability::HardwareMarks);
    let run = |capabilities| {
        conformance::replay(&case, |memory: Memory| {
            let tables = Tables::new(memory.clone(), None);
            Forgetful { tables, memory, capabilities }
        });
    };

    run(plain);
    let told = told(|| run(plain.with(Capability::KeepsAccessed))).expect("a finding");

    for part in ["finding    marks: accessed flag is lost", "0x4000 without bits 0x20"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

/// Makes one large page of 512 small ones when rights are changed.
struct Collapsing {
    tables: Tables,
    memory: Memory,
    keeps_marks: bool,
}

impl Collapsing {
    fn collapse(&self, page: VirtAddr) {
        const ADDRESS: u64 = 0xf_ffff_ffff_f000;
        const LARGE_BIT: u64 = 1 << 7;
        const MARKS: u64 = 0b11 << 5;
        let memory = &self.memory;
        let mut link = self.tables.root().plus(8 * (page.0 >> 39 & 511));
        for shift in [30, 21] {
            let entry = memory.load(link);
            if entry & 1 == 0 || entry & LARGE_BIT != 0 {
                return;
            }
            link = PhysAddr::truncated(entry & ADDRESS).plus(8 * (page.0 >> shift & 511));
        }
        let entry = memory.load(link);
        if entry & 1 == 0 || entry & LARGE_BIT != 0 {
            return;
        }
        let table = PhysAddr::truncated(entry & ADDRESS);
        let small = |index: u64| memory.load(table.plus(8 * index));
        let first = small(0) & !MARKS;
        let is_like = |index: u64| small(index) & !MARKS == first + 0x1000 * index;
        if first & 1 == 0 || first & ADDRESS & 0x1f_f000 != 0 || !(1..512).all(is_like) {
            return;
        }
        memory.store(link, 0);
        memory.invalidate_all();
        let marks = (0..512).fold(0, |marks, index| marks | small(index) & MARKS);
        let kept = if self.keeps_marks { marks } else { 0 };
        let is_pat = first & LARGE_BIT != 0;
        memory.store(link, first & !LARGE_BIT | u64::from(is_pat) << 12 | LARGE_BIT | kept);
        memory.free(table);
    }
}

impl Mapper for Collapsing {
    fn capabilities(&self) -> Capabilities {
        use Capability::{ForeignEntries, Invalidates, Pages2M, Protect, Ranges};
        let all = [ForeignEntries, Invalidates, Pages2M, Protect, Ranges];
        all.into_iter().fold(Capabilities::PLAIN, Capabilities::with)
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
        self.tables.map_range(first, to, bytes, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.tables.unmap(page, size)
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.tables.unmap_range(first, bytes)
    }

    fn protect(&mut self, page: VirtAddr, size: PageSize, rights: Rights) -> Result<(), Refusal> {
        self.tables.protect(page, size, rights)
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.protect_range(first, bytes, rights)?;
        self.collapse(first);
        Ok(())
    }
}

#[test]
fn pages_that_were_written_to_between_calls_are_merged_in_cases_that_are_drawn() {
    let run = |keeps_marks| {
        let own = move |memory: Memory| {
            let tables = Tables::new(memory.clone(), None);
            Collapsing { tables, memory, keeps_marks }
        };
        conformance::mapper(own).cases(400).findings_max(1).run()
    };

    let (keeping, dropping) = (run(true), run(false));

    assert!(keeping.findings().is_empty(), "\n{keeping}");
    assert!(dropping.has(Check::Marks), "\n{dropping}");
}
