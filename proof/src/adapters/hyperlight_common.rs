//! Adapter for the crate `hyperlight-common`: `vmem::map`, `modify_mapping` and `virt_to_phys` for x86-64.
//!
//! It maps over what is there and invalidates nothing: its user does, after each call. `Unmapped` is one of its
//! kinds of mappings. There are no pages of the user and no large ones, and what it tells of a page are the flags
//! of the last entry, which by its documentation are the only ones that limit anything. Bit 9 marks a page to be
//! copied when it is written to.

use hyperlight_common::vmem::{
    self, BasicMapping, MappingKind, MayNotMoveTable, TableOps, TableReadOps, Void,
};
use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    Attempt, Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Report, Rights, Walker,
};
use ringfence::machine::paging::PageSize;

use crate::Plan;

/// Bits of an entry that mean something to it.
const COPY_ON_WRITE: u64 = 7 << 9;

struct Adapter {
    memory: Memory,
    root: u64,
}

impl AsRef<Self> for Adapter {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl TableReadOps for Adapter {
    type TableAddr = u64;

    fn entry_addr(at: u64, offset: u64) -> u64 {
        at + offset
    }

    unsafe fn read_entry(&self, at: u64) -> u64 {
        self.memory.load(PhysAddr::truncated(at))
    }

    fn to_phys(at: u64) -> u64 {
        at
    }

    fn from_phys(at: u64) -> u64 {
        at
    }

    fn root_table(&self) -> u64 {
        self.root
    }
}

impl TableOps for Adapter {
    type TableMovability = MayNotMoveTable;

    unsafe fn alloc_table(&self) -> u64 {
        self.memory.allocate_zeroed().expect("documented: may panic without memory").raw()
    }

    unsafe fn write_entry(&self, at: u64, entry: u64) -> Option<Void> {
        self.memory.store(PhysAddr::truncated(at), entry);
        None
    }

    unsafe fn update_root(&self, never: Void) {
        match never {}
    }
}

/// `vmem::map` and what belongs to it.
pub(crate) fn run(plan: &Plan) -> Report {
    plan.mapper(X86_64::FOUR_LEVELS, |memory| {
        let root = memory.allocate_zeroed().expect("a frame for the root").raw();
        Adapter { memory, root }
    })
}

/// `vmem::virt_to_phys` on any tables: it also reads those that a guest may have written.
pub(crate) fn reader(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |memory, root| Adapter { memory, root: root.raw() })
}

impl Walker for Adapter {
    fn own_bits(&self) -> u64 {
        COPY_ON_WRITE
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let address = self.found(attempt.virt)?.plus(attempt.virt.0 % 4096);
        Some(Mapping { address, size: None, rights: None })
    }
}

fn kind(rights: Rights) -> Result<MappingKind, Refusal> {
    if rights.has(Rights::USER) {
        return Err(Refusal::Declined("no pages of the user"));
    }
    let (writable, executable) = (rights.has(Rights::WRITE), rights.has(Rights::EXECUTE));
    Ok(MappingKind::Basic(BasicMapping { readable: true, writable, executable }))
}

impl Adapter {
    fn found(&self, virt: VirtAddr) -> Option<PhysAddr> {
        // SAFETY: nobody else works on the tables.
        let found = unsafe { vmem::virt_to_phys(self, virt.0, 1) }.next()?;
        Some(PhysAddr::truncated(found.phys_base))
    }

    fn put(&self, first: VirtAddr, to: u64, bytes: u64, kind: MappingKind) {
        let mapping = vmem::Mapping { phys_base: to, virt_base: first.0, len: bytes, kind };
        // SAFETY: nobody uses the pages of the suite.
        unsafe { vmem::map(self, mapping) };
        self.forget(first, bytes);
    }

    fn forget(&self, first: VirtAddr, bytes: u64) {
        (0..bytes / 4096).for_each(|page| self.memory.invalidate_page(first.plus(4096 * page)));
    }
}

impl Mapper for Adapter {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN
            .with(Capability::Protect)
            .with(Capability::Query)
            .with(Capability::Ranges)
            .with(Capability::Invalidates)
            .with(Capability::ForeignEntries)
            .with(Capability::HiddenEntries)
            .with(Capability::UpperHalf)
    }

    fn own_bits(&self) -> u64 {
        COPY_ON_WRITE
    }

    fn root(&self) -> PhysAddr {
        PhysAddr::truncated(self.root)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        let was = self.found(page).ok_or(Refusal::NotMapped)?;
        self.put(page, 0, size.bytes(), MappingKind::Unmapped);
        Ok(Some(was))
    }

    fn protect(&mut self, page: VirtAddr, size: PageSize, rights: Rights) -> Result<(), Refusal> {
        self.found(page).ok_or(Refusal::NotMapped)?;
        self.protect_range(page, size.bytes(), rights)
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        let told = |page: PhysAddr| Mapping {
            address: page.plus(virt.0 % 4096),
            size: Some(PageSize::Kib4),
            rights: None,
        };
        Ok(self.found(virt).map(told))
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.put(first, to.raw(), bytes, kind(rights)?);
        Ok(())
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.put(first, 0, bytes, MappingKind::Unmapped);
        Ok(())
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let kind = kind(rights)?;
        let changed = |_, old: vmem::Mapping| match old.kind {
            MappingKind::Unmapped => MappingKind::Unmapped,
            _ => kind,
        };
        // SAFETY: nobody uses the pages of the suite.
        unsafe { vmem::modify_mapping(self, first.0, bytes, changed) };
        self.forget(first, bytes);
        Ok(())
    }
}
