//! ELF cores: which bytes of physical memory are where, and the registers that QEMU notes down.
//!
//! QEMU's `dump-guest-memory` writes a note named `QEMU` for each processor (QEMU,
//! `target/i386/arch_dump.c`, `QEMUCPUState`): version and size as 32-bit words; 18 general
//! registers; 10 segments of 24 bytes; then CR0 to CR4.

use std::io::{Read, Seek};

use object::Endianness;
use object::elf::{EM_X86_64, ET_CORE, FileHeader64, PT_LOAD, PT_NOTE, ProgramHeader64};
use object::read::elf::{FileHeader as _, NoteIterator, ProgramHeader as _};
use object::read::{ReadCache, ReadRef as _};

use crate::base::{FRAME_BYTES, Frame};

use super::error::FileError;
use super::{Piece, Places, Registers};

/// Bytes of notes that are read at most, of all segments together.
const NOTES_MAX: u64 = 64 << 20;

/// Program headers that are read at most: QEMU writes one for each block of memory, makedumpfile one for
/// each run of pages it keeps.
const HEADERS_MAX: u32 = 1 << 18;

/// Where CR0 lies in a QEMU note: after version and size, registers and segments.
const CR0: usize = 8 + 18 * 8 + 10 * 24;

/// Bytes of a program header in a 64-bit file (System V ABI, "Program Header").
const PROGRAM_HEADER: usize = size_of::<ProgramHeader64<Endianness>>();

struct Segment {
    physical: u64,
    bytes: u64,
    offset: u64,
}

/// Times that a piece of memory may be in a file. A dump of Linux has the kernel's image twice.
const COPIES_MAX: usize = 4;

/// What of physical memory the file has, by ascending address, without overlap.
struct Layer(Vec<Segment>);

/// What of physical memory the file has, and what it has once more.
pub(super) struct Segments(Vec<Layer>);

impl Segments {
    /// Takes what several segments have apart: of each piece of memory the first is in the first layer.
    fn new(mut found: Vec<Segment>) -> Result<Self, FileError> {
        let twice = |segment: &Segment, remedy: &str| {
            let what = format!("two segments have the physical address {:#x}", segment.physical);
            FileError::at(segment.offset, what, remedy)
        };
        if found.len() > 1 && found.iter().all(|segment| segment.physical == 0) {
            return Err(twice(
                &found[1],
                "segments by physical address are expected: a core of a machine, not of a process",
            ));
        }
        found.sort_by_key(|segment| segment.physical);
        let mut layers: Vec<Layer> = Vec::new();
        'segments: for mut segment in found {
            for layer in &mut layers {
                let end = layer.0.last().map_or(0, Segment::end);
                let common = end.saturating_sub(segment.physical).min(segment.bytes);
                let (start, common_end) = (segment.physical, segment.physical + common);
                if common > 0
                    && !(start.is_multiple_of(FRAME_BYTES)
                        && common_end.is_multiple_of(FRAME_BYTES))
                {
                    return Err(twice(
                        &segment,
                        "segments that overlap in whole frames are expected",
                    ));
                }
                let rest = Segment {
                    physical: segment.physical + common,
                    bytes: segment.bytes - common,
                    offset: segment.offset + common,
                };
                if rest.bytes > 0 {
                    layer.0.push(rest);
                }
                segment.bytes = common;
                if common == 0 {
                    continue 'segments;
                }
            }
            if layers.len() == COPIES_MAX {
                return Err(twice(&segment, "a dump has a piece of memory once, or a few times"));
            }
            layers.push(Layer(vec![segment]));
        }
        Ok(Self(layers))
    }
}

impl Segment {
    /// The physical address behind it.
    const fn end(&self) -> u64 {
        self.physical.saturating_add(self.bytes)
    }
}

impl Places for Segments {
    fn pieces(&self, frame: Frame) -> Option<Vec<Piece>> {
        self.0.first()?.pieces(frame)
    }

    fn copies(&self, frame: Frame) -> Vec<Vec<Piece>> {
        self.0.iter().skip(1).filter_map(|layer| layer.pieces(frame)).collect()
    }

    fn must_be_whole(&self) -> bool {
        true
    }
}

