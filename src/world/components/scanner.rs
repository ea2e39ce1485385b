//! A scanner: unpacks a section of what it is sent into memory of the size that its header names.
//!
//! After CVE-2016-2208, a parser of executables in kernel mode: what a header said of a section's size
//! decided the allocation, what was really there decided the copy, and nothing compared the two. The
//! same routine runs in two places: in a kernel-mode driver, which takes the memory from the pool,
//! and in a driver host, which takes it from the end of its own page.
//!
//! | request | answer |
//! |---|---|
//! | write, device control | up to one word: the sum of the words unpacked |
//!
//! The first word sent is the header: its low 12 bits are the size of the section in bytes; what is
//! sent, header and all, is the section. The data page needs no preparation but the [`SCANNED`] count.

use crate::base::{Field, Rule, Structure};
use crate::kernel::layout::{device_object, driver_object, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use crate::kernel::request::{IO_COMPLETE_REQUEST, is_buffered};
use crate::kernel::status;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

use super::home;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[Rule::documented(
    "section-size-believed",
    "What a header says decides the allocation, what is there decides the copy.",
    "CVE-2016-2208",
)];

/// The driver's code in kernel mode.
pub const ROUTINES: &[&Routine] = &[&SCANNER_DISPATCH, &UNPACK_SECTION];

/// The driver's entry points in kernel mode.
pub const DISPATCH: Dispatch = Dispatch {
    read: None,
    write: Some(&SCANNER_DISPATCH),
    control: Some(&SCANNER_DISPATCH),
    flush: None,
    entry: None,
    deferred: None,
};

/// The tag of its sections: "Scan".
pub const TAG: u64 = 0x6e61_6353;
/// The bits of the header that are the section's size.
pub const SIZE: u64 = 0xfff;

/// Sections scanned; continues from what is there.
pub const SCANNED: Field = Field::new(Structure::DriverData, 0x00, "scanner's count");

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![(SCANNED.offset, 0)]
}

/// The sum of the words of a section.
///
/// # Errors
///
/// What reading it raises.
fn sum(p: &mut Processor<'_>, at: u64, structure: Structure, bytes: u64) -> Result<u64, Trap> {
    let mut sum = 0_u64;
    for word in 0..bytes.min(SIZE) / 8 {
        sum = sum.wrapping_add(p.load_at(at.wrapping_add(word * 8), structure)?);
    }
    Ok(sum)
}

routine! {
    /// Unpacks what was sent into a section. Arguments: the section, what was sent, its bytes, bytes of the
    /// section. Result: the sum of the section's words.
    pub static UNPACK_SECTION = "UnpackSection", frame 2;
    // Locals: 0 the section; 1 its bytes.
    // The section's size is not compared with what was sent, which is the point.
    unpack => |p| {
        let (section, sent, bytes) = (p.argument(0), p.argument(1), p.argument(2));
        let size = p.argument(3);
        p.set_local(0, section)?;
        p.set_local(1, size)?;
        p.copy(section, home::block(p), sent, home::request(p), bytes)?;
        Ok(Flow::Next)
    },
    add_up => |p| {
        let (section, structure, size) = (p.local(0)?, home::block(p), p.local(1)?);
        let found = sum(p, section, structure, size)?;
        Ok(p.give_back(found))
    },
}

routine! {
    /// Scans what a request brings. Arguments: device object, packet. Result: the status.
    pub static SCANNER_DISPATCH = "ScannerDispatch", frame 6;
    // Locals: 0 driver object; 1 packet; 2 the section's size; 3 the section; 4 status; 5 bytes.
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let driver = p.load(device, device_object::DRIVER)?;
        p.set_local(0, driver)?;
        p.set_local(1, packet)?;
        p.set_local(5, 0)?;
        let code = p.load(packet, request_packet::CODE)?;
        if home::lacks(code) {
            p.set_local(4, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::complete as u8));
        }
        let length = p.load(packet, request_packet::LENGTH_IN)?;
        if !is_buffered(p, packet)? || length < 8 {
            p.set_local(4, status::INVALID_PARAMETER)?;
            return Ok(Flow::To(At::complete as u8));
        }
        p.set_local(4, status::SUCCESS)?;
        Ok(Flow::Next)
    },
    allocate, call EX_ALLOCATE_POOL, of PoolBlock => |p| {
        let packet = p.local(1)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let size = (p.load_at(buffer, Structure::SystemBuffer)? & SIZE).max(8);
        p.set_local(2, size)?;
        p.pass([size, TAG, 0]);
        Ok(Flow::Call)
    },
    unpack, call UNPACK_SECTION => |p| {
        let section = p.result();
        p.set_local(3, section)?;
        if section == 0 {
            p.set_local(4, status::INSUFFICIENT_RESOURCES)?;
            return Ok(Flow::To(At::complete as u8));
        }
        let packet = p.local(1)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let length = p.load(packet, request_packet::LENGTH_IN)?;
        let size = p.local(2)?;
        p.pass([section, buffer, length, size]);
        Ok(Flow::Call)
    },
    look => |p| {
        let (found, driver, packet) = (p.result(), p.local(0)?, p.local(1)?);
        let data = p.load(driver, driver_object::DATA)?;
        let scanned = p.load(data, SCANNED)?;
        p.store(data, SCANNED, scanned.wrapping_add(1))?;
        let bytes = p.load(packet, request_packet::LENGTH_OUT)?.min(8);
        p.set_local(5, bytes)?;
        if bytes > 0 {
            let buffer = p.load(packet, request_packet::BUFFER)?;
            p.store_bytes(buffer, Structure::SystemBuffer, found.wrapping_add(scanned), bytes)?;
        }
        Ok(Flow::Next)
    },
    release, call EX_FREE_POOL => |p| {
        let section = p.local(3)?;
        p.pass([section, TAG]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome, bytes) = (p.local(1)?, p.local(4)?, p.local(5)?);
        p.pass([packet, outcome, bytes]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(4)?;
        Ok(p.give_back(outcome))
    },
}
