//! The crate `page_table_multiarch`: `PageTable64` with its x86-64 entries.

use std::mem::ManuallyDrop;

use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::x86_64::X64PTE;
use page_table_multiarch::{PageTable64, PagingHandler, PagingMetaData};

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::{Frame, Tables};

struct Meta;

impl PagingMetaData for Meta {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(_: Option<VirtAddr>) {}
}

/// Its hooks are static, so where memory lies is too; the last tables made are those in use. Not an
/// atomic, which would be loaded at each level.
static mut BASE: usize = 0;

/// Where its root lies: an own frame, which it writes zeros to when it is made. The tables below are
/// everybody's.
static mut ROOT: usize = 0;

struct Handler;

impl PagingHandler for Handler {
    fn alloc_frames(_: usize, _: usize) -> Option<PhysAddr> {
        // SAFETY: there is one thread.
        let (base, root) = unsafe { (BASE, ROOT) };
        Some(PhysAddr::from(root.wrapping_sub(base)))
    }

    fn dealloc_frames(_: PhysAddr, _: usize) {}

    #[inline(always)]
    fn phys_to_virt(at: PhysAddr) -> VirtAddr {
        // SAFETY: there is one thread.
        VirtAddr::from(unsafe { BASE }.wrapping_add(at.as_usize()))
    }
}

pub(crate) fn query(tables: Tables) -> Box<dyn Subject> {
    let root: *mut Frame = Box::leak(Box::new(Frame([0; 512])));
    // SAFETY: there is one thread.
    unsafe {
        BASE = tables.base().expose_provenance();
        ROOT = root.expose_provenance();
    }
    let made = PageTable64::<Meta, X64PTE, Handler>::try_new().expect("there is a frame");
    let made = ManuallyDrop::new(made);
    // SAFETY: a frame of ours, alive for good, and not in use now.
    unsafe { root.write(tables.frames[Tables::ROOT as usize / 4096].clone()) };
    single("page_table_multiarch query", Query(made))
}

struct Query(ManuallyDrop<PageTable64<Meta, X64PTE, Handler>>);

impl Translate for Query {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let found = self.0.query(VirtAddr::from(virt as usize));
        found.map_or(NOWHERE, |(at, _, _)| at.as_usize() as u64)
    }
}
