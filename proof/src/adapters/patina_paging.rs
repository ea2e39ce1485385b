//! Adapters for the crate `patina_paging` 11: `X64PageTable` with 4 and 5 levels, `AArch64PageTable`.
//!
//! Firmware: a physical address is a pointer, so memory lies where its addresses say. Entries 510 and 511 of
//! the root are the crate's own: a window for clearing tables, and the root itself. On a host with an
//! operating system it never takes its tables for installed, invalidates nothing and leaves barriers out, so none
//! is judged. Its code says that it trusts its tables to be valid: none is altered.
//!
//! Mapping goes over whatever is there, unmapping takes mapped pages only, as its documentation has it; the
//! adapter looks first, with `iter_mapped_regions`, the only function that tells where a page leads. A change
//! of attributes is the same region mapped once more, in one call as far as its memory goes on. It never frees.

use core::ops::Range;

use patina_paging::aarch64::AArch64PageTable;
use patina_paging::page_allocator::PageAllocator;
use patina_paging::x64::X64PageTable;
use patina_paging::{MappedRegion, MemoryAttributes, PageTable, PagingType, PtError};
use ringfence::base;
use ringfence::conformance::format::{AArch64, X86_64};
use ringfence::conformance::{
    Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::{MAPPER_CASES, Plan, TRAPPED_CASES_MORE};

/// The entries of the root that are its own.
const OWN: [u64; 2] = [510, 511];

struct Frames(Memory);

impl PageAllocator for Frames {
    fn allocate_page(&mut self, _: u64, _: u64, _: bool) -> Result<u64, PtError> {
        let frame = self.0.allocate().ok_or(PtError::OutOfResources)?;
        // Stores are found once a pointer is asked for.
        let _ = self.0.pointer();
        Ok(frame.raw())
    }
}

/// What differs between its formats.
trait Tables: PageTable {
    /// What it needs besides the rights.
    const ALWAYS: MemoryAttributes;
    /// Which rights it can give and take.
    const RIGHTS: Rights;

    /// Whether it is an address at all.
    fn is_canonical(virt: u64, levels: u32) -> bool;

    /// The address that is meant by the one that is told of a region.
    fn meant(told: u64) -> u64;

    /// The region that holds an address, or the next.
    fn region(&self, from: u64) -> Option<MappedRegion>;
}

impl Tables for X64PageTable<Frames> {
    const ALWAYS: MemoryAttributes = MemoryAttributes::empty();
    const RIGHTS: Rights = Rights::ALL;

    fn is_canonical(virt: u64, levels: u32) -> bool {
        let above = virt.cast_signed() >> (11 + 9 * levels);
        above == 0 || above == -1
    }

    fn meant(told: u64) -> u64 {
        told
    }

    fn region(&self, from: u64) -> Option<MappedRegion> {
        self.iter_mapped_regions(Some(from)).next()
    }
}

impl Tables for AArch64PageTable<Frames> {
    const ALWAYS: MemoryAttributes = MemoryAttributes::Writeback;
    const RIGHTS: Rights = Rights::WRITE.and(Rights::EXECUTE);

    fn is_canonical(virt: u64, levels: u32) -> bool {
        virt >> (12 + 9 * levels) == 0
    }

    fn meant(told: u64) -> u64 {
        told & ((1 << 48) - 1)
    }

    fn region(&self, from: u64) -> Option<MappedRegion> {
        self.iter_mapped_regions(Some(from)).next()
    }
}

struct Adapter<T> {
    tables: T,
    root: base::PhysAddr,
    levels: u32,
}

/// The crate tells no root of tables that live: it is the first frame that it takes.
fn made<T>(
    memory: &Memory,
    kind: PagingType,
    make: impl FnOnce(Frames, PagingType) -> Result<T, PtError>,
) -> Adapter<T> {
    let levels = if kind == PagingType::Paging5Level { 5 } else { 4 };
    let tables = make(Frames(memory.clone()), kind).expect("frames for the root and its window");
    Adapter { tables, root: memory.base(), levels }
}

/// `X64PageTable` with 4 levels.
pub(crate) fn four_levels(plan: &Plan) -> Report {
    plan.identity(X86_64::FOUR_LEVELS, (&OWN, TRAPPED_CASES_MORE), |memory| {
        made(&memory, PagingType::Paging4Level, X64PageTable::new)
    })
}

/// `X64PageTable` with 5 levels.
pub(crate) fn five_levels(plan: &Plan) -> Report {
    plan.identity(X86_64::FIVE_LEVELS, (&OWN, TRAPPED_CASES_MORE), |memory| {
        made(&memory, PagingType::Paging5Level, X64PageTable::new)
    })
}

/// `AArch64PageTable`: what it takes for the exception level of a host is EL2.
pub(crate) fn aarch64(plan: &Plan) -> Report {
    // It declines pages of the user, half of what is drawn.
    plan.identity(AArch64::EL2, (&OWN, MAPPER_CASES), |memory| {
        made(&memory, PagingType::Paging4Level, AArch64PageTable::new)
    })
}

fn refusal(error: PtError) -> Refusal {
    match error {
        PtError::OutOfResources => Refusal::OutOfFrames,
        PtError::NoMapping => Refusal::NotMapped,
        PtError::InvalidMemoryRange => Refusal::Declined("invalid range"),
        _ => Refusal::Declined("another error"),
    }
}

fn attributes<T: Tables>(rights: Rights) -> Result<MemoryAttributes, Refusal> {
    if !T::RIGHTS.has(rights) {
        return Err(Refusal::Declined("it has no such pages"));
    }
    let mut attributes = T::ALWAYS;
    attributes.set(MemoryAttributes::ReadOnly, !rights.has(Rights::WRITE));
    attributes.set(MemoryAttributes::ExecuteProtect, !rights.has(Rights::EXECUTE));
    let is_kernels = T::RIGHTS.has(Rights::USER) && !rights.has(Rights::USER);
    attributes.set(MemoryAttributes::Supervisor, is_kernels);
    Ok(attributes)
}

fn rights(attributes: MemoryAttributes) -> Rights {
    [
        (MemoryAttributes::ReadOnly, Rights::WRITE),
        (MemoryAttributes::ExecuteProtect, Rights::EXECUTE),
        (MemoryAttributes::Supervisor, Rights::USER),
    ]
    .into_iter()
    .filter(|(without, _)| !attributes.contains(*without))
    .fold(Rights::READ, |all, (_, right)| all.and(right))
}

impl<T: Tables> Adapter<T> {
    /// The region that holds `at` or is next.
    fn region(&self, at: u64) -> Option<MappedRegion> {
        let told = self.tables.region(at)?;
        Some(MappedRegion { va: T::meant(told.va), ..told })
    }

    /// The region that holds `at`.
    fn holding(&self, at: u64) -> Option<MappedRegion> {
        self.region(at).filter(|region| at.wrapping_sub(region.va) < region.size)
    }

    /// Whether anything between these is mapped; both ends are in it.
    fn is_any_mapped(&self, first: u64, last: u64) -> bool {
        self.holding(first).is_some()
            || self.region(first).is_some_and(|region| (first..=last).contains(&region.va))
    }

    /// Everything between as it is mapped, each piece as long as its memory goes on; `NotMapped` when
    /// something is not.
    fn pieces(&self, first: u64, bytes: u64) -> Result<Vec<(Range<u64>, u64)>, Refusal> {
        let (mut at, mut left) = (first, bytes);
        let mut pieces: Vec<(Range<u64>, u64)> = Vec::new();
        while left > 0 {
            let region = self.holding(at).ok_or(Refusal::NotMapped)?;
            let before = at - region.va;
            let length = (region.size - before).min(left);
            let (end, to) = (at.wrapping_add(length), region.pa + before);
            match pieces.last_mut() {
                Some((piece, start)) if *start + (at - piece.start) == to => piece.end = end,
                _ => pieces.push((at..end, to)),
            }
            (at, left) = (end, left - length);
        }
        Ok(pieces)
    }

    /// Its calls act on whatever page is there: the size is asked first.
    fn is_of(&self, page: base::VirtAddr, size: PageSize) -> Result<(), Refusal> {
        match self.holding(page.0) {
            None => Err(Refusal::NotMapped),
            Some(region) if region.size != size.bytes() => Err(Refusal::OtherSize),
            Some(_) => Ok(()),
        }
    }
}

impl<T: Tables> Mapper for Adapter<T> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::CleanUp)
            .without(Capability::FreesOnDrop)
            .without(Capability::Invalidates)
            .without(Capability::Barriers)
            .without(Capability::AlteredTables)
            .without(Capability::HardwareMarks)
            .without(Capability::KeepsAttributes)
            .without(Capability::Abandonment)
            .without(Capability::Reentry)
            .without(Capability::UnmapFrees)
    }

    fn root(&self) -> base::PhysAddr {
        self.root
    }

    fn unmap(
        &mut self,
        page: base::VirtAddr,
        size: PageSize,
    ) -> Result<Option<base::PhysAddr>, Refusal> {
        self.is_of(page, size)?;
        self.unmap_range(page, size.bytes()).map(|()| None)
    }

    fn protect(
        &mut self,
        page: base::VirtAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.is_of(page, size)?;
        self.protect_range(page, size.bytes(), rights)
    }

    fn tells_rights(&self) -> Rights {
        T::RIGHTS
    }

    fn query(&mut self, virt: base::VirtAddr) -> Result<Option<Mapping>, Refusal> {
        if !T::is_canonical(virt.0, self.levels) {
            return Err(Refusal::Declined("not canonical"));
        }
        // As it is told.
        let told = self.tables.region(virt.0);
        let told = told.filter(|region| virt.0.wrapping_sub(region.va) < region.size);
        Ok(told.map(|region| Mapping {
            address: base::PhysAddr::truncated(region.pa + (virt.0 - region.va)),
            size: [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1]
                .into_iter()
                .find(|size| size.bytes() == region.size),
            rights: Some(rights(region.attributes)),
        }))
    }

    fn map_range(
        &mut self,
        first: base::VirtAddr,
        to: base::PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        if self.is_any_mapped(first.0, first.0 + (bytes - 1)) {
            return Err(Refusal::AlreadyMapped);
        }
        let attributes = attributes::<T>(rights)?;
        self.tables.map_aliased_memory_region(first.0, to.raw(), bytes, attributes).map_err(refusal)
    }

    fn unmap_range(&mut self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.pieces(first.0, bytes)?;
        self.tables.unmap_memory_region(first.0, bytes).map_err(refusal)
    }

    fn protect_range(
        &mut self,
        first: base::VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let attributes = attributes::<T>(rights)?;
        for (piece, to) in self.pieces(first.0, bytes)? {
            let bytes = piece.end.wrapping_sub(piece.start);
            self.tables
                .map_aliased_memory_region(piece.start, to, bytes, attributes)
                .map_err(refusal)?;
        }
        Ok(())
    }
}
