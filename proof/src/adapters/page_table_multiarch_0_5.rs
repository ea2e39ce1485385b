//! Adapter for the crate `page_table_multiarch` 0.5: `PageTable64` with its x86-64 entries.
//!
//! Its hooks are static functions. A region may be unmapped and protected only as it was mapped (its
//! documentation: "unexpected behaviors may occur" otherwise); the adapter refuses the rest. Each call
//! returns a token that names what is to be flushed, and the adapter flushes it.

use memory_addr_0_3::{PhysAddr, VirtAddr};
use page_table_entry_0_5::x86_64::X64PTE;
use page_table_multiarch_0_5::{
    MappingFlags, PageSize, PageTable64, PagingError, PagingHandler, PagingMetaData,
};
use ringfence::base;
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    self, Capabilities, Capability, Mapper, Mapping, Refusal, Report, Rights,
};
use ringfence::machine::paging;

use crate::Plan;

struct Meta;

impl PagingMetaData for Meta {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(virt: Option<VirtAddr>) {
        match virt {
            Some(virt) => {
                conformance::current().invalidate_page(base::VirtAddr(virt.as_usize() as u64))
            }
            None => conformance::current().invalidate_all(),
        }
    }
}

struct Handler;

impl PagingHandler for Handler {
    fn alloc_frame() -> Option<PhysAddr> {
        Some(PhysAddr::from(conformance::current().allocate()?.raw() as usize))
    }

    fn dealloc_frame(at: PhysAddr) {
        conformance::current().free(base::PhysAddr::truncated(at.as_usize() as u64));
    }

    fn phys_to_virt(at: PhysAddr) -> VirtAddr {
        let at = base::PhysAddr::truncated(at.as_usize() as u64);
        VirtAddr::from(conformance::current().pointer_to(at) as usize)
    }
}

/// The tables, and the regions as they were mapped.
struct Adapter(PageTable64<Meta, X64PTE, Handler>, Vec<(u64, u64)>);

/// `PageTable64`.
pub(crate) fn run(plan: &Plan) -> Report {
    plan.mapper(X86_64::FOUR_LEVELS, |_| {
        Adapter(PageTable64::try_new().expect("a frame for the root"), Vec::new())
    })
}

fn flags(rights: Rights) -> MappingFlags {
    let mut flags = MappingFlags::READ;
    flags.set(MappingFlags::WRITE, rights.has(Rights::WRITE));
    flags.set(MappingFlags::USER, rights.has(Rights::USER));
    flags.set(MappingFlags::EXECUTE, rights.has(Rights::EXECUTE));
    flags
}

fn virt(virt: base::VirtAddr) -> VirtAddr {
    VirtAddr::from(virt.0 as usize)
}

fn size_to(size: paging::PageSize) -> PageSize {
    match size {
        paging::PageSize::Kib4 => PageSize::Size4K,
        paging::PageSize::Mib2 => PageSize::Size2M,
        paging::PageSize::Gib1 => PageSize::Size1G,
    }
}

fn size_from(size: PageSize) -> paging::PageSize {
    match size {
        PageSize::Size4K => paging::PageSize::Kib4,
        PageSize::Size2M => paging::PageSize::Mib2,
        _ => paging::PageSize::Gib1,
    }
}

fn refusal(error: PagingError) -> Refusal {
    match error {
        PagingError::NoMemory => Refusal::OutOfFrames,
        PagingError::NotAligned => Refusal::Declined("not aligned"),
        PagingError::NotMapped => Refusal::NotMapped,
        PagingError::AlreadyMapped => Refusal::AlreadyMapped,
        PagingError::MappedToHugePage => Refusal::OtherSize,
    }
}

impl Adapter {
    fn is_region(&self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
        let is_known = self.1.contains(&(first.0, bytes));
        if is_known { Ok(()) } else { Err(Refusal::Declined("not mapped as a region")) }
    }

    /// Its calls act on whatever page is there: the size is asked first.
    fn is_of(&self, page: base::VirtAddr, size: paging::PageSize) -> Result<(), Refusal> {
        match self.0.query(virt(page)) {
            Ok((_, _, found)) if found != size_to(size) => Err(Refusal::OtherSize),
            _ => Ok(()),
        }
    }
}

impl Mapper for Adapter {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::CleanUp)
            .without(Capability::HardwareMarks)
            .without(Capability::Abandonment)
    }

    fn root(&self) -> base::PhysAddr {
        base::PhysAddr::truncated(self.0.root_paddr().as_usize() as u64)
    }

    fn map(
        &mut self,
        page: base::VirtAddr,
        to: base::PhysAddr,
        size: paging::PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let to = PhysAddr::from(to.raw() as usize);
        self.0.map(virt(page), to, size_to(size), flags(rights)).map_err(refusal)?.flush();
        Ok(())
    }

    fn unmap(
        &mut self,
        page: base::VirtAddr,
        size: paging::PageSize,
    ) -> Result<Option<base::PhysAddr>, Refusal> {
        self.is_of(page, size)?;
        self.1.retain(|(first, bytes)| page.0.wrapping_sub(*first) >= *bytes);
        let (at, _, flush) = self.0.unmap(virt(page)).map_err(refusal)?;
        flush.flush();
        Ok(Some(base::PhysAddr::truncated(at.as_usize() as u64)))
    }

    fn protect(
        &mut self,
        page: base::VirtAddr,
        size: paging::PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.is_of(page, size)?;
        let (_, flush) = self.0.protect(virt(page), flags(rights)).map_err(refusal)?;
        flush.flush();
        Ok(())
    }

    fn query(&mut self, at: base::VirtAddr) -> Result<Option<Mapping>, Refusal> {
        match self.0.query(virt(at)) {
            Ok((to, _, size)) => Ok(Some(Mapping {
                address: base::PhysAddr::truncated(to.as_usize() as u64),
                size: Some(size_from(size)),
                rights: None,
            })),
            Err(PagingError::NotMapped | PagingError::MappedToHugePage) => Ok(None),
            Err(error) => Err(refusal(error)),
        }
    }

    fn map_range(
        &mut self,
        first: base::VirtAddr,
        to: base::PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let to_of = |at: VirtAddr| {
            PhysAddr::from((to.raw() + (at.as_usize() as u64).wrapping_sub(first.0)) as usize)
        };
        self.0
            .map_region(virt(first), to_of, bytes as usize, flags(rights), true, false)
            .map_err(refusal)?
            .flush_all();
        self.1.push((first.0, bytes));
        Ok(())
    }

    fn unmap_range(&mut self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.is_region(first, bytes)?;
        self.1.retain(|region| *region != (first.0, bytes));
        self.0.unmap_region(virt(first), bytes as usize, false).map_err(refusal)?.flush_all();
        Ok(())
    }

    fn protect_range(
        &mut self,
        first: base::VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.is_region(first, bytes)?;
        self.0
            .protect_region(virt(first), bytes as usize, flags(rights), false)
            .map_err(refusal)?
            .flush_all();
        Ok(())
    }
}
