//! The driver of the transfer device, a network adapter of sorts.
//!
//! A request's data is copied to the DMA page and sent; when the device interrupts, the driver's
//! deferred routine has it received again, and when that is done copies it back, combined with the
//! driver's key, and completes the request. One request is at the device at a time, others wait
//! in the driver's queue ("Introduction to DPC Objects", "Writing DpcForIsr and CustomDpc Routines",
//! "Using Bus-Master DMA").
//!
//! | request | effect |
//! |---|---|
//! | write, device control with any function but [`STATISTICS`] | up to 128 bytes to the device and back |
//! | read, device control [`STATISTICS`] | two words: the requestor's completed requests, their bytes |
//!
//! With `METHOD_NEITHER` the statistics go straight to the requestor's address, unprobed, while its
//! address space is loaded; other functions refuse that method. Direct methods are refused.
//!
//! The data page, as the boot image must prepare it:
//!
//! | word | at boot |
//! |---|---|
//! | [`CURRENT`], [`QUEUE_HEAD`], [`QUEUE_TAIL`], [`PHASE`], [`BUS`], [`COUNTS`] | 0 |
//! | [`KEY`] | any value but 0 |
//! | [`DMA_ADDRESS`] | the first DMA page, [`address::DMA_BUFFERS`] |
//! | [`HARDWARE`] | hardware device number, 0 |

use crate::base::{Field, Rule, Structure};
use crate::kernel::configured::configured;
use crate::kernel::hal::{
    FROM_MEMORY, HAL_MAP_TRANSFER, HAL_START_TRANSFER, HAL_TRANSFER_STATUS, HAL_UNMAP_TRANSFER,
    TO_MEMORY, TRANSFER_DEVICE,
};
use crate::kernel::layout::{address, device_object, driver_object, request_packet, switches};
use crate::kernel::loader::Dispatch;
use crate::kernel::request::{
    IO_COMPLETE_REQUEST, METHOD_BUFFERED, METHOD_NEITHER, function, method,
};
use crate::kernel::status;
use crate::machine::device::HOLD_WORDS;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "deferred-completes",
        "An interrupt's deferred routine completes the request of the device.",
        "Introduction to DPC Objects; Writing DpcForIsr and CustomDpc Routines",
    ),
    Rule::chosen(
        "one-at-the-device",
        "One request is at the device at a time; the driver queues the others.",
        "this model: a driver with StartIo does so",
    ),
];

/// The driver's code.
pub const ROUTINES: &[&Routine] = &[
    &TRANSFER_CONTROL,
    &TRANSFER_WRITE,
    &TRANSFER_STATISTICS,
    &TRANSFER_START,
    &TRANSFER_DEFERRED,
];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: Some(&TRANSFER_STATISTICS),
    write: Some(&TRANSFER_WRITE),
    control: Some(&TRANSFER_CONTROL),
    flush: None,
    entry: None,
    deferred: Some(&TRANSFER_DEFERRED),
};

/// The function of device control that reports statistics.
pub const STATISTICS: u64 = 1;
/// Bytes of one transfer at most: what the device holds.
pub const TRANSFER_BYTES: u64 = HOLD_WORDS as u64 * 8;
/// Bytes of the statistics.
const STATISTICS_BYTES: u64 = 16;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// The packet that is at the device, 0 when it is idle.
pub const CURRENT: Field = word(0x00, "transfer driver's current packet");
/// The first packet that waits.
pub const QUEUE_HEAD: Field = word(0x08, "transfer driver's queue head");
/// The last packet that waits.
pub const QUEUE_TAIL: Field = word(0x10, "transfer driver's queue tail");
/// 1 while sending, 2 while receiving.
pub const PHASE: Field = word(0x18, "transfer driver's phase");
/// What received data is combined with.
pub const KEY: Field = word(0x20, "transfer driver's key");
/// The address of the DMA page.
pub const DMA_ADDRESS: Field = word(0x28, "transfer driver's DMA page");
/// Its bus address while it is mapped for the device.
pub const BUS: Field = word(0x30, "transfer driver's bus address");
/// The hardware device's number.
pub const HARDWARE: Field = word(0x38, "transfer driver's hardware");
/// First of 64 pairs, by requestor: requests completed, their bytes.
pub const COUNTS: Field = word(0x100, "transfer driver's statistics");

