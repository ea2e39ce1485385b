//! A driver that uses handles and objects on behalf of its callers: some functions as they should be,
//! beside each the same with the mistake that the driver documentation warns of.
//!
//! | function | what it does | the mistake |
//! |---|---|---|
//! | [`SIGNAL`] | sets the event behind a handle of the caller | |
//! | [`SIGNAL_UNCHECKED`] | the same | in kernel mode's name: rights are not compared |
//! | [`IDENTIFY`] | says which device a file of the caller is on | |
//! | [`IDENTIFY_UNTYPED`] | the same | of any type, in kernel mode's name |
//! | [`OPEN_OWN`] | makes an event and keeps a kernel handle to it | |
//! | [`OPEN_USERS`] | the same | the handle is in the caller's table |
//! | [`SIGNAL_OWN`] | sets the event that was kept | |
//! | [`KEEP`] | keeps a handle of the caller | no reference keeps the object alive, and later callers are other processes |
//! | [`CLOSE`] | closes a handle that the caller names | in kernel mode's name |
//! | [`QUERY`] | writes an event's state where the caller says | in kernel mode's name: the address is not probed |
//!
//! "Failure to Validate Object Handles", "Object Handles", "Using Nt and Zw Versions of the Native
//! System Services Routines". Requests are buffered: the first word in is a handle, the second an
//! address; the first word out is what was found.
//!
//! The data page, all 0 at boot: [`OWN`].

use crate::base::{Field, Rule, Structure};
use crate::kernel::event::{KE_SET_EVENT, QUERY_BYTES};
use crate::kernel::handle::{OB_REFERENCE_BY_HANDLE, access};
use crate::kernel::layout::{
    device_object, driver_object, object_body, object_type, request_packet,
};
use crate::kernel::loader::Dispatch;
use crate::kernel::object::OB_DEREFERENCE;
use crate::kernel::previous_mode::{
    KERNEL, USER, ZW_CLOSE, ZW_CREATE_EVENT, ZW_QUERY_EVENT, ZW_SET_EVENT,
};
use crate::kernel::request::{IO_COMPLETE_REQUEST, METHOD, function};
use crate::kernel::status;
use crate::machine::{Flow, Processor, Reg, Routine, Trap, routine};
use crate::world::driver::Placement;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "handles-believed",
        "A driver that names kernel mode or no type for a caller's handle gets any object.",
        "Failure to Validate Object Handles",
    ),
    Rule::documented(
        "kernel-handles-for-drivers",
        "A handle that a driver keeps belongs in the kernel's table, not its caller's.",
        "Object Handles",
    ),
];

/// The driver's code.
pub const ROUTINES: &[&Routine] = &[&OBJECT_CONTROL];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: None,
    write: None,
    control: Some(&OBJECT_CONTROL),
    flush: None,
    entry: None,
    deferred: None,
};

/// Sets the event behind a handle of the caller.
pub const SIGNAL: u64 = 0;
/// The same in kernel mode's name.
pub const SIGNAL_UNCHECKED: u64 = 1;
/// Says which device a file of the caller is on.
pub const IDENTIFY: u64 = 2;
/// The same of an object of any type, in kernel mode's name.
pub const IDENTIFY_UNTYPED: u64 = 3;
/// Makes an event and keeps a kernel handle to it.
pub const OPEN_OWN: u64 = 4;
/// Makes an event and keeps a handle to it that is in the caller's table.
pub const OPEN_USERS: u64 = 5;
/// Sets the event whose handle was kept.
pub const SIGNAL_OWN: u64 = 6;
/// Keeps a handle of the caller.
pub const KEEP: u64 = 7;
/// Closes a handle that the caller names.
pub const CLOSE: u64 = 8;
/// Writes an event's state where the caller says.
pub const QUERY: u64 = 9;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// The handle that is kept.
pub const OWN: Field = word(0x00, "object driver's handle");

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![(OWN.offset, 0)]
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

