//! Adapters for the crate `page_table_multiarch` 0.5 and 0.6, and for `ax-page-table-multiarch` 0.8, which goes on from
//! there under another name: `PageTable64` with its x86-64 entries.
//!
//! Its hooks are static functions. A region may be unmapped and protected only as it was mapped (its
//! documentation: "unexpected behaviors may occur" otherwise); the adapter refuses the rest. In 0.5 each
//! call returns a token that names what is to be flushed, and the adapter flushes it. 0.6 flushes by
//! itself, but only on targets without an operating system, so no invalidation is seen here and none is
//! judged; 0.8 of the other does everywhere. There `protect_region` passes over what is unused only ("ignore if
//! unused"), and so gives rights to a page without any, which has an entry that is not present.

/// An adapter for one version: its crates, whether its invalidations are seen, whether an entry that is not
/// present is a page it still holds, what its frame allocator has to be, its calls.
macro_rules! adapter {
    (
        $name:ident, $spelling:ident, $feature:literal, $memory:ident, $entry:ident, $multiarch:ident,
        $invalidates:literal, $keeps_hidden:literal,
        { $($frames:tt)* }, { $($calls:tt)* }
    ) => {
        #[cfg(feature = $feature)]
        pub(crate) mod $name {
            use ringfence::base;
            use ringfence::conformance::format::X86_64;
            use ringfence::conformance::{
                self, Call, Capabilities, Capability, Mapper, Mapping, Refusal, Report, Rights,
            };
            use ringfence::machine::paging;
            use $entry::x86_64::X64PTE;
            use $memory::{PhysAddr, VirtAddr};
            use $multiarch::{
                MappingFlags, PageSize, PageTable64, PagingError, PagingHandler, PagingMetaData,
            };

            use crate::Plan;
            use crate::adapters::page_table_multiarch_spelled::Spelling;

            struct Meta;

            impl PagingMetaData for Meta {
                const LEVELS: usize = 4;
                const PA_MAX_BITS: usize = 52;
                const VA_MAX_BITS: usize = 48;
                type VirtAddr = VirtAddr;

                fn flush_tlb(virt: Option<VirtAddr>) {
                    match virt {
                        Some(virt) => {
                            let virt = base::VirtAddr(virt.as_usize() as u64);
                            conformance::current().invalidate_page(virt);
                        }
                        None => conformance::current().invalidate_all(),
                    }
                }
            }

            fn phys(at: PhysAddr) -> base::PhysAddr {
                base::PhysAddr::truncated(at.as_usize() as u64)
            }

            struct Handler;

            impl PagingHandler for Handler {
                $($frames)*

                fn phys_to_virt(at: PhysAddr) -> VirtAddr {
                    VirtAddr::from(conformance::current().pointer_to(phys(at)) as usize)
                }
            }

            type Tables = PageTable64<Meta, X64PTE, Handler>;

            /// Its calls as both versions have them.
            trait Calls {
                fn map_page(
                    &mut self,
                    page: VirtAddr,
                    to: PhysAddr,
                    size: PageSize,
                    flags: MappingFlags,
                ) -> Result<(), PagingError>;
                fn unmap_page(&mut self, page: VirtAddr) -> Result<PhysAddr, PagingError>;
                fn protect_page(&mut self, page: VirtAddr, flags: MappingFlags) -> Result<(), PagingError>;
                fn map_pages(
                    &mut self,
                    first: VirtAddr,
                    to: impl Fn(VirtAddr) -> PhysAddr,
                    bytes: usize,
                    flags: MappingFlags,
                ) -> Result<(), PagingError>;
                fn unmap_pages(&mut self, first: VirtAddr, bytes: usize) -> Result<(), PagingError>;
                fn protect_pages(
                    &mut self,
                    first: VirtAddr,
                    bytes: usize,
                    flags: MappingFlags,
                ) -> Result<(), PagingError>;
            }

            impl Calls for Tables {
                $($calls)*
            }

            /// The tables, and the regions as they were mapped.
            struct Adapter(Tables, Vec<(u64, u64)>);

            /// `PageTable64`.
            pub(crate) fn run(plan: &Plan) -> Report {
                plan.mapper(X86_64::FOUR_LEVELS, |_| {
                    Adapter(PageTable64::try_new().expect("a frame for the root"), Vec::new())
                })
            }

            fn flags(rights: Rights) -> MappingFlags {
                let mut flags = MappingFlags::READ;
                flags.set(MappingFlags::WRITE, rights.has(Rights::WRITE));
                flags.set(MappingFlags::USER, rights.has(Rights::USER));
                flags.set(MappingFlags::EXECUTE, rights.has(Rights::EXECUTE));
                flags
            }

            fn virt(virt: base::VirtAddr) -> VirtAddr {
                VirtAddr::from(virt.0 as usize)
            }

            fn size_to(size: paging::PageSize) -> PageSize {
                match size {
                    paging::PageSize::Kib4 => PageSize::Size4K,
                    paging::PageSize::Mib2 => PageSize::Size2M,
                    paging::PageSize::Gib1 => PageSize::Size1G,
                }
            }

            fn size_from(size: PageSize) -> paging::PageSize {
                match size {
                    PageSize::Size4K => paging::PageSize::Kib4,
                    PageSize::Size2M => paging::PageSize::Mib2,
                    _ => paging::PageSize::Gib1,
                }
            }

            fn refusal(error: PagingError) -> Refusal {
                match error {
                    PagingError::NoMemory => Refusal::OutOfFrames,
                    PagingError::NotAligned => Refusal::Declined("not aligned"),
                    PagingError::NotMapped => Refusal::NotMapped,
                    PagingError::AlreadyMapped => Refusal::AlreadyMapped,
                    PagingError::MappedToHugePage => Refusal::OtherSize,
                }
            }

            impl Adapter {
                fn is_region(&self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
                    let is_known = self.1.contains(&(first.0, bytes));
                    if is_known { Ok(()) } else { Err(Refusal::Declined("not mapped as a region")) }
                }

                /// Its calls act on whatever page is there: the size is asked first.
                fn is_of(&self, page: base::VirtAddr, size: paging::PageSize) -> Result<(), Refusal> {
                    match self.0.query(virt(page)) {
                        Ok((_, _, found)) if found != size_to(size) => Err(Refusal::OtherSize),
                        _ => Ok(()),
                    }
                }
            }

            impl Mapper for Adapter {
                fn capabilities(&self) -> Capabilities {
                    let all = Capabilities::all()
                        .without(Capability::CleanUp)
                        .without(Capability::HardwareMarks)
                        // `map` takes an entry for free that is 0, and no other (`is_unused`).
                        .without(Capability::MapsOverHidden)
            .without(Capability::KeepsAttributes)
                        .without(Capability::Abandonment)
                        .without(Capability::Reentry)
                        .without(Capability::UnmapFrees);
                    let all = if $invalidates { all } else { all.without(Capability::Invalidates) };
                    if $keeps_hidden { all.without(Capability::HiddenEntries) } else { all }
                }

                fn root(&self) -> base::PhysAddr {
                    phys(self.0.root_paddr())
                }

                fn map(
                    &mut self,
                    page: base::VirtAddr,
                    to: base::PhysAddr,
                    size: paging::PageSize,
                    rights: Rights,
                ) -> Result<(), Refusal> {
                    let to = PhysAddr::from(to.raw() as usize);
                    self.0.map_page(virt(page), to, size_to(size), flags(rights)).map_err(refusal)
                }

                fn unmap(
                    &mut self,
                    page: base::VirtAddr,
                    size: paging::PageSize,
                ) -> Result<Option<base::PhysAddr>, Refusal> {
                    self.is_of(page, size)?;
                    self.1.retain(|(first, bytes)| page.0.wrapping_sub(*first) >= *bytes);
                    self.0.unmap_page(virt(page)).map(|at| Some(phys(at))).map_err(refusal)
                }

                fn protect(
                    &mut self,
                    page: base::VirtAddr,
                    size: paging::PageSize,
                    rights: Rights,
                ) -> Result<(), Refusal> {
                    self.is_of(page, size)?;
                    self.0.protect_page(virt(page), flags(rights)).map_err(refusal)
                }

                fn query(&mut self, at: base::VirtAddr) -> Result<Option<Mapping>, Refusal> {
                    match self.0.query(virt(at)) {
                        Ok((to, _, size)) => Ok(Some(Mapping {
                            address: phys(to),
                            size: Some(size_from(size)),
                            rights: None,
                        })),
                        Err(PagingError::NotMapped | PagingError::MappedToHugePage) => Ok(None),
                        Err(error) => Err(refusal(error)),
                    }
                }

                fn map_range(
                    &mut self,
                    first: base::VirtAddr,
                    to: base::PhysAddr,
                    bytes: u64,
                    rights: Rights,
                ) -> Result<(), Refusal> {
                    let to_of = |at: VirtAddr| {
                        PhysAddr::from((to.raw() + (at.as_usize() as u64).wrapping_sub(first.0)) as usize)
                    };
                    self.0.map_pages(virt(first), to_of, bytes as usize, flags(rights)).map_err(refusal)?;
                    self.1.push((first.0, bytes));
                    Ok(())
                }

                fn spell_setup(&self) -> Option<String> {
                    Some(Spelling::$spelling.setup())
                }

                fn spell(&self, call: &Call) -> Option<String> {
                    Spelling::$spelling.call(call)
                }

                fn unmap_range(&mut self, first: base::VirtAddr, bytes: u64) -> Result<(), Refusal> {
                    self.is_region(first, bytes)?;
                    self.1.retain(|region| *region != (first.0, bytes));
                    self.0.unmap_pages(virt(first), bytes as usize).map_err(refusal)
                }

                fn protect_range(
                    &mut self,
                    first: base::VirtAddr,
                    bytes: u64,
                    rights: Rights,
                ) -> Result<(), Refusal> {
                    self.is_region(first, bytes)?;
                    self.0.protect_pages(virt(first), bytes as usize, flags(rights)).map_err(refusal)
                }
            }
        }
    };
}

