//! A filter driver: sees every request on its way to the driver below it.
//!
//! It adds up what each requestor sends, in its own data, and passes the packet down as it is ("Device
//! nodes and device stacks", "Passing IRPs down the Driver Stack"). Device control [`CHECKSUM`] it
//! answers itself, with one word: the requestor's sum.
//!
//! The data page, as the boot image must prepare it:
//!
//! | word | at boot |
//! |---|---|
//! | [`PASSED`], [`SUMS`] | 0 |
//! | [`SALT`] | any value |

use crate::base::{Field, Rule, Structure};
use crate::kernel::layout::{device_object, driver_object, element, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::request::{IO_CALL_DRIVER, IO_COMPLETE_REQUEST, function, is_buffered};
use crate::kernel::status;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[Rule::documented(
    "filters-see-requests",
    "A filter driver sees each request before the driver below it, and passes it down.",
    "Device nodes and device stacks; Passing IRPs down the Driver Stack",
)];

/// The driver's code.
pub const ROUTINES: &[&Routine] = &[&FILTER_CONTROL, &FILTER_WRITE, &FILTER_PASS];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: Some(&FILTER_PASS),
    write: Some(&FILTER_WRITE),
    control: Some(&FILTER_CONTROL),
    flush: Some(&FILTER_PASS),
    entry: None,
    deferred: None,
};

/// The function of device control that the filter answers itself.
pub const CHECKSUM: u64 = 2;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// Packets passed down.
pub const PASSED: Field = word(0x00, "filter's packets");
/// What every sum begins with.
pub const SALT: Field = word(0x08, "filter's salt");
/// First of 64 sums, by requestor.
pub const SUMS: Field = word(0x100, "filter's sums");

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![(SALT.offset, 0x0f11_7e40)]
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

/// Where a packet's requestor has its sum.
fn sum_of(p: &mut Processor<'_>, data: u64, packet: u64) -> Result<u64, Trap> {
    let requestor = p.load(packet, request_packet::REQUESTOR)? & 63;
    Ok(element(data.wrapping_add(SUMS.offset), requestor))
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static FILTER_CONTROL = "FilterDeviceControl", frame 3;
    sort => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, packet)?;
        let code = p.load(packet, request_packet::CODE)?;
        if function(code) != CHECKSUM {
            return Ok(Flow::To(At::watch as u8));
        }
        Ok(Flow::Next)
    },
    report, call IO_COMPLETE_REQUEST => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        if !is_buffered(p, packet)? || p.load(packet, request_packet::LENGTH_OUT)? < 8 {
            p.set_local(2, status::INVALID_PARAMETER)?;
            p.pass([packet, status::INVALID_PARAMETER, 0]);
            return Ok(Flow::Call);
        }
        let data = data_of(p, device)?;
        let at = sum_of(p, data, packet)?;
        let sum = p.load_at(at, Structure::DriverData)?;
        let salt = p.load(data, SALT)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        p.store_at(buffer, Structure::SystemBuffer, sum.wrapping_add(salt))?;
        p.set_local(2, status::SUCCESS)?;
        p.pass([packet, status::SUCCESS, 8]);
        Ok(Flow::Call)
    },
    reported => |p| {
        let outcome = p.local(2)?;
        Ok(p.give_back(outcome))
    },
    watch, call FILTER_WRITE => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Adds up what is sent and passes it on. Arguments: device object, packet. Result: the status.
    pub static FILTER_WRITE = "FilterDispatchWrite", frame 4;
    // Locals: 0 device object; 1 packet; 2 word in hand; 3 sum.
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, packet)?;
        p.set_local(2, 0)?;
        let data = data_of(p, device)?;
        let at = sum_of(p, data, packet)?;
        let sum = p.load_at(at, Structure::DriverData)?;
        p.set_local(3, sum)?;
        if !is_buffered(p, packet)? {
            return Ok(Flow::To(At::pass as u8));
        }
        Ok(Flow::Next)
    },
    add => |p| {
        let (packet, number) = (p.local(1)?, p.local(2)?);
        if number >= p.load(packet, request_packet::LENGTH_IN)? / 8 {
            return Ok(Flow::Next);
        }
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let word = p.load_at(buffer.wrapping_add(number.wrapping_mul(8)), Structure::SystemBuffer)?;
        let sum = p.local(3)?;
        p.set_local(3, sum.rotate_left(7).wrapping_add(word))?;
        p.set_local(2, number.wrapping_add(1))?;
        Ok(Flow::Stay)
    },
    remember => |p| {
        let (device, packet, sum) = (p.local(0)?, p.local(1)?, p.local(3)?);
        let data = data_of(p, device)?;
        let at = sum_of(p, data, packet)?;
        p.store_at(at, Structure::DriverData, sum)?;
        Ok(Flow::Next)
    },
    pass, call FILTER_PASS => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Passes a packet on to the device below. Arguments: device object, packet. Result: the status.
    pub static FILTER_PASS = "FilterPassDown", frame 0;
    pass, call IO_CALL_DRIVER => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        let passed = p.load(data, PASSED)?;
        p.store(data, PASSED, passed.wrapping_add(1))?;
        let lower = p.load(device, device_object::LOWER)?;
        p.pass([lower, packet]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
