//! A file of any length, record by record, in constant memory.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::ops::Range;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::campaign::Interrupt;
use crate::cli::Failure;
use crate::cli::awaited::Awaited;
use crate::cli::progress::with_time_left;
use crate::oracles::recorded::csv::BYTE_ORDER_MARK;
use crate::oracles::recorded::{Fields, Malformed, Mistake, Scanned};
use crate::scenario::shown;

/// Bytes read ahead.
const BUFFER_BYTES: usize = 1 << 20;

/// Bytes of one record at most: a case takes some 200.
const RECORD_BYTES_MAX: usize = 1 << 16;

/// Where the records come from.
pub(super) struct Input {
    name: String,
    source: Box<dyn Read>,
    interrupt: Interrupt,
    bar: ProgressBar,
    buffer: Vec<u8>,
    /// What of the buffer is filled and not yet read.
    unread: Range<usize>,
    at_end: bool,
    /// The record read last, in the buffer.
    record: Range<usize>,
    fields: Fields,
    /// The line of the record read last, and the one after it.
    line: u64,
    line_next: u64,
    /// The last record ends where the file does.
    is_open_ended: bool,
}

impl Input {
    /// Opens a file, or standard input for nothing or `-`. The interrupt, once raised, is its end.
    pub(super) fn open(name: Option<&str>, interrupt: Interrupt) -> Result<Self, Failure> {
        let mut bar = ProgressBar::hidden();
        let (name, source): (_, Box<dyn Read>) = match name {
            None | Some("-") => {
                ("standard input", Box::new(Awaited::new(io::stdin(), interrupt.clone())))
            }
            Some(name) => {
                let file = File::open(name).map_err(|error| unreadable(name, &error))?;
                let length = file.metadata().map_or(0, |about| about.len());
                bar = progress_bar(length);
                (name, Box::new(file))
            }
        };
        let mut input = Self {
            name: name.to_owned(),
            source,
            interrupt,
            bar,
            buffer: vec![0; BUFFER_BYTES],
            unread: 0..0,
            at_end: false,
            record: 0..0,
            fields: Fields::default(),
            line: 1,
            line_next: 1,
            is_open_ended: false,
        };
        input.fill()?;
        input.refuse_what_is_no_text()?;
        input.refuse_a_header_of_bytes()?;
        if input.buffer[input.unread.clone()].starts_with(BYTE_ORDER_MARK) {
            input.unread.start += BYTE_ORDER_MARK.len();
        }
        Ok(input)
    }

