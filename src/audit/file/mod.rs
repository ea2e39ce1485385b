//! Images from files: page tables alone, ELF cores, raw dumps; each also compressed with zstd.
//!
//! Only page tables are read. A dump is walked from CR3, level by level, and no more than its tables
//! is ever held, so its size does not matter; of a compressed one each level reads it once.

mod elf;
mod error;
mod ptimg;
mod unpacked;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::base::{Frame, PhysAddr};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, EntryKind, Level, Reserved};

use super::image::{Image, Levels, Table};

pub use error::FileError;
pub use unpacked::Unpacked;

/// Page tables that are read at most: 4 GiB of them map 2 TiB in pages of 4 KiB.
pub const TABLES_MAX: u64 = 1 << 20;

/// What the file does not say, or what is to count instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// CR3; a raw dump needs it.
    pub cr3: Option<u64>,
    /// The physical address of a raw dump's first byte.
    pub base: u64,
    /// Levels of paging; 4 when neither this nor the file says so.
    pub levels: Option<Levels>,
    /// The processor whose registers are taken from an ELF core, from 0.
    pub processor: usize,
    /// The controls that decide which entries name tables; root and levels don't matter.
    pub controls: Controls,
}

/// In what form the tables were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Page tables alone: `PTIMG001`.
    Tables,
    /// An ELF core, segments by physical address.
    Elf,
    /// Physical memory, byte for byte.
    Raw,
}

/// Control registers that an ELF core tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    /// CR0.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The tables.
    pub image: Image,
    /// Where they were found.
    pub format: Format,
    /// The file was compressed.
    pub is_compressed: bool,
    /// Frames of the file that no walk reads; only of an image of tables alone.
    pub unreached: u64,
    /// The registers the file tells of.
    pub registers: Option<Registers>,
}

/// Where each frame lies in a file.
pub(super) trait Places {
    /// Where the frame's bytes are; `None` when the file does not have it.
    fn place(&self, frame: Frame) -> Option<u64>;
    /// Whether a file that ends within a frame is damaged, or only ends there.
    fn must_be_whole(&self) -> bool;
}

struct Raw {
    base: u64,
}

impl Places for Raw {
    fn place(&self, frame: Frame) -> Option<u64> {
        frame.start().raw().checked_sub(self.base)
    }

    fn must_be_whole(&self) -> bool {
        false
    }
}

/// Reads the page tables of an image.
///
/// # Errors
///
/// When the file is not an image, is damaged or compressed otherwise than with zstd, does not hold
/// the root, or can't be read; with the byte at which that shows.
pub fn read<R: Read + Seek>(mut input: R, options: &Options) -> Result<Loaded, FileError> {
    let magic = first_bytes(&mut input)?;
    if magic.starts_with(&unpacked::MAGIC) {
        let mut unpacked = Unpacked::new(input).map_err(|error| FileError::reading(0, &error))?;
        let magic = first_bytes(&mut unpacked)?;
        if magic.starts_with(&unpacked::MAGIC) {
            return Err(FileError::at(
                0,
                "it is compressed twice",
                "unpack it once with `zstd -d` and try again",
            ));
        }
        let loaded = by_magic(unpacked, &magic, options).map_err(FileError::of_unpacked)?;
        return Ok(Loaded { is_compressed: true, ..loaded });
    }
    by_magic(input, &magic, options)
}

fn by_magic<R: Read + Seek>(
    mut input: R,
    magic: &[u8],
    options: &Options,
) -> Result<Loaded, FileError> {
    if magic.is_empty() {
        return Err(FileError::at(0, "it is empty", "name an image of page tables or memory"));
    }
    if magic.starts_with(ptimg::MAGIC) {
        let index = ptimg::index(&mut BufReader::with_capacity(1 << 16, &mut input))?;
        if let Some(levels) = options.levels
            && levels != index.levels
        {
            let (found, asked) = (index.levels.count(), levels.count());
            return Err(FileError::at(
                16,
                format!("it has {found} levels of paging, and --levels says {asked}"),
                "leave --levels out",
            ));
        }
        let cr3 = options.cr3.unwrap_or(index.cr3);
        let image = tables(&mut input, &index, cr3, index.levels, options)?;
        let unreached = index.frames_count() - image.frames().len() as u64;
        let format = Format::Tables;
        return Ok(Loaded { image, format, is_compressed: false, unreached, registers: None });
    }
    if magic.starts_with(b"\x7fELF") {
        let (segments, notes, mut input) = elf::segments(input)?;
        let registers = notes.get(options.processor).copied();
        if options.processor > 0 && registers.is_none() {
            return Err(FileError::anywhere(
                format!("it tells of the registers of {} processors", notes.len()),
                format!("give --cpu a number below {}", notes.len().max(1)),
            ));
        }
        let Some(cr3) = options.cr3.or(registers.map(|registers| registers.cr3)) else {
            return Err(FileError::anywhere(
                "this ELF core does not say what CR3 is (it has no note named QEMU)",
                "give --cr3 with the physical address of the root table",
            ));
        };
        let of_cr4 =
            registers.map(
                |registers| {
                    if registers.cr4 & 1 << 12 != 0 { Levels::Five } else { Levels::Four }
                },
            );
        let levels = options.levels.or(of_cr4).unwrap_or_default();
        let image = tables(&mut input, &segments, cr3, levels, options)?;
        let format = Format::Elf;
        return Ok(Loaded { image, format, is_compressed: false, unreached: 0, registers });
    }
    if let Some((name, tool)) = other_compression(magic) {
        return Err(FileError::at(
            0,
            format!("it is compressed with {name}, and only zstd is read"),
            format!("unpack it first: `{tool}`"),
        ));
    }
    let Some(cr3) = options.cr3 else {
        return Err(FileError::at(
            0,
            "it is neither an image of page tables (PTIMG001) nor an ELF core, also not with zstd",
            "for a raw dump of physical memory give --cr3 (and --base where it does not start at 0)",
        ));
    };
    let levels = options.levels.unwrap_or_default();
    let image = tables(&mut input, &Raw { base: options.base }, cr3, levels, options)?;
    Ok(Loaded { image, format: Format::Raw, is_compressed: false, unreached: 0, registers: None })
}

