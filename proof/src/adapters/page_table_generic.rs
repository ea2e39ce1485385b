//! Adapter for the crate `page-table-generic`: `PageTable`.
//!
//! Its user supplies the entry: here one with the bits of x86-64, masked for each size as the manual
//! has it, so that a wrong address is not the entry's doing. Its hooks have to be `Send`, so the
//! memory is asked for where it is needed; `flush` is a static function. An entry that is not present
//! and not zero is, by its documentation, a leaf that is kept for later: nobody hides entries here.

use page_table_generic::{
    FrameAllocator, MapConfig, PageTable, PageTableEntry, PagingError, PhysAddr, TableMeta,
    VirtAddr,
};
use ringfence::base;
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    self, Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::Plan;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use crate::TRAPPED_CASES_MORE;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const HUGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// This bit of a large page selects its memory type.
const PAT_OF_HUGE: u64 = 1 << 12;
const ADDRESS_OF_HUGE: u64 = ADDRESS & !PAT_OF_HUGE;
/// The same of a page of 4 KiB.
const PAT: u64 = HUGE;
/// What an entry says beside where it leads and whether it is there: a configuration, with the bit for the
/// memory type where a large page has it.
const CONFIG: u64 = !(ADDRESS | PRESENT | HUGE);

#[derive(Clone, Copy, Debug)]
struct Entry(u64);

impl PageTableEntry for Entry {
    type PteConfig = u64;

    fn new_page(at: PhysAddr, config: u64, is_huge: bool) -> Self {
        let kind = if is_huge {
            HUGE | config & PAT_OF_HUGE
        } else if config & PAT_OF_HUGE != 0 {
            PAT
        } else {
            0
        };
        Self(at.as_usize() as u64 | config & CONFIG | PRESENT | kind)
    }

    fn new_table(at: PhysAddr) -> Self {
        Self(at.as_usize() as u64 | PRESENT | WRITE | USER)
    }

    fn paddr(&self, is_dir: bool) -> PhysAddr {
        let mask = if self.huge(is_dir) { ADDRESS_OF_HUGE } else { ADDRESS };
        PhysAddr::from_usize((self.0 & mask) as usize)
    }

    /// All of it: what is left out here, a split would lose.
    fn config(&self, is_dir: bool) -> u64 {
        let pat = if self.huge(is_dir) { PAT_OF_HUGE } else { PAT };
        self.0 & CONFIG | if self.0 & pat != 0 { PAT_OF_HUGE } else { 0 }
    }

    fn present(&self) -> bool {
        self.0 & PRESENT != 0
    }

    fn huge(&self, is_dir: bool) -> bool {
        is_dir && self.0 & HUGE != 0
    }

    fn unused(&self) -> bool {
        self.0 == 0
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}

#[derive(Clone, Copy)]
struct Meta;

impl TableMeta for Meta {
    type P = Entry;
    const PAGE_SIZE: usize = 4096;
    const LEVEL_BITS: &[usize] = &[9, 9, 9, 9];
    const MAX_BLOCK_LEVEL: usize = 3;

    fn canonicalize_vaddr(virt: VirtAddr) -> VirtAddr {
        VirtAddr::from_usize(((virt.as_usize() << 16).cast_signed() >> 16).cast_unsigned())
    }

    fn flush(virt: Option<VirtAddr>) {
        match virt {
            Some(virt) => {
                conformance::current().invalidate_page(base::VirtAddr(virt.as_usize() as u64));
            }
            None => conformance::current().invalidate_all(),
        }
    }
}

#[derive(Clone)]
struct Frames;

fn phys(at: PhysAddr) -> base::PhysAddr {
    base::PhysAddr::truncated(at.as_usize() as u64)
}

impl FrameAllocator for Frames {
    fn alloc_frame(&self) -> Option<PhysAddr> {
        Some(PhysAddr::from_usize(conformance::current().allocate()?.raw() as usize))
    }

    fn dealloc_frame(&self, frame: PhysAddr) {
        conformance::current().free(phys(frame));
    }

