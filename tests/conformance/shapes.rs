//! Code of unusual shapes: what it knows and what it leaves out are all that its adapter says.

use core::cell::RefCell;

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::AArch64;
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Check, Mapper, Mapping, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

/// A boot mapper of 32-bit flags, sections of 2 MiB and regions, with an allocator that belongs to the whole
/// program.
mod sections {
    use super::{Memory, PhysAddr, RefCell};

    thread_local! {
        pub(super) static ALLOCATOR: RefCell<Option<Memory>> = const { RefCell::new(None) };
    }

    /// Bit 0: writable.
    pub(super) const WRITABLE: u32 = 1;

    const SECTION: u64 = 0x20_0000;
    const VALID: u64 = 1;
    const TABLE: u64 = 3;
    /// Accessed, inner shareable, and no fetch by either side.
    const ALWAYS: u64 = VALID | 1 << 10 | 3 << 8 | 3 << 53;
    const READ_ONLY: u64 = 1 << 7;

    fn memory() -> Memory {
        ALLOCATOR.with_borrow(Clone::clone).expect("the adapter sets it")
    }

    pub(super) struct Map {
        pub(super) root: u64,
        pub(super) forgets_last: bool,
    }

    impl Map {
        fn entry(&self, virt: u64, is_made: bool) -> Option<PhysAddr> {
            let mut table = self.root;
            for level in [4, 3] {
                let at = PhysAddr::truncated(table + 8 * (virt >> (3 + 9 * level) & 511));
                let mut entry = memory().load(at);
                if entry & VALID == 0 {
                    if !is_made {
                        return None;
                    }
                    entry = memory().allocate_zeroed().expect("frames without end").raw() | TABLE;
                    memory().store(at, entry);
                }
                table = entry & 0x0000_ffff_ffff_f000;
            }
            Some(PhysAddr::truncated(table + 8 * (virt >> 21 & 511)))
        }

        fn sections(&self, first: u64, bytes: u64) -> impl Iterator<Item = u64> {
            let bytes = if self.forgets_last { bytes - SECTION } else { bytes };
            (0..bytes / SECTION).map(move |number| first + number * SECTION)
        }

        pub(super) fn map(&mut self, first: u64, to: u64, bytes: u64, flags: u32) -> i32 {
            if self.sections(first, bytes).any(|virt| self.is_mapped(virt)) {
                return -1;
            }
            let access = if flags & WRITABLE == 0 { READ_ONLY } else { 0 };
            for virt in self.sections(first, bytes) {
                let at = self.entry(virt, true).expect("made");
                memory().store(at, (to + (virt - first)) | ALWAYS | access);
            }
            0
        }

        pub(super) fn is_mapped(&self, virt: u64) -> bool {
            self.entry(virt, false).is_some_and(|at| memory().load(at) & VALID != 0)
        }
    }
}

struct Adapter(sections::Map);

impl Adapter {
    fn new(memory: Memory, forgets_last: bool) -> Self {
        let root = memory.allocate_zeroed().expect("a frame").raw();
        sections::ALLOCATOR.set(Some(memory));
        Self(sections::Map { root, forgets_last })
    }
}

impl Mapper for Adapter {
    fn capabilities(&self) -> Capabilities {
        let large = Capabilities::PLAIN.without(Capability::Pages4K).with(Capability::Pages2M);
        large.with(Capability::Ranges)
    }

    fn root(&self) -> PhysAddr {
        PhysAddr::truncated(self.0.root)
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        if !Rights::WRITE.has(rights) {
            return Err(Refusal::Declined("kernel data only"));
        }
        let flags = if rights.has(Rights::WRITE) { sections::WRITABLE } else { 0 };
        match self.0.map(first.0, to.raw(), bytes, flags) {
            0 => Ok(()),
            _ => Err(Refusal::AlreadyMapped),
        }
    }

    fn unmap_range(&mut self, _: VirtAddr, _: u64) -> Result<(), Refusal> {
        Err(Refusal::Declined("it never unmaps"))
    }
}

