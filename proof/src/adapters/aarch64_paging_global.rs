//! Adapters for the crate `aarch64-paging` 0.1 and 0.2: `RootTable` whose tables come from the global
//! allocator and whose translation is a static function of the virtual address.
//!
//! While one of its functions runs, allocations of a table's size and alignment are served by the
//! suite. Where an address leads is what the last request for it said. Nothing can be unmapped.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, RefCell};
use std::alloc::System;

use ringfence::base;
use ringfence::conformance::{self, Capabilities, Capability};

/// The size and alignment of a table.
const TABLE: usize = 4096;

thread_local! {
    static IS_ACTIVE: Cell<bool> = const { Cell::new(false) };
    /// First address, length, target; the newest last.
    static TARGETS: RefCell<Vec<(usize, usize, usize)>> = const { RefCell::new(Vec::new()) };
}

/// The system's allocator, but for tables.
struct Tables;

#[global_allocator]
static TABLES: Tables = Tables;

fn is_active() -> bool {
    IS_ACTIVE.try_with(Cell::get).unwrap_or(false)
}

fn phys_of(pointer: usize) -> Option<base::PhysAddr> {
    let memory = conformance::current();
    let at = (pointer as u64).wrapping_sub(memory.offset());
    (at.wrapping_sub(memory.base().raw()) < memory.bytes()).then(|| base::PhysAddr::truncated(at))
}

// SAFETY: frames of the suite are as large and aligned as a table, zeroed, and handed out once until
// they are freed; everything else is the system's.
unsafe impl GlobalAlloc for Tables {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() == TABLE && layout.align() == TABLE && is_active() {
            let memory = conformance::current();
            return memory
                .allocate_zeroed()
                .map_or(core::ptr::null_mut(), |at| memory.pointer_to(at));
        }
        // SAFETY: passed on as it came.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() == TABLE
            && layout.align() == TABLE
            && is_active()
            && let Some(at) = phys_of(pointer as usize)
        {
            conformance::current().free(at);
            return;
        }
        // SAFETY: passed on as it came.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs a function of the crate.
fn within<T>(call: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            IS_ACTIVE.set(false);
        }
    }
    let _reset = Reset;
    IS_ACTIVE.set(true);
    call()
}

/// The static hook: a table by its place in memory, anything else by the requests.
fn phys_for(virt: usize) -> usize {
    if let Some(at) = phys_of(virt) {
        return at.raw() as usize;
    }
    TARGETS.with_borrow(|targets| {
        let range =
            targets.iter().rev().find(|(first, bytes, _)| virt.wrapping_sub(*first) < *bytes);
        range.map_or(virt, |(first, _, to)| to + (virt - first))
    })
}

fn pointer_for(at: usize) -> usize {
    conformance::current().pointer_to(base::PhysAddr::truncated(at as u64)) as usize
}

fn ask_for(first: u64, bytes: u64, to: u64) {
    TARGETS.with_borrow_mut(|targets| targets.push((first as usize, bytes as usize, to as usize)));
}

fn capabilities() -> Capabilities {
    Capabilities::PLAIN
        .with(Capability::Pages2M)
        .with(Capability::Pages1G)
        .with(Capability::Ranges)
        .with(Capability::FreesOnDrop)
}

/// An adapter for one of the two interfaces; `$result` makes a `Result` of what mapping returns.
macro_rules! adapter {
    ($name:ident, $feature:literal, $krate:ident, $result:expr) => {
        #[cfg(feature = $feature)]
        pub(crate) mod $name {
            use ringfence::base;
            use ringfence::conformance::format::AArch64;
            use ringfence::conformance::{Capabilities, Mapper, Memory, Refusal, Report, Rights};
            use $krate::paging::{
                Attributes, MemoryRegion, PhysicalAddress, RootTable, Translation, VirtualAddress,
            };

            use crate::Plan;
            use crate::adapters::aarch64_bits::bits;

            struct Hooks;

            impl Translation for Hooks {
                fn virtual_to_physical(virt: VirtualAddress) -> PhysicalAddress {
                    PhysicalAddress(super::phys_for(virt.0))
                }

                fn physical_to_virtual(at: PhysicalAddress) -> VirtualAddress {
                    VirtualAddress(super::pointer_for(at.0))
                }
            }

            struct Adapter(Option<RootTable<Hooks>>);

            impl Drop for Adapter {
                fn drop(&mut self) {
                    super::within(|| drop(self.0.take()));
                }
            }

            /// `RootTable`.
            pub(crate) fn run(plan: &Plan) -> Report {
                plan.isolated(AArch64::LOWER, |memory: Memory| {
                    // The pointer is taken before the crate allocates.
                    let _ = memory.pointer();
                    super::TARGETS.set(Vec::new());
                    Adapter(Some(super::within(|| RootTable::new(0))))
                })
            }

            impl Mapper for Adapter {
                fn capabilities(&self) -> Capabilities {
                    super::capabilities()
                }

                fn root(&self) -> base::PhysAddr {
                    let root = self.0.as_ref().map_or(0, |root| root.to_physical().0);
                    base::PhysAddr::truncated(root as u64)
                }

                fn unmap_range(&mut self, _: base::VirtAddr, _: u64) -> Result<(), Refusal> {
                    Err(Refusal::Declined("it unmaps nothing"))
                }

                fn map_range(
                    &mut self,
                    first: base::VirtAddr,
                    to: base::PhysAddr,
                    bytes: u64,
                    rights: Rights,
                ) -> Result<(), Refusal> {
                    super::ask_for(first.0, bytes, to.raw());
                    let region = MemoryRegion::new(first.0 as usize, (first.0 + bytes) as usize);
                    let flags = Attributes::from_bits(bits(rights)).expect("flags that it has");
                    let root = self.0.as_mut().expect("it lives until it is dropped");
                    let mapped = super::within(|| root.map_range(&region, flags));
                    ($result)(mapped)
                }
            }
        }
    };
}

adapter!(version_0_1, "aarch64-paging-0-1", aarch64_paging_0_1, Ok);
adapter!(version_0_2, "aarch64-paging-0-2", aarch64_paging_0_2, |mapped: Result<(), _>| {
    mapped.map_err(|_| Refusal::Declined("address range"))
});