/// The first bytes of a file, eight at most; the next read starts over.
fn first_bytes<R: Read + Seek>(input: &mut R) -> Result<Vec<u8>, FileError> {
    let mut magic = Vec::new();
    let read = Read::take(&mut *input, 8).read_to_end(&mut magic);
    read.and_then(|_| input.seek(SeekFrom::Start(0)))
        .map_err(|error| FileError::reading(0, &error))?;
    Ok(magic)
}

fn other_compression(magic: &[u8]) -> Option<(&'static str, &'static str)> {
    let known: [(&[u8], _, _); 6] = [
        (b"\x1f\x8b", "gzip", "gunzip"),
        (b"\xfd7zXZ", "xz", "unxz"),
        (b"BZh", "bzip2", "bunzip2"),
        (b"\x04\x22\x4d\x18", "lz4", "unlz4"),
        (b"PK\x03\x04", "zip", "unzip"),
        (b"KDUMP", "makedumpfile", "makedumpfile -x -E"),
    ];
    let found = known.into_iter().find(|(bytes, _, _)| magic.starts_with(bytes));
    found.map(|(_, name, tool)| (name, tool))
}

/// The tables that a walk from `cr3` can read, level by level.
fn tables<R: Read + Seek>(
    input: &mut R,
    places: &impl Places,
    cr3: u64,
    levels: Levels,
    options: &Options,
) -> Result<Image, FileError> {
    // Wider than any walk: with XD reserved fewer entries name tables.
    let flags = levels.applied(options.controls.flags.with(ControlFlags::NXE));
    let controls = Controls { cr3, flags, ..options.controls };
    let reserved = Reserved::new(&controls);
    let mut held: BTreeMap<Frame, Box<Table>> = BTreeMap::new();
    let mut level = Level::top(&controls);
    let mut wanted = BTreeSet::from([controls.root().frame()]);
    loop {
        let mut at: Vec<(u64, Frame)> = wanted
            .iter()
            .filter(|frame| !held.contains_key(frame))
            .filter_map(|&frame| places.place(frame).map(|place| (place, frame)))
            .collect();
        at.sort_unstable();
        for (place, frame) in at {
            if held.len() as u64 >= TABLES_MAX {
                return Err(FileError::at(
                    place,
                    format!("there are more than {TABLES_MAX} page tables"),
                    "no real machine has so many: is CR3 right?",
                ));
            }
            if let Some(table) = table_at(input, place, places.must_be_whole())? {
                held.insert(frame, table);
            }
        }
        if level == Level::Pt {
            break;
        }
        let tables = wanted.iter().filter_map(|frame| held.get(frame));
        let entries = tables.flat_map(|table| table.iter().copied());
        wanted = entries
            .filter_map(|entry| match Entry(entry).kind(level, reserved) {
                EntryKind::Table(at) => Some(at.frame()),
                _ => None,
            })
            .collect();
        level = level.below();
    }
    let root = controls.root();
    if !held.contains_key(&root.frame()) {
        return Err(no_root(root));
    }
    Ok(Image::new(cr3, levels, held))
}

fn no_root(root: PhysAddr) -> FileError {
    FileError::anywhere(
        format!("the root table that CR3 names, at {:#x}, is not in the image", root.raw()),
        "check --cr3, and --base of a raw dump",
    )
}

/// A frame of the file. `None` when the file ends before its last byte and need not be whole.
fn table_at<R: Read + Seek>(
    input: &mut R,
    place: u64,
    must_be_whole: bool,
) -> Result<Option<Box<Table>>, FileError> {
    let mut bytes = vec![0u8; 4096];
    let read = input.seek(SeekFrom::Start(place)).and_then(|_| input.read_exact(&mut bytes));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !must_be_whole => {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(FileError::at(
                place,
                "the file ends within the frame that should be here",
                "it was cut off; copy it again",
            ));
        }
        Err(error) => return Err(FileError::reading(place, &error)),
    }
    let mut table = Box::new([0; 512]);
    for (entry, bytes) in table.iter_mut().zip(bytes.chunks_exact(8)) {
        *entry = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    Ok(Some(table))
}
