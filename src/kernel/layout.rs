//! Where the kernel keeps things, and how its structures are laid out.
//!
//! Offsets are this model's own; which structures exist and what refers to what follows the public
//! Windows documentation. Everything here lies in simulated memory and is read back at each use.

/// Linear addresses.
pub mod address {
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
    /// Bytes from a driver's code to its pageable code.
    pub const DRIVER_PAGEABLE_OFFSET: u64 = 0x4000;
    /// Bytes between drivers.
    pub const DRIVER_STRIDE: u64 = 0x1_0000;
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

    /// The linear address at which a self-map in page-map slot `slot` shows the lowest-level entry
    /// that maps `virt`.
    #[must_use]
    pub const fn table_entry(slot: u64, virt: u64) -> u64 {
        let sign = if slot >= 256 { 0xffff_0000_0000_0000 } else { 0 };
        sign | slot << 39 | (virt >> 9 & 0x7f_ffff_fff8)
    }
}

use crate::base::{Field, Structure as S};

macro_rules! fields {
    ($(#[$meta:meta])* $module:ident of $structure:ident { $($(#[doc = $doc:literal])* $NAME:ident = $offset:literal $text:literal,)* }) => {
        $(#[$meta])*
        pub mod $module {
            use super::{Field, S};
            $($(#[doc = $doc])* pub const $NAME: Field = Field::new(S::$structure, $offset, $text);)*
            /// All fields, in order of their offsets.
            pub const FIELDS: &[Field] = &[$($NAME),*];
        }
    };
}

fields! {
    /// Kernel variables, at [`address::KERNEL_DATA`].
    kernel_data of KernelData {
        /// The kernel's lock: 0 free, else 1 + the number of the processor that holds it.
        LOCK = 0x00 "kernel lock",
        /// First frame of the free list, 0 when empty.
        FREE_FRAMES = 0x08 "free-frame list head",
        /// Frames on the free list.
        FREE_FRAME_COUNT = 0x10 "free-frame count",
        /// The page-map slot of the self-map.
        SELF_MAP_SLOT = 0x18 "self-map slot",
        /// Processes alive.
        PROCESS_COUNT = 0x28 "process count",
        /// The system process, whose root is a template for others.
        SYSTEM_PROCESS = 0x30 "system process",
        /// Next pool page never handed out.
        POOL_NEXT = 0x38 "pool growth pointer",
        /// Bit set of kernel stacks in use.
        STACKS_IN_USE = 0x40 "kernel stacks in use",
        /// Policy switches the kernel consults, see `switches`.
        SWITCHES = 0x48 "kernel switches",
        /// Number of device objects in the device table.
        DEVICE_COUNT = 0x50 "device count",
        /// Stays 0: whoever waits for it waits for good.
        NEVER = 0x58 "word that never becomes nonzero",
        /// Bit set of the principal numbers that new processes may take.
        SPAWNABLE = 0x60 "numbers for new processes",
        /// Where the pool's code begins.
        POOL_CODE = 0x68 "pool code",
        /// Where it ends.
        POOL_CODE_END = 0x70 "pool code end",
        /// First of 16 device object pointers.
        DEVICES = 0x80 "device table",
        /// First of 64 process object pointers, by the process's principal number.
        PROCESSES = 0x100 "process table",
        /// First of 8 section object pointers.
        SECTIONS = 0x300 "section table",
        /// Bit set of the mappings of locked pages in use.
        MDL_MAPPINGS = 0x3c0 "mappings of locked pages",
        /// What Driver Verifier checks, see `verifier`.
        VERIFIER = 0x3c8 "verifier options",
        /// Where the low-resources simulation is in its sequence.
        VERIFIER_RANDOM = 0x3d0 "low-resources sequence",
        /// First of 64 call paths by which an allocation was refused.
        FAILED_PATHS = 0xa00 "call paths refused",
    }
}

fields! {
    /// The ready queue, behind the kernel variables.
    ready_queue of ReadyQueue {
        /// First thread that is ready to run, 0 when none.
        HEAD = 0x400 "ready queue head",
        /// Last thread that is ready to run.
        TAIL = 0x408 "ready queue tail",
    }
}

fields! {
    /// What a bug check leaves for the dump, behind the kernel variables.
    crash_block of CrashBlock {
        /// The bug check code.
        CODE = 0x800 "bug check code",
        /// First parameter.
        PARAMETER_1 = 0x808 "bug check parameter 1",
        /// Second parameter.
        PARAMETER_2 = 0x810 "bug check parameter 2",
        /// Third parameter.
        PARAMETER_3 = 0x818 "bug check parameter 3",
        /// Fourth parameter.
        PARAMETER_4 = 0x820 "bug check parameter 4",
    }
}

fields! {
    /// What the late integrity checks go by, behind the kernel variables.
    integrity of KernelData {
        /// Clock interrupts until the next check.
        COUNTDOWN = 0x900 "integrity countdown",
        /// Clock interrupts from one check to the next.
        PERIOD = 0x908 "integrity period",
        /// The region that is checked next.
        NEXT = 0x910 "next region checked",
        /// First of the sums of the regions.
        SUMS = 0x918 "sums of regions",
    }
}

fields! {
    /// Pageable memory, at [`address::RESIDENCY`].
    residency of KernelData {
        /// Pages that may be away.
        COUNT = 0x00 "pageable pages",
        /// Where the drawing of pages is in its sequence, 0 where nothing is drawn.
        RANDOM = 0x08 "residency sequence",
        /// First of the addresses of these pages, 48 at most.
        PAGES = 0x10 "pageable page",
    }
}

fields! {
    /// The watchdogs, at [`address::WATCHDOG`]; what is kept of each processor, 32 bytes apart.
    watchdog of KernelData {
        /// Ticks of the clock since boot.
        TICKS = 0x00 "clock ticks",
        /// Ticks that a single deferred call or interrupt routine may take, 0 for any number.
        CALL_MAX = 0x08 "deferred-call time-out",
        /// Ticks that a processor may stay at dispatch level or above.
        RAISED_MAX = 0x10 "watchdog period",
        /// Ticks that a processor may leave unanswered.
        SILENCE_MAX = 0x18 "clock time-out",
        /// The tick that a processor answered last.
        ANSWERED = 0x40 "tick answered",
        /// Ticks in a row at dispatch level or above.
        RAISED_TICKS = 0x48 "ticks at a raised level",
        /// Ticks of the deferred call or interrupt routine at hand.
        CALL_TICKS = 0x50 "ticks of the call",
        /// 1 while there is one.
        IN_CALL = 0x58 "in a deferred call",
    }
}

fields! {
    /// The heads of the pool's free lists, behind the kernel variables: one per size class.
    pool_lists of PoolFreeList {
        /// Blocks of 64 bytes.
        FREE_64 = 0x600 "pool free list 64",
        /// Blocks of 128 bytes.
        FREE_128 = 0x608 "pool free list 128",
        /// Blocks of 256 bytes.
        FREE_256 = 0x610 "pool free list 256",
        /// Blocks of 512 bytes.
        FREE_512 = 0x618 "pool free list 512",
    }
}

fields! {
    /// What each processor finds through its GS base.
    processor_block of ProcessorBlock {
        /// The running thread.
        CURRENT_THREAD = 0x00 "current thread",
        /// The idle thread.
        IDLE_THREAD = 0x08 "idle thread",
        /// The user stack pointer while in the kernel.
        USER_STACK = 0x18 "saved user stack pointer",
        /// The kernel stack of the running thread.
        KERNEL_STACK = 0x20 "kernel stack pointer",
        /// The task-state segment.
        TASK_STATE = 0x28 "task-state segment",
        /// Deferred calls waiting: bit set of devices.
        DEFERRED = 0x30 "deferred calls",
        /// Clock interrupts since the thread was chosen.
        QUANTUM = 0x38 "quantum",
    }
}

fields! {
    /// The header of every kernel object.
    object_header of ObjectHeader {
        /// References by pointer, those by handle included.
        POINTER_COUNT = 0x00 "pointer count",
        /// Entries in handle tables.
        HANDLE_COUNT = 0x08 "handle count",
        /// What sort of object it is, see [`object_type`](super::object_type).
        TYPE = 0x10 "object type",
        /// The principal that created it.
        CREATOR = 0x18 "object creator",
    }
}

/// Bytes from an object's header to its body.
pub const OBJECT_BODY: u64 = 0x20;

/// Sorts of kernel object.
pub mod object_type {
    /// A process.
    pub const PROCESS: u64 = 1;
    /// A thread.
    pub const THREAD: u64 = 2;
    /// An event.
    pub const EVENT: u64 = 3;
    /// An open file or device.
    pub const FILE: u64 = 4;
    /// A section of memory that can be shared.
    pub const SECTION: u64 = 5;
    /// No object any more: freed.
    pub const FREED: u64 = 0xdead;
}

fields! {
    /// The body of a process object (offsets from the header).
    process of Process {
        /// The page-map root, as CR3 takes it: with CR4.PCIDE the process's number in the low bits.
        ROOT = 0x20 "page-map root",
        /// The handle table.
        HANDLES = 0x28 "handle table",
        /// The one thread.
        THREAD = 0x30 "thread",
        /// Status at the end; 0 while it runs.
        EXIT_STATUS = 0x38 "exit status",
        /// The principal's number.
        PRINCIPAL = 0x40 "principal",
        /// 1 when the system cannot do without it.
        CRITICAL = 0x48 "critical",
        /// 1 alive, 0 ended.
        ALIVE = 0x50 "alive",
        /// Where the next allocated page goes.
        NEXT_HEAP = 0x58 "next heap address",
        /// The device it hosts drivers for, 0 when none.
        HOSTED_DEVICE = 0x60 "hosted device",
        /// 1 when the use of a handle it has not raises an exception in it.
        STRICT_HANDLES = 0x68 "strict handle checks",
        /// Pages of it that are locked, each as often as it is locked.
        LOCKED_PAGES = 0x70 "locked pages",
        /// The memory descriptor list that was locked last.
        LOCKED_LIST = 0x78 "locked lists",
    }
}

/// Bytes of a process object with its header.
pub const PROCESS_BYTES: u64 = 0x80;

fields! {
    /// The body of a thread object (offsets from the header).
    thread of Thread {
        /// The kernel stack pointer while it does not run.
        STACK = 0x20 "saved kernel stack pointer",
        /// One past the top of its kernel stack.
        STACK_TOP = 0x28 "kernel stack top",
        /// The process it belongs to.
        PROCESS = 0x30 "process",
        /// See [`thread_state`](super::thread_state).
        STATE = 0x38 "thread state",
        /// The next in the queue it is in.
        NEXT = 0x40 "queue link",
        /// What it waits for: an address whose word becomes nonzero.
        WAIT = 0x48 "wait address",
        /// Its frame pointer while it does not run.
        FRAME_POINTER = 0x50 "saved frame pointer",
        /// The kernel stack's number.
        STACK_NUMBER = 0x58 "kernel stack number",
        /// In whose name the service at hand was asked for: 0 kernel mode, 1 user mode.
        PREVIOUS_MODE = 0x60 "previous mode",
        /// What ends the process when the service at hand goes back to user mode, 0 for nothing: a
        /// status, with bit 32 set.
        PENDING_EXCEPTION = 0x68 "pending exception",
    }
}

/// Bytes of a thread object with its header.
pub const THREAD_BYTES: u64 = 0x70;

/// States of a thread.
pub mod thread_state {
    /// In the ready queue.
    pub const READY: u64 = 1;
    /// On a processor.
    pub const RUNNING: u64 = 2;
    /// Waiting.
    pub const WAITING: u64 = 3;
    /// Ended.
    pub const ENDED: u64 = 4;
}

fields! {
    /// One entry of a handle table (16 bytes).
    handle_entry of HandleTable {
        /// The object, 0 when the entry is free.
        OBJECT = 0x00 "handle's object",
        /// Rights granted at open; bit 31: inherited by children; bit 30: protected from closing.
        ACCESS = 0x08 "handle's access mask",
    }
}

/// Entries of a handle table; handle values are 4, 8, 12, … up to 4 × this.
pub const HANDLES_MAX: u64 = 15;

fields! {
    /// The body of an event, file or section object (offsets from the header).
    object_body of ObjectBody {
        /// Event: 1 when signalled. File: its device object. Section: its first frame.
        FIRST = 0x20 "first word",
        /// File: the file's number. Section: pages.
        SECOND = 0x28 "second word",
        /// File: bytes transferred. Event: times set.
        THIRD = 0x30 "third word",
    }
}

/// Bytes of such an object with its header.
pub const SMALL_OBJECT_BYTES: u64 = 0x38;

fields! {
    /// The header in front of a pool block (16 bytes).
    pool_header of PoolHeader {
        /// Size of this block with its header | size of the block before << 16 | 1 << 32 in use.
        SIZES = 0x00 "pool sizes",
        /// The tag it was allocated with.
        TAG = 0x08 "pool tag",
    }
}

/// Bytes of a pool header.
pub const POOL_HEADER_BYTES: u64 = 16;

fields! {
    /// An entry of the frame database (16 bytes).
    frame_entry of FrameDatabase {
        /// References: 0 free.
        COUNT = 0x00 "frame reference count",
        /// The next frame of the free list.
        NEXT = 0x08 "frame link",
    }
}

fields! {
    /// A driver object.
    driver_object of DriverObject {
        /// Dispatch routine for reads.
        READ = 0x00 "read dispatch",
        /// Dispatch routine for writes.
        WRITE = 0x08 "write dispatch",
        /// Dispatch routine for device control.
        CONTROL = 0x10 "device control dispatch",
        /// Dispatch routine for flushes.
        FLUSH = 0x18 "flush dispatch",
        /// Run once at boot, 0 when none.
        ENTRY = 0x20 "driver entry",
        /// Its interrupt's deferred routine, 0 when none.
        DEFERRED = 0x28 "deferred routine",
        /// Its data page.
        DATA = 0x30 "driver data",
        /// The principal's number.
        PRINCIPAL = 0x38 "driver principal",
    }
}

/// Bytes of a driver object.
pub const DRIVER_OBJECT_BYTES: u64 = 0x40;

fields! {
    /// A device object.
    device_object of DeviceObject {
        /// Its driver.
        DRIVER = 0x00 "device's driver",
        /// The device object below it in the stack, 0 at the bottom.
        LOWER = 0x08 "lower device",
        /// Its number in the device table.
        NUMBER = 0x10 "device number",
        /// 1 when given up.
        DISABLED = 0x18 "device disabled",
        /// Driver's use: its extension.
        EXTENSION = 0x20 "device extension",
        /// Requests started on it and not completed.
        OUTSTANDING = 0x28 "outstanding requests",
    }
}

/// Bytes of a device object.
pub const DEVICE_OBJECT_BYTES: u64 = 0x40;

fields! {
    /// An I/O request packet.
    request_packet of RequestPacket {
        /// Offset of the dispatch routine in the driver object.
        MAJOR = 0x00 "major function",
        /// The device object it was sent to.
        DEVICE = 0x08 "request device",
        /// The system buffer.
        BUFFER = 0x10 "system buffer pointer",
        /// Bytes in.
        LENGTH_IN = 0x18 "input length",
        /// Bytes out at most.
        LENGTH_OUT = 0x20 "output length",
        /// Status when complete.
        STATUS = 0x28 "request status",
        /// Bytes produced.
        INFORMATION = 0x30 "request information",
        /// The thread that waits.
        THREAD = 0x38 "request thread",
        /// 1 when complete.
        DONE = 0x40 "request completion",
        /// Control code, or file offset.
        CODE = 0x48 "request code",
        /// The file's number.
        FILE = 0x50 "request file",
        /// Link in a driver's queue.
        LINK = 0x58 "request link",
        /// The principal that asked.
        REQUESTOR = 0x60 "requestor",
        /// The address in the requestor's space that the data out is for; with a direct method the
        /// memory descriptor list of that range.
        USER_BUFFER = 0x68 "user buffer",
    }
}

/// Bytes of a request packet.
pub const REQUEST_BYTES: u64 = 0x70;

fields! {
    /// A memory descriptor list.
    mdl of Mdl {
        /// The process whose memory it is about.
        PROCESS = 0x00 "list's process",
        /// The range's first address.
        START = 0x08 "list's address",
        /// Its bytes.
        BYTES = 0x10 "list's length",
        /// Pages it touches.
        PAGES = 0x18 "list's pages",
        /// Whether they are locked, and for what.
        FLAGS = 0x20 "list's flags",
        /// Where the system maps the range's first byte, 0 for nowhere.
        SYSTEM = 0x28 "list's mapping",
        /// First of two frame numbers.
        FRAMES = 0x30 "list's frames",
        /// The list of the same process that was locked before.
        NEXT = 0x40 "list link",
    }
}

/// Bytes of a memory descriptor list.
pub const MDL_BYTES: u64 = 0x48;

fields! {
    /// A process's control block, at [`address::USER_DATA`].
    control_block of UserData {
        /// Index of the next action.
        NEXT_ACTION = 0x00 "next action",
        /// Actions in the list.
        ACTION_COUNT = 0x08 "action count",
        /// Status of the last action.
        LAST_STATUS = 0x10 "last status",
        /// First of the actions, 64 bytes each.
        ACTIONS = 0x40 "actions",
    }
}

/// Bytes of one action in a process's list: kind, then up to seven arguments.
pub const ACTION_BYTES: u64 = 64;
/// Actions of one process at most.
pub const ACTIONS_MAX: u64 = 60;

/// Bits of [`kernel_data::SWITCHES`]: weaknesses planted in the kernel, and choices left open.
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
    /// Weakness: a new process gets its parent's handle table.
    pub const SHARED_HANDLE_TABLE: u64 = 1 << 40;
    /// Weakness: duplication puts the new handle into another process's table than it was asked to.
    pub const STRAY_DUPLICATE: u64 = 1 << 41;
    /// Weakness: inherited handles are not counted.
    pub const UNCOUNTED_HANDLE: u64 = 1 << 42;
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
    /// The watchdogs tick.
    pub const WATCHDOGS: u64 = 1 << 45;
    /// Pageable memory may be away.
    pub const PAGEABLE: u64 = 1 << 44;
    /// The pool detects a damaged header (legacy pool: bug check 0x19).
    pub const POOL_CHECKS: u64 = 1 << 32;
}

/// Bits of [`kernel_data::VERIFIER`]: options of Driver Verifier ("Driver Verifier Options").
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
}

/// Where an array of words keeps a number's word. The number may have been damaged, so it wraps.
#[must_use]
pub const fn element(array: u64, number: u64) -> u64 {
    array.wrapping_add(number.wrapping_mul(8))
}

/// One past the highest byte of a kernel stack.
#[must_use]
pub const fn stack_top(number: u64) -> u64 {
    number.wrapping_mul(address::KERNEL_STACK_STRIDE).wrapping_add(address::KERNEL_STACKS + 4096)
}
