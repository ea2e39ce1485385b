//! Bug checks that the documents list and no world of this crate's components can raise, each with the reason.
//!
//! Of the codes that stop a machine over memory, handles, requests, drivers and hosts; a code of what this
//! model has not at all (a file system of its own format, a network) is none of them.

use super::code;

/// A code, or some of what one code says, that is not modelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreached {
    /// The code.
    pub code: u64,
    /// Its name in the documents.
    pub name: &'static str,
    /// Which of what it says, by the parameter's number; empty: all of it.
    pub subtypes: &'static [u64],
    /// Which parameter that is; 0: the one that the code's page tells its cases apart by.
    pub parameter: u8,
    /// Why nothing here raises it.
    pub why: &'static str,
}

const fn all(code: u64, name: &'static str, why: &'static str) -> Unreached {
    Unreached { code, name, subtypes: &[], parameter: 0, why }
}

const fn some(
    code: u64,
    name: &'static str,
    subtypes: &'static [u64],
    why: &'static str,
) -> Unreached {
    Unreached { code, name, subtypes, parameter: 0, why }
}

/// What another parameter says than the one that tells the code's cases apart.
const fn of_parameter(parameter: u8, unreached: Unreached) -> Unreached {
    Unreached { parameter, ..unreached }
}

const VERIFIER: u64 = code::DRIVER_VERIFIER_DETECTED_VIOLATION;
const VERIFIER_NAME: &str = "DRIVER_VERIFIER_DETECTED_VIOLATION";
const DMA: u64 = code::DRIVER_VERIFIER_DMA_VIOLATION;
const DMA_NAME: &str = "DRIVER_VERIFIER_DMA_VIOLATION";
const FAST_FAIL: u64 = code::KERNEL_SECURITY_CHECK_FAILURE;
const FAST_FAIL_NAME: &str = "KERNEL_SECURITY_CHECK_FAILURE";

