//! Which rights does a request ask for, and which does it take?
//!
//! Said from the registers that user mode enters the kernel with, and from nothing that the kernel says
//! afterwards. What a request doesn't ask for, no handle that comes of it has: the access that a handle
//! is opened with, or duplicated with, is in the request ("NtOpenSection function", "ZwOpenProcess
//! function", "NtCreateFile function", "DuplicateHandle function"), but where the request is to have all
//! of what it makes, or all that the source has. What a service takes of the handle that it is given is
//! documented with it, and for device control in the code itself ("Synchronization Object Security and Access
//! Rights" for events, of which querying is inferred; "ZwMapViewOfSection function", "ZwReadFile function", "ZwWriteFile function", "FlushFileBuffers function",
//! "TerminateProcess function", "TerminateThread function", "Defining I/O Control Codes").

use crate::base::{Event, TERMINATE_RIGHT};

/// Numbers of the services that hand out handles, or take rights to one; of this model, as Windows documents
/// none.
pub(super) mod service {
    pub(in super::super) const TERMINATE: u64 = 0;
    pub(in super::super) const MAP_VIEW: u64 = 4;
    pub(in super::super) const OPEN_SECTION: u64 = 6;
    pub(in super::super) const CREATE_EVENT: u64 = 7;
    pub(in super::super) const SET_EVENT: u64 = 8;
    pub(in super::super) const QUERY_EVENT: u64 = 9;
    pub(in super::super) const DUPLICATE: u64 = 11;
    pub(in super::super) const OPEN_PROCESS: u64 = 12;
    pub(in super::super) const CREATE_PROCESS: u64 = 13;
    pub(in super::super) const OPEN_FILE: u64 = 14;
    pub(in super::super) const READ_FILE: u64 = 15;
    pub(in super::super) const WRITE_FILE: u64 = 16;
    pub(in super::super) const DEVICE_CONTROL: u64 = 17;
    pub(in super::super) const FLUSH: u64 = 18;
    pub(in super::super) const SET_HANDLE: u64 = 22;
    pub(in super::super) const CREATE_THREAD: u64 = 26;
    pub(in super::super) const TERMINATE_THREAD: u64 = 27;
}

/// Read the object, and write it.
const READ: u64 = 1;
const WRITE: u64 = 2;

/// Where a control code has the rights that it takes ("Defining I/O Control Codes": 1 read, 2 write).
const CONTROL_RIGHTS: u64 = 14;

/// The option with which a duplicate has the source's rights, whatever access is named besides
/// ("DuplicateHandle function", `DUPLICATE_SAME_ACCESS`).
pub(super) const SAME_ACCESS: u64 = 2;

/// The rights that a request asks for.
#[allow(clippy::cast_possible_truncation, reason = "an access mask has 32 bits")]
pub(super) const fn rights_asked(request: &Event) -> u32 {
    let (second, third) = (request.phys as u32, (request.phys >> 32) as u32);
    match request.value {
        service::OPEN_SECTION | service::OPEN_PROCESS => second,
        service::OPEN_FILE => third,
        // In this model no access at all is the same access.
        service::DUPLICATE if request.old & SAME_ACCESS != 0 || third == 0 => u32::MAX,
        service::DUPLICATE => third,
        service::CREATE_EVENT | service::CREATE_PROCESS | service::CREATE_THREAD => u32::MAX,
        _ => 0,
    }
}

/// The rights that a request takes of the one handle that it names. Duplicating names several: what leave it
/// takes is compared where the new handle appears.
pub(super) const fn rights_taken(request: &Event) -> u64 {
    match request.value {
        service::MAP_VIEW | service::QUERY_EVENT | service::READ_FILE => READ,
        service::SET_EVENT | service::WRITE_FILE | service::FLUSH => WRITE,
        service::TERMINATE | service::TERMINATE_THREAD => TERMINATE_RIGHT,
        service::DEVICE_CONTROL => request.phys >> CONTROL_RIGHTS & (READ | WRITE),
        _ => 0,
    }
}

/// What is said of a handle besides its rights: children inherit it ("SetHandleInformation function",
/// `HANDLE_FLAG_INHERIT`).
pub(super) const INHERIT: u8 = 1;
/// It can't be closed (`HANDLE_FLAG_PROTECT_FROM_CLOSE`).
pub(super) const PROTECT: u8 = 2;

/// The option with which children of the target inherit a duplicate ("DuplicateHandle function",
/// `bInheritHandle`); of this model, as it is no option there.
pub(super) const INHERIT_DUPLICATE: u64 = 4;

/// The mark in a wanted access with which children inherit what is opened; of this model (`OBJ_INHERIT`:
/// "InitializeObjectAttributes macro").
pub(super) const INHERIT_OPENED: u32 = 1 << 31;

/// What of its handle a request changes, and to what.
#[allow(clippy::cast_possible_truncation, reason = "two flags")]
pub(super) const fn marks_changed(request: &Event) -> (u8, u8) {
    match request.value {
        service::SET_HANDLE => {
            let which = request.phys as u8 & (INHERIT | PROTECT);
            (which, (request.phys >> 32) as u8 & which)
        }
        _ => (0, 0),
    }
}

/// What is said of a handle that comes of a request. Of an event's, the books don't hear it.
pub(super) const fn marks_of_new(request: &Event) -> u8 {
    let is_inherited = match request.value {
        service::OPEN_SECTION | service::OPEN_PROCESS | service::OPEN_FILE => {
            rights_asked(request) & INHERIT_OPENED != 0
        }
        service::DUPLICATE => request.old & INHERIT_DUPLICATE != 0,
        service::CREATE_EVENT => true,
        _ => false,
    };
    if is_inherited { INHERIT } else { 0 }
}

/// The low half of the handle to the target, which a request to duplicate names.
#[allow(clippy::cast_possible_truncation, reason = "the low half")]
pub(super) const fn target_of(request: &Event) -> u32 {
    if request.value == service::DUPLICATE { request.phys as u32 } else { 0 }
}
