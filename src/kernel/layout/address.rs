//! Linear addresses: which range is whose. All of them are here, so that an overlap is seen.

/// Code of a process's own image.
pub const USER_CODE: u64 = 0x0040_0000;
/// Code of the Windows API, mapped into every process.
pub const USER_API: u64 = 0x0042_0000;
/// Code that loads the stack segment, mapped only where somebody runs it.
pub const USER_SEGMENT: u64 = 0x0043_0000;
/// A process's private data: its control block and its list of actions.
pub const USER_DATA: u64 = 0x0050_0000;
/// A process's buffers and handle slots.
pub const USER_BUFFERS: u64 = 0x0050_1000;
/// Where pages that a process allocates appear.
pub const USER_HEAP: u64 = 0x0058_0000;
/// One past the low pages that a process can ask for by address: one page table maps them.
pub const LOW_END: u64 = 0x0020_0000;
/// Where views of shared sections appear.
pub const USER_VIEWS: u64 = 0x005c_0000;
/// The page of a process's user stack.
pub const USER_STACK: u64 = 0x005f_f000;
/// One past the top of the user stack.
pub const USER_STACK_TOP: u64 = 0x0060_0000;
/// The largest user address a probe lets through, plus one (128 TiB less 64 KiB).
pub const USER_LIMIT: u64 = 0x0000_7fff_ffff_0000;
/// The same where the user half is small (8 TiB less 64 KiB).
pub const SMALL_USER_LIMIT: u64 = 0x0000_07ff_ffff_0000;

/// Start of the system image region: one page table maps these 2 MiB.
pub const SYSTEM: u64 = 0xffff_f800_0000_0000;
/// The kernel's code.
pub const KERNEL_CODE: u64 = SYSTEM;
/// The hardware abstraction layer's code.
pub const HAL_CODE: u64 = SYSTEM + 0x4_0000;
/// The first driver's code; each driver has 64 KiB.
pub const DRIVER_CODE: u64 = SYSTEM + 0x6_0000;
/// Bytes from a driver's code to its data page.
pub const DRIVER_DATA_OFFSET: u64 = 0x8000;
/// Bytes from a driver's code to the section of its image that is set up once, mapped only where it has one.
pub const DRIVER_SECTION_OFFSET: u64 = 0xa000;
/// Bytes from a driver's code to its pageable code.
pub const DRIVER_PAGEABLE_OFFSET: u64 = 0x4000;
/// Bytes between drivers.
pub const DRIVER_STRIDE: u64 = 0x1_0000;
/// Bytes between driver objects, each with its device object behind it.
pub const DRIVER_OBJECT_STRIDE: u64 = 0x80;
/// Drivers at most.
pub const DRIVERS_MAX: u64 = 10;
/// Kernel variables.
pub const KERNEL_DATA: u64 = SYSTEM + 0x10_0000;
/// The table of system services (read-only).
pub const SERVICE_TABLE: u64 = SYSTEM + 0x10_1000;
/// The page with driver and device objects of drivers loaded at boot.
pub const IO_OBJECTS: u64 = SYSTEM + 0x10_2000;
/// Processor blocks, a page each.
pub const PROCESSOR_BLOCKS: u64 = SYSTEM + 0x11_0000;
/// What entries of the kernel use while a shadow root is loaded, a page for each processor, mapped only
/// where there are shadow roots: a few fields, and a stack at the upper end.
pub const TRANSITION_BLOCKS: u64 = SYSTEM + 0x11_4000;
/// The interrupt descriptor table.
pub const INTERRUPT_TABLE: u64 = SYSTEM + 0x11_8000;
/// Task-state segments, 256 bytes each.
pub const TASK_STATES: u64 = SYSTEM + 0x11_9000;
/// The frame database, 16 bytes a frame.
pub const FRAME_DATABASE: u64 = SYSTEM + 0x12_0000;
/// The file cache.
pub const FILE_CACHE: u64 = SYSTEM + 0x13_0000;
/// Tables of the IOMMU: the root page, then pages of each device.
pub const IOMMU_TABLES: u64 = SYSTEM + 0x14_0000;
/// DMA buffers, a page each: 0 for the transfer device, 1 for the disk.
pub const DMA_BUFFERS: u64 = SYSTEM + 0x14_8000;
/// One window a processor through which the kernel reaches a frame that is mapped nowhere.
pub const WINDOWS: u64 = SYSTEM + 0x15_0000;
/// What is known of pageable memory, mapped only where it may be away.
pub const RESIDENCY: u64 = SYSTEM + 0x16_1000;
/// What the watchdogs count, mapped only where there are watchdogs.
pub const WATCHDOG: u64 = SYSTEM + 0x16_2000;
/// What the framework of user-mode drivers keeps across a boot, mapped only where it does.
pub const HOST_RECORD: u64 = SYSTEM + 0x16_3000;
/// Code of the entries and exits that shadow roots map too.
pub const TRANSITION_CODE: u64 = SYSTEM + 0x16_4000;
/// Where the system maps locked pages of processes, two pages for each list.
pub const MDL_MAPPINGS: u64 = SYSTEM + 0x17_0000;
/// Kernel stacks: one page, then two that are never mapped.
pub const KERNEL_STACKS: u64 = SYSTEM + 0x18_0000;
/// Bytes between kernel stacks.
pub const KERNEL_STACK_STRIDE: u64 = 0x3000;
/// Kernel stacks at most.
pub const KERNEL_STACKS_MAX: u64 = 40;
/// The number of the first stack of debug exceptions, of which each processor has one.
pub const DEBUG_STACKS: u64 = KERNEL_STACKS_MAX - 8;
/// The number of the first stack of the watchdogs' tick, of which each processor has one.
pub const WATCHDOG_STACKS: u64 = KERNEL_STACKS_MAX - 4;
/// Nonpaged pool.
pub const POOL: u64 = 0xffff_fa80_0000_0000;
/// Pages of nonpaged pool.
pub const POOL_PAGES: u64 = 16;

/// The section that is set up once, of the driver that has this data page.
#[must_use]
pub const fn section_of(data: u64) -> u64 {
    data.wrapping_add(DRIVER_SECTION_OFFSET - DRIVER_DATA_OFFSET)
}

/// Whether Windows's own code lies at an address: the kernel's, the hardware abstraction layer's, or that of
/// the entries.
#[must_use]
pub const fn is_code_of_windows(at: u64) -> bool {
    KERNEL_CODE <= at && at < DRIVER_CODE || TRANSITION_CODE <= at && at < MDL_MAPPINGS
}

/// Whether code of a system image lies at an address: Windows's own, or a driver's.
#[must_use]
pub const fn is_code_of_an_image(at: u64) -> bool {
    let of_a_driver = DRIVER_CODE <= at
        && at < DRIVER_CODE + DRIVERS_MAX * DRIVER_STRIDE
        && (at - DRIVER_CODE) % DRIVER_STRIDE < DRIVER_DATA_OFFSET;
    of_a_driver || is_code_of_windows(at)
}

/// The linear address at which a self-map in page-map slot `slot` shows the lowest-level entry
/// that maps `virt`.
#[must_use]
pub const fn table_entry(slot: u64, virt: u64) -> u64 {
    let sign = if slot >= 256 { 0xffff_0000_0000_0000 } else { 0 };
    sign | slot << 39 | (virt >> 9 & 0x7f_ffff_fff8)
}
