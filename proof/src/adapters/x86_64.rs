//! Adapter for the crate `x86_64`: `OffsetPageTable`, `MappedPageTable` and `RecursivePageTable`.
//!
//! Their user has to invalidate what `MapperFlush` names, and to keep tables that `clean_up` frees
//! until everything is invalidated: the adapter does both, with the crate's own instructions where those are
//! emulated. Parents get all rights, as a user that
//! changes rights later has to ask for. It has no ranges of its own: the adapter goes through
//! `Page::range`, as its user does. Adding to a page is documented to panic where that leaves the address
//! space; such a range is refused.

use std::panic::catch_unwind;

use ringfence::base;
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    Call, Capabilities, Capability, Mapper as Subject, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging;
use x86_64::structures::paging::mapper::{
    CleanUp, FlagUpdateError, MapToError, MappedFrame, MapperFlush, PageTableFrameMapping,
    Translate, TranslateResult, UnmapError,
};
use x86_64::structures::paging::page::PageRange;
use x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, MappedPageTable, Mapper, OffsetPageTable, Page, PageSize,
    PageTable, PageTableFlags, PhysFrame, Size1GiB, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use super::x86_64_spelled::Spelling;
use crate::Plan;

struct Frames(Memory);

// SAFETY: the memory hands out each frame once until it is freed.
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let at = self.0.allocate()?;
        PhysFrame::from_start_address(PhysAddr::new(at.raw())).ok()
    }
}

#[derive(Default)]
struct Deferred(Vec<u64>);

impl FrameDeallocator<Size4KiB> for Deferred {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        self.0.push(frame.start_address().as_u64());
    }
}

struct Pointers(Memory);

// SAFETY: the pointer is to the frame's bytes, or dangles as the address does.
unsafe impl PageTableFrameMapping for Pointers {
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        let at = base::PhysAddr::truncated(frame.start_address().as_u64());
        self.0.pointer_to(at).cast()
    }
}

/// How its user invalidates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// Tells the suite.
    Hook,
    /// Executes `invlpg` and `mov` to CR3.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    Instruction,
}

struct Adapter<T> {
    memory: Memory,
    root: base::PhysAddr,
    tables: T,
    flush: Flush,
    spelling: Option<Spelling>,
}

fn root(memory: &Memory) -> (base::PhysAddr, &'static mut PageTable) {
    let root = memory.allocate_zeroed().expect("a frame for the root");
    // SAFETY: the frame is aligned, zeroed, and outlives the tables: the adapter holds the memory.
    (root, unsafe { &mut *memory.pointer_to(root).cast() })
}

/// `OffsetPageTable`.
pub(crate) fn offset(plan: &Plan) -> Report {
    plan.mapper(X86_64::FOUR_LEVELS, |memory| at_offset(memory, Flush::Hook))
}

/// `OffsetPageTable`, store by store, with its own instructions.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn trapped(plan: &Plan) -> Report {
    plan.kernel(X86_64::FOUR_LEVELS, |memory| at_offset(memory, Flush::Instruction))
}

/// The entry that names the root. The last one would end at the end of the address space, which its
/// documentation warns of.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const RECURSIVE: u64 = 510;

/// `RecursivePageTable`, with its own instructions.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn recursive(plan: &Plan) -> Report {
    use x86_64::registers::control::{Cr3, Cr3Flags};
    use x86_64::structures::paging::RecursivePageTable;

    plan.recursive(X86_64::FOUR_LEVELS, RECURSIVE, |memory| {
        let root = memory.allocate_zeroed().expect("a frame for the root");
        memory.store(root.plus(8 * RECURSIVE), root.raw() | 3);
        let frame = PhysFrame::containing_address(PhysAddr::new(root.raw()));
        // SAFETY: emulated.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) };
        let at = (1..=4).fold(0xffff_u64 << 48, |at, level| at | RECURSIVE << (3 + 9 * level));
        let level_4 = core::ptr::with_exposed_provenance_mut::<PageTable>(at as usize);
        // SAFETY: each access there is made by the suite.
        let level_4: &'static mut PageTable = unsafe { &mut *level_4 };
        let tables = RecursivePageTable::new(level_4).expect("it is recursive and loaded");
        Adapter { memory, root, tables, flush: Flush::Instruction, spelling: None }
    })
}

