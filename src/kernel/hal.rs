//! The hardware abstraction layer: the only code that touches a device's ports, and the only one
//! that opens memory to a device.
//!
//! After the public driver documentation: "Hardware Abstraction Layer" in "User mode and kernel mode"
//! (no other component has a link to the hardware), "Map registers" and "Using Bus-Master DMA" for
//! the order of map, transfer and unmap.
//!
//! | routine | arguments | result |
//! |---|---|---|
//! | [`HAL_MAP_TRANSFER`] | hardware device, address of a page, 1 when the device may write | its bus address, or 0 |
//! | [`HAL_UNMAP_TRANSFER`] | hardware device, bus address | – |
//! | [`HAL_START_TRANSFER`] | hardware device, bus address, words, command | – |
//! | [`HAL_TRANSFER_STATUS`] | hardware device | 0 when its last transfer was good |
//! | [`HAL_SET_TIMER`] | time stamp | – |
//! | [`HAL_DISK_TRANSFER`] | sector, command | status; the data is in the disk's DMA page |
//! | [`HAL_DISK_WRITE`] | sector, address of a page | status |
//!
//! Hardware devices are 0, the transfer device, and 1, the disk. What the boot image must prepare in
//! the tables of the IOMMU at [`address::IOMMU_TABLES`]: in page 0 an entry per hardware device:
//! address of its table | present | principal number of the device << [`DOMAIN_SHIFT`] (a domain
//! identifier, as remapping hardware keeps in its context entries); behind it two pages for each
//! device, physically one behind the other, all zero.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::device::port;
use crate::machine::iommu::{PRESENT, WRITE};
use crate::machine::{Flow, Processor, Routine, Trap, routine};

use super::dma_verification::{of_map, of_start, of_unmap};
use super::layout::{address, element, switches};
use super::paging::{self, ADDRESS, entry_address};
use super::status;
use super::verified::verified_routine;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "hal-alone-reaches-hardware",
        "Nothing but the hardware abstraction layer touches a device.",
        "User mode and kernel mode",
    ),
    Rule::documented(
        "dma-is-mapped-first",
        "A page is opened to a device before a transfer and closed after it.",
        "Using Bus-Master DMA; Map Registers",
    ),
];

/// The routines of the layer.
pub const ROUTINES: &[&Routine] = &[
    &HAL_MAP_TRANSFER,
    &HAL_UNMAP_TRANSFER,
    &HAL_START_TRANSFER,
    &HAL_TRANSFER_STATUS,
    &HAL_DISK_TRANSFER,
];

/// The layer's routines where the kernel itself keeps something on the disk, behind those of all.
pub const RECORD_ROUTINES: &[&Routine] = &[&HAL_DISK_WRITE];

/// The layer's routines in machines that have a timer, behind those of all.
pub const TIMER_ROUTINES: &[&Routine] = &[&HAL_SET_TIMER];

/// The transfer device's hardware number.
pub const TRANSFER_DEVICE: u64 = 0;
/// The disk controller's hardware number.
pub const DISK_DEVICE: u64 = 1;
/// The timer's hardware number, in machines that have one.
pub const TIMER: u64 = 2;
/// Hardware devices that transfer.
pub const HARDWARE_DEVICES: u64 = 2;
/// Frames that a device's table has entries for.
pub const TABLE_FRAMES: u64 = 1024;
/// Where an entry of the IOMMU's root page keeps the principal number of its device.
pub const DOMAIN_SHIFT: u64 = 52;

/// The command that reads memory: send, write to disk.
pub const FROM_MEMORY: u64 = 1;
/// The command that writes memory: receive, read from disk.
pub const TO_MEMORY: u64 = 2;
/// The page that disk transfers go through.
pub const DISK_BUFFER: u64 = address::DMA_BUFFERS + 4096;
/// Words of a disk sector.
pub const SECTOR_WORDS: u64 = 64;

