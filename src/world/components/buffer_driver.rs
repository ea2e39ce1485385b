//! A driver that uses its callers' memory: some functions as they should be, beside each the same with
//! the mistake that the driver documentation warns of.
//!
//! | function | method | what it does | the mistake |
//! |---|---|---|---|
//! | [`REPORT`] | neither | writes two words where the caller says | |
//! | [`REPORT_UNPROBED`] | neither | the same | the address is not probed |
//! | [`COPY`] | neither | copies a counted string into a block of [`CAPACITY`] bytes | |
//! | [`COPY_TWICE`] | neither | the same | the count is fetched for the check and again for the copy |
//! | [`FILL`] | out direct | writes a pattern to the caller's locked memory | |
//! | [`CHECK`] | in direct | adds the words of the caller's locked memory up | |
//! | [`TELL`] | buffered | answers what [`CHECK`] came to | |
//! | [`LOCK`] | neither | locks the caller's memory and keeps the list | |
//! | [`UNLOCK`] | buffered | unlocks what was kept | |
//! | [`UNLOCK_TWICE`] | buffered | the same | twice |
//!
//! Nothing unlocks what [`LOCK`] locked but one of the last two: a caller that forgets them, or ends
//! before, finds out what becomes of a process with locked pages.
//!
//! In a host it has [`FILL`], [`CHECK`] and [`TELL`], with the same routine on the host's copies; a user-mode
//! driver gets nothing else of the user's ("Managing Buffer Access Methods in UMDF Drivers").
//!
//! "Using Neither Buffered Nor Direct I/O", "Failure to Validate Addresses in METHOD_NEITHER IOCTLs",
//! "User-Mode Accessors" (for the count fetched twice), "Using Direct I/O", "MmProbeAndLockPages".
//!
//! The data page: [`LIST`], [`SUM`], both 0 at boot.

use crate::base::{Field, Rule, Structure};
use crate::kernel::layout::{device_object, driver_object, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::mdl::{
    IO_ALLOCATE_MDL, IO_FREE_MDL, MM_PROBE_AND_LOCK_PAGES, MM_UNLOCK_PAGES, WRITE_ACCESS,
};
use crate::kernel::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use crate::kernel::previous_mode::USER;
use crate::kernel::request::{
    IO_COMPLETE_REQUEST, METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_NEITHER, METHOD_OUT_DIRECT,
    function, method,
};
use crate::kernel::status;
use crate::kernel::user_buffer::{PROBE_FOR_READ_ALIGNED, PROBE_FOR_WRITE_ALIGNED, user_structure};
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

use super::direct_buffer::{BUFFER_DIRECT, BUFFER_WORDS};

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "neither-is-the-drivers",
        "With METHOD_NEITHER a driver validates and accesses the caller's addresses by itself.",
        "Using Neither Buffered Nor Direct I/O",
    ),
    Rule::documented(
        "double-fetch",
        "A value fetched twice from user memory may have changed between check and use.",
        "User-Mode Accessors",
    ),
];

/// The driver's code.
pub const ROUTINES: &[&Routine] = &[
    &BUFFER_CONTROL,
    &BUFFER_REPORT,
    &BUFFER_COPY,
    &BUFFER_DIRECT,
    &BUFFER_WORDS,
    &BUFFER_LOCK,
    &BUFFER_UNLOCK,
];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: None,
    write: None,
    control: Some(&BUFFER_CONTROL),
    flush: None,
    entry: None,
    deferred: None,
};

/// Writes two words where the caller says.
pub const REPORT: u64 = 0;
/// The same without a probe.
pub const REPORT_UNPROBED: u64 = 1;
/// Copies a counted string: its bytes in the first word, then the bytes.
pub const COPY: u64 = 2;
/// The same, with the count fetched twice.
pub const COPY_TWICE: u64 = 3;
/// Writes a pattern to the caller's locked memory.
pub const FILL: u64 = 4;
/// Adds the words of the caller's locked memory up.
pub const CHECK: u64 = 5;
/// Locks the caller's memory and keeps the list.
pub const LOCK: u64 = 6;
/// Unlocks what was kept.
pub const UNLOCK: u64 = 7;
/// Unlocks it twice.
pub const UNLOCK_TWICE: u64 = 8;

