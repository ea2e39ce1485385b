//! Bits of the words that say how this kernel is configured.

/// Bits of [`kernel_data::SWITCHES`](super::kernel_data::SWITCHES): weaknesses planted in the kernel, and
/// choices left open.
pub mod switches {
    /// Weakness: system services do not probe output buffers (as CVE-2017-5123).
    pub const NO_PROBE: u64 = 1 << 0;
    /// Weakness: freeing user memory does not invalidate other processors (as CVE-2018-18281).
    pub const NO_SHOOTDOWN: u64 = 1 << 1;
    /// Weakness: a freed frame is handed out again without being zeroed.
    pub const NO_ZEROING: u64 = 1 << 2;
    /// Weakness: handle look-up does not compare rights.
    pub const NO_ACCESS_CHECK: u64 = 1 << 3;
    /// Weakness: process exit leaves its handles open.
    pub const HANDLES_LEAK: u64 = 1 << 4;
    /// Weakness: process exit leaves its frames allocated.
    pub const FRAMES_LEAK: u64 = 1 << 5;
    /// Weakness: duplication grants more rights than the source handle has.
    pub const DUPLICATE_WIDENS: u64 = 1 << 6;
    /// Weakness: a look-up goes to the table of the process that ran before.
    pub const WRONG_TABLE: u64 = 1 << 7;
    /// Weakness: pages for user mode are mapped with a system-half alias that user mode may use.
    pub const USER_BIT_IN_SYSTEM: u64 = 1 << 8;
    /// Weakness: a new process shares its private data page with its parent.
    pub const SHARED_PRIVATE_PAGE: u64 = 1 << 9;
    /// Weakness: DMA mappings stay after the transfer.
    pub const DMA_STAYS: u64 = 1 << 10;
    /// Weakness: objects are freed while handles to them are open.
    pub const EARLY_FREE: u64 = 1 << 11;
    /// Weakness: a read returns a whole system buffer whatever was produced.
    pub const STALE_OUTPUT: u64 = 1 << 12;
    /// Weakness: an interrupt's completion writes to the user buffer of whoever runs.
    pub const WRONG_CONTEXT: u64 = 1 << 13;
    /// Weakness: after a bug check the other processors keep running.
    pub const RUNS_ON: u64 = 1 << 14;
    /// Weakness: a lost host's outstanding requests are never completed.
    pub const REQUESTS_LOST: u64 = 1 << 15;
    /// Weakness: a new process's root lacks a kernel entry.
    pub const KERNEL_HALF_DIFFERS: u64 = 1 << 16;
    /// Weakness: system services run on the caller's stack.
    pub const ON_USER_STACK: u64 = 1 << 17;
    /// Weakness: user mode runs with the I/O privilege.
    pub const IO_PORTS_OPEN: u64 = 1 << 18;
    /// Weakness: user mode may use drivers' data pages.
    pub const DRIVER_DATA_OPEN: u64 = 1 << 19;
    /// Weakness: shadow roots map the kernel as full roots do.
    pub const SHADOW_KEEPS_KERNEL: u64 = 1 << 20;
    /// Weakness: the way back from a system service leaves the full root loaded.
    pub const RETURN_ON_FULL_ROOT: u64 = 1 << 21;
    /// Weakness: a page that is unmapped is forgotten under kernel mode's identifier alone.
    pub const SHADOW_CONTEXT_KEPT: u64 = 1 << 22;
    /// A critical request that is overdue is left alone.
    pub const DEADLINES_IGNORED: u64 = 1 << 23;
    /// A request that a host has is completed as cancelled and left to the host.
    pub const TAKEN_CANCELLED: u64 = 1 << 24;
    /// System buffers of requests are handed out as they are.
    pub const STALE_BUFFERS: u64 = 1 << 25;
    /// Weakness: a process is taken down with its first thread that ends it, whoever else runs in it.
    pub const SIBLINGS_IGNORED: u64 = 1 << 63;
    /// User mode runs on shadow roots (kernel virtual address shadow).
    pub const KVA_SHADOW: u64 = 1 << 30;
    /// Weakness: a new process gets its parent's handle table.
    pub const SHARED_HANDLE_TABLE: u64 = 1 << 40;
    /// Weakness: duplication puts the new handle into another process's table than it was asked to.
    pub const STRAY_DUPLICATE: u64 = 1 << 41;
    /// Weakness: inherited handles are not counted.
    pub const UNCOUNTED_HANDLE: u64 = 1 << 42;
    /// Weakness: closing a handle leaves its reference to the object.
    pub const REFERENCE_KEPT: u64 = 1 << 28;
    /// Weakness: the root of an address space outlives its process.
    pub const ROOT_KEPT: u64 = 1 << 29;
    /// Weakness: a request's system buffer outlives it.
    pub const BUFFER_KEPT: u64 = 1 << 53;
    /// Weakness: handle look-up does not compare the object's type.
    pub const NO_TYPE_CHECK: u64 = 1 << 54;
    /// Weakness: a kernel handle leads somewhere in user mode's name too.
    pub const KERNEL_HANDLES_OPEN: u64 = 1 << 55;
    /// Weakness: duplication takes no right to source and target process.
    pub const NO_DUPLICATE_RIGHT: u64 = 1 << 56;
    /// Weakness: ending a process takes no right to it.
    pub const NO_TERMINATE_RIGHT: u64 = 1 << 57;
    /// Weakness: device control takes no rights, whatever its code says.
    pub const NO_CONTROL_RIGHTS: u64 = 1 << 58;
    /// Weakness: locking pages does not compare them with the user half.
    pub const LOCK_UNPROBED: u64 = 1 << 59;
    /// Weakness: pages that can't be written are locked to be written.
    pub const LOCK_READ_ONLY: u64 = 1 << 60;
    /// Weakness: locked pages are given back when their process frees them.
    pub const LOCK_NOT_HELD: u64 = 1 << 61;
    /// Weakness: a service does not compare the length of the buffer that it fills.
    pub const LENGTH_IGNORED: u64 = 1 << 62;
    /// Weakness: a process may ask for memory at any address.
    pub const ALLOCATE_ANYWHERE: u64 = 1 << 48;
    /// Weakness: a protected handle is closed as any other.
    pub const PROTECTION_IGNORED: u64 = 1 << 49;
    /// Weakness: a child inherits handles that are not marked for it.
    pub const INHERITS_ALL: u64 = 1 << 50;
    /// Weakness: what a driver host answers is not compared with the room for it.
    pub const ANSWER_OVERRUNS: u64 = 1 << 51;
    /// Bug check 0x50 tells a write as 1, and not as 2 (as before Windows 10 1507).
    pub const EARLY_ACCESS_CODES: u64 = 1 << 26;
    /// The user half ends at 8 TiB (as up to Windows 8).
    pub const SMALL_USER_HALF: u64 = 1 << 27;
    /// Translations are tagged with the process's number (CR4.PCIDE).
    pub const CONTEXTS: u64 = 1 << 33;
    /// A process may map the page at address 0.
    pub const NULL_PAGE_OPEN: u64 = 1 << 34;
    /// Drivers run with a protection key each.
    pub const PROTECTION_KEYS: u64 = 1 << 35;
    /// Pool memory is executable.
    pub const POOL_EXECUTABLE: u64 = 1 << 36;
    /// Kernel code is writable.
    pub const CODE_WRITABLE: u64 = 1 << 37;
    /// The clock leads to the late integrity checks.
    pub const INTEGRITY_CHECKS: u64 = 1 << 38;
    /// Kernel stacks have shadows.
    pub const SHADOW_STACKS: u64 = 1 << 39;
    /// The address that a thread wants to go on at is not compared with the hole (as before MS12-042).
    pub const RETURN_UNCHECKED: u64 = 1 << 43;
    /// Somebody loads its stack segment, so there are debug exceptions.
    pub const DEBUG_TRAPS: u64 = 1 << 46;
    /// Debug exceptions have a stack of their own and look where they come from.
    pub const DEBUG_TRAPS_CHECKED: u64 = 1 << 47;
    /// Hosts of user-mode drivers must answer critical requests in time.
    pub const HOST_TIME_OUTS: u64 = 1 << 31;
    /// The watchdogs tick.
    pub const WATCHDOGS: u64 = 1 << 45;
    /// Pageable memory may be away.
    pub const PAGEABLE: u64 = 1 << 44;
    /// The pool detects a damaged header (legacy pool: bug check 0x19).
    pub const POOL_CHECKS: u64 = 1 << 32;