    fn phys_to_virt(&self, at: PhysAddr) -> *mut u8 {
        conformance::current().pointer_to(phys(at))
    }
}

struct Adapter(PageTable<Meta, Frames>);

/// `PageTable`.
pub(crate) fn run(plan: &Plan) -> Report {
    plan.mapper(X86_64::FOUR_LEVELS, |_: Memory| {
        Adapter(PageTable::new(Frames).expect("a frame for the root"))
    })
}

/// `PageTable`, store by store.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn trapped(plan: &Plan) -> Report {
    plan.trapped(X86_64::FOUR_LEVELS, TRAPPED_CASES_MORE, |_: Memory| {
        Adapter(PageTable::new(Frames).expect("a frame for the root"))
    })
}

fn config(rights: Rights) -> u64 {
    let write = if rights.has(Rights::WRITE) { WRITE } else { 0 };
    let user = if rights.has(Rights::USER) { USER } else { 0 };
    let execute = if rights.has(Rights::EXECUTE) { 0 } else { NO_EXECUTE };
    write | user | execute
}

fn virt(virt: base::VirtAddr) -> VirtAddr {
    VirtAddr::from_usize(virt.0 as usize)
}

fn size_of(bytes: usize) -> Option<PageSize> {
    [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1]
        .into_iter()
        .find(|size| size.bytes() == bytes as u64)
}

fn refusal(error: PagingError) -> Refusal {
    match error {
        PagingError::NoMemory => Refusal::OutOfFrames,
        PagingError::MappingConflict { .. } => Refusal::AlreadyMapped,
        PagingError::NotMapped => Refusal::NotMapped,
        PagingError::AddressOverflow { .. } => Refusal::Declined("address overflow"),
        PagingError::HierarchyError { .. } => Refusal::Declined("hierarchy error"),
        _ => Refusal::Declined("another error"),
    }
}

impl Adapter {
    /// Its calls for one page act on whatever page is there: the size is asked first.
    fn is_of(&self, page: base::VirtAddr, size: PageSize) -> Result<(), Refusal> {
        match self.0.query(virt(page)) {
            Ok((_, _, bytes)) if size_of(bytes) != Some(size) => Err(Refusal::OtherSize),
            _ => Ok(()),
        }
    }
}

impl Mapper for Adapter {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::CleanUp)
            .without(Capability::HiddenEntries)
            .without(Capability::HardwareMarks)
            .without(Capability::KeepsAttributes)
            .without(Capability::Abandonment)
            .without(Capability::Reentry)
    }

    fn root(&self) -> base::PhysAddr {
        phys(self.0.root_paddr())
    }

    fn map(
        &mut self,
        page: base::VirtAddr,
        to: base::PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let to = PhysAddr::from_usize(to.raw() as usize);
        self.0.map_page(virt(page), to, size.bytes() as usize, config(rights)).map_err(refusal)
    }

    fn unmap(
        &mut self,
        page: base::VirtAddr,
        size: PageSize,
    ) -> Result<Option<base::PhysAddr>, Refusal> {
        self.is_of(page, size)?;
        let (at, _, _) = self.0.unmap_page(virt(page)).map_err(refusal)?;
        Ok(Some(phys(at)))
    }

    fn protect(
        &mut self,
        page: base::VirtAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.is_of(page, size)?;
        self.0.protect_page(virt(page), config(rights)).map(|_| ()).map_err(refusal)
    }

    fn query(&mut self, at: base::VirtAddr) -> Result<Option<Mapping>, Refusal> {
        match self.0.query(virt(at)) {
            Ok((to, _, bytes)) => {
                Ok(Some(Mapping { address: phys(to), size: size_of(bytes), rights: None }))
            }
            Err(PagingError::NotMapped | PagingError::HierarchyError { .. }) => Ok(None),
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
        self.0
            .map(&MapConfig {
                vaddr: virt(first),
                paddr: PhysAddr::from_usize(to.raw() as usize),
                size: bytes as usize,
                pte: config(rights),
                allow_huge: true,
                flush: true,
            })
            .map_err(refusal)
    }

    fn unmap_range(&mut self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.0.unmap(virt(first), bytes as usize).map_err(refusal)
    }

    fn protect_range(
        &mut self,
        first: base::VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.0.protect_region(virt(first), bytes as usize, config(rights)).map_err(refusal)
    }
}