/// Answers what the words that were added up came to.
pub const TELL: u64 = 9;

/// Bytes of the block that a string is copied into.
pub const CAPACITY: u64 = 48;
/// Bytes that are copied at most, however the count was changed.
const COPY_MAX: u64 = 248;
/// What a report says.
pub const REPORTED: [u64; 2] = [0x7265_706f, 0x7274_6564];
/// The pool tag of the driver's blocks: "Buff".
pub const TAG: u64 = u32::from_le_bytes(*b"Buff") as u64;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// The list of memory that is locked, 0 for none.
pub const LIST: Field = word(0x00, "buffer driver's list");
/// What memory that was added up came to.
pub const SUM: Field = word(0x08, "buffer driver's sum");

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![(LIST.offset, 0)]
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static BUFFER_CONTROL = "BufferDeviceControl", frame 4;
    // Locals: 0 driver data; 1 packet; 2 status; 3 bytes produced.
    sort => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        p.set_local(0, data)?;
        p.set_local(1, packet)?;
        p.set_local(2, status::INVALID_DEVICE_REQUEST)?;
        p.set_local(3, 0)?;
        let code = p.load(packet, request_packet::CODE)?;
        Ok(Flow::To(match (function(code), method(p, packet)?) {
            (REPORT | REPORT_UNPROBED, METHOD_NEITHER) => At::report as u8,
            (COPY | COPY_TWICE, METHOD_NEITHER) => At::copy as u8,
            (FILL, METHOD_OUT_DIRECT) | (CHECK, METHOD_IN_DIRECT) => At::direct as u8,
            (LOCK, METHOD_NEITHER) => At::lock as u8,
            (UNLOCK | UNLOCK_TWICE, METHOD_BUFFERED) => At::unlock as u8,
            (TELL, METHOD_BUFFERED) => At::tell as u8,
            _ => At::complete as u8,
        }))
    },
    report, call BUFFER_REPORT => |p| {
        let packet = p.local(1)?;
        p.pass([packet]);
        Ok(Flow::Call)
    },
    reported => |_| Ok(Flow::To(At::keep as u8)),
    copy, call BUFFER_COPY => |p| {
        let packet = p.local(1)?;
        p.pass([packet]);
        Ok(Flow::Call)
    },
    copied => |_| Ok(Flow::To(At::keep as u8)),
    direct, call BUFFER_DIRECT => |p| {
        let (data, packet) = (p.local(0)?, p.local(1)?);
        p.pass([data, packet]);
        Ok(Flow::Call)
    },
    done_direct => |p| {
        let packet = p.local(1)?;
        if p.result() == status::SUCCESS && method(p, packet)? == METHOD_OUT_DIRECT {
            let bytes = p.load(packet, request_packet::LENGTH_OUT)? & !7;
            p.set_local(3, bytes)?;
        }
        Ok(Flow::To(At::keep as u8))
    },
    lock, call BUFFER_LOCK => |p| {
        let (data, packet) = (p.local(0)?, p.local(1)?);
        p.pass([data, packet]);
        Ok(Flow::Call)
    },
    locked => |_| Ok(Flow::To(At::keep as u8)),
    unlock, call BUFFER_UNLOCK => |p| {
        let (data, packet) = (p.local(0)?, p.local(1)?);
        p.pass([data, packet]);
        Ok(Flow::Call)
    },
    keep => |p| {
        let outcome = p.result();
        p.set_local(2, outcome)?;
        Ok(Flow::To(At::complete as u8))
    },
    tell => |p| {
        let (data, packet) = (p.local(0)?, p.local(1)?);
        let buffer = p.load(packet, request_packet::BUFFER)?;
        if p.load(packet, request_packet::LENGTH_OUT)? < 8 {
            p.set_local(2, status::INVALID_PARAMETER)?;
            return Ok(Flow::Next);
        }
        let sum = p.load(data, SUM)?;
        p.store_at(buffer, Structure::SystemBuffer, sum)?;
        p.set_local(2, status::SUCCESS)?;
        p.set_local(3, 8)?;
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome, bytes) = (p.local(1)?, p.local(2)?, p.local(3)?);
        p.pass([packet, outcome, bytes]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(2)?;
        Ok(p.give_back(outcome))
    },
}

