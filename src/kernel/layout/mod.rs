//! Where the kernel keeps things, and how its structures are laid out.
//!
//! Offsets are this model's own; which structures exist and what refers to what follows the public
//! Windows documentation. Everything here lies in simulated memory and is read back at each use.

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

pub mod address;
mod configuration;
mod variables;

pub use configuration::{switches, verifier};
pub use variables::{
    crash_block, deadlock, event_log, integrity, invariant_mdl, kernel_data, pool_lists,
    processor_block, put_off, ready_queue, residency, transition_block, watchdog,
};

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
        /// Its first thread; the others are linked to it.
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
        /// The next thread of its process, 0 for none. Only where processes make threads.
        SIBLING = 0x70 "thread link",
        /// The page of its user stack, 0 for the one that its process came with. Only there, too.
        USER_STACK = 0x78 "user stack",
    }
}

/// Bytes of a thread object with its header where every process has one thread.
pub const THREAD_BYTES: u64 = 0x70;
/// Bytes of a thread object with its header where processes make threads.
pub const LINKED_THREAD_BYTES: u64 = 0x80;

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
        /// File: events of the device's host that its opener has seen, and one more; 0: it asked for none.
        FOURTH = 0x38 "fourth word",
    }
}

/// Bytes of such an object with its header.
pub const SMALL_OBJECT_BYTES: u64 = 0x40;

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
        /// The next frame of the free list. Of a page of one process: where the entry is that maps it; of any
        /// other frame 0. Of a page-map root with a shadow: the shadow's frame, with
        /// [`SHADOWED`](super::SHADOWED).
        NEXT = 0x08 "frame link",
    }
}

/// In the link of a page-map root's frame: it names its shadow root, and not a free frame.
pub const SHADOWED: u64 = 1 << 63;

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
    }
}

/// Bytes of a driver object.
pub const DRIVER_OBJECT_BYTES: u64 = 0x38;

fields! {
    /// A device object.
    device_object of DeviceObject {
        /// Its driver.
        DRIVER = 0x00 "device's driver",
        /// The device object below it in the stack, 0 at the bottom.
        LOWER = 0x08 "lower device",
        /// Its number in the device table.
        NUMBER = 0x10 "device number",
        /// Whether it is offline, and how many events were sent ([`host_stack`](crate::kernel::host_stack)).
        STATE = 0x18 "device state",
        /// Driver's use: its extension.
        EXTENSION = 0x20 "device extension",
        /// Requests started on it and not completed.
        OUTSTANDING = 0x28 "outstanding requests",
        /// Who may open it: 0 everybody, anything else ([`KERNEL_ONLY`](super::KERNEL_ONLY)) kernel mode.
        SECURITY = 0x30 "device security",
        /// File objects with handles that were opened on it.
        OPEN_FILES = 0x38 "open files",
    }
}

/// [`device_object::SECURITY`] of a device that no process may open.
pub const KERNEL_ONLY: u64 = 1;
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
    /// A gate of the interrupt descriptor table (16 bytes).
    gate of InterruptTable {
        /// Where it leads, bits 15 to 0 and 31 to 16; code segment, stack, type.
        LOW = 0x00 "gate's low word",
        /// Where it leads, bits 63 to 32; the rest is reserved.
        HIGH = 0x08 "gate's high word",
    }
}

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
