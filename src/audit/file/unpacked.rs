//! What a zstd file holds, to be read from any place.
//!
//! Going back means starting over; readers therefore ask in ascending order. Nothing is kept but
//! the window that the format itself needs.

use core::error::Error;
use core::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Whether a file starts as a zstd frame does, or as a frame to be skipped, as `pzstd` writes first
/// (RFC 8878, "Zstandard Frames" and "Skippable Frames").
pub(super) fn is_packed(first: &[u8]) -> bool {
    match first.first_chunk() {
        Some([0x28, 0xb5, 0x2f, 0xfd]) => true,
        Some(&[low, 0x2a, 0x4d, 0x18]) => low & 0xf0 == 0x50,
        _ => false,
    }
}

/// The window that is allowed for: what `zstd --ultra --long=27` needs.
const WINDOW_MAX: u64 = 128 << 20;

/// A zstd file as what it holds.
pub struct Unpacked<R> {
    input: BufReader<R>,
    decoder: FrameDecoder,
    /// Bytes given out so far.
    at: u64,
    is_at_end: bool,
    /// How many bytes there are, once that is known.
    length: Option<u64>,
    /// What was wrong when it was read last: not every reader hands on what it was told.
    damage: Option<Damage>,
}

impl<R: Read + Seek> Unpacked<R> {
    /// Starts with the first byte.
    ///
    /// # Errors
    ///
    /// When `input` is not a zstd file or can't be read.
    pub fn new(input: R) -> io::Result<Self> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_MAX);
        let input = BufReader::with_capacity(1 << 16, input);
        let mut unpacked =
            Self { input, decoder, at: 0, is_at_end: false, length: None, damage: None };
        unpacked.restart()?;
        Ok(unpacked)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(0))?;
        self.at = 0;
        self.is_at_end = !self.next_frame()?;
        if self.is_at_end {
            self.length = Some(0);
        }
        Ok(())
    }

    /// Goes on to the next frame that holds something; `false` at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(
                        &mut Read::take(&mut self.input, u64::from(length)),
                        &mut io::sink(),
                    )?;
                    if skipped < u64::from(length) {
                        return Err(self.damaged(What::Cut));
                    }
                }
                Err(error) => return Err(self.damage(&error)),
            }
        }
        Ok(false)
    }

    /// Reads what is left: a file that is damaged behind what was asked of it is damaged.
    ///
    /// # Errors
    ///
    /// When it is, or can't be read.
    pub(super) fn read_to_its_end(&mut self) -> io::Result<()> {
        self.skip_to(u64::MAX)
    }

    /// What was found wrong with the packed data.
    pub(super) fn damage_met(&self) -> Option<Damage> {
        self.damage
    }

    /// What the decoder met, where it was in the packed file. Its own words are about its own parts.
    fn damage(&mut self, error: &(dyn Error + 'static)) -> io::Error {
        let mut causes = core::iter::successors(Some(error), |&error| error.source());
        let of_input = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
        let what = match of_input.map(io::Error::kind) {
            Some(io::ErrorKind::UnexpectedEof) => What::Cut,
            Some(kind) => return kind.into(),
            None => match error.downcast_ref() {
                Some(&FrameDecoderError::WindowSizeTooBig { requested, .. }) => {
                    What::Window(requested)
                }
                _ => What::Damaged,
            },
        };
        self.damaged(what)
    }

    fn damaged(&mut self, what: What) -> io::Error {
        let byte = self.input.stream_position().unwrap_or(0);
        let damage = Damage { byte, what };
        self.damage = Some(damage);
        io::Error::new(io::ErrorKind::InvalidData, damage)
    }

    /// Decodes until there is something to give out; `false` at the end of the file.
    fn decode(&mut self) -> io::Result<bool> {
        while self.decoder.can_collect() == 0 {
            if !self.decoder.is_finished() {
                let blocks = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.input, blocks);
                decoded.map_err(|error| self.damage(&error))?;
                continue;
            }
            let said = self.decoder.get_checksum_from_data();
            if said.is_some() && said != self.decoder.get_calculated_checksum() {
                return Err(self.damaged(What::Checksum));
            }
            // Another frame may follow, as after `cat a.zst b.zst`.
            if !self.next_frame()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn skip_to(&mut self, place: u64) -> io::Result<()> {
        if place < self.at {
            self.restart()?;
        }
        let mut scratch = vec![0; 1 << 16];
        while self.at < place {
            let left = usize::try_from(place - self.at).unwrap_or(usize::MAX).min(scratch.len());
            if self.read(&mut scratch[..left])? == 0 {
                break;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Cut,
    Damaged,
    Checksum,
    /// Bytes of window that are asked for.
    Window(u64),
}

/// What is wrong with packed data, and the byte of the packed file up to which it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage {
    byte: u64,
    what: What,
}

impl Damage {
    pub(super) fn remedy(&self) -> &'static str {
        match self.what {
            What::Cut => "it was cut off, or its head is damaged; copy it again",
            What::Window(_) => "pack it again without --long, or with --long=27 at most",
            What::Damaged | What::Checksum => "copy or pack it again",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = self.byte;
        match self.what {
            What::Cut => write!(f, "it can't be read: its zstd data is cut off at byte {byte}"),
            What::Damaged => {
                write!(f, "it can't be read: its zstd data is damaged, before byte {byte}")
            }
            What::Checksum => write!(
                f,
                "it can't be read: its zstd data is damaged: the checksum before byte {byte} is wrong"
            ),
            What::Window(bytes) => write!(
                f,
                "its zstd data needs a window of {bytes} bytes, and {WINDOW_MAX} are allowed"
            ),
        }
    }
}

impl Error for Damage {}

impl<R: Read + Seek> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_end || buffer.is_empty() {
            return Ok(0);
        }
        if !self.decode()? {
            (self.is_at_end, self.length) = (true, Some(self.at));
            return Ok(0);
        }
        let read = self.decoder.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for Unpacked<R> {
    /// A place beyond the end is taken for the end.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(distance) => self.at.checked_add_signed(distance),
            SeekFrom::End(distance) => {
                let length = match self.length {
                    Some(length) => length,
                    None => {
                        self.skip_to(u64::MAX)?;
                        self.at
                    }
                };
                length.checked_add_signed(distance)
            }
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the start");
        self.skip_to(place.ok_or_else(before)?)?;
        Ok(self.at)
    }
}
