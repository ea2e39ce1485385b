//! The crate `x86_64`: `OffsetPageTable` and `MappedPageTable`.

use x86_64::VirtAddr;
use x86_64::structures::paging::mapper::{PageTableFrameMapping, Translate as TranslateAddress};
use x86_64::structures::paging::{MappedPageTable, OffsetPageTable, PageTable, PhysFrame};

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::{Frame, Tables};

struct At(*mut u8);

// SAFETY: the pointer is to the frame's bytes: physical memory lies at the base.
unsafe impl PageTableFrameMapping for At {
    #[inline(always)]
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        self.0.wrapping_add(frame.start_address().as_u64() as usize).cast()
    }
}

/// A root of its own, because it wants to be able to change it; the tables below are everybody's.
fn root(tables: Tables) -> &'static mut PageTable {
    const { assert!(align_of::<Frame>() == align_of::<PageTable>()) };
    let root = Box::leak(Box::new(tables.frames[Tables::ROOT as usize / 4096].clone()));
    // SAFETY: both are 512 words, equally aligned; alive for good, and nobody else has it.
    unsafe { &mut *std::ptr::from_mut(root).cast() }
}

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let base = tables.base().cast_mut();
    // SAFETY: all of physical memory lies at this offset, and it is only read.
    let offset = unsafe { OffsetPageTable::new(root(tables), VirtAddr::from_ptr(base)) };
    // SAFETY: the mapping gives the frames' bytes, and they are only read.
    let mapped = unsafe { MappedPageTable::new(root(tables), At(base)) };
    vec![
        single("x86_64 OffsetPageTable", Mapper(offset)),
        single("x86_64 MappedPageTable", Mapper(mapped)),
    ]
}

struct Mapper<T>(T);

impl<T: TranslateAddress> Translate for Mapper<T> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let found = self.0.translate_addr(VirtAddr::new_truncate(virt));
        found.map_or(NOWHERE, |at| at.as_u64())
    }
}
