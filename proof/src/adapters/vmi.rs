//! Adapter for the crates `vmi-core` and `vmi-arch-amd64`: translation with both caches, without, and
//! the walk that tells every entry.
//!
//! Whoever changes tables flushes the caches: the adapter does when it is told to invalidate.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{Attempt, Invalidation, Mapping, Memory, Report, Rights, Walker};
use ringfence::machine::paging::PageSize;
use vmi_arch_amd64::{Amd64, PageTableLevel};
use vmi_core::{Gfn, Pa, Va, VmiCore, VmiDriver, VmiError, VmiInfo, VmiMappedPage, VmiRead};

use crate::Plan;

/// Reads pages of the suite's memory.
struct Driver(Memory);

impl VmiDriver for Driver {
    type Architecture = Amd64;

    fn info(&self) -> Result<VmiInfo, VmiError> {
        let max_gfn = Gfn((self.0.base().raw() + self.0.bytes()) >> 12);
        Ok(VmiInfo { page_size: 4096, page_shift: 12, max_gfn, vcpus: 1 })
    }
}

impl VmiRead for Driver {
    fn read_page(&self, gfn: Gfn) -> Result<VmiMappedPage, VmiError> {
        let mut page = vec![0; 4096];
        self.0.read(PhysAddr::truncated(gfn.0 << 12), &mut page);
        Ok(VmiMappedPage::new(page))
    }
}

struct Adapter {
    core: VmiCore<Driver>,
    root: Pa,
}

impl Adapter {
    fn new(memory: Memory, root: PhysAddr) -> Self {
        let core = VmiCore::new(Driver(memory)).expect("the driver answers");
        Self { core, root: Pa(root.raw()) }
    }
}

/// `VmiCore::translate_address` as it is made by default, with both caches.
pub(crate) fn core(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, Adapter::new)
}

/// `VmiCore::translate_address` without caches.
pub(crate) fn uncached(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |memory, root| {
        let mut adapter = Adapter::new(memory, root);
        adapter.core.disable_gfn_cache();
        adapter.core.disable_v2p_cache();
        adapter
    })
}

/// `Amd64::translation`.
pub(crate) fn translation(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |memory, root| Entries(Adapter::new(memory, root)))
}

impl Walker for Adapter {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let found = self.core.translate_address((Va(attempt.virt.0), self.root)).ok()?;
        Some(Mapping { address: PhysAddr::truncated(found.0), size: None, rights: None })
    }

    fn invalidate(&mut self, what: Invalidation) {
        self.core.flush_gfn_cache();
        match what {
            Invalidation::Page(VirtAddr(virt)) => {
                // Its cache is kept by address, not by page.
                for byte in 0..4096 {
                    let context = (Va(virt & !0xfff | byte), self.root).into();
                    self.core.flush_v2p_cache_entry(context);
                }
            }
            _ => self.core.flush_v2p_cache(),
        }
    }
}

struct Entries(Adapter);

impl Walker for Entries {
    fn tells_rights(&self) -> Rights {
        Rights::WRITE.and(Rights::USER)
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let Adapter { core, root } = &self.0;
        let found = Amd64::translation(core, Va(attempt.virt.0), *root);
        let address = PhysAddr::truncated(found.pa()?.0);
        let size = match found.entries().last()?.level {
            PageTableLevel::Pt => Some(PageSize::Kib4),
            PageTableLevel::Pd => Some(PageSize::Mib2),
            PageTableLevel::Pdpt => Some(PageSize::Gib1),
            PageTableLevel::Pml4 => None,
        };
        let write = if found.write() { Rights::WRITE } else { Rights::READ };
        // `supervisor` is told of user pages: see its documentation.
        let user = if found.supervisor() { Rights::USER } else { Rights::READ };
        Some(Mapping { address, size, rights: Some(write.and(user)) })
    }

    fn invalidate(&mut self, what: Invalidation) {
        self.0.invalidate(what);
    }
}