/// A word of what the caller sent; 0 beyond its end.
fn sent(p: &mut Processor<'_>, packet: u64, number: u64) -> Result<u64, Trap> {
    if p.load(packet, request_packet::LENGTH_IN)? < (number + 1) * 8 {
        return Ok(0);
    }
    let buffer = p.load(packet, request_packet::BUFFER)?;
    p.load_at(buffer.wrapping_add(number * 8), Structure::SystemBuffer)
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static OBJECT_CONTROL = "ObjectDeviceControl", frame 6;
    // Locals: 0 driver data; 1 packet; 2 status; 3 what was found; 4 object; 5 function.
    sort => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        let code = p.load(packet, request_packet::CODE)?;
        for (number, value) in [data, packet, status::SUCCESS, 0, 0, function(code)].into_iter().enumerate() {
            p.set_local(number as u64, value)?;
        }
        if code & METHOD != 0 {
            p.set_local(2, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::answer as u8));
        }
        Ok(Flow::To(match function(code) {
            SIGNAL | SIGNAL_UNCHECKED | IDENTIFY | IDENTIFY_UNTYPED => At::look as u8,
            OPEN_OWN | OPEN_USERS => At::open as u8,
            SIGNAL_OWN => At::signal as u8,
            KEEP => At::keep as u8,
            CLOSE => At::close as u8,
            QUERY => At::query as u8,
            _ => At::refuse as u8,
        }))
    },
    refuse => |p| {
        p.set_local(2, status::INVALID_DEVICE_REQUEST)?;
        Ok(Flow::To(At::answer as u8))
    },

    look, call OB_REFERENCE_BY_HANDLE => |p| {
        let packet = p.local(1)?;
        let handle = sent(p, packet, 0)?;
        match p.local(5)? {
            SIGNAL => p.pass([handle, access::WRITE, object_type::EVENT, USER, 0]),
            SIGNAL_UNCHECKED => p.pass([handle, access::WRITE, object_type::EVENT, KERNEL, 0]),
            IDENTIFY => p.pass([handle, access::READ, object_type::FILE, USER, 0]),
            _ => p.pass([handle, access::READ, 0, KERNEL, 0]),
        }
        Ok(Flow::Call)
    },
    found => |p| {
        let (object, refused) = (p.result(), p.get(Reg::Rdx));
        p.set_local(4, object)?;
        if object == 0 {
            p.set_local(2, refused)?;
            return Ok(Flow::To(At::answer as u8));
        }
        Ok(Flow::To(match p.local(5)? {
            SIGNAL | SIGNAL_UNCHECKED => At::set as u8,
            _ => At::identify as u8,
        }))
    },
    set, call KE_SET_EVENT => |p| {
        let object = p.local(4)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    was_set => |_| Ok(Flow::To(At::release as u8)),
    // What is at the device's place in a file is something else in any other object.
    identify => |p| {
        let object = p.local(4)?;
        let device = p.load(object, object_body::FIRST)?;
        let number = p.load(device, device_object::NUMBER)?;
        p.set_local(3, number)?;
        Ok(Flow::Next)
    },
    release, call OB_DEREFERENCE => |p| {
        let object = p.local(4)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    released => |_| Ok(Flow::To(At::answer as u8)),

    open, call ZW_CREATE_EVENT => |p| {
        let is_own = p.local(5)? == OPEN_OWN;
        p.pass([if is_own { access::KERNEL_HANDLE } else { 0 }]);
        Ok(Flow::Call)
    },
    opened => |p| {
        let (outcome, handle) = (p.result(), p.get(Reg::Rdx));
        p.set_local(2, outcome)?;
        p.set_local(3, handle)?;
        let data = p.local(0)?;
        p.store(data, OWN, handle)?;
        Ok(Flow::To(At::answer as u8))
    },
    signal, call ZW_SET_EVENT => |p| {
        let data = p.local(0)?;
        let handle = p.load(data, OWN)?;
        p.pass([handle]);
        Ok(Flow::Call)
    },
    signalled => |p| {
        let outcome = p.result();
        p.set_local(2, outcome)?;
        Ok(Flow::To(At::answer as u8))
    },
    keep => |p| {
        let (data, packet) = (p.local(0)?, p.local(1)?);
        let handle = sent(p, packet, 0)?;
        p.store(data, OWN, handle)?;
        Ok(Flow::To(At::answer as u8))
    },
    close, call ZW_CLOSE => |p| {
        let packet = p.local(1)?;
        let handle = sent(p, packet, 0)?;
        p.pass([handle]);
        Ok(Flow::Call)
    },
    closed => |p| {
        let outcome = p.result();
        p.set_local(2, outcome)?;
        Ok(Flow::To(At::answer as u8))
    },
    query, call ZW_QUERY_EVENT => |p| {
        let packet = p.local(1)?;
        let (handle, target) = (sent(p, packet, 0)?, sent(p, packet, 1)?);
        p.pass([handle, 0, 0, 0, target, QUERY_BYTES]);
        Ok(Flow::Call)
    },
    queried => |p| {
        let outcome = p.result();
        p.set_local(2, outcome)?;
        Ok(Flow::Next)
    },

    answer => |p| {
        let (packet, found) = (p.local(1)?, p.local(3)?);
        let bytes = p.load(packet, request_packet::LENGTH_OUT)?.min(8);
        let buffer = p.load(packet, request_packet::BUFFER)?;
        if bytes > 0 && buffer != 0 && p.local(2)? == status::SUCCESS {
            p.store_bytes(buffer, Structure::SystemBuffer, found, bytes)?;
        }
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome) = (p.local(1)?, p.local(2)?);
        let bytes = p.load(packet, request_packet::LENGTH_OUT)?.min(8);
        p.pass([packet, outcome, if outcome == status::SUCCESS { bytes } else { 0 }]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(2)?;
        Ok(p.give_back(outcome))
    },
}