/// Where the IOMMU's entry for a frame and a device is.
pub(super) const fn table_entry(device: u64, frame: u64) -> u64 {
    element(address::IOMMU_TABLES, device.wrapping_mul(1024).wrapping_add(512).wrapping_add(frame))
}

/// Under which principal a device transfers.
fn domain(p: &mut Processor<'_>, device: u64) -> Result<Principal, Trap> {
    let context = p.load_at(element(address::IOMMU_TABLES, device), Structure::IommuTable)?;
    Ok(Principal((context >> DOMAIN_SHIFT & 63) as u8))
}

/// A device's port.
const fn device_port(device: u64, register: u16) -> u16 {
    (device & 7) as u16 * port::COUNT + register
}

verified_routine! {
    /// Opens a page to a device. Arguments: hardware device, the page's address, 1 when the device may
    /// also write. Result: the page's bus address, 0 when it has none.
    HAL_MAP_TRANSFER, HAL_MAP_TRANSFER_VERIFIED = "HalMapTransfer", frame 0, by of_map, at once;
    open => |p| {
        let (device, virt, write) = (p.argument(0), p.argument(1), p.argument(2) & 1);
        let at = entry_address(p, virt)?;
        let entry = p.load_at(at, Structure::PageTable)?;
        let frame = (entry & ADDRESS) >> 12;
        if device >= HARDWARE_DEVICES || frame >= TABLE_FRAMES || entry & paging::PRESENT == 0 {
            return Ok(p.give_back(0));
        }
        let right = if write == 1 { WRITE } else { 0 };
        p.store_at(table_entry(device, frame), Structure::IommuTable, frame << 12 | right | PRESENT)?;
        let subject = domain(p, device)?;
        p.announce(EventKind::DmaGrant, subject, Structure::DmaBuffer, [frame << 12, 0, 512, write]);
        Ok(p.give_back(frame << 12))
    },
}

verified_routine! {
    /// Closes a page to a device. Arguments: hardware device, the page's bus address.
    HAL_UNMAP_TRANSFER, HAL_UNMAP_TRANSFER_VERIFIED = "HalFlushAdapterBuffers", frame 0, by of_unmap, at once;
    close => |p| {
        let (device, frame) = (p.argument(0), p.argument(1) >> 12);
        if device >= HARDWARE_DEVICES || frame >= TABLE_FRAMES {
            return Ok(Flow::Return);
        }
        if configured(p)? & switches::DMA_STAYS == 0 {
            p.store_at(table_entry(device, frame), Structure::IommuTable, 0)?;
        }
        let subject = domain(p, device)?;
        p.announce(EventKind::DmaRevoke, subject, Structure::DmaBuffer, [frame << 12, 0, 512, 0]);
        Ok(Flow::Return)
    },
}

verified_routine! {
    /// Starts a transfer. Arguments: hardware device, bus address, words, command.
    HAL_START_TRANSFER, HAL_START_TRANSFER_VERIFIED = "HalStartTransfer", frame 0, by of_start, at once;
    address => |p| {
        let (device, bus) = (p.argument(0), p.argument(1));
        p.port_out(device_port(device, port::ADDRESS), bus)?;
        Ok(Flow::Next)
    },
    words => |p| {
        let (device, words) = (p.argument(0), p.argument(2));
        p.port_out(device_port(device, port::WORDS), words)?;
        Ok(Flow::Next)
    },
    command => |p| {
        let (device, command) = (p.argument(0), p.argument(3));
        p.port_out(device_port(device, port::COMMAND), command)?;
        Ok(Flow::Return)
    },
}

routine! {
    /// How a device's last transfer went. Argument: hardware device. Result: 0 when it was good.
    pub static HAL_TRANSFER_STATUS = "HalReadTransferStatus", frame 0;
    read => |p| {
        let device = p.argument(0);
        let outcome = p.port_in(device_port(device, port::STATUS))?;
        Ok(p.give_back(outcome))
    },
}

