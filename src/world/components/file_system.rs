//! A file system: files of one sector each, with a cache that writes back.
//!
//! Reads and writes go to an entry of the cache; a sector that is not there is read into the entry
//! that is next in turn, which is written to the disk first when it is dirty. A flush writes the
//! file's sector ("File Systems and the Cache Manager": cached data reaches the disk later). The
//! disk is reached through the exported support routine, never through the hardware abstraction
//! layer itself.
//!
//! | request | effect |
//! |---|---|
//! | read, write | at the request's offset, within the file's 512 bytes |
//! | flush | the file's sector is on the disk |
//!
//! The data page, as the boot image must prepare it; the cache, two pages at [`address::FILE_CACHE`], is
//! all zero:
//!
//! | word | at boot |
//! |---|---|
//! | [`FIRST_SECTOR`] | 8 |
//! | [`FILE_COUNT`] | 16 |
//! | [`VICTIM`] | 0 |
//!
//! The driver owns the cache and the disk's DMA page.

use crate::base::{Field, Rule, Structure};
use crate::kernel::hal::{DISK_BUFFER, FROM_MEMORY, SECTOR_WORDS, TO_MEMORY};
use crate::kernel::io_disk::IO_DISK_TRANSFER;
use crate::kernel::layout::{address, device_object, driver_object, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::request::IO_COMPLETE_REQUEST;
use crate::kernel::status;
use crate::machine::{Flow, Processor, Reg, Routine, Trap, routine};
use crate::world::driver::Placement;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "cache-writes-later",
        "Cached file data reaches the disk later than it was written, or with a flush.",
        "File Systems and the Cache Manager",
    ),
    Rule::documented(
        "file-systems-by-support",
        "A file system reaches the disk through exported support routines, not the HAL.",
        "User mode and kernel mode (the picture has no such link)",
    ),
    Rule::chosen(
        "one-sector-files",
        "A file is one sector, and a write-back cache has a few of them.",
        "this model: no file system on disk is modelled",
    ),
];

/// The driver's code.
pub const ROUTINES: &[&Routine] =
    &[&FS_READ, &FS_WRITE, &FS_FLUSH, &FS_ENTRY_OF, &FS_WRITE_BACK, &FS_COMPLETE];

/// The driver's entry points.
pub const DISPATCH: Dispatch = Dispatch {
    read: Some(&FS_READ),
    write: Some(&FS_WRITE),
    control: None,
    flush: Some(&FS_FLUSH),
    entry: None,
    deferred: None,
};

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// The sector of file 0.
pub const FIRST_SECTOR: Field = word(0x00, "first file's sector");
/// Number of files.
pub const FILE_COUNT: Field = word(0x08, "file count");
/// The entry of the cache that is given up next.
pub const VICTIM: Field = word(0x10, "cache victim");

const fn cached(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::FileCache, offset, name)
}

/// An entry's sector plus one, 0 when it is empty.
pub const TAG: Field = cached(0x00, "cache tag");
/// 1 when an entry is newer than the disk.
pub const DIRTY: Field = cached(0x08, "cache dirty mark");
/// First of an entry's 64 words.
pub const DATA: Field = cached(0x10, "cached data");
/// Bytes of an entry.
pub const ENTRY_BYTES: u64 = DATA.offset + FILE_BYTES;
/// Entries of the cache.
pub const ENTRIES: u64 = 8;
/// Bytes of a file.
pub const FILE_BYTES: u64 = SECTOR_WORDS * 8;

/// Pages of its own besides its data page.
pub const OWNS: &[(u64, u64, Structure)] = &[
    (address::FILE_CACHE, 512, Structure::FileCache),
    (address::FILE_CACHE + 4096, 512, Structure::FileCache),
    (DISK_BUFFER, 512, Structure::DmaBuffer),
];

/// The first words of the data page.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![(FIRST_SECTOR.offset, 8), (FILE_COUNT.offset, 16)]
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

const fn entry(number: u64) -> u64 {
    address::FILE_CACHE + (number % ENTRIES) * ENTRY_BYTES
}