    /// What is wrong in code, and not how it is configured.
    pub const DEFECTS: u64 = ((STALE_BUFFERS << 1) - 1)
        | SIBLINGS_IGNORED
        | SHARED_HANDLE_TABLE
        | STRAY_DUPLICATE
        | UNCOUNTED_HANDLE
        | RETURN_UNCHECKED
        | REFERENCE_KEPT
        | ROOT_KEPT
        | BUFFER_KEPT
        | NO_TYPE_CHECK
        | KERNEL_HANDLES_OPEN
        | NO_DUPLICATE_RIGHT
        | NO_TERMINATE_RIGHT
        | NO_CONTROL_RIGHTS
        | LOCK_UNPROBED
        | LOCK_READ_ONLY
        | LOCK_NOT_HELD
        | LENGTH_IGNORED
        | ALLOCATE_ANYWHERE
        | PROTECTION_IGNORED
        | INHERITS_ALL
        | ANSWER_OVERRUNS;
}

/// Bits of [`kernel_data::VERIFIER`](super::kernel_data::VERIFIER): options of Driver Verifier ("Driver
/// Verifier Options").
pub mod verifier {
    /// Some allocations fail, as the world's seed has it ("Low Resources Simulation").
    pub const LOW_RESOURCES: u64 = 1 << 0;
    /// Each allocation fails once, by the way that led to it ("Systematic low resources simulation").
    pub const SYSTEMATIC_LOW_RESOURCES: u64 = 1 << 1;
    /// Who left pages locked is told ("Pool Tracking", locked pages).
    pub const POOL_TRACKING: u64 = 1 << 2;
    /// Requests and device objects are looked at on the way ("I/O Verification").
    pub const IO: u64 = 1 << 3;
    /// User addresses and handles in kernel mode's name are found ("Security Checks").
    pub const SECURITY: u64 = 1 << 4;
    /// Handles and reference counts are looked at ("Miscellaneous Checks").
    pub const MISCELLANEOUS: u64 = 1 << 5;
    /// Pageable memory is sent away when a driver raises the level ("Force IRQL Checking").
    pub const FORCE_IRQL: u64 = 1 << 6;
    /// Levels are looked at where they change and matter ("Automatic Checks").
    pub const AUTOMATIC: u64 = 1 << 7;
    /// The order in which spin locks are taken is looked at ("Deadlock Detection").
    pub const DEADLOCK: u64 = 1 << 8;
    /// Pages that are opened to devices are looked at, and what is behind their buffers ("DMA Verification").
    pub const DMA: u64 = 1 << 9;
    /// What drivers ask of the pool is looked at: memory that can be executed ("Code integrity checking").
    pub const CODE_INTEGRITY: u64 = 1 << 10;
    /// What a driver is to leave as it is in a request is compared where the request is complete ("Invariant MDL
    /// Checking for Stack").
    pub const INVARIANT_STACK: u64 = 1 << 11;
    /// The same wherever it is handed on ("Invariant MDL Checking for Driver").
    pub const INVARIANT_DRIVER: u64 = 1 << 12;
    /// Rules for calls are followed: the level of each, and spin locks ("DDI compliance checking").
    pub const DDI_COMPLIANCE: u64 = 1 << 13;
    /// A further rule for spin locks ("DDI compliance checking (additional)").
    pub const DDI_COMPLIANCE_ADDITIONAL: u64 = 1 << 14;
    /// Some calls take longer, as the world's seed has it ("Kernel synchronization delay fuzzing").
    pub const DELAY_FUZZING: u64 = 1 << 15;
    /// Some requests are complete only after their driver has come back ("Force Pending I/O Requests").
    pub const FORCE_PENDING: u64 = 1 << 16;
}
