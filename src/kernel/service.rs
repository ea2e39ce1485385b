//! System services: their numbers and the table that `syscall` dispatches through.
//!
//! Conventions: arguments in rdi, rsi, rdx, r10, r8, r9; a service that returns bytes takes the
//! user buffer in r8 and its length in r9; a service that takes bytes has the buffer in rdx and the
//! length in r10. The status comes back in rax; a new handle in rdx.

use crate::base::Rule;
use crate::machine::{Flow, Processor, Reg, Routine};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "services-by-number",
    "User mode asks by number through one table.",
    "User mode and kernel mode",
)];

macro_rules! services {
    ($($(#[doc = $doc:literal])* $NAME:ident = $number:literal => $routine:path,)*) => {
        $($(#[doc = $doc])* pub const $NAME: u64 = $number;)*
        /// Number of services.
        pub const COUNT: u64 = ENTRIES as u64;
        const ENTRIES: usize = {
            const NUMBERS: &[u64] = &[$($number),*];
            NUMBERS.len()
        };
        /// The routine of each service, by number.
        pub const TABLE: [&Routine; ENTRIES] = [$(&$routine),*];
        /// The name of each service, by number.
        pub const NAMES: [&str; ENTRIES] = [$(stringify!($NAME)),*];
    };
}

services! {
    /// Ends a process: status, process handle (0: the caller).
    TERMINATE = 0 => super::process_end::NT_TERMINATE_PROCESS,
    /// Gives the processor to another ready thread.
    YIELD = 1 => super::process_end::NT_YIELD_EXECUTION,
    /// Allocates one page: wanted address, 0 for any. Its address comes back in rdx.
    ALLOCATE = 2 => super::virtual_memory::NT_ALLOCATE_VIRTUAL_MEMORY,
    /// Frees a page: address.
    FREE = 3 => super::virtual_memory::NT_FREE_VIRTUAL_MEMORY,
    /// Maps a section's page: section handle. Its address comes back in rdx.
    MAP_VIEW = 4 => super::section::NT_MAP_VIEW_OF_SECTION,
    /// Unmaps a section's page: address.
    UNMAP_VIEW = 5 => super::section::NT_UNMAP_VIEW_OF_SECTION,
    /// Opens a section by number: number, wanted access.
    OPEN_SECTION = 6 => super::section::NT_OPEN_SECTION,
    /// Creates an event.
    CREATE_EVENT = 7 => super::event::NT_CREATE_EVENT,
    /// Sets an event: handle.
    SET_EVENT = 8 => super::event::NT_SET_EVENT,
    /// Reads an event's state into a buffer: handle; buffer in r8, length in r9.
    QUERY_EVENT = 9 => super::event::NT_QUERY_EVENT,
    /// Closes a handle.
    CLOSE = 10 => super::handle_close::NT_CLOSE,
    /// Duplicates a handle into a process: handle, process handle, wanted access (0: the same), source
    /// process handle (0: the caller), options.
    DUPLICATE = 11 => super::handle_duplicate::NT_DUPLICATE_OBJECT,
    /// Opens a process by principal number: number, wanted access.
    OPEN_PROCESS = 12 => super::process_open::NT_OPEN_PROCESS,
    /// Creates a process from the caller's image: principal number to take, 1 to inherit handles.
    CREATE_PROCESS = 13 => super::process_create::NT_CREATE_PROCESS,
    /// Opens a file or a device: device number, file number, wanted access.
    OPEN_FILE = 14 => super::io_open::NT_OPEN_FILE,
    /// Reads: handle, offset; buffer in r8, length in r9.
    READ_FILE = 15 => super::io_transfer::NT_READ_FILE,
    /// Writes: handle, offset; buffer in rdx, length in r10.
    WRITE_FILE = 16 => super::io_transfer::NT_WRITE_FILE,
    /// Device control: handle, code; input in rdx and r10, output in r8 and r9.
    DEVICE_CONTROL = 17 => super::io_transfer::NT_DEVICE_IO_CONTROL_FILE,
    /// Writes what is cached of a file: handle.
    FLUSH = 18 => super::io_transfer::NT_FLUSH_BUFFERS_FILE,
    /// A driver host asks for its next request: buffer in r8, length in r9; the length of the request
    /// comes back in rdx.
    HOST_WAIT = 19 => super::host::NT_HOST_WAIT,
    /// A driver host answers its request: status; data in rdx and r10.
    HOST_COMPLETE = 20 => super::host::NT_HOST_COMPLETE,
    /// Waits for good.
    WAIT = 21 => super::schedule::NT_DELAY_EXECUTION,
    /// Changes a handle's flags: handle, which flags, their values.
    SET_HANDLE = 22 => super::handle_information::NT_SET_INFORMATION_OBJECT,
    /// Sets a mitigation policy of the caller: number, flags.
    SET_POLICY = 23 => super::handle_information::NT_SET_INFORMATION_PROCESS,
    /// Goes on elsewhere: address, stack pointer.
    CONTINUE = 24 => super::user_context::NT_CONTINUE,
    /// Looks whether an event came about the host of a device; the first time, asks for them: handle.
    DEVICE_EVENT = 25 => super::host_stack::NT_GET_DEVICE_EVENT,
    /// Makes a thread of the caller: address, argument. A handle to it comes back in rdx.
    CREATE_THREAD = 26 => super::thread_create::NT_CREATE_THREAD,
    /// Ends a thread: status, thread handle (0: the caller).
    TERMINATE_THREAD = 27 => super::thread_end::NT_TERMINATE_THREAD,
}

/// By which name a service is known, that of its routine; none for a number that no service has.
#[must_use]
pub fn name(number: u64) -> Option<&'static str> {
    let place = usize::try_from(number).ok()?;
    TABLE.get(place).map(|routine| routine.name)
}

/// The number of the service that is known by a name.
#[must_use]
pub fn named(name: &str) -> Option<u64> {
    TABLE.iter().position(|routine| routine.name == name).map(|place| place as u64)
}

/// Services that every kernel has. Those behind them are where processes make threads.
pub const ALWAYS: u64 = CREATE_THREAD;

/// Whether a service's first argument is a handle.
#[must_use]
pub const fn takes_handle(number: u64) -> bool {
    matches!(
        number,
        MAP_VIEW
            | SET_EVENT
            | QUERY_EVENT
            | CLOSE
            | DUPLICATE
            | READ_FILE
            | WRITE_FILE
            | DEVICE_CONTROL
            | FLUSH
            | SET_HANDLE
            | DEVICE_EVENT
    )
}

/// Ends a service: its status in rax, what else it gives (a handle, an address, or 0) in rdx.
pub(super) fn answer(p: &mut Processor<'_>, status: u64, value: u64) -> Flow {
    p.put(Reg::Rdx, value);
    p.give_back(super::status::of(status))
}
