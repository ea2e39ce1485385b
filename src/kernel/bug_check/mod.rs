//! The kernel stopping itself.

mod registry;
mod unreached;

use crate::base::Rule;
use crate::kernel::configured::configured;
use crate::machine::{Flow, routine};

use super::layout::{address, crash_block, switches};

pub(crate) use registry::bug_checks;
pub use registry::{BugCheck, RESERVED, all, described};
pub use unreached::{UNREACHED, Unreached};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "bug-check-halts",
    "A bug check halts the machine and may leave a dump; a restart follows.",
    "KeBugCheckEx; Varieties of Kernel-Mode Dump Files",
)];

/// Bug check codes, by the names of the Windows debugger documentation ("Bug Check Code
/// Reference").
pub mod code {
    /// The level was raised to a lower one.
    pub const IRQL_NOT_GREATER_OR_EQUAL: u64 = 0x09;
    /// Kernel code touched pageable or invalid memory at a raised level.
    pub const IRQL_NOT_LESS_OR_EQUAL: u64 = 0x0a;
    /// A reference count went wrong.
    pub const REFERENCE_BY_POINTER: u64 = 0x18;
    /// A pool header is damaged.
    pub const BAD_POOL_HEADER: u64 = 0x19;
    /// The memory manager found its structures wrong.
    pub const MEMORY_MANAGEMENT: u64 = 0x1a;
    /// An exception nobody handled.
    pub const KMODE_EXCEPTION_NOT_HANDLED: u64 = 0x1e;
    /// An exception in a system service.
    pub const SYSTEM_SERVICE_EXCEPTION: u64 = 0x3b;
    /// A request packet was completed twice.
    pub const MULTIPLE_IRP_COMPLETE_REQUESTS: u64 = 0x44;
    /// The frame list is damaged.
    pub const PFN_LIST_CORRUPT: u64 = 0x4e;
    /// Invalid system memory was referenced.
    pub const PAGE_FAULT_IN_NONPAGED_AREA: u64 = 0x50;
    /// An exception in a system thread.
    pub const SYSTEM_THREAD_EXCEPTION_NOT_HANDLED: u64 = 0x7e;
    /// Pages of a process are locked, or are not, where it should be the other way round.
    pub const PROCESS_HAS_LOCKED_PAGES: u64 = 0x76;
    /// A trap the kernel may not catch; parameter 1 is its number, 8 a double fault.
    pub const UNEXPECTED_KERNEL_MODE_TRAP: u64 = 0x7f;
    /// Kernel mode closed a handle that is protected, or that is none.
    pub const INVALID_KERNEL_HANDLE: u64 = 0x93;
    /// Read-only memory was written.
    pub const ATTEMPTED_WRITE_TO_READONLY_MEMORY: u64 = 0xbe;
    /// Special pool was written where no block is.
    pub const SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION: u64 = 0xc1;
    /// A bad request to the pool.
    pub const BAD_POOL_CALLER: u64 = 0xc2;
    /// Driver Verifier found a driver breaking a rule; parameter 1 is the rule.
    pub const DRIVER_VERIFIER_DETECTED_VIOLATION: u64 = 0xc4;
    /// The pool's code ran into what a driver made of the pool.
    pub const DRIVER_CORRUPTED_EXPOOL: u64 = 0xc5;
    /// Driver Verifier found a driver breaking a rule of requests; parameter 1 is the rule.
    pub const DRIVER_VERIFIER_IOMANAGER_VIOLATION: u64 = 0xc9;
    /// A process ends with pages that a driver has locked, which was tracked.
    pub const DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS: u64 = 0xcb;
    /// A block of special pool was touched after it was freed.
    pub const PAGE_FAULT_IN_FREED_SPECIAL_POOL: u64 = 0xcc;
    /// The page behind a block of special pool was touched.
    pub const PAGE_FAULT_BEYOND_END_OF_ALLOCATION: u64 = 0xcd;
    /// A driver touched invalid memory at a raised level.
    pub const DRIVER_IRQL_NOT_LESS_OR_EQUAL: u64 = 0xd1;
    /// A driver touched a block of special pool after it was freed.
    pub const DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL: u64 = 0xd5;
    /// A driver touched the page behind a block of special pool.
    pub const DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION: u64 = 0xd6;
    /// Driver Verifier found a driver or device breaking a rule of transfers; parameter 1 is the rule.
    pub const DRIVER_VERIFIER_DMA_VIOLATION: u64 = 0xe6;
    /// A critical process ended.
    pub const CRITICAL_PROCESS_DIED: u64 = 0xef;
    /// Memory that is not executable was executed.
    pub const ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY: u64 = 0xfc;
    /// A processor didn't take the clock's interrupt.
    pub const CLOCK_WATCHDOG_TIMEOUT: u64 = 0x101;
    /// A periodic check found the kernel changed.
    pub const CRITICAL_STRUCTURE_CORRUPTION: u64 = 0x109;
    /// A display adapter hung too often.
    pub const VIDEO_TDR_FAILURE: u64 = 0x116;
    /// A deferred call took too long, or a processor stayed at dispatch level.
    pub const DPC_WATCHDOG_VIOLATION: u64 = 0x133;
    /// A fast fail in the kernel.
    pub const KERNEL_SECURITY_CHECK_FAILURE: u64 = 0x139;
    /// The segment heap found a header or list damaged.
    pub const KERNEL_MODE_HEAP_CORRUPTION: u64 = 0x13a;
    /// The second level of permissions refused an access.
    pub const SECURE_FAULT_UNHANDLED: u64 = 0x18d;
    /// An object header is damaged.
    pub const BAD_OBJECT_HEADER: u64 = 0x189;
    /// A thread that the system cannot do without used a handle that is none.
    pub const HANDLE_ERROR_ON_CRITICAL_THREAD: u64 = 0x1ed;
}

routine! {
    /// Stops the machine. Arguments: code and four parameters.
    pub static KE_BUG_CHECK = "KeBugCheckEx", frame 0;
    record => |p| {
        let base = address::KERNEL_DATA;
        for (number, field) in crash_block::FIELDS.iter().enumerate() {
            let value = p.argument(number);
            p.store(base, *field, value)?;
        }
        Ok(Flow::Next)
    },
    stop => |p| {
        let code = p.load(address::KERNEL_DATA, crash_block::CODE)?;
        if configured(p)? & switches::RUNS_ON != 0 {
            p.stop_processor(code)?;
            return Ok(Flow::Stay);
        }
        p.stop_machine(code)?;
        Ok(Flow::Stay)
    },
}
