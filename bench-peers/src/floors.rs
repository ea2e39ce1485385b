//! What nobody can be faster than: the loads of a walk and nothing else, and a hit in a table.

use crate::subject::{Subject, Translate, floor};
use crate::tables::{Tables, Workload};

const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let base = tables.base();
    let loads = match tables.workload {
        Workload::Large => floor("bare loads", true, Loads::<21>(base)),
        _ => floor("bare loads", true, Loads::<12>(base)),
    };
    vec![loads, hit(tables)]
}

/// The entries of a walk to pages of 2^`SHIFT` bytes, one after the other, without any check.
struct Loads<const SHIFT: u32>(*const u8);

impl<const SHIFT: u32> Loads<SHIFT> {
    #[inline(always)]
    fn entry(&self, table: u64, virt: u64, shift: u32) -> u64 {
        let at = table & ADDRESS | virt >> shift & 0xff8;
        // SAFETY: the tables are well formed and asked for addresses that they map, so `at` is in them.
        unsafe { self.0.add(at as usize).cast::<u64>().read() }
    }
}

impl<const SHIFT: u32> Translate for Loads<SHIFT> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let pml4e = self.entry(Tables::ROOT, virt, 36);
        let pde = self.entry(self.entry(pml4e, virt, 27), virt, 18);
        let leaf = if SHIFT == 12 { self.entry(pde, virt, 9) } else { pde };
        leaf & ADDRESS & !((1 << SHIFT) - 1) | virt & ((1 << SHIFT) - 1)
    }
}

/// A tag compared and a frame taken, in a table of 64 that always answers.
struct Hit(Box<[[u64; 2]; 64]>);

impl Translate for Hit {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let [tag, frame] = self.0[(virt >> 12) as usize % 64];
        if tag == virt >> 12 { frame | virt & 0xfff } else { frame }
    }
}

fn hit(tables: Tables) -> Box<dyn Subject> {
    let mut slots = Box::new([[0; 2]; 64]);
    for (&virt, &phys) in tables.virts.iter().zip(tables.phys) {
        slots[(virt >> 12) as usize % 64] = [virt >> 12, phys & !0xfff];
    }
    floor("bare hit", tables.workload == Workload::Near, Hit(slots))
}
