//! The crate `page-walker`: `AddressSpace::read_pte`, which gives the entry without its level.

use page_walker::PageFormat;
use page_walker::address_space::{AddressSpace, PageTableMapper};
use page_walker::arch::x86_64::PAGE_FORMAT_4K_L4;

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::Tables;

struct Memory(&'static [u64]);

impl PageTableMapper<u64, ()> for Memory {
    const PTE_NOT_FOUND: () = ();
    const PAGE_NOT_PRESENT: () = ();
    const NOT_IMPLEMENTED: () = ();

    fn read_pte(&self, at: u64) -> Result<u64, ()> {
        self.0.get((at / 8) as usize).copied().ok_or(())
    }

    fn write_pte(&mut self, _: u64, _: u64) -> Result<(), ()> {
        Err(())
    }
}

pub(crate) fn read_pte(tables: Tables) -> Box<dyn Subject> {
    let memory = Box::leak(Box::new(Memory(tables.words())));
    let format: PageFormat<'static, u64> = PAGE_FORMAT_4K_L4.clone();
    let space = AddressSpace::new(format, memory, Tables::ROOT);
    single("page-walker read_pte", Reader(space))
}

struct Reader(AddressSpace<'static, u64, Memory, ()>);

impl Translate for Reader {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        // Of the last byte of a page it answers with the entry of the next page.
        let Ok(entry) = self.0.read_pte((virt & !0xfff) as usize) else { return NOWHERE };
        let offsets = if entry & 0x80 == 0 { 0xfff } else { 0x1f_ffff };
        entry & ((1 << 52) - 1) & !offsets | virt & offsets
    }
}
