//! The kernel's variables, which share pages, and what each processor has.

use crate::base::{Field, Structure as S};

fields! {
    /// Kernel variables, at [`address::KERNEL_DATA`](super::address::KERNEL_DATA).
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
        /// Bit set of the device numbers of reflectors, where their hosts have time-outs.
        REFLECTORS = 0x3d8 "reflectors",
        /// The highest frame there is, which bug check 0x4E tells.
        HIGHEST_FRAME = 0x3e0 "highest frame",
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
    /// The event log, behind the kernel variables.
    event_log of KernelData {
        /// Bit set of the devices that are offline: their host has ended.
        OFFLINE = 0xc00 "devices offline",
        /// Entries written since boot.
        COUNT = 0xc08 "event-log entries",
        /// First of 30 entries, 16 bytes apart: the event's number, the device from bit 32 on, the restarts left
        /// from bit 40 on.
        ENTRY = 0xc10 "event-log entry",
        /// When it was written.
        TIME = 0xc18 "event-log time",
    }
}

fields! {
    /// What deadlock detection knows, behind the kernel variables.
    deadlock of KernelData {
        /// First of 8 spin locks that were taken: their addresses, 0 for none.
        LOCKS = 0xe00 "spin locks known",
        /// First of 8 bit sets, one for each of them: those that were taken while it was held.
        BEHIND = 0xe40 "spin locks taken behind",
        /// First of 4 words, one for each processor: the locks it holds, the last in the lowest byte, each with
        /// its number plus 1.
        HELD = 0xe80 "spin locks held",
    }
}

fields! {
    /// What the invariant checks of Driver Verifier know, behind the kernel variables.
    invariant_mdl of KernelData {
        /// First of 8 request packets, by the mapping of the pages that each describes.
        PACKETS = 0xec0 "requests signed",
        /// First of 8 signatures, of what these pages hold.
        SIGNATURES = 0xf00 "signatures of buffers",
    }
}

fields! {
    /// The request whose completion Driver Verifier puts off, behind the kernel variables.
    put_off of KernelData {
        /// The packet whose driver is called.
        CALLED = 0xf40 "request handed over",
        /// The packet that is to be completed, 0 for none.
        PACKET = 0xf48 "request put off",
        /// With what status.
        STATUS = 0xf50 "status put off",
        /// With how many bytes.
        INFORMATION = 0xf58 "bytes put off",
        /// 1 when the hand-over has come back, told as pending; 2 when the completion is under way.
        STAGE = 0xf60 "stage of what is put off",
    }
}

fields! {
    /// Pageable memory, at [`address::RESIDENCY`](super::address::RESIDENCY).
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
    /// The watchdogs, at [`address::WATCHDOG`](super::address::WATCHDOG); what is kept of each
    /// processor, 32 bytes apart.
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
    /// What entries and exits find of each processor on a shadow root, on a page of its own.
    transition_block of ProcessorBlock {
        /// The root that kernel mode runs on for the running thread, as CR3 takes it.
        KERNEL_ROOT = 0x100 "root of kernel mode",
        /// The shadow root that user mode runs on, as CR3 takes it.
        USER_ROOT = 0x108 "root of user mode",
        /// The system process's root, for what comes in anywhere.
        SYSTEM_ROOT = 0x110 "root of the system",
    }
}