routine! {
    /// Writes two words to the caller's address. Argument: packet. Result: the status.
    pub static BUFFER_REPORT = "BufferReport", frame 2;
    // Locals: 0 packet; 1 target.
    probe, call PROBE_FOR_WRITE_ALIGNED => |p| {
        let packet = p.argument(0);
        let target = p.load(packet, request_packet::USER_BUFFER)?;
        p.set_local(0, packet)?;
        p.set_local(1, target)?;
        if p.load(packet, request_packet::LENGTH_OUT)? < 16 {
            return Ok(p.give_back(status::INVALID_PARAMETER));
        }
        if function(p.load(packet, request_packet::CODE)?) == REPORT_UNPROBED {
            return Ok(Flow::To(At::write as u8));
        }
        p.pass([target, 16, 8]);
        Ok(Flow::Call)
    },
    probed => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            return Ok(p.give_back(outcome));
        }
        Ok(Flow::Next)
    },
    write, on_fault failed => |p| {
        let target = p.local(1)?;
        p.allow_user_access(true)?;
        for (number, value) in (0..).zip(REPORTED) {
            p.store_at(target.wrapping_add(number * 8), user_structure(target), value)?;
        }
        p.allow_user_access(false)?;
        Ok(p.give_back(status::SUCCESS))
    },
    failed => |p| {
        p.allow_user_access(false)?;
        Ok(p.give_back(status::ACCESS_VIOLATION))
    },
}

routine! {
    /// Copies the caller's counted string into a block of the driver's. Argument: packet. Result: the
    /// status.
    pub static BUFFER_COPY = "BufferCopy", frame 5;
    // Locals: 0 packet; 1 the caller's address; 2 count; 3 block; 4 status.
    probe, call PROBE_FOR_READ_ALIGNED => |p| {
        let packet = p.argument(0);
        let source = p.load(packet, request_packet::BUFFER)?;
        p.set_local(0, packet)?;
        p.set_local(1, source)?;
        let length = p.load(packet, request_packet::LENGTH_IN)?;
        if length < 8 {
            return Ok(p.give_back(status::INVALID_PARAMETER));
        }
        p.pass([source, length, 8]);
        Ok(Flow::Call)
    },
    probed => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            return Ok(p.give_back(outcome));
        }
        Ok(Flow::Next)
    },
    check, on_fault failed => |p| {
        let source = p.local(1)?;
        p.allow_user_access(true)?;
        let count = p.load_at(source, user_structure(source))?;
        p.allow_user_access(false)?;
        p.set_local(2, count)?;
        if count > CAPACITY {
            return Ok(p.give_back(status::INVALID_PARAMETER));
        }
        Ok(Flow::Next)
    },
    allocate, call EX_ALLOCATE_POOL, of PoolBlock => |p| {
        p.pass([CAPACITY, TAG, 0]);
        Ok(Flow::Call)
    },
    allocated => |p| {
        let block = p.result();
        if block == 0 {
            return Ok(p.give_back(status::INSUFFICIENT_RESOURCES));
        }
        p.set_local(3, block)?;
        let packet = p.local(0)?;
        let again = function(p.load(packet, request_packet::CODE)?) == COPY_TWICE;
        Ok(Flow::To(if again { At::fetch_again as u8 } else { At::copy as u8 }))
    },
    // The count that was checked is not the one that is used.
    fetch_again, on_fault broken => |p| {
        let source = p.local(1)?;
        p.allow_user_access(true)?;
        let count = p.load_at(source, user_structure(source))?;
        p.allow_user_access(false)?;
        p.set_local(2, count)?;
        Ok(Flow::Next)
    },
    copy, on_fault broken => |p| {
        let (source, count, block) = (p.local(1)?, p.local(2)?, p.local(3)?);
        let from = source.wrapping_add(8);
        p.allow_user_access(true)?;
        p.copy(block, Structure::PoolBlock, from, user_structure(from), count.min(COPY_MAX))?;
        p.allow_user_access(false)?;
        p.set_local(4, status::SUCCESS)?;
        Ok(Flow::To(At::free as u8))
    },
    broken => |p| {
        p.allow_user_access(false)?;
        p.set_local(4, status::ACCESS_VIOLATION)?;
        Ok(Flow::Next)
    },
    free, call EX_FREE_POOL => |p| {
        let block = p.local(3)?;
        p.pass([block, TAG]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(4)?;
        Ok(p.give_back(outcome))
    },
    failed => |p| {
        p.allow_user_access(false)?;
        Ok(p.give_back(status::ACCESS_VIOLATION))
    },
}

