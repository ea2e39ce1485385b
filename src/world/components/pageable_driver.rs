//! A driver that keeps things in pageable memory, and a spin lock: some functions as they should be,
//! beside each the same with the mistake that is noticed only when the page happens to be away.
//!
//! | function | what it does | the mistake |
//! |---|---|---|
//! | [`ADD_UP`] | adds its table up, by code that is pageable too | |
//! | [`ADD_UP_HELD`] | the same | with the spin lock held: the table is in paged pool |
//! | [`KEEP_HELD`] | keeps the sum that it made before, with the spin lock held | |
//! | [`KEEP_HELD_PAGED`] | the same | by a routine that is pageable |
//! | [`DEFER`] | has the device interrupt; its deferred routine answers with the sum that was kept | |
//! | [`DEFER_ADD_UP`] | the same | the deferred routine adds the table up |
//!
//! "Making Drivers Pageable", "When Should Code and Data Be Pageable?", "KeAcquireSpinLock". The table is
//! in paged pool, so only the pools that have one can show the mistakes of data; the pool of four classes
//! has none.
//!
//! Every request is answered with 8 bytes, the sum. The data page is all 0 at boot.

use crate::base::{Field, Rule, Structure};
use crate::kernel::hal::{FROM_MEMORY, HAL_START_TRANSFER, TRANSFER_DEVICE};
use crate::kernel::irql::{KE_ACQUIRE_SPIN_LOCK, KE_RELEASE_SPIN_LOCK};
use crate::kernel::layout::{device_object, driver_object, element, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::pool::EX_ALLOCATE_POOL;
use crate::kernel::pools::state::PAGED;
use crate::kernel::request::{IO_COMPLETE_REQUEST, METHOD_BUFFERED, function, method};
use crate::kernel::status;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[Rule::documented(
    "pageable-not-when-raised",
    "Pageable code and data are not to be touched at DISPATCH_LEVEL or above.",
    "Making Drivers Pageable; When Should Code and Data Be Pageable?",
)];

/// The driver's code that is always there.
pub const ROUTINES: &[&Routine] =
    &[&PAGEABLE_ENTRY, &PAGEABLE_CONTROL, &PAGEABLE_DEFERRED, &PAGEABLE_KEEP];

/// The driver's code that may be away.
pub const PAGEABLE: &[&Routine] = &[&PAGEABLE_ADD_UP, &PAGEABLE_KEEP_PAGED];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: None,
    write: None,
    control: Some(&PAGEABLE_CONTROL),
    flush: None,
    entry: Some(&PAGEABLE_ENTRY),
    deferred: Some(&PAGEABLE_DEFERRED),
};

/// Adds the table up.
pub const ADD_UP: u64 = 0;
/// The same with the spin lock held.
pub const ADD_UP_HELD: u64 = 1;
/// Keeps the sum with the spin lock held.
pub const KEEP_HELD: u64 = 2;
/// The same by a pageable routine.
pub const KEEP_HELD_PAGED: u64 = 3;
/// The deferred routine answers with the sum that was kept.
pub const DEFER: u64 = 4;
/// The deferred routine adds the table up.
pub const DEFER_ADD_UP: u64 = 5;

/// The pool tag of the table: "Page".
pub const TAG: u64 = u32::from_le_bytes(*b"Page") as u64;
/// Words of the table.
const WORDS: u64 = 4;
/// What each of them holds.
const WORD: u64 = 0x1111;
/// Bytes of an answer.
const ANSWER_BYTES: u64 = 8;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// Where the table is.
pub const TABLE: Field = word(0x00, "pageable driver's table");
/// The sum that was kept.
pub const SUM: Field = word(0x08, "pageable driver's sum");
/// The spin lock.
pub const LOCK: Field = word(0x10, "pageable driver's spin lock");
/// The packet that waits for the device.
pub const CURRENT: Field = word(0x18, "pageable driver's current packet");

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    Vec::new()
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

/// The sum of the table.
fn sum(p: &mut Processor<'_>, data: u64) -> Result<u64, Trap> {
    let table = p.load(data, TABLE)?;
    let mut sum = 0u64;
    for number in 0..WORDS {
        sum = sum.wrapping_add(p.load_at(element(table, number), Structure::DriverData)?);
    }
    Ok(sum)
}

routine! {
    /// Run at boot: makes the table, in paged pool. Argument: device object.
    pub static PAGEABLE_ENTRY = "PageableDriverEntry", frame 1;
    allocate, call EX_ALLOCATE_POOL, of DriverData => |p| {
        let device = p.argument(0);
        let driver = p.load(device, device_object::DRIVER)?;
        let data = p.load(driver, driver_object::DATA)?;
        p.set_local(0, data)?;
        p.pass([WORDS * 8, TAG, PAGED]);
        Ok(Flow::Call)
    },
    keep => |p| {
        let (data, table) = (p.local(0)?, p.result());
        p.store(data, TABLE, table)?;
        Ok(if table == 0 { Flow::Return } else { Flow::Next })
    },
    fill => |p| {
        let data = p.local(0)?;
        let table = p.load(data, TABLE)?;
        p.fill(table, Structure::DriverData, WORD, WORDS)?;
        Ok(Flow::Return)
    },
}

routine! {
    /// Adds the table up and keeps the sum. Argument: data page.
    pub static PAGEABLE_ADD_UP = "PageableAddUp", frame 0;
    add => |p| {
        let data = p.argument(0);
        let sum = sum(p, data)?;
        p.store(data, SUM, sum)?;
        Ok(p.give_back(sum))
    },
}