/// Pages of its own besides its data page.
pub const OWNS: &[(u64, u64, Structure)] = &[(address::DMA_BUFFERS, 512, Structure::DmaBuffer)];

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![
        (KEY.offset, 0x5a5a_0f0f_3c3c_a5a5),
        (DMA_ADDRESS.offset, address::DMA_BUFFERS),
        (HARDWARE.offset, TRANSFER_DEVICE),
    ]
}

/// In [`DMA_ADDRESS`]: what is received goes straight to the requestor's address.
const IN_PLACE: u64 = 1;

/// As [`prepare`], for a driver that saves a copy: its deferred routine writes what was received to the
/// address that the requestor gave, on whatever thread runs ("Virtual address spaces", where that is
/// the example of what a driver must not do).
#[must_use]
pub fn prepare_in_place(placement: &Placement) -> Vec<(u64, u64)> {
    let in_place = (DMA_ADDRESS.offset, address::DMA_BUFFERS | IN_PLACE);
    let usual = prepare(placement).into_iter().filter(|(offset, _)| *offset != DMA_ADDRESS.offset);
    usual.chain([in_place]).collect()
}

const SENDING: u64 = 1;
const RECEIVING: u64 = 2;

/// A device's driver data.
fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

/// Where a packet's requestor has its statistics.
fn counts_of(p: &mut Processor<'_>, data: u64, packet: u64) -> Result<u64, Trap> {
    let requestor = p.load(packet, request_packet::REQUESTOR)? & 63;
    Ok(data.wrapping_add(COUNTS.offset.wrapping_add(requestor.wrapping_mul(STATISTICS_BYTES))))
}

/// Bytes of a packet that go to the device.
fn sent_bytes(p: &mut Processor<'_>, packet: u64) -> Result<u64, Trap> {
    Ok(p.load(packet, request_packet::LENGTH_IN)?.min(TRANSFER_BYTES))
}

/// Bytes of a packet that come back.
fn returned_bytes(p: &mut Processor<'_>, packet: u64) -> Result<u64, Trap> {
    let sent = sent_bytes(p, packet)?;
    Ok(p.load(packet, request_packet::LENGTH_OUT)?.min(sent))
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static TRANSFER_CONTROL = "TransferDeviceControl", frame 2;
    sort, call TRANSFER_STATISTICS => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, packet)?;
        let code = p.load(packet, request_packet::CODE)?;
        Ok(match (function(code), method(p, packet)?) {
            (STATISTICS, METHOD_BUFFERED | METHOD_NEITHER) => Flow::Call,
            (_, METHOD_BUFFERED) => Flow::To(At::transfer as u8),
            _ => Flow::To(At::refuse as u8),
        })
    },
    reported => |_| Ok(Flow::Return),
    transfer, call TRANSFER_WRITE => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    transferred => |_| Ok(Flow::Return),
    refuse, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(1)?;
        p.pass([packet, status::INVALID_DEVICE_REQUEST, 0]);
        Ok(Flow::Call)
    },
    refused => |p| Ok(p.give_back(status::INVALID_DEVICE_REQUEST)),
}

routine! {
    /// Starts a transfer, or lets it wait behind others. Arguments: device object, packet. Result: the
    /// status.
    pub static TRANSFER_WRITE = "TransferWrite", frame 2;
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, device)?;
        p.set_local(1, packet)?;
        if p.load(packet, request_packet::LENGTH_IN)? == 0 {
            return Ok(Flow::To(At::nothing as u8));
        }
        Ok(Flow::Next)
    },
    start, call TRANSFER_START => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let data = data_of(p, device)?;
        if p.load(data, CURRENT)? != 0 {
            return Ok(Flow::To(At::queue as u8));
        }
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    started => |p| Ok(p.give_back(status::PENDING)),
    queue => |p| {
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let data = data_of(p, device)?;
        p.store(packet, request_packet::LINK, 0)?;
        let tail = p.load(data, QUEUE_TAIL)?;
        if tail == 0 {
            p.store(data, QUEUE_HEAD, packet)?;
        } else {
            p.store(tail, request_packet::LINK, packet)?;
        }
        p.store(data, QUEUE_TAIL, packet)?;
        Ok(p.give_back(status::PENDING))
    },
    nothing, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(1)?;
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

