//! The crates `vmi-core` and `vmi-arch-amd64`, without and with their caches.

use vmi_arch_amd64::Amd64;
use vmi_core::{Gfn, Pa, Va, VmiCore, VmiDriver, VmiError, VmiInfo, VmiMappedPage, VmiRead};

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::Tables;

struct Driver(&'static [u8]);

impl VmiDriver for Driver {
    type Architecture = Amd64;

    fn info(&self) -> Result<VmiInfo, VmiError> {
        let max_gfn = Gfn(self.0.len() as u64 / 4096 - 1);
        Ok(VmiInfo { page_size: 4096, page_shift: 12, max_gfn, vcpus: 1 })
    }
}

impl VmiRead for Driver {
    fn read_page(&self, frame: Gfn) -> Result<VmiMappedPage, VmiError> {
        let first = frame.0 as usize * 4096;
        let page = self.0.get(first..first + 4096).ok_or(VmiError::OutOfBounds)?;
        Ok(VmiMappedPage::new(page))
    }
}

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let core = || VmiCore::new(Driver(tables.bytes())).expect("a driver that answers");
    let mut without = core();
    without.disable_gfn_cache();
    without.disable_v2p_cache();
    // Both caches are on from the start, of 8,192 each.
    let with = core();
    vec![single("vmi, no caches", Core(without)), single("vmi, caches of 8,192", Core(with))]
}

struct Core(VmiCore<Driver>);

impl Translate for Core {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let found = self.0.translate_address((Va(virt), Pa(Tables::ROOT)));
        found.map_or(NOWHERE, |at| at.0)
    }
}
