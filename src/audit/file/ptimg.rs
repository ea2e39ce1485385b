//! Page tables alone.
//!
//! Little endian: 8 bytes `PTIMG001`, CR3, the levels of paging, the number of frames N, then N times
//! the physical address of a frame and its 4096 bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::audit::image::Levels;
use crate::base::{Frame, PhysAddr};

use super::error::FileError;
use super::{Piece, Places, TABLES_MAX};

pub(super) const MAGIC: &[u8] = b"PTIMG001";

/// Bytes before the first frame.
const HEADER: u64 = 32;

/// Bytes of a frame with its address.
const RECORD: u64 = 8 + 4096;

/// Where each frame is.
pub(super) struct Index {
    pub(super) cr3: u64,
    pub(super) levels: Levels,
    places: BTreeMap<Frame, u64>,
}

impl Index {
    pub(super) fn frames_count(&self) -> u64 {
        self.places.len() as u64
    }
}

impl Places for Index {
    fn pieces(&self, frame: Frame) -> Option<Vec<Piece>> {
        self.places.get(&frame).copied().map(Piece::whole)
    }

    fn must_be_whole(&self) -> bool {
        true
    }
}

/// Reads the file once, to its end.
pub(super) fn index(input: &mut impl Read) -> Result<Index, FileError> {
    const CUT: &str = "it was cut off; copy it again";
    let mut at = 0;
    let mut word = |what: &str| {
        let mut bytes = [0; 8];
        read_exact(input, &mut bytes, at, || (format!("the file ends within {what}"), CUT))?;
        at += 8;
        Ok::<u64, FileError>(u64::from_le_bytes(bytes))
    };
    let (_, cr3) = (word("its first word")?, word("CR3")?);
    let levels = word("the levels of paging")?;
    let count = word("the number of frames")?;
    let Some(levels) = Levels::new(levels) else {
        return Err(FileError::at(
            16,
            format!("it says {levels} levels of paging; expected 4 or 5"),
            "it is damaged; make it again",
        ));
    };
    if count > TABLES_MAX {
        return Err(FileError::at(
            24,
            format!("it says it has {count} frames; {TABLES_MAX} at most are read"),
            "it is damaged; make it again",
        ));
    }
    let mut places = BTreeMap::new();
    let mut bytes = vec![0; 4096];
    for number in 0..count {
        let at = HEADER + number * RECORD;
        let cut = || (format!("the file ends within frame {number} of {count}"), CUT);
        let mut address = [0; 8];
        read_exact(input, &mut address, at, cut)?;
        let address = u64::from_le_bytes(address);
        let frame = PhysAddr::new(address).filter(|address| address.offset() == 0);
        let Some(frame) = frame.map(PhysAddr::frame) else {
            return Err(FileError::at(
                at,
                format!(
                    "frame {number} has the address {address:#x}; expected a multiple of 0x1000 \
                     below 2^52"
                ),
                "it is damaged; make it again",
            ));
        };
        if let Some(before) = places.insert(frame, at + 8) {
            return Err(FileError::at(
                at,
                format!(
                    "the frame at {address:#x} is here again; it was at byte {} first",
                    before - 8
                ),
                "an image has each frame once; make it again",
            ));
        }
        read_exact(input, &mut bytes, at + 8, cut)?;
    }
    let end = HEADER + count * RECORD;
    match input.read(&mut [0]) {
        Ok(0) => Ok(Index { cr3, levels, places }),
        Ok(_) => Err(FileError::at(
            end,
            format!("there is more after the last of {count} frames"),
            "the number of frames, at byte 24, is wrong or the file is damaged",
        )),
        Err(error) => Err(FileError::reading(end, &error)),
    }
}

fn read_exact(
    input: &mut impl Read,
    bytes: &mut [u8],
    at: u64,
    cut: impl FnOnce() -> (String, &'static str),
) -> Result<(), FileError> {
    input.read_exact(bytes).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            let (what, remedy) = cut();
            FileError::at(at, what, remedy)
        } else {
            FileError::reading(at, &error)
        }
    })
}