adapter!(
    version_0_5,
    V0_5,
    "page_table_multiarch-0-5",
    memory_addr_0_4,
    page_table_entry_0_5,
    page_table_multiarch_0_5,
    true,
    false,
    {
        fn alloc_frame() -> Option<PhysAddr> {
            Some(PhysAddr::from(conformance::current().allocate()?.raw() as usize))
        }
        fn dealloc_frame(at: PhysAddr) {
            conformance::current().free(phys(at));
        }
    },
    {
        fn map_page(
            &mut self,
            page: VirtAddr,
            to: PhysAddr,
            size: PageSize,
            flags: MappingFlags,
        ) -> Result<(), PagingError> {
            self.map(page, to, size, flags).map(|token| token.flush())
        }
        fn unmap_page(&mut self, page: VirtAddr) -> Result<PhysAddr, PagingError> {
            let (at, _, token) = self.unmap(page)?;
            token.flush();
            Ok(at)
        }
        fn protect_page(&mut self, page: VirtAddr, flags: MappingFlags) -> Result<(), PagingError> {
            self.protect(page, flags).map(|(_, token)| token.flush())
        }
        fn map_pages(
            &mut self,
            first: VirtAddr,
            to: impl Fn(VirtAddr) -> PhysAddr,
            bytes: usize,
            flags: MappingFlags,
        ) -> Result<(), PagingError> {
            self.map_region(first, to, bytes, flags, true, false).map(|token| token.flush_all())
        }
        fn unmap_pages(&mut self, first: VirtAddr, bytes: usize) -> Result<(), PagingError> {
            self.unmap_region(first, bytes, false).map(|token| token.flush_all())
        }
        fn protect_pages(
            &mut self,
            first: VirtAddr,
            bytes: usize,
            flags: MappingFlags,
        ) -> Result<(), PagingError> {
            self.protect_region(first, bytes, flags, false).map(|token| token.flush_all())
        }
    }
);