impl Layer {
    /// Segments need not start where frames do: a frame may lie in several.
    fn pieces(&self, frame: Frame) -> Option<Vec<Piece>> {
        let mut at = frame.start().raw();
        let end = at + FRAME_BYTES;
        let mut pieces = Vec::new();
        while at < end {
            let next = self.0.partition_point(|segment| segment.physical <= at);
            let segment = &self.0[next.checked_sub(1)?];
            let within = at - segment.physical;
            let left = segment.bytes.checked_sub(within).filter(|left| *left > 0)?;
            let bytes = left.min(end - at);
            let offset = segment.offset.checked_add(within)?;
            pieces.push(Piece { offset, bytes: usize::try_from(bytes).ok()? });
            at += bytes;
        }
        Some(pieces)
    }
}

/// Reads headers and notes; gives the input back.
pub(super) fn segments<R: Read + Seek>(
    input: R,
) -> Result<(Segments, Vec<Registers>, R), FileError> {
    let damaged = |offset, what: &str| {
        FileError::at(offset, what, "an ELF core of a 64-bit x86 machine is expected; is it whole?")
    };
    let input = ReadCache::new(input);
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    {
        let file = &input;
        let header = FileHeader64::<Endianness>::parse(file)
            .map_err(|_| damaged(0, "its ELF header is damaged, or not that of a 64-bit file"))?;
        let endian =
            header.endian().map_err(|_| damaged(5, "its byte order is neither little nor big"))?;
        if endian != Endianness::Little {
            return Err(damaged(5, "its byte order is big"));
        }
        let (kind, machine) = (header.e_type(endian), header.e_machine(endian));
        if kind != ET_CORE {
            return Err(damaged(
                16,
                &format!("it is no core: ELF type {}, not {}", kind.0, ET_CORE.0),
            ));
        }
        if machine != EM_X86_64 {
            return Err(damaged(
                18,
                &format!("it is another machine's: {}, not {}", machine.0, EM_X86_64.0),
            ));
        }
        let size = header.e_phentsize(endian);
        if header.e_phnum(endian) != 0 && usize::from(size) != PROGRAM_HEADER {
            return Err(damaged(
                54,
                &format!("its program headers have {size} bytes each, not {PROGRAM_HEADER}"),
            ));
        }
        let count = header.phnum(endian, file).map_err(|_| {
            let what =
                "it has too many program headers for its header, and no section that counts them";
            damaged(56, what)
        })?;
        if count > HEADERS_MAX {
            return Err(damaged(
                56,
                &format!("it says it has {count} program headers; {HEADERS_MAX} at most are read"),
            ));
        }
        let headers = header.program_headers(endian, file).map_err(|_| {
            damaged(header.e_phoff(endian), "the file ends within its program headers")
        })?;
        let length = file.len().map_err(|()| damaged(0, "it can't be read to its end"))?;
        let mut notes_bytes = 0u64;
        for (number, program) in headers.iter().enumerate() {
            let (offset, bytes) = program.file_range(endian);
            let kind = program.p_type(endian);
            if bytes == 0 || (kind != PT_LOAD && kind != PT_NOTE) {
                continue;
            }
            if offset.checked_add(bytes).is_none_or(|end| end > length) {
                return Err(damaged(
                    offset,
                    &format!("the file ends at {length}, within segment {number}"),
                ));
            }
            if kind == PT_LOAD {
                found.push(Segment { physical: program.p_paddr(endian), bytes, offset });
                continue;
            }
            notes_bytes = notes_bytes.saturating_add(bytes);
            if notes_bytes > NOTES_MAX {
                return Err(damaged(
                    offset,
                    &format!("up to segment {number} it has {notes_bytes} bytes of notes"),
                ));
            }
            let bytes = file
                .read_bytes_at(offset, bytes)
                .map_err(|()| damaged(offset, "notes that can't be read"))?;
            let notes_of = NoteIterator::<FileHeader64<Endianness>>::new(
                endian,
                program.p_align(endian),
                bytes,
            );
            let mut iterator = notes_of.map_err(|_| damaged(offset, "damaged notes"))?;
            while let Some(note) = iterator.next().map_err(|_| damaged(offset, "damaged notes"))? {
                if note.name() == b"QEMU"
                    && let Some(registers) = registers(note.desc())
                {
                    notes.push(registers);
                }
            }
        }
    }
    if found.is_empty() {
        return Err(damaged(0, "this ELF file has no memory in it (no PT_LOAD segment)"));
    }
    Ok((Segments::new(found)?, notes, input.into_inner()))
}

fn registers(note: &[u8]) -> Option<Registers> {
    let register = |number: usize| {
        let at = CR0 + 8 * number;
        let bytes = note.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    Some(Registers { cr0: register(0)?, cr3: register(3)?, cr4: register(4)? })
}
