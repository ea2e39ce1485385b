//! Adapters for the crate `aarch64-paging` 0.12: `Mapping`, active, so that it invalidates what it
//! changes; stage 1 of EL1 and of EL2.
//!
//! Its translation regime is a trait: the adapter's is its own with another `invalidate_va`, which
//! reports. Its barriers are instructions of another machine and are not seen.

use core::fmt::Debug;
use core::ptr::NonNull;

use aarch64_paging_0_12::MapError;
use aarch64_paging_0_12::Mapping as Tables;
use aarch64_paging_0_12::descriptor::{
    El1Attributes, El23Attributes, PagingAttributes, PhysicalAddress, UpdatableDescriptor,
    VirtualAddress,
};
use aarch64_paging_0_12::paging::{
    Constraints, El1And0, El2, MemoryRegion, PageTable, Translation, TranslationRegime, VaRange,
};
use ringfence::base;
use ringfence::conformance::format::AArch64;
use ringfence::conformance::{
    self, Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use super::aarch64_bits;
use crate::Plan;

/// The hooks.
struct Hooks(Memory);

impl<A: PagingAttributes> Translation<A> for Hooks {
    fn allocate_table(&mut self) -> (NonNull<PageTable<A>>, PhysicalAddress) {
        let at = self.0.allocate_zeroed().expect("the suite has a frame: nothing may fail here");
        let table = Translation::<A>::physical_to_virtual(self, PhysicalAddress(at.raw() as usize));
        (table, PhysicalAddress(at.raw() as usize))
    }

    unsafe fn deallocate_table(&mut self, table: NonNull<PageTable<A>>) {
        let at = (table.as_ptr() as u64).wrapping_sub(self.0.offset());
        self.0.free(base::PhysAddr::truncated(at));
    }

    fn physical_to_virtual(&self, at: PhysicalAddress) -> NonNull<PageTable<A>> {
        let at = base::PhysAddr::truncated(at.0 as u64);
        NonNull::new(self.0.pointer_to(at).cast()).expect("memory is not at address 0")
    }
}

/// A regime whose invalidations are reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reported<R>(R);

impl<R: TranslationRegime> TranslationRegime for Reported<R> {
    type Attributes = R::Attributes;
    type Asid = R::Asid;
    type VaRange = R::VaRange;

    fn invalidate_va(virt: VirtualAddress) {
        conformance::current().invalidate_page(base::VirtAddr(virt.0 as u64));
    }

    unsafe fn activate(_: PhysicalAddress, _: R::Asid, _: R::VaRange) -> usize {
        usize::MAX
    }

    unsafe fn deactivate(_: usize, _: R::Asid, _: R::VaRange) {}
}

/// How rights are spelled in a regime.
trait Spelled: PagingAttributes + Debug {
    /// `None` when the regime does not have such pages.
    fn of(rights: Rights) -> Option<Self>;
    /// Everything that a change of rights may set or clear.
    const RIGHTS: Self;
    /// What a new page has besides.
    const PAGE: Self;
    /// The accessed flag, without which every access faults.
    const MARKED: Self;
}

impl Spelled for El1Attributes {
    fn of(rights: Rights) -> Option<Self> {
        Self::from_bits(aarch64_bits::rights_bits(rights))
    }

    const RIGHTS: Self = Self::USER.union(Self::READ_ONLY).union(Self::PXN).union(Self::UXN);
    const PAGE: Self = Self::VALID
        .union(Self::ATTRIBUTE_INDEX_1)
        .union(Self::INNER_SHAREABLE)
        .union(Self::ACCESSED);

    const MARKED: Self = Self::ACCESSED;
}

impl Spelled for El23Attributes {
    fn of(rights: Rights) -> Option<Self> {
        let write = if rights.has(Rights::WRITE) { Self::empty() } else { Self::READ_ONLY };
        let execute = if rights.has(Rights::EXECUTE) { Self::empty() } else { Self::XN };
        (!rights.has(Rights::USER)).then_some(write.union(execute))
    }

    const RIGHTS: Self = Self::READ_ONLY.union(Self::XN);
    // Bit 6 is RES1 here; 0.12.0 has no name for it.
    const PAGE: Self = Self::VALID
        .union(Self::ATTRIBUTE_INDEX_1)
        .union(Self::INNER_SHAREABLE)
        .union(Self::ACCESSED)
        .union(Self::from_bits_retain(1 << 6));

    const MARKED: Self = Self::ACCESSED;
}

struct Adapter<R: TranslationRegime>(Tables<Hooks, Reported<R>>)
where
    R::Attributes: Spelled;

/// `Mapping` for stage 1 of EL1 and EL0.
pub(crate) fn el1(plan: &Plan) -> Report {
    plan.mapper(AArch64::LOWER, |memory| {
        let regime = Reported(El1And0);
        let range = VaRange::Lower;
        active(Tables::with_asid_and_va_range(Hooks(memory), 1, 0, regime, range))
    })
}

/// `Mapping` for stage 1 of EL2.
pub(crate) fn el2(plan: &Plan) -> Report {
    plan.mapper(AArch64::EL2, |memory| active(Tables::new(Hooks(memory), 0, Reported(El2))))
}

fn active<R: TranslationRegime>(tables: Tables<Hooks, Reported<R>>) -> Adapter<R>
where
    R::Attributes: Spelled,
{
    // SAFETY: on this machine it marks the tables as active and loads nothing.
    unsafe { tables.activate() };
    Adapter(tables)
}

impl<R: TranslationRegime> Drop for Adapter<R>
where
    R::Attributes: Spelled,
{
    fn drop(&mut self) {
        // SAFETY: it was activated when it was made.
        unsafe { self.0.deactivate(usize::MAX) };
    }
}

fn region(first: base::VirtAddr, bytes: u64) -> MemoryRegion {
    MemoryRegion::new(first.0 as usize, (first.0 + bytes) as usize)
}

fn refusal(error: MapError) -> Refusal {
    match error {
        MapError::BreakBeforeMakeViolation(_) => Refusal::Declined("break before make"),
        MapError::PteUpdateFault(_) => Refusal::NotMapped,
        MapError::InvalidFlags(_) => Refusal::Declined("flags"),
        _ => Refusal::Declined("address range"),
    }
}

impl<R: TranslationRegime> Mapper for Adapter<R>
where
    R::Attributes: Spelled,
{
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN
            .with(Capability::Pages2M)
            .with(Capability::Pages1G)
            .with(Capability::Ranges)
            .with(Capability::Protect)
            .with(Capability::Query)
            .with(Capability::FreesOnDrop)
            .with(Capability::Invalidates)
            .with(Capability::ForeignEntries)
            .with(Capability::HiddenEntries)
            .with(Capability::AlteredTables)
            .with(Capability::CleanUp)
    }

    fn root(&self) -> base::PhysAddr {
        base::PhysAddr::truncated(self.0.root_address().0 as u64)
    }

    fn query(&mut self, virt: base::VirtAddr) -> Result<Option<Mapping>, Refusal> {
        if virt.0 >> 48 != 0 {
            return Err(Refusal::Declined("address range"));
        }
        let mut found = None;
        let page = base::VirtAddr(virt.0 & !0xfff);
        self.0
            .walk_range(&region(page, 4096), &mut |_, descriptor, level| {
                // The crate shows a descriptor; what it means is its user's to say.
                let wanted = R::Attributes::VALID | R::Attributes::MARKED;
                // Bits 1:0 of 01 are a block, and reserved at the last level: the walk hands out what lies there.
                let is_block = descriptor.flags() & R::Attributes::TABLE_OR_PAGE
                    != R::Attributes::TABLE_OR_PAGE;
                let is_reserved = level == 3 && is_block;
                if descriptor.flags() & wanted == wanted && !is_reserved {
                    let size =
                        [PageSize::Kib4, PageSize::Gib1, PageSize::Mib2, PageSize::Kib4][level];
                    let below = size.bytes() - 1;
                    let start = descriptor.output_address().0 as u64 & !below;
                    found = Some(Mapping {
                        address: base::PhysAddr::truncated(start | virt.0 & below),
                        size: Some(size),
                        // What the tables above withhold is not shown.
                        rights: None,
                    });
                }
                Ok(())
            })
            .map_err(refusal)?;
        Ok(found)
    }

    fn map_range(
        &mut self,
        first: base::VirtAddr,
        to: base::PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let Some(spelled) = R::Attributes::of(rights) else {
            return Err(Refusal::Declined("no user pages here"));
        };
        let flags = spelled | R::Attributes::PAGE;
        let to = PhysicalAddress(to.raw() as usize);
        self.0.map_range(&region(first, bytes), to, flags, Constraints::empty()).map_err(refusal)
    }

    fn unmap_range(&mut self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
        let nowhere = PhysicalAddress(0);
        let flags = R::Attributes::default();
        self.0
            .map_range(&region(first, bytes), nowhere, flags, Constraints::empty())
            .map_err(refusal)
    }

    fn protect_range(
        &mut self,
        first: base::VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let Some(set) = R::Attributes::of(rights) else {
            return Err(Refusal::Declined("no user pages here"));
        };
        let clear = R::Attributes::RIGHTS - set;
        let update = |_: &MemoryRegion, entry: &mut UpdatableDescriptor<'_, R::Attributes>| {
            if entry.is_table() {
                return Ok(());
            }
            if entry.flags() & R::Attributes::VALID != R::Attributes::VALID {
                return Err(());
            }
            entry.modify_flags(set, clear)
        };
        self.0.modify_range(&region(first, bytes), &update).map_err(refusal)
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        self.0.compact_subtables();
        Ok(())
    }
}