routine! {
    /// The sum that was kept. Argument: data page.
    pub static PAGEABLE_KEEP = "PageableKeep", frame 0;
    keep => |p| {
        let data = p.argument(0);
        let kept = p.load(data, SUM)?;
        Ok(p.give_back(kept))
    },
}

routine! {
    /// The same, in the pageable part of the driver.
    pub static PAGEABLE_KEEP_PAGED = "PageableKeepPaged", frame 0;
    keep => |p| {
        let data = p.argument(0);
        let kept = p.load(data, SUM)?;
        Ok(p.give_back(kept))
    },
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static PAGEABLE_CONTROL = "PageableDeviceControl", frame 5;
    // Locals: 0 data page; 1 packet; 2 the level before; 3 status; 4 sum.
    sort => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        p.set_local(0, data)?;
        p.set_local(1, packet)?;
        p.set_local(3, status::SUCCESS)?;
        p.set_local(4, 0)?;
        let code = p.load(packet, request_packet::CODE)?;
        let is_short = p.load(packet, request_packet::LENGTH_OUT)? < ANSWER_BYTES;
        if is_short || method(p, packet)? != METHOD_BUFFERED || p.load(data, TABLE)? == 0 {
            p.set_local(3, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::complete as u8));
        }
        Ok(Flow::To(match function(code) {
            ADD_UP => At::add_up as u8,
            ADD_UP_HELD | KEEP_HELD | KEEP_HELD_PAGED => At::acquire as u8,
            DEFER | DEFER_ADD_UP => At::defer as u8,
            _ => At::refuse as u8,
        }))
    },
    add_up, call PAGEABLE_ADD_UP => |p| {
        let data = p.local(0)?;
        p.pass([data]);
        Ok(Flow::Call)
    },
    added_up => |p| {
        let sum = p.result();
        p.set_local(4, sum)?;
        Ok(Flow::To(At::answer as u8))
    },
    acquire, call KE_ACQUIRE_SPIN_LOCK => |p| {
        let data = p.local(0)?;
        p.pass([data.wrapping_add(LOCK.offset)]);
        Ok(Flow::Call)
    },
    acquired => |p| {
        let (level, packet) = (p.result(), p.local(1)?);
        p.set_local(2, level)?;
        Ok(Flow::To(match function(p.load(packet, request_packet::CODE)?) {
            ADD_UP_HELD => At::add_up_held as u8,
            KEEP_HELD => At::keep as u8,
            _ => At::keep_paged as u8,
        }))
    },
    // Code that is there touches data that may not be.
    add_up_held => |p| {
        let data = p.local(0)?;
        let sum = sum(p, data)?;
        p.set_local(4, sum)?;
        Ok(Flow::To(At::release as u8))
    },
    keep, call PAGEABLE_KEEP => |p| {
        let data = p.local(0)?;
        p.pass([data]);
        Ok(Flow::Call)
    },
    kept => |_| Ok(Flow::To(At::take as u8)),
    // The code itself may not be there.
    keep_paged, call PAGEABLE_KEEP_PAGED => |p| {
        let data = p.local(0)?;
        p.pass([data]);
        Ok(Flow::Call)
    },
    take => |p| {
        let sum = p.result();
        p.set_local(4, sum)?;
        Ok(Flow::Next)
    },
    release, call KE_RELEASE_SPIN_LOCK => |p| {
        let (data, level) = (p.local(0)?, p.local(2)?);
        p.pass([data.wrapping_add(LOCK.offset), level]);
        Ok(Flow::Call)
    },
    answer => |p| {
        let (packet, sum) = (p.local(1)?, p.local(4)?);
        let buffer = p.load(packet, request_packet::BUFFER)?;
        p.store_at(buffer, Structure::SystemBuffer, sum)?;
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome) = (p.local(1)?, p.local(3)?);
        let bytes = if outcome == status::SUCCESS { ANSWER_BYTES } else { 0 };
        p.pass([packet, outcome, bytes]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(3)?;
        Ok(p.give_back(outcome))
    },
    refuse => |p| {
        p.set_local(3, status::INVALID_DEVICE_REQUEST)?;
        Ok(Flow::To(At::complete as u8))
    },
    defer, call HAL_START_TRANSFER => |p| {
        let (data, packet) = (p.local(0)?, p.local(1)?);
        if p.load(data, CURRENT)? != 0 {
            return Ok(Flow::To(At::refuse as u8));
        }
        p.store(data, CURRENT, packet)?;
        // Nothing is transferred: only the interrupt is wanted.
        p.pass([TRANSFER_DEVICE, 0, 0, FROM_MEMORY]);
        Ok(Flow::Call)
    },
    deferred => |p| Ok(p.give_back(status::PENDING)),
}

routine! {
    /// What the device's interrupt leads to, at dispatch level on whatever thread runs. Argument: device
    /// object.
    pub static PAGEABLE_DEFERRED = "PageableDpcForIsr", frame 2;
    // Locals: 0 packet; 1 sum.
    look => |p| {
        let device = p.argument(0);
        let data = data_of(p, device)?;
        let packet = p.load(data, CURRENT)?;
        if packet == 0 {
            return Ok(Flow::Return);
        }
        p.set_local(0, packet)?;
        let is_wrong = function(p.load(packet, request_packet::CODE)?) == DEFER_ADD_UP;
        let sum = if is_wrong { sum(p, data)? } else { p.load(data, SUM)? };
        p.set_local(1, sum)?;
        p.store(data, CURRENT, 0)?;
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, sum) = (p.local(0)?, p.local(1)?);
        let buffer = p.load(packet, request_packet::BUFFER)?;
        p.store_at(buffer, Structure::SystemBuffer, sum)?;
        p.pass([packet, status::SUCCESS, ANSWER_BYTES]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
