//! Adapter for the crate `memflow` 0.1: the translator of an architecture, without a cache.

use memflow_0_1::architecture::ScopedVirtualTranslate;
use memflow_0_1::architecture::x86::x64;
use memflow_0_1::error::Result;
use memflow_0_1::mem::{
    PhysicalMemory, PhysicalMemoryMetadata, PhysicalReadData, PhysicalWriteData,
};
use memflow_0_1::types::{Address, PageType};
use ringfence::base::PhysAddr;
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{self, Attempt, Mapping, Memory, Report, Rights, Walker};

use crate::Plan;

/// The memory of the run under way: it has to be `Send`.
struct Physical;

impl PhysicalMemory for Physical {
    fn phys_read_raw_list(&mut self, data: &mut [PhysicalReadData]) -> Result<()> {
        for PhysicalReadData(at, bytes) in data {
            conformance::current().read(PhysAddr::truncated(at.address().as_u64()), bytes);
        }
        Ok(())
    }

    fn phys_write_raw_list(&mut self, _: &[PhysicalWriteData]) -> Result<()> {
        Ok(())
    }

    fn metadata(&self) -> PhysicalMemoryMetadata {
        PhysicalMemoryMetadata { size: 1 << 52, readonly: true }
    }
}

struct Adapter(PhysAddr);

/// `x64::new_translator`.
pub(crate) fn run(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |_: Memory, root| Adapter(root))
}

impl Walker for Adapter {
    fn tells_rights(&self) -> Rights {
        Rights::WRITE.and(Rights::EXECUTE)
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let tables = x64::new_translator(Address::from(self.0.raw()));
        let found = tables.virt_to_phys(&mut Physical, Address::from(attempt.virt.0)).ok()?;
        let kind = found.page_type();
        let write = if kind.contains(PageType::WRITEABLE) { Rights::WRITE } else { Rights::READ };
        let execute = if kind.contains(PageType::NOEXEC) { Rights::READ } else { Rights::EXECUTE };
        let address = PhysAddr::truncated(found.address().as_u64());
        Some(Mapping { address, size: None, rights: Some(write.and(execute)) })
    }
}
