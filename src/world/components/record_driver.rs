//! A driver that keeps a record for each process that asks for one, and follows the pointer to it.
//!
//! Whoever uses a record before there is one makes the driver follow a null pointer: the pointer is
//! taken from a table and nobody looks whether it is there, as in the parts of win32k that trusted
//! that an object had been made ("CVE-2011-1229", "MS11-034"). What the driver does with a record is
//! to count a use, through a pointer that is in the record.
//!
//! | request | effect |
//! |---|---|
//! | device control [`REGISTER`] | makes the requestor's record |
//! | any other | counts a use through the requestor's record |
//!
//! In a host the same is done with records in the host's own page ([`driver_host`](super::driver_host)),
//! by the same routine.
//!
//! The data page needs no preparation: word [`RECORDS`] and on, a pointer for each requestor, 0 where
//! there is no record; word [`USES`], what records made here count.

use crate::base::{Field, Rule, Structure};
use crate::kernel::layout::{device_object, driver_object, element, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::pool::EX_ALLOCATE_POOL;
use crate::kernel::request::{IO_COMPLETE_REQUEST, function};
use crate::kernel::status;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

use super::home;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[Rule::documented(
    "null-followed",
    "A driver follows a pointer that is null until the record is made.",
    "CVE-2011-1229; MS11-034",
)];

/// The driver's code.
pub const ROUTINES: &[&Routine] = &[&RECORD_CONTROL, &FOLLOW_RECORD];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: None,
    write: None,
    control: Some(&RECORD_CONTROL),
    flush: None,
    entry: None,
    deferred: None,
};

/// The function of device control that makes a record.
pub const REGISTER: u64 = 4;

/// Whether the driver lacks the function of this control code: those below use the record.
pub(super) const fn lacks(code: u64) -> bool {
    home::is_beyond(code, REGISTER + 1)
}

/// The tag of records: "Reco".
const TAG: u64 = u32::from_le_bytes(*b"Reco") as u64;
/// Bytes of a record.
pub(super) const RECORD_BYTES: u64 = 0x20;
/// Where in a record the pointer to the count is.
pub(super) const COUNTER: u64 = 0x10;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// Uses of all records.
pub const USES: Field = word(0x00, "record driver's uses");
/// First of 64 pointers, by requestor.
pub const RECORDS: Field = word(0x100, "record driver's records");

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    Vec::new()
}

/// Where the pointer to a packet's requestor's record is.
fn pointer_of(p: &mut Processor<'_>, device: u64, packet: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    let data = p.load(driver, driver_object::DATA)?;
    let requestor = p.load(packet, request_packet::REQUESTOR)? & 63;
    Ok(element(data.wrapping_add(RECORDS.offset), requestor))
}

routine! {
    /// Counts a use. Argument: where the pointer to the record is.
    pub static FOLLOW_RECORD = "FollowRecord", frame 0;
    // Nobody looks whether there is a record, which is the point.
    follow => |p| {
        let (pointer, structure) = (p.argument(0), home::page(p));
        let record = p.load_at(pointer, structure)?;
        let counter = p.load_at(record.wrapping_add(COUNTER), structure)?;
        let uses = p.load_at(counter, structure)?;
        p.store_at(counter, structure, uses.wrapping_add(1))?;
        Ok(p.give_back(0))
    },
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static RECORD_CONTROL = "RecordDeviceControl", frame 3;
    // Locals: 0 device object; 1 packet; 2 status.
    sort => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, packet)?;
        p.set_local(2, status::SUCCESS)?;
        let code = p.load(packet, request_packet::CODE)?;
        if lacks(code) {
            p.set_local(2, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::complete as u8));
        }
        Ok(if function(code) == REGISTER { Flow::Next } else { Flow::To(At::follow as u8) })
    },
    make, call EX_ALLOCATE_POOL, of DriverData => |p| {
        p.pass([RECORD_BYTES, TAG, 0]);
        Ok(Flow::Call)
    },
    keep => |p| {
        let (record, device, packet) = (p.result(), p.local(0)?, p.local(1)?);
        if record == 0 {
            p.set_local(2, status::INSUFFICIENT_RESOURCES)?;
            return Ok(Flow::To(At::complete as u8));
        }
        let driver = p.load(device, device_object::DRIVER)?;
        let data = p.load(driver, driver_object::DATA)?;
        p.store_at(record.wrapping_add(COUNTER), Structure::DriverData, data.wrapping_add(USES.offset))?;
        let at = pointer_of(p, device, packet)?;
        p.store_at(at, Structure::DriverData, record)?;
        Ok(Flow::To(At::complete as u8))
    },
    follow, call FOLLOW_RECORD => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let at = pointer_of(p, device, packet)?;
        p.pass([at]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome) = (p.local(1)?, p.local(2)?);
        p.pass([packet, outcome, 0]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(2)?;
        Ok(p.give_back(outcome))
    },
}
