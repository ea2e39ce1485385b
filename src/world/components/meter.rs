//! A meter: keeps a running sum of the words each requestor sent and answers each with the sum so far.
//!
//! It answers as the sensor of [`driver_host`](super::driver_host) does, and is written once for both of its
//! homes: all of its work is in [`METER`], which runs in a kernel-mode driver and in a driver host alike, on
//! whatever memory it is handed. What differs is only who hands it over. So what one fault in it comes to at
//! each home can be compared access by access.
//!
//! | request | answer |
//! |---|---|
//! | read, write, device control | each word sent plus the sum so far; the sum where nothing is sent |
//!
//! In its page, the driver's data page or the host's buffer page, are 64 running sums from [`SUMS`] on, by
//! requestor; 0 at boot.

use crate::base::Rule;
use crate::kernel::layout::{device_object, driver_object, element, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::request::{IO_COMPLETE_REQUEST, is_buffered};
use crate::kernel::status;
use crate::machine::{Flow, Routine, routine};
use crate::world::driver::Placement;

use super::driver_host::SUMS;
use super::home::{lacks, page, request};

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[Rule::chosen(
    "meter-in-two-homes",
    "The meter does the same work on its page in kernel mode and in a host.",
    "this model: so that what one fault comes to can be compared by home",
)];

/// The driver's code in kernel mode.
pub const ROUTINES: &[&Routine] = &[&METER_DISPATCH, &METER];

/// The driver's entry points in kernel mode.
pub const DISPATCH: Dispatch = Dispatch {
    read: Some(&METER_DISPATCH),
    write: Some(&METER_DISPATCH),
    control: Some(&METER_DISPATCH),
    flush: None,
    entry: None,
    deferred: None,
};

/// Words of a request that are looked at.
const WORDS_MAX: u64 = 32;

/// The first words of the page, for both homes: sums begin at 0.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    Vec::new()
}

routine! {
    /// Works on a request, in place. Arguments: its data, bytes sent, the meter's
    /// page, the requestor's number, bytes of answer at most. Result: bytes of answer.
    pub static METER = "MeterWork", frame 5;
    // Locals: 0 data; 1 words sent; 2 where the requestor's sum is; 3 word in hand; 4 bytes of answer at most.
    start => |p| {
        let (data, bytes_in, page) = (p.argument(0), p.argument(1), p.argument(2));
        let (requestor, bytes_out) = (p.argument(3), p.argument(4));
        p.set_local(0, data)?;
        p.set_local(1, (bytes_in / 8).min(WORDS_MAX))?;
        p.set_local(2, element(page.wrapping_add(SUMS), requestor & 63))?;
        p.set_local(3, 0)?;
        p.set_local(4, bytes_out)?;
        Ok(Flow::Next)
    },
    add => |p| {
        let (number, words) = (p.local(3)?, p.local(1)?);
        if number >= words {
            return Ok(Flow::Next);
        }
        let (data, at) = (p.local(0)?, p.local(2)?);
        let here = element(data, number & (WORDS_MAX - 1));
        let word = p.load_at(here, request(p))?;
        let sum = p.load_at(at, page(p))?.wrapping_add(word);
        p.store_at(at, page(p), sum)?;
        p.store_at(here, request(p), word.wrapping_add(sum))?;
        p.set_local(3, number.wrapping_add(1))?;
        Ok(Flow::Stay)
    },
    done => |p| {
        let (words, most) = (p.local(1)?, p.local(4)?);
        if words > 0 || most == 0 {
            return Ok(p.give_back(most.min(words.wrapping_mul(8))));
        }
        let (data, at) = (p.local(0)?, p.local(2)?);
        let sum = p.load_at(at, page(p))?;
        p.store_bytes(data, request(p), sum, most.min(8))?;
        Ok(p.give_back(most.min(8)))
    },
}

routine! {
    /// Answers a request in kernel mode. Arguments: device object, packet. Result: the status.
    pub static METER_DISPATCH = "MeterDispatch", frame 3;
    // Locals: 0 packet; 1 status; 2 bytes.
    keep, call METER => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, packet)?;
        p.set_local(1, status::SUCCESS)?;
        p.set_local(2, 0)?;
        let code = p.load(packet, request_packet::CODE)?;
        if !is_buffered(p, packet)? || lacks(code) {
            p.set_local(1, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::complete as u8));
        }
        let driver = p.load(device, device_object::DRIVER)?;
        let data = p.load(driver, driver_object::DATA)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let bytes_in = p.load(packet, request_packet::LENGTH_IN)?;
        let bytes_out = p.load(packet, request_packet::LENGTH_OUT)?;
        let requestor = p.load(packet, request_packet::REQUESTOR)?;
        p.pass([buffer, bytes_in, data, requestor, bytes_out]);
        Ok(Flow::Call)
    },
    keep_bytes => |p| {
        let bytes = p.result();
        p.set_local(2, bytes)?;
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome, bytes) = (p.local(0)?, p.local(1)?, p.local(2)?);
        p.pass([packet, outcome, bytes]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(1)?;
        Ok(p.give_back(outcome))
    },
}
