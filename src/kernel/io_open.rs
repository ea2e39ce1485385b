//! Opening a device, or a file on it: an object that remembers which, and a handle with the rights
//! that were asked for ("File Objects", "NtCreateFile").

use crate::base::Rule;
use crate::machine::{Flow, Routine, routine};

use super::handle::{OB_CREATE_HANDLE, access};
use super::host_stack;
use super::layout::{
    SMALL_OBJECT_BYTES, address, device_object, element, kernel_data, object_body, object_type,
    process,
};
use super::object::{OB_CREATE_OBJECT, OB_DEREFERENCE, current_process};
use super::previous_mode::{self, previous_mode};
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "open-makes-file-object",
        "Opening a device makes an object and a handle with the rights asked for.",
        "File Objects; NtCreateFile",
    ),
    Rule::documented(
        "device-security",
        "A device that is for kernel mode only can't be opened by a process.",
        "SDDL for Device Objects (SDDL_DEVOBJ_KERNEL_ONLY)",
    ),
];

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[&NT_OPEN_FILE];

/// Devices the device table has room for.
const DEVICES_MAX: u64 = 16;

routine! {
    /// Service: opens a device or a file on it. Arguments: device number, file number, wanted rights
    /// (1 read, 2 write; bit 31: children inherit the handle). The handle comes back in rdx.
    pub static NT_OPEN_FILE = "NtOpenFile", frame 5;
    // Locals: 0 device object; 1 file number; 2 wanted rights; 3 file object; 4 handle.
    find => |p| {
        let (number, file, wanted) = (p.argument(0), p.argument(1), p.argument(2));
        let count = p.load(address::KERNEL_DATA, kernel_data::DEVICE_COUNT)?.min(DEVICES_MAX);
        if number >= count {
            return Ok(answer(p, status::NO_SUCH_DEVICE, 0));
        }
        if wanted & !(access::READ | access::WRITE | access::INHERIT) != 0 {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let device = p.load(element(address::KERNEL_DATA, number), kernel_data::DEVICES)?;
        if device == 0 {
            return Ok(answer(p, status::NO_SUCH_DEVICE, 0));
        }
        let is_for_all = p.load(device, device_object::SECURITY)? == 0;
        if !is_for_all && previous_mode(p)? != previous_mode::KERNEL {
            return Ok(answer(p, status::ACCESS_DENIED, 0));
        }
        if let Some(refusal) = host_stack::refusal(p, device)? {
            return Ok(answer(p, refusal, 0));
        }
        p.set_local(0, device)?;
        p.set_local(1, file)?;
        p.set_local(2, wanted)?;
        Ok(Flow::Next)
    },
    make, call OB_CREATE_OBJECT => |p| {
        let opener = current_process(p)?;
        let creator = p.load(opener, process::PRINCIPAL)?;
        p.pass([object_type::FILE, SMALL_OBJECT_BYTES, creator]);
        Ok(Flow::Call)
    },
    fill, call OB_CREATE_HANDLE => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(answer(p, status::INSUFFICIENT_RESOURCES, 0));
        }
        p.set_local(3, object)?;
        let (device, file, wanted) = (p.local(0)?, p.local(1)?, p.local(2)?);
        p.store(object, object_body::FIRST, device)?;
        p.store(object, object_body::SECOND, file)?;
        p.store(object, object_body::THIRD, 0)?;
        p.store(object, object_body::FOURTH, 0)?;
        let opener = current_process(p)?;
        p.pass([opener, object, wanted]);
        Ok(Flow::Call)
    },
    // The handle holds the object from here on, or nobody does.
    drop_own, call OB_DEREFERENCE => |p| {
        let handle = p.result();
        p.set_local(4, handle)?;
        if handle != 0 {
            let device = p.local(0)?;
            host_stack::opened(p, device)?;
        }
        let object = p.local(3)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let handle = p.local(4)?;
        let outcome = if handle == 0 { status::INSUFFICIENT_RESOURCES } else { status::SUCCESS };
        Ok(answer(p, outcome, handle))
    },
}