/// Whether a request lies within an existing file: its status.
fn check(p: &mut Processor<'_>, device: u64, packet: u64, length: Field) -> Result<u64, Trap> {
    let data = data_of(p, device)?;
    if p.load(packet, request_packet::FILE)? >= p.load(data, FILE_COUNT)? {
        return Ok(status::NO_SUCH_FILE);
    }
    let offset = p.load(packet, request_packet::CODE)?;
    let length = p.load(packet, length)?;
    let fits = offset.checked_add(length).is_some_and(|end| end <= FILE_BYTES);
    Ok(if fits { status::SUCCESS } else { status::INVALID_PARAMETER })
}

routine! {
    /// Writes an entry of the cache to the disk if it is dirty. Argument: the entry. Result: the status.
    pub static FS_WRITE_BACK = "FsWriteBack", frame 1;
    copy => |p| {
        let entry = p.argument(0);
        p.set_local(0, entry)?;
        if p.load(entry, TAG)? == 0 || p.load(entry, DIRTY)? == 0 {
            return Ok(p.give_back(status::SUCCESS));
        }
        let data = entry.wrapping_add(DATA.offset);
        p.copy(DISK_BUFFER, Structure::DmaBuffer, data, Structure::FileCache, FILE_BYTES)?;
        Ok(Flow::Next)
    },
    write, call IO_DISK_TRANSFER => |p| {
        let entry = p.local(0)?;
        let sector = p.load(entry, TAG)?.wrapping_sub(1);
        p.pass([sector, FROM_MEMORY]);
        Ok(Flow::Call)
    },
    mark => |p| {
        let outcome = p.result();
        let entry = p.local(0)?;
        if outcome == status::SUCCESS {
            p.store(entry, DIRTY, 0)?;
        }
        Ok(p.give_back(outcome))
    },
}

routine! {
    /// The entry of the cache that holds a file, read from the disk if need be. Arguments: device
    /// object, file number. Results: the entry in rax, 0 when the disk failed, with the status in rdx.
    pub static FS_ENTRY_OF = "FsMapData", frame 4;
    // Locals: 0 driver data; 1 sector; 2 entry in hand; 3 its number.
    start => |p| {
        let (device, file) = (p.argument(0), p.argument(1));
        let data = data_of(p, device)?;
        let sector = p.load(data, FIRST_SECTOR)?.wrapping_add(file);
        p.set_local(0, data)?;
        p.set_local(1, sector)?;
        p.set_local(3, 0)?;
        Ok(Flow::Next)
    },
    look => |p| {
        let (number, sector) = (p.local(3)?, p.local(1)?);
        if number >= ENTRIES {
            return Ok(Flow::Next);
        }
        let at = entry(number);
        if p.load(at, TAG)? == sector.wrapping_add(1) {
            p.put(Reg::Rdx, status::SUCCESS);
            return Ok(p.give_back(at));
        }
        p.set_local(3, number.wrapping_add(1))?;
        Ok(Flow::Stay)
    },
    evict, call FS_WRITE_BACK => |p| {
        let data = p.local(0)?;
        let number = p.load(data, VICTIM)? % ENTRIES;
        p.store(data, VICTIM, number.wrapping_add(1) % ENTRIES)?;
        p.set_local(2, entry(number))?;
        p.pass([entry(number)]);
        Ok(Flow::Call)
    },
    read, call IO_DISK_TRANSFER => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.put(Reg::Rdx, outcome);
            return Ok(p.give_back(0));
        }
        let sector = p.local(1)?;
        p.pass([sector, TO_MEMORY]);
        Ok(Flow::Call)
    },
    fill => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.put(Reg::Rdx, outcome);
            return Ok(p.give_back(0));
        }
        let (entry, sector) = (p.local(2)?, p.local(1)?);
        let data = entry.wrapping_add(DATA.offset);
        p.store(entry, TAG, sector.wrapping_add(1))?;
        p.store(entry, DIRTY, 0)?;
        p.copy(data, Structure::FileCache, DISK_BUFFER, Structure::DmaBuffer, FILE_BYTES)?;
        p.put(Reg::Rdx, status::SUCCESS);
        Ok(p.give_back(entry))
    },
}

routine! {
    /// Completes a packet and gives its status back. Arguments: packet, status, bytes.
    pub static FS_COMPLETE = "FsCompleteRequest", frame 1;
    complete, call IO_COMPLETE_REQUEST => |p| {
        let outcome = p.argument(1);
        p.set_local(0, outcome)?;
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(0)?;
        Ok(p.give_back(outcome))
    },
}