fn at_offset(memory: Memory, flush: Flush) -> Adapter<OffsetPageTable<'static>> {
    let (at, level_4) = root(&memory);
    let offset = VirtAddr::new(memory.offset());
    // SAFETY: all memory is mapped at this offset.
    let tables = unsafe { OffsetPageTable::new(level_4, offset) };
    // A test of its own has no emulated instructions.
    let spelling = (flush == Flush::Hook).then_some(Spelling::Offset);
    Adapter { memory, root: at, tables, flush, spelling }
}

/// `MappedPageTable`.
pub(crate) fn mapped(plan: &Plan) -> Report {
    plan.mapper(X86_64::FOUR_LEVELS, |memory| {
        let (at, level_4) = root(&memory);
        // SAFETY: the mapping gives the frames' bytes.
        let tables = unsafe { MappedPageTable::new(level_4, Pointers(memory.clone())) };
        let spelling = Some(Spelling::Mapped);
        Adapter { memory, root: at, tables, flush: Flush::Hook, spelling }
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
    Page::from_start_address(VirtAddr::new(virt.0)).expect("the suite aligns pages")
}

impl<T> Adapter<T> {
    /// Older versions of the token do not say for which page they are: it is the page of the call.
    fn flush<S: PageSize>(&self, at: base::VirtAddr, flush: MapperFlush<S>) {
        match self.flush {
            Flush::Hook => {
                self.memory.invalidate_page(at);
                flush.ignore();
            }
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            Flush::Instruction => flush.flush(),
        }
    }

    fn flush_all(&self) {
        match self.flush {
            Flush::Hook => self.memory.invalidate_all(),
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            Flush::Instruction => x86_64::instructions::tlb::flush_all(),
        }
    }

    fn map<S: PageSize + core::fmt::Debug>(
        &mut self,
        at: base::VirtAddr,
        to: base::PhysAddr,
        rights: Rights,
    ) -> Result<(), Refusal>
    where
        T: Mapper<S>,
    {
        let frame = PhysFrame::from_start_address(PhysAddr::new(to.raw())).expect("aligned");
        let parents =
            PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::USER_ACCESSIBLE;
        let mut frames = Frames(self.memory.clone());
        // SAFETY: nobody uses the pages of the suite.
        let result = unsafe {
            self.tables.map_to_with_table_flags(
                page::<S>(at),
                frame,
                flags(rights),
                parents,
                &mut frames,
            )
        };
        match result {
            Ok(flush) => {
                self.flush(at, flush);
                Ok(())
            }
            Err(MapToError::FrameAllocationFailed) => Err(Refusal::OutOfFrames),
            Err(MapToError::ParentEntryHugePage) => Err(Refusal::OtherSize),
            Err(MapToError::PageAlreadyMapped(_)) => Err(Refusal::AlreadyMapped),
        }
    }

    fn unmap<S: PageSize>(&mut self, at: base::VirtAddr) -> Result<Option<base::PhysAddr>, Refusal>
    where
        T: Mapper<S>,
    {
        match self.tables.unmap(page::<S>(at)) {
            Ok((frame, flush)) => {
                self.flush(at, flush);
                Ok(Some(base::PhysAddr::truncated(frame.start_address().as_u64())))
            }
            Err(UnmapError::ParentEntryHugePage) => Err(Refusal::OtherSize),
            Err(UnmapError::PageNotMapped) => Err(Refusal::NotMapped),
            Err(UnmapError::InvalidFrameAddress(_)) => {
                Err(Refusal::Declined("invalid frame address"))
            }
        }
    }

    fn protect<S: PageSize>(&mut self, at: base::VirtAddr, rights: Rights) -> Result<(), Refusal>
    where
        T: Mapper<S>,
    {
        // SAFETY: nobody uses the pages of the suite.
        match unsafe { self.tables.update_flags(page::<S>(at), flags(rights)) } {
            Ok(flush) => {
                self.flush(at, flush);
                Ok(())
            }
            Err(FlagUpdateError::PageNotMapped) => Err(Refusal::NotMapped),
            Err(FlagUpdateError::ParentEntryHugePage) => Err(Refusal::OtherSize),
        }
    }
}

/// The pages of a range, as the crate counts them.
fn pages(first: base::VirtAddr, bytes: u64) -> Result<PageRange, Refusal> {
    let first = page::<Size4KiB>(first);
    let end = catch_unwind(|| first + bytes / Size4KiB::SIZE)
        .map_err(|_| Refusal::Declined("documented panic: the end leaves the address space"))?;
    Ok(Page::range(first, end))
}

fn start(page: Page) -> base::VirtAddr {
    base::VirtAddr(page.start_address().as_u64())
}

impl<T> Subject for Adapter<T>
where
    T: Mapper<Size4KiB> + Mapper<Size2MiB> + Mapper<Size1GiB> + Translate + CleanUp,
{
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::FreesOnDrop)
            .without(Capability::HardwareMarks)
            // `map_to` takes an entry for free that is 0, and no other (`PageTableEntry::is_unused`).
            .without(Capability::MapsOverHidden)
            .without(Capability::KeepsAttributes)
            .without(Capability::Abandonment)
            .without(Capability::Reentry)
            .without(Capability::UnmapFrees)
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
            paging::PageSize::Kib4 => self.map::<Size4KiB>(page, to, rights),
            paging::PageSize::Mib2 => self.map::<Size2MiB>(page, to, rights),
            paging::PageSize::Gib1 => self.map::<Size1GiB>(page, to, rights),
        }
    }

    fn unmap(
        &mut self,
        page: base::VirtAddr,
        size: paging::PageSize,
    ) -> Result<Option<base::PhysAddr>, Refusal> {
        match size {
            paging::PageSize::Kib4 => self.unmap::<Size4KiB>(page),
            paging::PageSize::Mib2 => self.unmap::<Size2MiB>(page),
            paging::PageSize::Gib1 => self.unmap::<Size1GiB>(page),
        }
    }

    fn protect(
        &mut self,
        page: base::VirtAddr,
        size: paging::PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        match size {
            paging::PageSize::Kib4 => self.protect::<Size4KiB>(page, rights),
            paging::PageSize::Mib2 => self.protect::<Size2MiB>(page, rights),
            paging::PageSize::Gib1 => self.protect::<Size1GiB>(page, rights),
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
                let address = frame.start_address().as_u64() + offset;
                Some(Mapping {
                    address: base::PhysAddr::truncated(address),
                    size: Some(size),
                    // The flags it returns are the leaf's alone.
                    rights: None,
                })
            }
            TranslateResult::NotMapped | TranslateResult::InvalidFrameAddress(_) => None,
        })
    }

    fn map_range(
        &mut self,
        first: base::VirtAddr,
        to: base::PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let mut next = to;
        for page in pages(first, bytes)? {
            self.map::<Size4KiB>(start(page), next, rights)?;
            next = next.plus(Size4KiB::SIZE);
        }
        Ok(())
    }

    fn unmap_range(&mut self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
        pages(first, bytes)?.try_for_each(|page| self.unmap::<Size4KiB>(start(page)).map(|_| ()))
    }

    fn protect_range(
        &mut self,
        first: base::VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        pages(first, bytes)?.try_for_each(|page| self.protect::<Size4KiB>(start(page), rights))
    }

    fn spell_setup(&self) -> Option<String> {
        self.spelling.map(Spelling::setup)
    }

    fn spell(&self, call: &Call) -> Option<String> {
        self.spelling?.call(call)
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        let mut deferred = Deferred::default();
        // SAFETY: no table is shared.
        unsafe { self.tables.clean_up(&mut deferred) };
        self.flush_all();
        for frame in deferred.0 {
            self.memory.free(base::PhysAddr::truncated(frame));
        }
        Ok(())
    }
}
