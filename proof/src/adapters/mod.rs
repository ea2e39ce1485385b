//! One file for each interface that a crate has had; each says what its user has to do and how the
//! adapter does it.

#[cfg(any(
    feature = "aarch64-paging-0-1",
    feature = "aarch64-paging-0-2",
    feature = "aarch64-paging-0-3",
    feature = "aarch64-paging-0-4",
    feature = "aarch64-paging-0-5",
    feature = "aarch64-paging-0-12"
))]
mod aarch64_bits;
#[cfg(any(
    feature = "aarch64-paging-0-3",
    feature = "aarch64-paging-0-4",
    feature = "aarch64-paging-0-5"
))]
mod aarch64_paging;
#[cfg(feature = "aarch64-paging-0-12")]
mod aarch64_paging_0_12;
#[cfg(any(feature = "aarch64-paging-0-1", feature = "aarch64-paging-0-2"))]
mod aarch64_paging_global;
#[cfg(feature = "hyperlight-common-0-18")]
mod hyperlight_common;
#[cfg(feature = "kdmp-parser-0-8")]
mod kdmp_parser;
#[cfg(feature = "memf-core-0-2")]
mod memf_core;
#[cfg(feature = "memflow-0-1")]
mod memflow_0_1;
#[cfg(feature = "memflow-0-2")]
mod memflow_0_2;
#[cfg(feature = "page-table-generic-0-9")]
mod page_table_generic;
#[cfg(any(
    feature = "ax-page-table-multiarch-0-8",
    feature = "page_table_multiarch-0-5",
    feature = "page_table_multiarch-0-6"
))]
mod page_table_multiarch;
#[cfg(any(
    feature = "ax-page-table-multiarch-0-8",
    feature = "page_table_multiarch-0-5",
    feature = "page_table_multiarch-0-6"
))]
mod page_table_multiarch_spelled;
#[cfg(feature = "page-walker-0-3")]
mod page_walker;
#[cfg(all(feature = "patina_paging-11", target_os = "linux", target_arch = "x86_64"))]
mod patina_paging;
#[cfg(feature = "rsemu-0-0")]
mod rsemu;
#[cfg(feature = "vmi-0-13")]
mod vmi;
#[cfg(feature = "vminer-core-0-1")]
mod vminer_core;
#[cfg(feature = "x64-0-16")]
mod x64;
#[cfg(feature = "x86_64-0-15")]
mod x86_64;
#[cfg(feature = "x86_64-0-15")]
mod x86_64_spelled;

use ringfence::conformance::Report;

use crate::Plan;

/// An adapter's name and how it is run.
pub(crate) type Adapter = (&'static str, fn(&Plan) -> Report);

/// The adapters that were built in, in the order of the matrix.
pub(crate) fn all() -> Vec<Adapter> {
    let adapters: Vec<Adapter> = vec![
        #[cfg(feature = "aarch64-paging-0-1")]
        ("RootTable", aarch64_paging_global::version_0_1::run),
        #[cfg(feature = "aarch64-paging-0-2")]
        ("RootTable", aarch64_paging_global::version_0_2::run),
        #[cfg(feature = "aarch64-paging-0-3")]
        ("RootTable", aarch64_paging::version_0_3::run),
        #[cfg(feature = "aarch64-paging-0-4")]
        ("RootTable", aarch64_paging::version_0_4::run),
        #[cfg(feature = "aarch64-paging-0-5")]
        ("RootTable", aarch64_paging::version_0_5::run),
        #[cfg(feature = "aarch64-paging-0-12")]
        ("Mapping", aarch64_paging_0_12::el1),
        #[cfg(feature = "aarch64-paging-0-12")]
        ("Mapping-EL2", aarch64_paging_0_12::el2),
        #[cfg(feature = "ax-page-table-multiarch-0-8")]
        ("PageTable64", page_table_multiarch::ax_0_8::run),
        #[cfg(feature = "hyperlight-common-0-18")]
        ("vmem", hyperlight_common::run),
        #[cfg(feature = "hyperlight-common-0-18")]
        ("virt_to_phys", hyperlight_common::reader),
        #[cfg(feature = "kdmp-parser-0-8")]
        ("virt::Reader", kdmp_parser::run),
        #[cfg(feature = "memf-core-0-2")]
        ("VirtualAddressSpace", memf_core::four_levels),
        #[cfg(feature = "memf-core-0-2")]
        ("VirtualAddressSpace-5-levels", memf_core::five_levels),
        #[cfg(feature = "memf-core-0-2")]
        ("VirtualAddressSpace-AArch64", memf_core::aarch64),
        #[cfg(feature = "memflow-0-1")]
        ("ScopedVirtualTranslate", memflow_0_1::run),
        #[cfg(feature = "memflow-0-2")]
        ("DirectTranslate", memflow_0_2::direct),
        #[cfg(feature = "memflow-0-2")]
        ("CachedVirtualTranslate", memflow_0_2::cached),
        #[cfg(feature = "memflow-0-2")]
        ("DirectTranslate-AArch64", memflow_0_2::arm),
        #[cfg(feature = "page-table-generic-0-9")]
        ("PageTable", page_table_generic::run),
        #[cfg(all(
            feature = "page-table-generic-0-9",
            target_os = "linux",
            target_arch = "x86_64"
        ))]
        ("PageTable-trapped", page_table_generic::trapped),
        #[cfg(feature = "page_table_multiarch-0-5")]
        ("PageTable64", page_table_multiarch::version_0_5::run),
        #[cfg(feature = "page_table_multiarch-0-6")]
        ("PageTable64", page_table_multiarch::version_0_6::run),
        #[cfg(feature = "page-walker-0-3")]
        ("read_pte", page_walker::reader),
        #[cfg(feature = "page-walker-0-3")]
        ("AddressSpace", page_walker::mapper),
        #[cfg(all(feature = "patina_paging-11", target_os = "linux", target_arch = "x86_64"))]
        ("X64PageTable", patina_paging::four_levels),
        #[cfg(all(feature = "patina_paging-11", target_os = "linux", target_arch = "x86_64"))]
        ("X64PageTable-5-levels", patina_paging::five_levels),
        #[cfg(all(feature = "patina_paging-11", target_os = "linux", target_arch = "x86_64"))]
        ("AArch64PageTable", patina_paging::aarch64),
        #[cfg(feature = "rsemu-0-0")]
        ("paging::walk", rsemu::run),
        #[cfg(feature = "vmi-0-13")]
        ("VmiCore", vmi::core),
        #[cfg(feature = "vmi-0-13")]
        ("VmiCore-uncached", vmi::uncached),
        #[cfg(feature = "vmi-0-13")]
        ("VaTranslation", vmi::translation),
        #[cfg(feature = "vminer-core-0-1")]
        ("X86_64", vminer_core::x86_64),
        #[cfg(feature = "vminer-core-0-1")]
        ("Aarch64", vminer_core::aarch64),
        #[cfg(feature = "x64-0-16")]
        ("OffsetPageTable5", x64::run),
        #[cfg(feature = "x86_64-0-15")]
        ("OffsetPageTable", x86_64::offset),
        #[cfg(all(feature = "x86_64-0-15", target_os = "linux", target_arch = "x86_64"))]
        ("OffsetPageTable-trapped", x86_64::trapped),
        #[cfg(feature = "x86_64-0-15")]
        ("MappedPageTable", x86_64::mapped),
        #[cfg(all(feature = "x86_64-0-15", target_os = "linux", target_arch = "x86_64"))]
        ("RecursivePageTable", x86_64::recursive),
    ];
    adapters
}
