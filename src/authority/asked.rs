//! Which rights does a request ask for?
//!
//! Said from the registers that user mode enters the kernel with, and from nothing that the kernel says
//! afterwards. What a request doesn't ask for, no handle that comes of it has: the access that a handle
//! is opened with, or duplicated with, is in the request ("NtOpenSection function", "ZwOpenProcess
//! function", "NtCreateFile function", "DuplicateHandle function"), but where the request is to have all
//! of what it makes, or all that the source has.

use crate::base::Event;

/// Numbers of the services that hand out handles; of this model, as Windows documents none.
pub(super) mod service {
    pub(in super::super) const OPEN_SECTION: u64 = 6;
    pub(in super::super) const CREATE_EVENT: u64 = 7;
    pub(in super::super) const DUPLICATE: u64 = 11;
    pub(in super::super) const OPEN_PROCESS: u64 = 12;
    pub(in super::super) const CREATE_PROCESS: u64 = 13;
    pub(in super::super) const OPEN_FILE: u64 = 14;
    pub(in super::super) const CREATE_THREAD: u64 = 26;
}

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

/// The low half of the handle to the target, which a request to duplicate names.
#[allow(clippy::cast_possible_truncation, reason = "the low half")]
pub(super) const fn target_of(request: &Event) -> u32 {
    if request.value == service::DUPLICATE { request.phys as u32 } else { 0 }
}
