//! The crate `rsemu`: the walk of its x86 processor.

use rsemu::cpu::x86::paging::{Mode, Tables as Registers, walk};

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::Tables;

pub(crate) fn walk_of(tables: Tables) -> Box<dyn Subject> {
    let memory = tables.words();
    let registers =
        Registers { mode: Mode::Ia32e, cr3: Tables::ROOT, pse: true, nxe: true, wp: true };
    single("rsemu paging::walk", Walker { memory, registers })
}

struct Walker {
    memory: &'static [u64],
    registers: Registers,
}

impl Translate for Walker {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let mut read = |at: u64, _| self.memory.get((at / 8) as usize).copied().unwrap_or(0);
        let found = walk(self.registers, virt, &mut read);
        // Rights are the caller's to check: a read at privilege level 3.
        found.ok().filter(|walk| walk.user).map_or(NOWHERE, |walk| walk.phys)
    }
}
