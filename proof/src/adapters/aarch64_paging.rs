//! Adapters for the crate `aarch64-paging` 0.3 to 0.5: `RootTable` with an instance of `Translation`.
//!
//! On a host that is no AArch64 it invalidates nothing, so no invalidation is seen and none is judged.
//! 0.3 only maps; later versions change descriptors through a function of their user, which here sets
//! and clears what the request says, in every descriptor of a page that it is shown.

use core::ptr::NonNull;

use ringfence::base;
use ringfence::conformance::{Capabilities, Capability, Memory, Refusal};

/// The hooks.
struct Hooks(Memory);

impl Hooks {
    fn pointer<T>(&self, at: base::PhysAddr) -> NonNull<T> {
        NonNull::new(self.0.pointer_to(at).cast()).expect("memory is not at address 0")
    }

    fn allocate<T>(&self) -> (NonNull<T>, usize) {
        let at = self.0.allocate_zeroed().expect("the suite has a frame: nothing may fail here");
        (self.pointer(at), at.raw() as usize)
    }

    fn free<T>(&self, table: NonNull<T>) {
        let at = (table.as_ptr() as u64).wrapping_sub(self.0.offset());
        self.0.free(base::PhysAddr::truncated(at));
    }
}

fn capabilities(changes: bool) -> Capabilities {
    let plain = Capabilities::PLAIN
        .with(Capability::Pages2M)
        .with(Capability::Pages1G)
        .with(Capability::Ranges)
        .with(Capability::FreesOnDrop);
    if changes { plain.with(Capability::Protect) } else { plain }
}

/// An adapter for one interface: `$map` maps, `$change` changes flags in a range.
macro_rules! adapter {
    ($name:ident, $feature:literal, $krate:ident, $changes:literal, $map:expr, $change:expr) => {
        #[cfg(feature = $feature)]
        pub(crate) mod $name {
            use core::ptr::NonNull;

            use ringfence::base;
            use ringfence::conformance::format::AArch64;
            use ringfence::conformance::{Capabilities, Mapper, Memory, Refusal, Report, Rights};
            use $krate::paging::{
                Attributes, MemoryRegion, PageTable, PhysicalAddress, RootTable, Translation,
                VaRange,
            };

            use super::Hooks;
            use crate::Plan;
            use crate::adapters::aarch64_bits::{RIGHTS, bits, rights_bits};

            impl Translation for Hooks {
                fn allocate_table(&self) -> (NonNull<PageTable>, PhysicalAddress) {
                    let (table, at) = self.allocate();
                    (table, PhysicalAddress(at))
                }

                unsafe fn deallocate_table(&self, table: NonNull<PageTable>) {
                    self.free(table);
                }

                fn physical_to_virtual(&self, at: PhysicalAddress) -> NonNull<PageTable> {
                    self.pointer(base::PhysAddr::truncated(at.0 as u64))
                }
            }

            struct Adapter(RootTable<Hooks>);

            /// `RootTable`.
            pub(crate) fn run(plan: &Plan) -> Report {
                plan.mapper(AArch64::LOWER, |memory: Memory| {
                    Adapter(RootTable::new(Hooks(memory), 0, VaRange::Lower))
                })
            }

            fn region(first: base::VirtAddr, bytes: u64) -> MemoryRegion {
                MemoryRegion::new(first.0 as usize, (first.0 + bytes) as usize)
            }

            /// Flags that the crate has.
            fn flags(bits: usize) -> Attributes {
                Attributes::from_bits(bits).expect("flags that it has")
            }

            impl Adapter {
                fn change(
                    &mut self,
                    first: base::VirtAddr,
                    bytes: u64,
                    set: usize,
                    clear: usize,
                ) -> Result<(), Refusal> {
                    ($change)(&mut self.0, region(first, bytes), flags(set), flags(clear))
                }
            }

            impl Mapper for Adapter {
                fn capabilities(&self) -> Capabilities {
                    super::capabilities($changes)
                }

                fn root(&self) -> base::PhysAddr {
                    base::PhysAddr::truncated(self.0.to_physical().0 as u64)
                }

                fn map_range(
                    &mut self,
                    first: base::VirtAddr,
                    to: base::PhysAddr,
                    bytes: u64,
                    rights: Rights,
                ) -> Result<(), Refusal> {
                    let to = PhysicalAddress(to.raw() as usize);
                    ($map)(&mut self.0, region(first, bytes), to, flags(bits(rights)))
                }

                fn unmap_range(
                    &mut self,
                    first: base::VirtAddr,
                    bytes: u64,
                ) -> Result<(), Refusal> {
                    self.change(first, bytes, 0, 1)
                }

                fn protect_range(
                    &mut self,
                    first: base::VirtAddr,
                    bytes: u64,
                    rights: Rights,
                ) -> Result<(), Refusal> {
                    let set = rights_bits(rights);
                    self.change(first, bytes, set, RIGHTS & !set)
                }
            }
        }
    };
}

adapter!(
    version_0_3,
    "aarch64-paging-0-3",
    aarch64_paging_0_3,
    false,
    |root: &mut RootTable<Hooks>, region: MemoryRegion, to: PhysicalAddress, flags: Attributes| {
        root.map_range(&region, to, flags).map_err(|_| Refusal::Declined("address range"))
    },
    |_: &mut RootTable<Hooks>, _: MemoryRegion, _: Attributes, _: Attributes| {
        Err(Refusal::Declined("it only maps"))
    }
);

adapter!(
    version_0_4,
    "aarch64-paging-0-4",
    aarch64_paging_0_4,
    true,
    |root: &mut RootTable<Hooks>, region: MemoryRegion, to: PhysicalAddress, flags: Attributes| {
        root.map_range(&region, to, flags).map_err(|_| Refusal::Declined("address range"))
    },
    |root: &mut RootTable<Hooks>, region: MemoryRegion, set: Attributes, clear: Attributes| {
        let is_hole = std::rc::Rc::new(core::cell::Cell::new(false));
        let seen = is_hole.clone();
        let update = move |_: &MemoryRegion,
                           entry: &mut aarch64_paging_0_4::paging::Descriptor,
                           level: usize| {
            if level < 3 && entry.is_table_or_page() {
                return Ok(());
            }
            if !entry.is_valid() {
                seen.set(true);
                return Err(());
            }
            entry.modify_flags(set, clear);
            Ok(())
        };
        root.modify_range(&region, &update).map_err(|_| super::why(is_hole.get()))
    }
);

adapter!(
    version_0_5,
    "aarch64-paging-0-5",
    aarch64_paging_0_5,
    true,
    |root: &mut RootTable<Hooks>, region: MemoryRegion, to: PhysicalAddress, flags: Attributes| {
        let constraints = aarch64_paging_0_5::paging::Constraints::empty();
        root.map_range(&region, to, flags, constraints)
            .map_err(|_| Refusal::Declined("address range"))
    },
    |root: &mut RootTable<Hooks>, region: MemoryRegion, set: Attributes, clear: Attributes| {
        let is_hole = core::cell::Cell::new(false);
        let update =
            |_: &MemoryRegion, entry: &mut aarch64_paging_0_5::paging::Descriptor, _: usize| {
                if !entry.is_valid() {
                    is_hole.set(true);
                    return Err(());
                }
                entry.modify_flags(set, clear);
                Ok(())
            };
        root.modify_range(&region, &update).map_err(|_| super::why(is_hole.get()))
    }
);

/// Why a change was refused.
fn why(is_hole: bool) -> Refusal {
    if is_hole { Refusal::NotMapped } else { Refusal::Declined("address range") }
}