/// Copies the statistics to where they are wanted.
fn report(p: &mut Processor<'_>, structure: Structure) -> Result<(), Trap> {
    let (counts, target) = (p.local(0)?, p.local(2)?);
    for offset in [0, 8] {
        let count = p.load_at(counts.wrapping_add(offset), Structure::DriverData)?;
        p.store_at(target.wrapping_add(offset), structure, count)?;
    }
    Ok(())
}

routine! {
    /// Reports the requestor's statistics. Arguments: device object, packet. Result: the status.
    pub static TRANSFER_STATISTICS = "TransferStatistics", frame 4;
    // Locals: 0 where the statistics are; 1 packet; 2 target; 3 status.
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        let counts = counts_of(p, data, packet)?;
        p.set_local(0, counts)?;
        p.set_local(1, packet)?;
        let direct = method(p, packet)? == METHOD_NEITHER;
        let field = if direct { request_packet::USER_BUFFER } else { request_packet::BUFFER };
        let target = p.load(packet, field)?;
        p.set_local(2, target)?;
        let is_short = p.load(packet, request_packet::LENGTH_OUT)? < STATISTICS_BYTES;
        p.set_local(3, if is_short { status::INVALID_PARAMETER } else { status::SUCCESS })?;
        Ok(match (is_short, direct) {
            (true, _) => Flow::To(At::complete as u8),
            (false, true) => Flow::To(At::report_to_user as u8),
            (false, false) => Flow::Next,
        })
    },
    report, on_fault failed => |p| {
        report(p, Structure::SystemBuffer)?;
        Ok(Flow::To(At::complete as u8))
    },
    report_to_user, on_fault failed => |p| {
        p.allow_user_access(true)?;
        report(p, Structure::UserData)?;
        p.allow_user_access(false)?;
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome) = (p.local(1)?, p.local(3)?);
        let bytes = if outcome == status::SUCCESS { STATISTICS_BYTES } else { 0 };
        p.pass([packet, outcome, bytes]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(3)?;
        Ok(p.give_back(outcome))
    },
    failed => |p| {
        p.allow_user_access(false)?;
        p.set_local(3, status::ACCESS_VIOLATION)?;
        Ok(Flow::To(At::complete as u8))
    },
}