/// What is not reached, in the order of the codes.
pub const UNREACHED: &[Unreached] = &[
    some(
        code::BAD_POOL_HEADER,
        "BAD_POOL_HEADER",
        &[2],
        "what special pool finds changed it says with 0xC1",
    ),
    some(
        code::BAD_POOL_HEADER,
        "BAD_POOL_HEADER",
        &[7, 0xa, 0xe, 0xf, 0x23, 0x24, 0x25],
        "0x6, 0x8, 0x9, 0xD and 0x20 are said of the same",
    ),
    some(
        code::MEMORY_MANAGEMENT,
        "MEMORY_MANAGEMENT",
        &[0x411, 0x1100, 0x1233, 0x1236, 0x3453, 0x4477, 0x4_1790, 0x6_1941],
        "the memory manager here compares entries with frames where a frame is freed, and nowhere else",
    ),
    all(
        0x24,
        "NTFS_FILE_SYSTEM",
        "the file system keeps no structure on the disk that it could find wrong",
    ),
    some(
        code::PFN_LIST_CORRUPT,
        "PFN_LIST_CORRUPT",
        &[1, 0x8d, 0x8f],
        "the head of the free list is believed; what it leads to is looked at: 0x2",
    ),
    some(
        code::PFN_LIST_CORRUPT,
        "PFN_LIST_CORRUPT",
        &[6, 0x99],
        "an entry is compared with no frame's state",
    ),
    some(
        code::PFN_LIST_CORRUPT,
        "PFN_LIST_CORRUPT",
        &[0x9a],
        "a frame that is locked counts as referred to, and stays",
    ),
    some(
        code::PAGE_FAULT_IN_NONPAGED_AREA,
        "PAGE_FAULT_IN_NONPAGED_AREA",
        &[3],
        "there are no sessions",
    ),
    all(
        0x7a,
        "KERNEL_DATA_INPAGE_ERROR",
        "pages that are away are not on the disk, and come back in any case",
    ),
    some(
        code::UNEXPECTED_KERNEL_MODE_TRAP,
        "UNEXPECTED_KERNEL_MODE_TRAP",
        &[0, 1, 3, 4, 5, 6, 7, 0xa, 0xb, 0xc, 0xd],
        "these are exceptions: where no handler catches them they are 0x1E, 0x3B or 0x7E",
    ),
    all(0x8e, "KERNEL_MODE_EXCEPTION_NOT_HANDLED", "what it says on x86 is 0x1E here"),
    of_parameter(
        4,
        some(
            code::INVALID_KERNEL_HANDLE,
            "INVALID_KERNEL_HANDLE",
            &[1],
            "with bad-handle detection only handles that are closed are looked at, not those referred to",
        ),
    ),
    all(0x9f, "DRIVER_POWER_STATE_FAILURE", "there is no power management"),
    some(
        code::SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION,
        "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION",
        &[0x22],
        "it is said of what 0x21 says",
    ),
    some(code::BAD_POOL_CALLER, "BAD_POOL_CALLER", &[2, 4, 6], "0x1 and 0x7 are said of the same"),
    some(
        code::BAD_POOL_CALLER,
        "BAD_POOL_CALLER",
        &[0xb, 0xc, 0xd, 0x60],
        "no quota is charged, and no memory need be contiguous",
    ),
    some(
        code::BAD_POOL_CALLER,
        "BAD_POOL_CALLER",
        &[0x41, 0x43, 0x44, 0x46, 0x47, 0x48, 0x50, 0x99, 0x4_1286],
        "an address at which no block begins is found otherwise: 0x42, or 0x19",
    ),
    some(
        code::BAD_POOL_CALLER,
        "BAD_POOL_CALLER",
        &[0x9a, 0x9b, 0x9c, 0x9d],
        "no memory must be given, and tags are compared but not judged",
    ),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[3, 0x13, 0x14, 0x15, 0x16, 0x17],
        "memory that must be given, timers and resources are not modelled, and the pool itself finds what is freed twice",
    ),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[0x33, 0x34, 0x37, 0x38, 0x39, 0x3a, 0x3d, 0x3e],
        "there are no fast mutexes, resources or asynchronous procedure calls",
    ),
    some(VERIFIER, VERIFIER_NAME, &[0x3b], "drivers here wait for nothing themselves"),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[0x40, 0x41],
        "drivers take spin locks by the routine that raises the level",
    ),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[0x51, 0x52, 0x53, 0x54, 0x59],
        "what was written behind a block is found by the pools, each in its own way",
    ),
    some(VERIFIER, VERIFIER_NAME, &[0x60, 0x61, 0x62], "no driver is unloaded"),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[
            0x6f, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x79, 0x7a, 0x7b, 0x7d, 0x7e, 0x7f,
            0x80, 0x81, 0x82, 0x83, 0x85, 0x89, 0x91,
        ],
        "these routines of lists, mappings and events are not there, or not for drivers",
    ),
    some(VERIFIER, VERIFIER_NAME, &[0xe4], "no service takes a string"),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[0xe5, 0xe6],
        "levels are compared where they change and not where services are called",
    ),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[0x1002, 0x1005, 0x1008, 0x1009, 0x100a, 0x100b],
        "spin locks are neither initialised nor deleted, and no thread ends in kernel mode with one",
    ),
    some(
        VERIFIER,
        VERIFIER_NAME,
        &[0x2001, 0x2002, 0x2003, 0x2004, 0x2005],
        "no routine takes protections of pages or mappings, and images have no headers in memory",
    ),
    some(
        code::DRIVER_VERIFIER_IOMANAGER_VIOLATION,
        "DRIVER_VERIFIER_IOMANAGER_VIOLATION",
        &[1, 2, 3, 8, 9, 0xa, 0xc, 0xd, 0xf, 0x11, 0x12],
        "drivers here neither build nor free packets, and have no fast I/O, timers or closed files",
    ),
    some(
        code::DRIVER_VERIFIER_IOMANAGER_VIOLATION,
        "DRIVER_VERIFIER_IOMANAGER_VIOLATION",
        &[7],
        "no driver here has a routine that cancels a request",
    ),
    all(0xce, "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS", "no driver is unloaded"),
    all(0xd0, "DRIVER_CORRUPTED_MMPOOL", "the pool's code is one: what it runs into is 0xC5"),
    some(
        DMA,
        DMA_NAME,
        &[3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0x10, 0x11, 0x15, 0x18, 0x19, 0x1e, 0x23, 0x25],
        "there are no adapters, and nothing of theirs that is allocated or freed",
    ),
    some(
        DMA,
        DMA_NAME,
        &[0, 0x1b, 0x1f, 0x21, 0x22, 0x24],
        "a page is mapped by its address: no list describes a buffer, and no length is told",
    ),
    some(
        DMA,
        DMA_NAME,
        &[0xd],
        "a page that was never closed is found when it is opened again: 0x1D",
    ),
    some(DMA, DMA_NAME, &[1, 2], "nobody looks at the performance counter"),
    some(DMA, DMA_NAME, &[0x14, 0x20], "0x13 and 0x16 are said of the same"),
    some(DMA, DMA_NAME, &[0x26], "what the IOMMU refuses the device is told, and no processor"),
    some(
        code::CRITICAL_PROCESS_DIED,
        "CRITICAL_PROCESS_DIED",
        &[1],
        "no thread is critical by itself: a process is, and ends with its last thread",
    ),
    all(0xf4, "CRITICAL_OBJECT_TERMINATION", "0xEF took its place"),
    some(
        code::CRITICAL_STRUCTURE_CORRUPTION,
        "CRITICAL_STRUCTURE_CORRUPTION",
        &[
            3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
            0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24,
            0x25, 0x26, 0x27, 0x28, 0x29, 0x101, 0x102,
        ],
        "other regions than code, tables of services and interrupts, and driver objects are not summed up",
    ),
    all(0x10d, "WDF_VIOLATION", "the framework of kernel-mode drivers is not modelled"),
    all(0x10e, "VIDEO_MEMORY_MANAGEMENT_INTERNAL", "the video memory manager is not modelled"),
    all(0x12b, "FAULTY_HARDWARE_CORRUPTED_PAGE", "no page of zeros is looked at before it is used"),
    some(FAST_FAIL, FAST_FAIL_NAME, &[0], "cookies here are those of today's compilers: 0x2"),
    some(
        FAST_FAIL,
        FAST_FAIL_NAME,
        &[1, 8, 0xa, 0xb, 0x25, 0x26, 0x27],
        "no check that a compiler inserts is modelled but the stack's cookie",
    ),
    some(
        FAST_FAIL,
        FAST_FAIL_NAME,
        &[3, 0x1d],
        "the only lists that lead both ways, the pool's, say it with 0x19 or 0x13A; nothing is a tree",
    ),
    some(
        FAST_FAIL,
        FAST_FAIL_NAME,
        &[5, 6, 9, 0xc, 0xd, 0x12, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c],
        "the routines that ask for it (of registry, fibers, exception chains, cryptography, loader) are not there",
    ),
    some(FAST_FAIL, FAST_FAIL_NAME, &[0xe], "a count of references that goes wrong is 0x18"),
    some(FAST_FAIL, FAST_FAIL_NAME, &[0x13], "a write to what is read-only is 0xBE, or 0x18D"),
    some(
        code::KERNEL_MODE_HEAP_CORRUPTION,
        "KERNEL_MODE_HEAP_CORRUPTION",
        &[9, 0xa, 0xc, 0x13, 0x14, 0x15, 0x16],
        "there is one heap, and what a caller asks of it wrongly is 0xC2",
    ),
    some(
        code::KERNEL_MODE_HEAP_CORRUPTION,
        "KERNEL_MODE_HEAP_CORRUPTION",
        &[0xe, 0xf, 0x10, 0x11, 0x12, 0x17],
        "the heap has no list but its free lists; 0x8 is said of the same, and its own state is believed",
    ),
    all(0x141, "VIDEO_ENGINE_TIMEOUT_DETECTED", "it is a live dump: the machine goes on"),
    all(
        0x158,
        "ILLEGAL_IOMMU_PAGE_FAULT",
        "what the IOMMU refuses is dropped, and its driver finds that the transfer failed",
    ),
    all(
        0x159,
        "HAL_ILLEGAL_IOMMU_PAGE_FAULT",
        "what the IOMMU refuses is dropped, and its driver finds that the transfer failed",
    ),
    some(
        code::BAD_OBJECT_HEADER,
        "BAD_OBJECT_HEADER",
        &[1],
        "no header leads to a security descriptor",
    ),
    all(0x18b, "SECURE_KERNEL_ERROR", "there is no secure kernel that could fail"),
    all(0x18c, "HYPERGUARD_VIOLATION", "the late integrity checks are the kernel's own: 0x109"),
    some(
        code::SECURE_FAULT_UNHANDLED,
        "SECURE_FAULT_UNHANDLED",
        &[8],
        "a fault of the second level is not delivered a second time",
    ),
    all(
        0x1aa,
        "EXCEPTION_ON_INVALID_STACK",
        "an exception on a stack that is none is a double fault: 0x7F",
    ),
    all(0x1f2, "KASAN_ILLEGAL_ACCESS", "no driver is compiled for an address sanitizer"),
    all(0xc000_021a, "WINLOGON_FATAL_ERROR", "a critical process that ends is 0xEF"),
];

#[cfg(test)]
mod tests;