/// From 0.6 on, and in the crate that goes on from there under another name.
macro_rules! adapter_with_cursor {
    (
        $name:ident, $spelling:ident, $feature:literal, $memory:ident, $entry:ident, $multiarch:ident,
        $invalidates:literal, $keeps_hidden:literal
    ) => {
        adapter!(
            $name,
            $spelling,
            $feature,
            $memory,
            $entry,
            $multiarch,
            $invalidates,
            $keeps_hidden,
            {
                fn alloc_frames(count: usize, _: usize) -> Option<PhysAddr> {
                    let at = conformance::current().allocate_frames(count as u64, false)?;
                    Some(PhysAddr::from(at.raw() as usize))
                }
                fn dealloc_frames(at: PhysAddr, count: usize) {
                    for number in 0..count as u64 {
                        conformance::current().free(phys(at).plus(4096 * number));
                    }
                }
            },
            {
                fn map_page(
                    &mut self,
                    page: VirtAddr,
                    to: PhysAddr,
                    size: PageSize,
                    flags: MappingFlags,
                ) -> Result<(), PagingError> {
                    self.cursor().map(page, to, size, flags)
                }
                fn unmap_page(&mut self, page: VirtAddr) -> Result<PhysAddr, PagingError> {
                    self.cursor().unmap(page).map(|(at, _, _)| at)
                }
                fn protect_page(
                    &mut self,
                    page: VirtAddr,
                    flags: MappingFlags,
                ) -> Result<(), PagingError> {
                    self.cursor().protect(page, flags).map(|_| ())
                }
                fn map_pages(
                    &mut self,
                    first: VirtAddr,
                    to: impl Fn(VirtAddr) -> PhysAddr,
                    bytes: usize,
                    flags: MappingFlags,
                ) -> Result<(), PagingError> {
                    self.cursor().map_region(first, to, bytes, flags, true)
                }
                fn unmap_pages(
                    &mut self,
                    first: VirtAddr,
                    bytes: usize,
                ) -> Result<(), PagingError> {
                    self.cursor().unmap_region(first, bytes)
                }
                fn protect_pages(
                    &mut self,
                    first: VirtAddr,
                    bytes: usize,
                    flags: MappingFlags,
                ) -> Result<(), PagingError> {
                    self.cursor().protect_region(first, bytes, flags)
                }
            }
        );
    };
}

adapter_with_cursor!(
    version_0_6,
    V0_6,
    "page_table_multiarch-0-6",
    memory_addr_0_4,
    page_table_entry_0_6,
    page_table_multiarch_0_6,
    false,
    false
);

adapter_with_cursor!(
    ax_0_8,
    Ax0_8,
    "ax-page-table-multiarch-0-8",
    ax_memory_addr,
    ax_page_table_entry,
    ax_page_table_multiarch,
    true,
    true
);