routine! {
    /// Reads. Arguments: device object, packet. Result: the status.
    pub static FS_READ = "FsRead", frame 3;
    // Locals: 0 packet; 1 status; 2 bytes.
    find, call FS_ENTRY_OF => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let length = p.load(packet, request_packet::LENGTH_OUT)?;
        p.set_local(0, packet)?;
        p.set_local(2, length)?;
        let outcome = check(p, device, packet, request_packet::LENGTH_OUT)?;
        if outcome != status::SUCCESS {
            p.set_local(1, outcome)?;
            return Ok(Flow::To(At::fail as u8));
        }
        let file = p.load(packet, request_packet::FILE)?;
        p.pass([device, file]);
        Ok(Flow::Call)
    },
    copy, call FS_COMPLETE => |p| {
        let (entry, outcome) = (p.result(), p.get(Reg::Rdx));
        if entry == 0 {
            p.set_local(1, outcome)?;
            return Ok(Flow::To(At::fail as u8));
        }
        let (packet, length) = (p.local(0)?, p.local(2)?);
        let offset = p.load(packet, request_packet::CODE)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let data = entry.wrapping_add(DATA.offset).wrapping_add(offset);
        p.copy(buffer, Structure::SystemBuffer, data, Structure::FileCache, length)?;
        p.pass([packet, status::SUCCESS, length]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
    fail, call FS_COMPLETE => |p| {
        let (packet, outcome) = (p.local(0)?, p.local(1)?);
        p.pass([packet, outcome, 0]);
        Ok(Flow::Call)
    },
    failed => |_| Ok(Flow::Return),
}

routine! {
    /// Writes. Arguments: device object, packet. Result: the status.
    pub static FS_WRITE = "FsWrite", frame 3;
    // Locals: 0 packet; 1 status; 2 bytes.
    find, call FS_ENTRY_OF => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let length = p.load(packet, request_packet::LENGTH_IN)?;
        p.set_local(0, packet)?;
        p.set_local(2, length)?;
        let outcome = check(p, device, packet, request_packet::LENGTH_IN)?;
        if outcome != status::SUCCESS {
            p.set_local(1, outcome)?;
            return Ok(Flow::To(At::fail as u8));
        }
        let file = p.load(packet, request_packet::FILE)?;
        p.pass([device, file]);
        Ok(Flow::Call)
    },
    copy, call FS_COMPLETE => |p| {
        let (entry, outcome) = (p.result(), p.get(Reg::Rdx));
        if entry == 0 {
            p.set_local(1, outcome)?;
            return Ok(Flow::To(At::fail as u8));
        }
        let (packet, length) = (p.local(0)?, p.local(2)?);
        let offset = p.load(packet, request_packet::CODE)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let data = entry.wrapping_add(DATA.offset).wrapping_add(offset);
        p.copy(data, Structure::FileCache, buffer, Structure::SystemBuffer, length)?;
        p.store(entry, DIRTY, 1)?;
        p.pass([packet, status::SUCCESS, length]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
    fail, call FS_COMPLETE => |p| {
        let (packet, outcome) = (p.local(0)?, p.local(1)?);
        p.pass([packet, outcome, 0]);
        Ok(Flow::Call)
    },
    failed => |_| Ok(Flow::Return),
}

routine! {
    /// Flushes. Arguments: device object, packet. Result: the status.
    pub static FS_FLUSH = "FsFlushBuffers", frame 1;
    find, call FS_ENTRY_OF => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, packet)?;
        let outcome = check(p, device, packet, request_packet::LENGTH_IN)?;
        if outcome != status::SUCCESS {
            p.put(Reg::Rax, outcome);
            return Ok(Flow::To(At::complete as u8));
        }
        let file = p.load(packet, request_packet::FILE)?;
        p.pass([device, file]);
        Ok(Flow::Call)
    },
    write, call FS_WRITE_BACK => |p| {
        let (entry, outcome) = (p.result(), p.get(Reg::Rdx));
        if entry == 0 {
            p.put(Reg::Rax, outcome);
            return Ok(Flow::Next);
        }
        p.pass([entry]);
        Ok(Flow::Call)
    },
    complete, call FS_COMPLETE => |p| {
        let (packet, outcome) = (p.local(0)?, p.result());
        p.pass([packet, outcome, 0]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