    /// What the file is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The line of the record read last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The record read last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.record.clone()]
    }

    /// Its fields.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether the next record has to be waited for.
    pub(super) fn is_drained(&self) -> bool {
        self.unread.is_empty()
    }

    /// Reads the next record. `false` when there is none.
    pub(super) fn advance(&mut self) -> Result<bool, Failure> {
        if self.interrupt.is_raised() {
            return Ok(false);
        }
        loop {
            let unread = &self.buffer[self.unread.clone()];
            match self.fields.scan(unread, self.at_end) {
                Scanned::Record { bytes, lines } if bytes <= RECORD_BYTES_MAX => {
                    self.record = self.unread.start..self.unread.start + bytes;
                    self.unread.start += bytes;
                    self.line = self.line_next;
                    self.line_next += lines;
                    self.is_open_ended = self.at_end && !self.bytes().ends_with(b"\n");
                    return Ok(true);
                }
                Scanned::Blank { bytes } => {
                    self.unread.start += bytes;
                    self.line_next += 1;
                }
                Scanned::Malformed(malformed) => return Err(self.malformed(malformed)),
                Scanned::Incomplete if unread.len() <= RECORD_BYTES_MAX => {
                    if self.at_end {
                        return Ok(false);
                    }
                    self.fill()?;
                }
                Scanned::Record { .. } | Scanned::Incomplete => return Err(self.overlong()),
            }
        }
    }

    /// Reads more; the record read last is gone.
    fn fill(&mut self) -> Result<(), Failure> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        self.record = 0..0;
        while self.unread.end < self.buffer.len() {
            match self.source.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(bytes) => {
                    self.unread.end += bytes;
                    self.bar.inc(bytes as u64);
                    // What is there is worth its answer: a pipe may take its time for more.
                    if self.buffer[..self.unread.end].contains(&b'\n') {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.name, &error)),
            }
        }
        Ok(())
    }

    fn refuse_what_is_no_text(&self) -> Result<(), Failure> {
        const FORMATS: [(&[u8], &str, &str); 4] = [
            (b"\x28\xb5\x2f\xfd", "zstd-compressed", "zstd -dc FILE | ringfence translate"),
            (b"\x1f\x8b", "gzip-compressed", "gzip -dc FILE | ringfence translate"),
            (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE | ringfence translate"),
            (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE | ringfence translate"),
        ];
        let start = &self.buffer[self.unread.clone()];
        // What `pzstd` writes first is a frame to be skipped (RFC 8878, "Skippable Frames").
        let is_skippable = matches!(start, [low, 0x2a, 0x4d, 0x18, ..] if low & 0xf0 == 0x50);
        let start = if is_skippable { FORMATS[0].0 } else { start };
        for (magic, format, remedy) in FORMATS {
            if start.starts_with(magic) {
                let what = format!("{} is {format}, not CSV text", self.name);
                return Err(Failure::mistake(what, remedy));
            }
        }
        Ok(())
    }

    /// The header line is text, or this is no file of cases. Further down bytes of any kind may stand in
    /// columns that nobody reads.
    fn refuse_a_header_of_bytes(&mut self) -> Result<(), Failure> {
        let start = &self.buffer[self.unread.clone()];
        let blank = start.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let line = &start[blank..start.len().min(RECORD_BYTES_MAX)];
        let line = &line[..line.iter().position(|&byte| byte == b'\n').unwrap_or(line.len())];
        let invalid = core::str::from_utf8(line).err().map(|error| error.valid_up_to());
        let zero = line.iter().position(|&byte| byte == 0);
        let Some(at) = [invalid, zero].into_iter().flatten().min() else { return Ok(()) };
        let what = match line[at] {
            0 => "byte 0x00 is no text".to_owned(),
            byte => format!("byte {byte:#04x} is not UTF-8"),
        };
        let at = blank + at;
        self.record = self.unread.clone();
        let told = self.told(&Mistake {
            at: at..at + 1,
            what,
            expected: "a header line that names the columns, in UTF-8".to_owned(),
            remedy: Some("is this the file you meant? Cases are CSV text".to_owned()),
        });
        Err(told)
    }

    fn malformed(&mut self, malformed: Malformed) -> Failure {
        let (at, what, expected, remedy) = match malformed {
            Malformed::Unclosed(at) => {
                (at, "a quote opens here and none closes it", "a `\"`", None)
            }
            Malformed::AfterQuote(at) => {
                (at, "something follows a closing quote", "a comma or the end of the line", None)
            }
            Malformed::ReturnInLine(at) => (
                at,
                "a carriage return (CR) stands inside of a line",
                "lines that end in LF or CRLF",
                Some(
                    "if CR alone ends its lines: tr '\\r' '\\n' <FILE | ringfence translate; \
                     if it belongs to a field, put that in quotes",
                ),
            ),
        };
        self.record = self.unread.clone();
        self.line = self.line_next;
        self.told(&Mistake {
            at: at..at + 1,
            what: what.to_owned(),
            expected: expected.to_owned(),
            remedy: remedy.map(str::to_owned),
        })
    }

    fn overlong(&mut self) -> Failure {
        self.record = self.unread.start..self.unread.start + 1000;
        self.line = self.line_next;
        self.told(&Mistake {
            at: 0..0,
            what: format!(
                "this line, or a quoted field in it, goes on for over {RECORD_BYTES_MAX} bytes"
            ),
            expected: "one case a line".to_owned(),
            remedy: Some("look for a quote that is not closed".to_owned()),
        })
    }

    /// A mistake in the record read last, with file, line, column and the place itself.
    pub(super) fn told(&self, mistake: &Mistake) -> Failure {
        super::mistake::told(&self.name, self.line, self.bytes(), mistake)
    }

    /// A number that was cut is a number too: says where the file may have been cut.
    pub(super) fn warn_of_an_open_end(&self) {
        if self.is_open_ended {
            let (name, line) = (shown(&self.name), self.line_next - 1);
            let _ = writeln!(
                io::stderr(),
                "warning: {name}:{line}: the last line has no line end: is the file whole?"
            );
        }
    }

    /// A header line alone is a file of no cases, or of cases that were lost.
    pub(super) fn warn_of_no_case(&self) {
        let name = shown(&self.name);
        let _ = writeln!(
            io::stderr(),
            "warning: {name} has no case below its header line: is the file whole?"
        );
    }

    /// The bar is gone.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.finish();
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::mistake(
        format!("can't read {name}: {error}"),
        "name a CSV file that can be read, or `-` for standard input",
    )
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(length: u64) -> ProgressBar {
    let is_seen = io::stderr().is_terminal();
    let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {bytes_per_sec}  {left}")
    {
        bar.set_style(with_time_left(style));
    }
    bar
}
