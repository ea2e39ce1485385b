//! The tables that a walk from CR3 reads, and where a file has them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom};

use crate::base::{Frame, PhysAddr};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, EntryKind, Level, Reserved};

use super::{FileError, Image, Levels, Options};
use crate::audit::image::Table;

/// Page tables that are read at most: 1 GiB of them map 512 GiB in pages of 4 KiB.
pub const TABLES_MAX: u64 = 1 << 18;

/// A part of a frame, where it lies in a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

impl Piece {
    /// A frame in one piece.
    pub(super) fn whole(offset: u64) -> Vec<Self> {
        vec![Self { offset, bytes: 4096 }]
    }
}

/// Where each frame lies in a file.
pub(super) trait Places {
    /// The pieces that make up a frame, in order; `None` when the file does not have all of it.
    fn pieces(&self, frame: Frame) -> Option<Vec<Piece>>;
    /// Where the file has all of a frame once more.
    fn copies(&self, _frame: Frame) -> Vec<Vec<Piece>> {
        Vec::new()
    }
    /// Whether a file that ends within a frame is damaged, or only ends there.
    fn must_be_whole(&self) -> bool;
}

/// The tables that were found.
pub(super) struct Walked {
    pub(super) image: Image,
    /// The file's length, if a table that it should have is not whole in it.
    pub(super) end: Option<u64>,
}

/// The tables that a walk from `cr3` can read, level by level.
pub(super) fn tables<R: Read + Seek>(
    input: &mut R,
    places: &impl Places,
    cr3: u64,
    levels: Levels,
    options: &Options,
) -> Result<Walked, FileError> {
    // Wider than any walk: with XD reserved fewer entries name tables.
    let flags = levels.applied(options.controls.flags.with(ControlFlags::NXE));
    let controls = Controls { cr3, flags, ..options.controls };
    root_is_addressable(&controls)?;
    let reserved = Reserved::new(&controls);
    let mut is_short = false;
    let mut held: BTreeMap<Frame, Box<Table>> = BTreeMap::new();
    let mut level = Level::top(&controls);
    let mut wanted = BTreeSet::from([controls.root().frame()]);
    loop {
        let mut at: Vec<(Vec<Piece>, Frame)> = wanted
            .iter()
            .filter(|frame| !held.contains_key(frame))
            .flat_map(|&frame| {
                let all = places.pieces(frame).into_iter().chain(places.copies(frame));
                all.map(move |pieces| (pieces, frame))
            })
            .collect();
        at.sort_unstable();
        for (pieces, frame) in at {
            if held.len() as u64 >= TABLES_MAX {
                return Err(FileError::at(
                    pieces.first().map_or(0, |piece| piece.offset),
                    format!("there are more than {TABLES_MAX} page tables"),
                    "no real machine has so many: is CR3 right?",
                ));
            }
            match table_at(input, &pieces, places.must_be_whole())? {
                Some(table) if held.get(&frame).is_some_and(|known| *known != table) => {
                    return Err(FileError::at(
                        pieces.first().map_or(0, |piece| piece.offset),
                        format!(
                            "it has the table at {:#x} twice, and with different entries",
                            frame.start().raw()
                        ),
                        "a dump of one moment is expected: stop the machine while it is dumped",
                    ));
                }
                Some(table) => drop(held.insert(frame, table)),
                None => is_short = true,
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
    let mut end = None;
    if is_short {
        let length = input.seek(SeekFrom::End(0));
        end = Some(length.map_err(|error| FileError::reading(0, &error))?);
    }
    let root = controls.root();
    let Some(table) = held.get(&root.frame()) else { return Err(no_root(root, end)) };
    if table.iter().all(|entry| entry & Entry::P == 0) {
        return Err(FileError::anywhere(
            format!(
                "the root table that CR3 names, at {:#x}, has no entry that is present: nothing is \
                 mapped",
                root.raw()
            ),
            "check --cr3, and --base of a raw dump: what lies there is no root table that is in use",
        ));
    }
    Ok(Walked { image: Image::new(cr3, levels, held), end })
}

fn no_root(root: PhysAddr, end: Option<u64>) -> FileError {
    let mut what =
        format!("the root table that CR3 names, at {:#x}, is not in the image", root.raw());
    if let Some(end) = end {
        what.push_str(&format!(", which ends after {end:#x} bytes"));
    }
    FileError::anywhere(what, "check --cr3, and --base of a raw dump")
}

/// A frame of the file. `None` when the file ends before its last byte and need not be whole.
fn table_at<R: Read + Seek>(
    input: &mut R,
    pieces: &[Piece],
    must_be_whole: bool,
) -> Result<Option<Box<Table>>, FileError> {
    let mut bytes = Vec::with_capacity(4096);
    for &Piece { offset, bytes: count } in pieces {
        let start = bytes.len();
        bytes.resize(start + count, 0u8);
        let read =
            input.seek(SeekFrom::Start(offset)).and_then(|_| input.read_exact(&mut bytes[start..]));
        match read {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !must_be_whole => {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(FileError::at(
                    offset,
                    "the file ends within the frame that should be here",
                    "it was cut off; copy it again",
                ));
            }
            Err(error) => return Err(FileError::reading(offset, &error)),
        }
    }
    let mut table = Box::new([0; 512]);
    for (entry, bytes) in table.iter_mut().zip(bytes.chunks_exact(8)) {
        *entry = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    Ok(Some(table))
}

/// Bits of CR3 that name no table: a processor refuses those from MAXPHYADDR on, but for 61 and 62,
/// which choose linear-address masking (Intel SDM volume 3A, "Paging" and "Linear-Address Pre-Processing").
fn root_is_addressable(controls: &Controls) -> Result<(), FileError> {
    const MASKING: u64 = 3 << 61;
    let (cr3, bits) = (controls.cr3, controls.physical_bits());
    let beyond = cr3 & !MASKING & (u64::MAX << bits);
    if beyond == 0 {
        return Ok(());
    }
    let wanted = 64 - beyond.leading_zeros();
    let remedy = if wanted <= 52 {
        format!("give --maxphyaddr {wanted} or more if the machine has it; else check --cr3")
    } else {
        "check --cr3: no physical address has more than 52 bits".to_owned()
    };
    Err(FileError::anywhere(
        format!("CR3 is {cr3:#x}, with bits at or above MAXPHYADDR ({bits})"),
        remedy,
    ))
}
