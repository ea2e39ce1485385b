//! Where a kernel's structures lie and how they are laid out, as plain data.
//!
//! Whoever checks a world decodes its memory with code of its own; what it has in common with the
//! kernel are these numbers.

/// The right to a process with which handles are duplicated out of it and into it ("Process Security
/// and Access Rights", `PROCESS_DUP_HANDLE`; the bit is this model's own).
pub const DUPLICATE_RIGHT: u64 = 8;

/// The right to a process with which it is ended ("Process Security and Access Rights",
/// `PROCESS_TERMINATE`; the bit is this model's own).
pub const TERMINATE_RIGHT: u64 = 16;

/// Addresses and offsets of one world's kernel. All addresses are linear unless they say otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KernelMap {
    /// The physical address of the system process's page-map root.
    pub system_root: u64,
    /// The page-map slot through which tables show themselves.
    pub self_map_slot: u64,
    /// Where `syscall` leads.
    pub syscall_entry: u64,
    /// The pages of the system that user mode's tables may map, for kernel mode only, where processes
    /// have shadow roots; 0 for none.
    pub transition_pages: [u64; 32],
    /// The first of the pages through which processors look at frames that are mapped nowhere: each through
    /// that of its number, and through no other.
    pub windows: u64,
    /// The frame database: an entry a frame.
    pub frame_database: u64,
    /// Bytes of one entry.
    pub frame_entry_bytes: u64,
    /// Offset of the reference count in an entry.
    pub frame_count: u64,
    /// Offset of the link to the next free frame in an entry.
    pub frame_next: u64,
    /// The variable with the first free frame.
    pub free_frames: u64,
    /// The variable with the number of free frames.
    pub free_frame_count: u64,
    /// Where the pool begins that objects are in.
    pub pool: u64,
    /// Its pages.
    pub pool_pages: u64,
    /// The table of process objects, by principal number.
    pub processes: u64,
    /// Entries of that table.
    pub processes_max: u64,
    /// Offset of the handle table in a process object.
    pub process_handles: u64,
    /// Bytes of a handle table's entry.
    pub handle_bytes: u64,
    /// Entries of a handle table.
    pub handles_max: u64,
    /// Offset of the object in a handle table's entry.
    pub handle_object: u64,
    /// Offset of the access mask in a handle table's entry.
    pub handle_access: u64,
    /// The bits of an access mask that are rights.
    pub handle_rights: u64,
    /// The bits that tell a kernel handle: one in the table of the system process.
    pub kernel_handle: u64,
    /// Offset of the count of pointers in an object.
    pub object_pointers: u64,
    /// Offset of the type in an object.
    pub object_type: u64,
    /// The first and the last type of an object that lives.
    pub object_types: (u64, u64),
    /// Offset of the count of handles in an object.
    pub object_handles: u64,
    /// Steps in which the host of a user-mode driver must answer a critical request; 0 for any number.
    pub host_time_out: u64,
}
