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

/// Tables of its own, because it wants to be able to change them.
fn owned(tables: Tables) -> (*mut u8, &'static mut PageTable) {
    let base: *mut u8 = tables.frames.to_vec().leak().as_mut_ptr().cast();
    let root = base.wrapping_add(Tables::ROOT as usize).cast();
    // SAFETY: a frame of the copy just made, aligned, alive for good, and nobody else changes it.
    (base, unsafe { &mut *root })
}

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    const { assert!(align_of::<Frame>() == align_of::<PageTable>()) };
    let (base, root) = owned(tables);
    // SAFETY: all of physical memory lies at this offset.
    let offset = unsafe { OffsetPageTable::new(root, VirtAddr::from_ptr(base)) };
    let (base, root) = owned(tables);
    // SAFETY: the mapping gives the frames' bytes.
    let mapped = unsafe { MappedPageTable::new(root, At(base)) };
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