routine! {
    /// Tells the timer when to interrupt. Argument: the time stamp.
    pub static HAL_SET_TIMER = "HalSetTimer", frame 0;
    set => |p| {
        let deadline = p.argument(0);
        p.port_out(device_port(TIMER, port::COMMAND), deadline)?;
        Ok(Flow::Return)
    },
}

/// Keeps the bus address in local 2, if there is one, and names the sector in local 0 to the disk.
fn name_sector(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let bus = p.result();
    if bus == 0 {
        return Ok(p.give_back(status::INSUFFICIENT_RESOURCES));
    }
    p.set_local(2, bus)?;
    let sector = p.local(0)?;
    p.port_out(device_port(DISK_DEVICE, port::SECTOR), sector)?;
    Ok(Flow::Next)
}

/// Waits for the disk.
fn poll_disk(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let busy = p.port_in(device_port(DISK_DEVICE, port::COMMAND))?;
    Ok(if busy == 0 { Flow::Next } else { Flow::Stay })
}

/// Keeps in local 3 how the disk's transfer went.
fn judge_disk(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let refused = p.port_in(device_port(DISK_DEVICE, port::STATUS))?;
    p.set_local(3, if refused == 0 { status::SUCCESS } else { status::DATA_ERROR })?;
    Ok(Flow::Next)
}

/// Passes the bus address in local 2, which is to be closed to the disk.
fn unmap_disk(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let bus = p.local(2)?;
    p.pass([DISK_DEVICE, bus]);
    Ok(Flow::Call)
}

/// Gives back what local 3 says of the transfer.
fn give_back_disk(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let outcome = p.local(3)?;
    Ok(p.give_back(outcome))
}

routine! {
    /// Moves a sector between the disk and its DMA page and waits for it. Arguments: sector, command.
    /// Result: the status.
    pub static HAL_DISK_TRANSFER = "HalDiskTransfer", frame 4;
    // Locals: 0 sector; 1 command; 2 bus address; 3 status.
    keep => |p| {
        let (sector, command) = (p.argument(0), p.argument(1));
        p.set_local(0, sector)?;
        p.set_local(1, command)?;
        Ok(Flow::Next)
    },
    map, call HAL_MAP_TRANSFER => |p| {
        let command = p.local(1)?;
        p.pass([DISK_DEVICE, DISK_BUFFER, u64::from(command == TO_MEMORY)]);
        Ok(Flow::Call)
    },
    sector => name_sector,
    start, call HAL_START_TRANSFER => |p| {
        let (command, bus) = (p.local(1)?, p.local(2)?);
        p.pass([DISK_DEVICE, bus, SECTOR_WORDS, command]);
        Ok(Flow::Call)
    },
    poll => poll_disk,
    judge => judge_disk,
    unmap, call HAL_UNMAP_TRANSFER => unmap_disk,
    done => give_back_disk,
}

routine! {
    /// Writes a sector from a page and waits for it. Arguments: sector, the page's address. Result: the
    /// status.
    pub static HAL_DISK_WRITE = "HalDiskWrite", frame 4;
    // Locals: 0 sector; 1 unused; 2 bus address; 3 status.
    map, call HAL_MAP_TRANSFER => |p| {
        let (sector, page) = (p.argument(0), p.argument(1));
        p.set_local(0, sector)?;
        p.pass([DISK_DEVICE, page, 0]);
        Ok(Flow::Call)
    },
    sector => name_sector,
    start, call HAL_START_TRANSFER => |p| {
        let bus = p.local(2)?;
        p.pass([DISK_DEVICE, bus, SECTOR_WORDS, FROM_MEMORY]);
        Ok(Flow::Call)
    },
    poll => poll_disk,
    judge => judge_disk,
    unmap, call HAL_UNMAP_TRANSFER => unmap_disk,
    done => give_back_disk,
}