#[test]
fn code_that_knows_regions_of_large_pages_only_holds_and_every_size_it_knows_is_tried() {
    let suite = conformance::mapper(|memory| Adapter::new(memory, false));

    let report = suite.format(AArch64::LOWER).cases(60).run();

    assert!(report.findings().is_empty(), "{report}");
    let skipped = report.skipped();
    assert!(skipped.contains(&"pages of 4 KiB: not declared".to_owned()), "{report}");
    for name in ["map: never done", "map_range: never done"] {
        assert!(!skipped.iter().any(|line| line.starts_with(name)), "{name}\n{report}");
    }
}

#[test]
fn code_that_knows_regions_of_large_pages_only_and_forgets_the_last_is_found() {
    let suite = conformance::mapper(|memory| Adapter::new(memory, true));

    let report = suite.format(AArch64::LOWER).cases(60).run();

    let kinds: Vec<&str> = report.findings().iter().map(conformance::Finding::kind).collect();
    assert!(kinds.contains(&"map: a page is missing"), "{report}");
    assert!(report.has(Check::Request), "{report}");
    for call in report.findings().iter().flat_map(|finding| &finding.case().calls) {
        if let Call::MapRange { first, bytes, .. } = call {
            assert_eq!((first.0 | bytes) % 0x20_0000, 0, "{report}");
        }
    }
    let pages = report.findings()[0].case().calls.len();
    assert_eq!(pages, 1, "{report}");
}

/// Keeps the last entry of the root for the root itself, and tells of nothing there.
struct Keeping(Adapter);

impl Keeping {
    fn new(memory: &Memory) -> Self {
        let own = Adapter::new(memory.clone(), false);
        memory.store(own.root().plus(8 * 511), own.root().raw() | 3 | 1 << 10);
        Self(own)
    }
}

impl Mapper for Keeping {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().with(Capability::Query)
    }

    fn root(&self) -> PhysAddr {
        self.0.root()
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        match virt.0 >> 39 {
            511 => Ok(None),
            _ => Err(Refusal::Declined("asked there only")),
        }
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.0.map_range(first, to, bytes, rights)
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.0.unmap_range(first, bytes)
    }
}

#[test]
fn what_code_keeps_for_itself_is_not_its_to_tell_unless_nobody_said_so() {
    let suite = || conformance::mapper(|memory| Keeping::new(&memory)).format(AArch64::LOWER);

    let said = suite().reserving(&[511]).cases(20).run();
    let unsaid = suite().cases(20).run();

    assert!(said.findings().is_empty(), "{said}");
    assert!(unsaid.has(Check::Translation), "{unsaid}");
}

/// Neither pages nor regions.
struct Nothing(PhysAddr);

impl Mapper for Nothing {
    fn root(&self) -> PhysAddr {
        self.0
    }
}

#[test]
fn an_adapter_that_forgets_its_methods_is_told_so() {
    let own = |memory: Memory| Nothing(memory.allocate_zeroed().expect("a frame"));

    let report = conformance::mapper(own).cases(20).run();

    let kinds: Vec<&str> = report.findings().iter().map(conformance::Finding::kind).collect();
    assert!(kinds.contains(&"map: declared and not supported"), "{report}");
    assert!(kinds.contains(&"unmap: declared and not supported"), "{report}");
}

/// A page of a size that nobody declared.
#[test]
fn an_adapter_that_declares_no_size_is_tried_with_the_smallest() {
    struct Sizeless(Adapter);
    impl Mapper for Sizeless {
        fn capabilities(&self) -> Capabilities {
            Capabilities::PLAIN.without(Capability::Pages4K)
        }
        fn root(&self) -> PhysAddr {
            self.0.root()
        }
        fn map(
            &mut self,
            _: VirtAddr,
            _: PhysAddr,
            size: PageSize,
            _: Rights,
        ) -> Result<(), Refusal> {
            assert_eq!(size, PageSize::Kib4);
            Err(Refusal::Declined("no"))
        }
        fn unmap(&mut self, _: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
            assert_eq!(size, PageSize::Kib4);
            Err(Refusal::NotMapped)
        }
    }

    let suite = conformance::mapper(|memory| Sizeless(Adapter::new(memory, false)));
    let report = suite.format(AArch64::LOWER).cases(10).run();

    assert!(report.findings().is_empty(), "{report}");
}