routine! {
    /// Brings a packet to the idle device: its data into the DMA page, the page mapped, the transfer
    /// started. Arguments: device object, packet.
    pub static TRANSFER_START = "TransferStartIo", frame 3;
    // Locals: 0 driver data; 1 packet; 2 bytes.
    keep => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        let bytes = sent_bytes(p, packet)?;
        p.set_local(0, data)?;
        p.set_local(1, packet)?;
        p.set_local(2, bytes)?;
        p.store(data, CURRENT, packet)?;
        p.store(data, PHASE, SENDING)?;
        Ok(Flow::Next)
    },
    copy => |p| {
        let (data, packet, bytes) = (p.local(0)?, p.local(1)?, p.local(2)?);
        let page = p.load(data, DMA_ADDRESS)? & !IN_PLACE;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        p.copy(page, Structure::DmaBuffer, buffer, Structure::SystemBuffer, bytes)?;
        Ok(Flow::Next)
    },
    map, call HAL_MAP_TRANSFER => |p| {
        let data = p.local(0)?;
        let (hardware, page) = (p.load(data, HARDWARE)?, p.load(data, DMA_ADDRESS)? & !IN_PLACE);
        p.pass([hardware, page, 0]);
        Ok(Flow::Call)
    },
    send, call HAL_START_TRANSFER => |p| {
        let (bus, data, bytes) = (p.result(), p.local(0)?, p.local(2)?);
        p.store(data, BUS, bus)?;
        let hardware = p.load(data, HARDWARE)?;
        p.pass([hardware, bus, bytes.div_ceil(8), FROM_MEMORY]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// What the device's interrupt leads to, at dispatch level on whatever thread runs. Argument:
    /// device object.
    pub static TRANSFER_DEFERRED = "TransferDpcForIsr", frame 6;
    // Locals: 0 device object; 1 driver data; 2 packet; 3 status; 4 byte in hand; 5 bytes to return.
    look, call HAL_TRANSFER_STATUS => |p| {
        let device = p.argument(0);
        let data = data_of(p, device)?;
        let packet = p.load(data, CURRENT)?;
        if packet == 0 {
            return Ok(Flow::Return);
        }
        p.set_local(0, device)?;
        p.set_local(1, data)?;
        p.set_local(2, packet)?;
        let hardware = p.load(data, HARDWARE)?;
        p.pass([hardware]);
        Ok(Flow::Call)
    },
    unmap, call HAL_UNMAP_TRANSFER => |p| {
        let refused = p.result();
        p.set_local(3, if refused == 0 { status::SUCCESS } else { status::DATA_ERROR })?;
        p.set_local(4, 0)?;
        p.set_local(5, 0)?;
        let data = p.local(1)?;
        let (hardware, bus) = (p.load(data, HARDWARE)?, p.load(data, BUS)?);
        p.store(data, BUS, 0)?;
        p.pass([hardware, bus]);
        Ok(Flow::Call)
    },
    sort => |p| {
        let data = p.local(1)?;
        if p.local(3)? != status::SUCCESS {
            return Ok(Flow::To(At::complete as u8));
        }
        Ok(Flow::To(match p.load(data, PHASE)? {
            SENDING => At::map as u8,
            RECEIVING => At::count as u8,
            _ => At::complete as u8,
        }))
    },
    map, call HAL_MAP_TRANSFER => |p| {
        let data = p.local(1)?;
        let (hardware, page) = (p.load(data, HARDWARE)?, p.load(data, DMA_ADDRESS)? & !IN_PLACE);
        p.pass([hardware, page, 1]);
        Ok(Flow::Call)
    },
    receive, call HAL_START_TRANSFER => |p| {
        let (bus, data, packet) = (p.result(), p.local(1)?, p.local(2)?);
        p.store(data, BUS, bus)?;
        p.store(data, PHASE, RECEIVING)?;
        let hardware = p.load(data, HARDWARE)?;
        let bytes = sent_bytes(p, packet)?;
        p.pass([hardware, bus, bytes.div_ceil(8), TO_MEMORY]);
        Ok(Flow::Call)
    },
    receiving => |_| Ok(Flow::Return),
    count => |p| {
        let (data, packet) = (p.local(1)?, p.local(2)?);
        let bytes = returned_bytes(p, packet)?;
        p.set_local(5, bytes)?;
        let counts = counts_of(p, data, packet)?;
        let sent = sent_bytes(p, packet)?;
        for (offset, more) in [(0, 1), (8, sent)] {
            let count = p.load_at(counts.wrapping_add(offset), Structure::DriverData)?;
            p.store_at(counts.wrapping_add(offset), Structure::DriverData, count.wrapping_add(more))?;
        }
        Ok(Flow::Next)
    },
    give_word => |p| {
        let (done, bytes) = (p.local(4)?, p.local(5)?);
        if done >= bytes {
            return Ok(Flow::Next);
        }
        let (data, packet) = (p.local(1)?, p.local(2)?);
        let kept = p.load(data, DMA_ADDRESS)?;
        let page = kept & !IN_PLACE;
        let key = p.load(data, KEY)?;
        let word = p.load_at(page.wrapping_add(done), Structure::DmaBuffer)? ^ key;
        let is_wrong = configured(p)? & switches::WRONG_CONTEXT != 0;
        let (field, structure) = if is_wrong || kept & IN_PLACE != 0 {
            (request_packet::USER_BUFFER, Structure::UserData)
        } else {
            (request_packet::BUFFER, Structure::SystemBuffer)
        };
        let target = p.load(packet, field)?.wrapping_add(done);
        p.store_bytes(target, structure, word, (bytes - done).min(8))?;
        p.set_local(4, done.wrapping_add(8))?;
        Ok(Flow::Stay)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (data, packet, outcome) = (p.local(1)?, p.local(2)?, p.local(3)?);
        p.store(data, CURRENT, 0)?;
        p.store(data, PHASE, 0)?;
        let bytes = if outcome == status::SUCCESS { sent_bytes(p, packet)? } else { 0 };
        p.pass([packet, outcome, bytes]);
        Ok(Flow::Call)
    },
    next, call TRANSFER_START => |p| {
        let (device, data) = (p.local(0)?, p.local(1)?);
        let waiting = p.load(data, QUEUE_HEAD)?;
        if waiting == 0 {
            return Ok(Flow::Return);
        }
        let behind = p.load(waiting, request_packet::LINK)?;
        p.store(data, QUEUE_HEAD, behind)?;
        if behind == 0 {
            p.store(data, QUEUE_TAIL, 0)?;
        }
        p.pass([device, waiting]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
