//! Images from files: page tables alone, ELF cores, raw dumps; each also compressed with zstd.
//!
//! Only page tables are read. A dump is walked from CR3, level by level, and no more than its tables
//! is ever held, so its size does not matter; of a compressed one each level reads it once.

mod elf;
mod error;
mod ptimg;
mod unpacked;
mod walked;

use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::base::Frame;
use crate::machine::paging::x86_64::Controls;

use super::image::{Image, Levels};

pub use error::FileError;
pub use unpacked::Unpacked;
pub use walked::TABLES_MAX;
use walked::{Piece, Places, Walked, tables};

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
    /// The physical address at which a raw dump ends, when a table that is named lies there or beyond.
    pub end: Option<u64>,
}

struct Raw {
    base: u64,
}

impl Places for Raw {
    fn pieces(&self, frame: Frame) -> Option<Vec<Piece>> {
        frame.start().raw().checked_sub(self.base).map(Piece::whole)
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
    if unpacked::is_packed(&magic) {
        let mut unpacked = Unpacked::new(input).map_err(|error| FileError::reading(0, &error))?;
        let magic = first_bytes(&mut unpacked)?;
        if unpacked::is_packed(&magic) {
            return Err(FileError::at(
                0,
                "it is compressed twice",
                "unpack it once with `zstd -d` and try again",
            ));
        }
        let loaded = by_magic(&mut unpacked, &magic, options).map_err(|error| {
            unpacked.damage_met().map_or_else(|| error.of_unpacked(), FileError::of_damage)
        })?;
        // The checksum of what was read stands at the end.
        unpacked.read_to_its_end().map_err(|error| FileError::reading(0, &error))?;
        return Ok(Loaded { is_compressed: true, ..loaded });
    }
    by_magic(&mut input, &magic, options)
}

fn by_magic<R: Read + Seek>(
    input: &mut R,
    magic: &[u8],
    options: &Options,
) -> Result<Loaded, FileError> {
    if magic.is_empty() {
        return Err(FileError::at(0, "it is empty", "name an image of page tables or memory"));
    }
    if magic.starts_with(ptimg::MAGIC) {
        let index = ptimg::index(&mut BufReader::with_capacity(1 << 16, &mut *input))?;
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
        no_other_format(options, Format::Tables)?;
        let cr3 = options.cr3.unwrap_or(index.cr3);
        let Walked { image, .. } = tables(input, &index, cr3, index.levels, options)?;
        let unreached = index.frames_count() - image.frames().len() as u64;
        let format = Format::Tables;
        let (is_compressed, registers, end) = (false, None, None);
        return Ok(Loaded { image, format, is_compressed, unreached, registers, end });
    }
    if magic.starts_with(b"\x7fELF") {
        let (segments, notes, mut input) = elf::segments(input)?;
        let registers = notes.get(options.processor).copied();
        no_other_format(options, Format::Elf)?;
        if options.processor > 0 && registers.is_none() {
            return Err(no_processor(options.processor, notes.len()));
        }
        if options.cr3.is_none()
            && let Some(registers) = registers
        {
            paging_is_on(registers, options.processor)?;
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
        let Walked { image, .. } = tables(&mut input, &segments, cr3, levels, options)?;
        let (format, is_compressed, unreached, end) = (Format::Elf, false, 0, None);
        return Ok(Loaded { image, format, is_compressed, unreached, registers, end });
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
    no_other_format(options, Format::Raw)?;
    let levels = options.levels.unwrap_or_default();
    let raw = Raw { base: options.base };
    let Walked { image, end } = tables(input, &raw, cr3, levels, options)?;
    let end = end.map(|end| options.base.saturating_add(end));
    let (format, is_compressed, unreached, registers) = (Format::Raw, false, 0, None);
    Ok(Loaded { image, format, is_compressed, unreached, registers, end })
}

/// An option that is for another format says that the caller takes the file for something else.
fn no_other_format(options: &Options, format: Format) -> Result<(), FileError> {
    let found = match format {
        Format::Tables => "an image of page tables (PTIMG001)",
        Format::Elf => "an ELF core",
        Format::Raw => "a raw dump",
    };
    let misplaced = if options.base != 0 && format != Format::Raw {
        Some(("--base is for a raw dump", "--base"))
    } else if options.processor != 0 && format != Format::Elf {
        Some(("--cpu is for an ELF core", "--cpu"))
    } else {
        None
    };
    match misplaced {
        Some((what, option)) => Err(FileError::anywhere(
            format!("{what}, and this is {found}"),
            format!("leave {option} out, or name another file"),
        )),
        None => Ok(()),
    }
}

fn no_processor(asked: usize, known: usize) -> FileError {
    let (what, remedy) = match known {
        0 => (
            "no processor (it has no note named QEMU)".to_owned(),
            "leave --cpu out, and give --cr3 with the physical address of the root table"
                .to_owned(),
        ),
        1 => ("one processor, number 0".to_owned(), "leave --cpu out".to_owned()),
        _ => {
            (format!("{known} processors"), format!("give --cpu a number from 0 to {}", known - 1))
        }
    };
    FileError::anywhere(format!("--cpu {asked}: it tells of the registers of {what}"), remedy)
}

/// Without CR0.PG and CR4.PAE nothing is translated by tables of four or five levels (Intel SDM
/// volume 3A, "Paging Modes and Control Bits"; of `IA32_EFER.LMA` a core does not tell).
fn paging_is_on(registers: Registers, processor: usize) -> Result<(), FileError> {
    let off = match registers {
        Registers { cr0, .. } if cr0 >> 31 & 1 == 0 => "CR0.PG",
        Registers { cr4, .. } if cr4 >> 5 & 1 == 0 => "CR4.PAE",
        _ => return Ok(()),
    };
    Err(FileError::anywhere(
        format!("processor {processor} runs without 4-level paging: {off} is 0"),
        "dump the machine while its system runs, or name another processor with --cpu; tables that \
         are not in use are audited with --cr3",
    ))
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