routine! {
    /// Locks the caller's second buffer and keeps the list. Arguments: driver data, packet. Result: the
    /// status.
    pub static BUFFER_LOCK = "BufferLock", frame 4;
    // Locals: 0 driver data; 1 packet; 2 list; 3 status.
    allocate, call IO_ALLOCATE_MDL => |p| {
        let (data, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, data)?;
        p.set_local(1, packet)?;
        if p.load(data, LIST)? != 0 {
            return Ok(p.give_back(status::INVALID_DEVICE_REQUEST));
        }
        let start = p.load(packet, request_packet::USER_BUFFER)?;
        let bytes = p.load(packet, request_packet::LENGTH_OUT)?;
        p.pass([start, bytes]);
        Ok(Flow::Call)
    },
    lock, call MM_PROBE_AND_LOCK_PAGES => |p| {
        let list = p.result();
        if list == 0 {
            return Ok(p.give_back(status::INSUFFICIENT_RESOURCES));
        }
        p.set_local(2, list)?;
        p.pass([list, USER, WRITE_ACCESS]);
        Ok(Flow::Call)
    },
    keep => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.set_local(3, outcome)?;
            return Ok(Flow::Next);
        }
        let (data, list) = (p.local(0)?, p.local(2)?);
        p.store(data, LIST, list)?;
        Ok(p.give_back(status::SUCCESS))
    },
    drop_list, call IO_FREE_MDL => |p| {
        let list = p.local(2)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    refused => |p| {
        let outcome = p.local(3)?;
        Ok(p.give_back(outcome))
    },
}

routine! {
    /// Unlocks what is kept, once or twice. Arguments: driver data, packet. Result: the status.
    pub static BUFFER_UNLOCK = "BufferUnlock", frame 2;
    // Locals: 0 driver data; 1 packet.
    unlock, call MM_UNLOCK_PAGES => |p| {
        let (data, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, data)?;
        p.set_local(1, packet)?;
        let list = p.load(data, LIST)?;
        if list == 0 {
            return Ok(p.give_back(status::INVALID_DEVICE_REQUEST));
        }
        p.pass([list]);
        Ok(Flow::Call)
    },
    again, call MM_UNLOCK_PAGES => |p| {
        let (data, packet) = (p.local(0)?, p.local(1)?);
        if function(p.load(packet, request_packet::CODE)?) != UNLOCK_TWICE {
            return Ok(Flow::Next);
        }
        let list = p.load(data, LIST)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    free, call IO_FREE_MDL => |p| {
        let data = p.local(0)?;
        let list = p.load(data, LIST)?;
        p.store(data, LIST, 0)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}
