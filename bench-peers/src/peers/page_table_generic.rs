//! The crate `page-table-generic`, whose user says what an entry is.

use page_table_generic::{
    FrameAllocator, PageTableEntry, PageTableRef, PhysAddr, TableMeta, VirtAddr,
};

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::Tables;

/// An x86-64 entry: bits 51:12 are the address.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
struct Entry(u64);

const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

impl PageTableEntry for Entry {
    type PteConfig = u64;

    fn new_page(at: PhysAddr, config: u64, _: bool) -> Self {
        Self(at.as_usize() as u64 | config)
    }

    fn new_table(at: PhysAddr) -> Self {
        Self(at.as_usize() as u64 | 7)
    }

    #[inline(always)]
    fn paddr(&self, _: bool) -> PhysAddr {
        PhysAddr::from_usize((self.0 & ADDRESS) as usize)
    }

    fn config(&self, _: bool) -> u64 {
        self.0 & !ADDRESS
    }

    #[inline(always)]
    fn present(&self) -> bool {
        self.0 & 1 != 0
    }

    #[inline(always)]
    fn huge(&self, is_directory: bool) -> bool {
        is_directory && self.0 & 0x80 != 0
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

    fn flush(_: Option<VirtAddr>) {}
}

#[derive(Clone, Copy)]
struct Frames(usize);

impl FrameAllocator for Frames {
    fn alloc_frame(&self) -> Option<PhysAddr> {
        None
    }

    fn dealloc_frame(&self, _: PhysAddr) {}

    #[inline(always)]
    fn phys_to_virt(&self, at: PhysAddr) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.0 + at.as_usize())
    }
}

pub(crate) fn translate_phys(tables: Tables) -> Box<dyn Subject> {
    let frames = Frames(tables.base().expose_provenance());
    let root = PhysAddr::from_usize(Tables::ROOT as usize);
    // SAFETY: the root and all tables below it are in the frames, alive for good; nobody changes them.
    let view = unsafe { PageTableRef::<Meta, Frames>::from_paddr(root, frames) };
    single("page-table-generic translate", View(view))
}

struct View(PageTableRef<Meta, Frames>);

impl Translate for View {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let found = self.0.translate_phys(VirtAddr::from_usize(virt as usize));
        found.map_or(NOWHERE, |at| at.as_usize() as u64)
    }
}
