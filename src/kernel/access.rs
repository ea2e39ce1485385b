//! Rights in a handle's access mask.

/// Read the object: a file's bytes, an event's state, a section's page.
pub const READ: u64 = 1;
/// Write the object.
pub const WRITE: u64 = 2;
/// Wait for the object.
pub const SYNCHRONIZE: u64 = 4;
/// Duplicate handles into the process.
pub const DUPLICATE: u64 = crate::base::DUPLICATE_RIGHT;
/// End the process.
pub const TERMINATE: u64 = crate::base::TERMINATE_RIGHT;
/// Write the process's memory.
pub const VM_WRITE: u64 = 32;
/// All rights there are.
pub const RIGHTS: u64 = 0x3f;
/// All rights to a process.
pub const PROCESS: u64 = RIGHTS;
/// All rights to an event.
pub const EVENT: u64 = READ | WRITE | SYNCHRONIZE;
/// All rights to a section.
pub const SECTION: u64 = READ | WRITE;
/// Not a right: children inherit the handle.
pub const INHERIT: u64 = 1 << 31;
/// Not a right: the handle can't be closed ("SetHandleInformation function").
pub const PROTECT: u64 = 1 << 30;
/// Not a right: asks for a kernel handle, in kernel mode's name only.
pub const KERNEL_HANDLE: u64 = 1 << 29;
/// Not a right: what is opened in kernel mode's name is checked as if user mode had asked
/// (`OBJ_FORCE_ACCESS_CHECK`: "InitializeObjectAttributes macro").
pub const FORCE_CHECK: u64 = 1 << 28;
