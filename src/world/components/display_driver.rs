//! The kernel-mode part of a display driver: hands tasks to the adapter and waits for them, with the
//! system's recovery from hangs or, as before Windows Vista, without.
//!
//! Its adapter is the transfer device: a task is a transfer of nothing, and done when that interrupts.
//! Device control gives it a task, whatever the function, and is answered when the task is done, or with
//! an error when the adapter had to be reset ("Windows Display Driver Model (WDDM) Architecture", "Timeout
//! Detection and Recovery (TDR)").

use crate::base::{Field, Rule, Structure};
use crate::kernel::hal::{FROM_MEMORY, HAL_START_TRANSFER, TRANSFER_DEVICE};
use crate::kernel::layout::{device_object, driver_object};
use crate::kernel::loader::Dispatch;
use crate::kernel::request::IO_COMPLETE_REQUEST;
use crate::kernel::status;
use crate::kernel::video::{DELAY, KE_DELAY_EXECUTION, TDR_RECOVER};
use crate::machine::device::RESET;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "display-two-parts",
        "A display driver has a user-mode and a kernel-mode part; the kernel's is modelled.",
        "Windows Display Driver Model (WDDM) Architecture",
    ),
    Rule::chosen(
        "adapter-is-transfer",
        "A task of the adapter is an empty transfer of the transfer device.",
        "this model: no graphics adapter is modelled",
    ),
];

/// The driver's code.
pub const ROUTINES: &[&Routine] = &[&DISPLAY_CONTROL, &DISPLAY_DEFERRED];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: None,
    write: None,
    control: Some(&DISPLAY_CONTROL),
    flush: None,
    entry: None,
    deferred: Some(&DISPLAY_DEFERRED),
};

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// 1 when the adapter has done its task.
pub const DONE: Field = word(0x00, "display driver's task done");
/// 1 while it has one.
pub const BUSY: Field = word(0x08, "display driver's adapter busy");
/// When it was given it.
pub const STARTED: Field = word(0x10, "display driver's task begun");
/// 1 when hangs are recovered from.
pub const RECOVERS: Field = word(0x18, "display driver's recovery");
/// The adapter's history of resets.
pub const HISTORY: Field = word(0x40, "display driver's history");

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![(RECOVERS.offset, 1)]
}

/// As [`prepare`], for a driver of the time before hangs were recovered from, or with `TdrLevel` 0.
#[must_use]
pub fn prepare_without_recovery(_: &Placement) -> Vec<(u64, u64)> {
    Vec::new()
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static DISPLAY_CONTROL = "DisplayDeviceControl", frame 4;
    // Locals: 0 data page; 1 packet; 2 status; 3 device object.
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        p.set_local(0, data)?;
        p.set_local(1, packet)?;
        p.set_local(2, status::SUCCESS)?;
        p.set_local(3, device)?;
        Ok(Flow::Next)
    },
    // The adapter takes one task at a time.
    take_turns, call KE_DELAY_EXECUTION => |p| {
        let data = p.local(0)?;
        Ok(if p.load(data, BUSY)? == 0 { Flow::To(At::start as u8) } else { Flow::Call })
    },
    turn => |_| Ok(Flow::To(At::take_turns as u8)),
    start, call HAL_START_TRANSFER => |p| {
        let (data, now) = (p.local(0)?, p.time_stamp());
        p.store(data, BUSY, 1)?;
        p.store(data, DONE, 0)?;
        p.store(data, STARTED, now)?;
        p.pass([TRANSFER_DEVICE, 0, 0, FROM_MEMORY]);
        Ok(Flow::Call)
    },
    wait, call KE_DELAY_EXECUTION => |p| {
        let data = p.local(0)?;
        if p.load(data, DONE)? != 0 {
            return Ok(Flow::To(At::complete as u8));
        }
        let waited = p.time_stamp().wrapping_sub(p.load(data, STARTED)?);
        if waited > DELAY && p.load(data, RECOVERS)? != 0 {
            return Ok(Flow::To(At::recover as u8));
        }
        Ok(Flow::Call)
    },
    waited => |_| Ok(Flow::To(At::wait as u8)),
    recover, call TDR_RECOVER => |p| {
        let (data, device) = (p.local(0)?, p.local(3)?);
        let driver = p.load(device, device_object::DRIVER)?;
        let own = p.load(driver, driver_object::CONTROL)?;
        p.pass([data.wrapping_add(HISTORY.offset), own]);
        Ok(Flow::Call)
    },
    reset, call HAL_START_TRANSFER => |p| {
        p.set_local(2, status::IO_TIMEOUT)?;
        p.pass([TRANSFER_DEVICE, 0, 0, RESET]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (data, packet, outcome) = (p.local(0)?, p.local(1)?, p.local(2)?);
        p.store(data, BUSY, 0)?;
        p.pass([packet, outcome, 0]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(2)?;
        Ok(p.give_back(outcome))
    },
}

routine! {
    /// What the adapter's interrupt leads to. Argument: device object.
    pub static DISPLAY_DEFERRED = "DisplayDpcForIsr", frame 0;
    note => |p| {
        let device = p.argument(0);
        let data = data_of(p, device)?;
        p.store(data, DONE, 1)?;
        Ok(Flow::Return)
    },
}
