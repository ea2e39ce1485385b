//! Adapter for the crate `x64`, a fork of `x86_64` for 5 levels: `OffsetPageTable5`.
//!
//! Its user has to invalidate what `MapperFlush` names: the adapter does. `map_to` gives the entries above a page
//! its rights, by its documentation, so that rights are not changed later here. It has no ranges of its own: the
//! adapter goes page by page.

use ringfence::base;
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    Capabilities, Capability, Mapper as Subject, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging;
use x64::structures::paging::mapper::{
    MapToError, MappedFrame, OffsetPageTable5, Translate, TranslateResult, UnmapError,
};
use x64::structures::paging::{
    FrameAllocator, Mapper, Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size1GiB,
    Size2MiB, Size4KiB,
};
use x64::{PhysAddr, VirtAddr};

use crate::Plan;

struct Frames(Memory);

// SAFETY: the memory hands out each frame once until it is freed.
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        PhysFrame::from_start_address(PhysAddr::new(self.0.allocate()?.raw())).ok()
    }
}

struct Adapter {
    memory: Memory,
    root: base::PhysAddr,
    tables: OffsetPageTable5<'static>,
}

/// `OffsetPageTable5`.
pub(crate) fn run(plan: &Plan) -> Report {
    x64::enable_la57_mode();
    plan.mapper(X86_64::FIVE_LEVELS, |memory| {
        let root = memory.allocate_zeroed().expect("a frame for the root");
        // SAFETY: the frame is aligned, zeroed, and outlives the tables: the adapter holds the memory.
        let level_5: &'static mut PageTable = unsafe { &mut *memory.pointer_to(root).cast() };
        let offset = VirtAddr::new(memory.offset());
        // SAFETY: all memory is mapped at this offset.
        let tables = unsafe { OffsetPageTable5::new(level_5, offset) };
        Adapter { memory, root, tables }
    })
}

fn flags(rights: Rights) -> PageTableFlags {
    let mut flags = PageTableFlags::PRESENT;
    flags.set(PageTableFlags::WRITABLE, rights.has(Rights::WRITE));
    flags.set(PageTableFlags::USER_ACCESSIBLE, rights.has(Rights::USER));
    flags.set(PageTableFlags::NO_EXECUTE, !rights.has(Rights::EXECUTE));
    flags
}

fn page<S: PageSize>(virt: base::VirtAddr) -> Page<S> {
    Page::containing_address(VirtAddr::new(virt.0))
}

impl Adapter {
    fn put<S: PageSize + core::fmt::Debug>(
        &mut self,
        at: base::VirtAddr,
        to: base::PhysAddr,
        rights: Rights,
    ) -> Result<(), Refusal>
    where
        OffsetPageTable5<'static>: Mapper<S>,
    {
        let frame = PhysFrame::from_start_address(PhysAddr::new(to.raw())).expect("aligned");
        let mut frames = Frames(self.memory.clone());
        // SAFETY: nobody uses the pages of the suite.
        let done = unsafe { self.tables.map_to(page::<S>(at), frame, flags(rights), &mut frames) };
        match done {
            Ok(flush) => {
                self.memory.invalidate_page(at);
                flush.ignore();
                Ok(())
            }
            Err(MapToError::FrameAllocationFailed) => Err(Refusal::OutOfFrames),
            Err(MapToError::ParentEntryHugePage) => Err(Refusal::OtherSize),
            Err(MapToError::PageAlreadyMapped(_)) => Err(Refusal::AlreadyMapped),
        }
    }

    fn take<S: PageSize>(&mut self, at: base::VirtAddr) -> Result<Option<base::PhysAddr>, Refusal>
    where
        OffsetPageTable5<'static>: Mapper<S>,
    {
        match self.tables.unmap(page::<S>(at)) {
            Ok((frame, flush)) => {
                self.memory.invalidate_page(at);
                flush.ignore();
                Ok(Some(base::PhysAddr::truncated(frame.start_address().as_u64())))
            }
            Err(UnmapError::ParentEntryHugePage) => Err(Refusal::OtherSize),
            Err(UnmapError::PageNotMapped) => Err(Refusal::NotMapped),
            Err(UnmapError::InvalidFrameAddress(_)) => {
                Err(Refusal::Declined("invalid frame address"))
            }
        }
    }
}

impl Subject for Adapter {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN
            .with(Capability::Query)
            .with(Capability::Pages2M)
            .with(Capability::Pages1G)
            .with(Capability::Invalidates)
            .with(Capability::AllocationFailure)
            .with(Capability::UpperHalf)
    }

    fn root(&self) -> base::PhysAddr {
        self.root
    }

    fn map(
        &mut self,
        page: base::VirtAddr,
        to: base::PhysAddr,
        size: paging::PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        match size {
            paging::PageSize::Kib4 => self.put::<Size4KiB>(page, to, rights),
            paging::PageSize::Mib2 => self.put::<Size2MiB>(page, to, rights),
            paging::PageSize::Gib1 => self.put::<Size1GiB>(page, to, rights),
        }
    }

    fn unmap(
        &mut self,
        page: base::VirtAddr,
        size: paging::PageSize,
    ) -> Result<Option<base::PhysAddr>, Refusal> {
        match size {
            paging::PageSize::Kib4 => self.take::<Size4KiB>(page),
            paging::PageSize::Mib2 => self.take::<Size2MiB>(page),
            paging::PageSize::Gib1 => self.take::<Size1GiB>(page),
        }
    }

    fn query(&mut self, virt: base::VirtAddr) -> Result<Option<Mapping>, Refusal> {
        let Ok(virt) = VirtAddr::try_new(virt.0) else {
            return Err(Refusal::Declined("not canonical"));
        };
        Ok(match self.tables.translate(virt) {
            TranslateResult::Mapped { frame, offset, .. } => {
                let size = match frame {
                    MappedFrame::Size4KiB(_) => paging::PageSize::Kib4,
                    MappedFrame::Size2MiB(_) => paging::PageSize::Mib2,
                    MappedFrame::Size1GiB(_) => paging::PageSize::Gib1,
                };
                let address = base::PhysAddr::truncated(frame.start_address().as_u64() + offset);
                // The flags it returns are the leaf's alone.
                Some(Mapping { address, size: Some(size), rights: None })
            }
            TranslateResult::NotMapped | TranslateResult::InvalidFrameAddress(_) => None,
        })
    }
}
