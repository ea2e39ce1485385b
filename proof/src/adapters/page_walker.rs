//! Adapter for the crate `page-walker`: `AddressSpace`, as a walker and as a mapper.
//!
//! Its entries and rights are its user's: the adapter builds and reads them as x86-64 has them. A range
//! ends with its last byte, as the crate's documentation has it. It invalidates nothing: its user
//! does, after each call. `read_pte` tells an entry without its level; the level is how many entries
//! it read.

use core::cell::Cell;

use page_walker::arch::x86_64::PAGE_FORMAT_4K_L4;
use page_walker::{AddressSpace, PageTableMapper};
use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{
    Attempt, Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Report, Rights, Walker,
};
use ringfence::machine::paging::PageSize;

use crate::Plan;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Error {
    NotFound,
    NotPresent,
    NotImplemented,
    OutOfFrames,
}

/// The hooks.
struct Hooks {
    memory: Memory,
    reads: Cell<u32>,
}

impl PageTableMapper<u64, Error> for Hooks {
    const PTE_NOT_FOUND: Error = Error::NotFound;
    const PAGE_NOT_PRESENT: Error = Error::NotPresent;
    const NOT_IMPLEMENTED: Error = Error::NotImplemented;

    fn read_pte(&self, at: u64) -> Result<u64, Error> {
        self.reads.set(self.reads.get() + 1);
        Ok(self.memory.load(PhysAddr::truncated(at)))
    }

    fn write_pte(&mut self, at: u64, value: u64) -> Result<(), Error> {
        self.memory.store(PhysAddr::truncated(at), value);
        Ok(())
    }

    fn alloc_page(&mut self) -> Result<u64, Error> {
        self.memory.allocate_zeroed().map(PhysAddr::raw).ok_or(Error::OutOfFrames)
    }

    fn free_page(&mut self, entry: u64) {
        self.memory.free(PhysAddr::truncated(entry & ADDRESS));
    }
}

struct Adapter {
    hooks: Hooks,
    root: PhysAddr,
}

impl Adapter {
    fn new(memory: Memory, root: PhysAddr) -> Self {
        Self { hooks: Hooks { memory, reads: Cell::new(0) }, root }
    }

    fn space(&mut self) -> AddressSpace<'_, u64, Hooks, Error> {
        AddressSpace::new(PAGE_FORMAT_4K_L4.clone(), &mut self.hooks, self.root.raw())
    }

    fn read(&mut self, virt: VirtAddr) -> Option<Mapping> {
        self.hooks.reads.set(0);
        let entry = self.space().read_pte(virt.0 as usize).ok()?;
        if entry & PRESENT == 0 {
            return None;
        }
        let size = match self.hooks.reads.get() {
            2 => PageSize::Gib1,
            3 => PageSize::Mib2,
            _ => PageSize::Kib4,
        };
        let below = size.bytes() - 1;
        let address = PhysAddr::truncated(entry & ADDRESS & !below | virt.0 & below);
        Some(Mapping { address, size: Some(size), rights: None })
    }

    fn forget(&self, first: VirtAddr, bytes: u64) {
        for distance in (0..bytes).step_by(4096) {
            self.hooks.memory.invalidate_page(first.plus(distance));
        }
    }
}

/// `AddressSpace::read_pte`.
pub(crate) fn reader(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, Adapter::new)
}

/// `AddressSpace::map_range`, `unmap_range` and `protect_range`.
pub(crate) fn mapper(plan: &Plan) -> Report {
    plan.mapper(X86_64::FOUR_LEVELS, |memory| {
        let root = memory.allocate_zeroed().expect("a frame for the root");
        Adapter::new(memory, root)
    })
}

impl Walker for Adapter {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        self.read(attempt.virt)
    }
}

fn bits(rights: Rights) -> u64 {
    let write = if rights.has(Rights::WRITE) { WRITE } else { 0 };
    let user = if rights.has(Rights::USER) { USER } else { 0 };
    let execute = if rights.has(Rights::EXECUTE) { 0 } else { NO_EXECUTE };
    write | user | execute
}

fn range(first: VirtAddr, bytes: u64) -> core::ops::Range<usize> {
    first.0 as usize..first.plus(bytes - 1).0 as usize
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::OutOfFrames => Refusal::OutOfFrames,
        Error::NotFound | Error::NotPresent => Refusal::NotMapped,
        Error::NotImplemented => Refusal::Unsupported,
    }
}

impl Mapper for Adapter {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::Pages2M)
            .without(Capability::Pages1G)
            .without(Capability::CleanUp)
            .without(Capability::FreesOnDrop)
            .without(Capability::HardwareMarks)
            .without(Capability::Abandonment)
            .without(Capability::Reentry)
            .without(Capability::UnmapFrees)
    }

    fn root(&self) -> PhysAddr {
        self.root
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        Ok(self.read(virt))
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let mask = to.raw() | bits(rights);
        self.space().map_range(range(first, bytes), mask).map_err(refusal)?;
        self.forget(first, bytes);
        Ok(())
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.space().unmap_range(range(first, bytes)).map_err(refusal)?;
        self.forget(first, bytes);
        Ok(())
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let masks = (bits(Rights::WRITE.and(Rights::USER)) | NO_EXECUTE, bits(rights));
        self.space().protect_range(range(first, bytes), masks).map_err(refusal)?;
        self.forget(first, bytes);
        Ok(())
    }
}
