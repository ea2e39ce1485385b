//! A trace of any length, line by line, in constant memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::time::Duration;

use crate::campaign::Interrupt;
use crate::cli::Failure;
use crate::cli::awaited::Awaited;
use crate::cli::translate::mistake;
use crate::conformance::trace::Mistake;
use crate::oracles::recorded;
use crate::oracles::recorded::csv::BYTE_ORDER_MARK;

/// Bytes of one line at most: an event takes some 60.
const LINE_BYTES_MAX: u64 = 1 << 16;

/// How much later than the end of the writer an interrupt may be heard of.
const SIGNAL_LAG: Duration = Duration::from_millis(50);

/// Where the lines come from.
pub(super) struct Lines {
    name: String,
    source: Box<dyn BufRead>,
    interrupt: Interrupt,
    /// Somebody writes it at this moment.
    is_live: bool,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a file, or standard input for `-`. The interrupt, once raised, is its end.
    pub(super) fn open(name: &str, interrupt: Interrupt) -> Result<Self, Failure> {
        let is_live = name == "-";
        let (name, source): (_, Box<dyn BufRead>) = if is_live {
            let awaited = Awaited::new(io::stdin(), interrupt.clone());
            ("standard input", Box::new(BufReader::new(awaited)))
        } else {
            let file = File::open(name).map_err(|error| unreadable(name, &error))?;
            (name, Box::new(BufReader::with_capacity(1 << 18, file)))
        };
        let name = name.to_owned();
        Ok(Self { name, source, interrupt, is_live, line: Vec::new(), number: 0 })
    }

    /// What the trace is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next line without its end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, Failure> {
        self.line.clear();
        if self.interrupt.is_raised() {
            return Ok(None);
        }
        let mut bounded = (&mut self.source).take(LINE_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut self.line);
        let bytes = read.map_err(|error| unreadable(&self.name, &error))? as u64;
        let is_cut = self.line.last() != Some(&b'\n');
        if bytes > 0 && is_cut && self.is_live {
            // Ctrl-C ends whoever writes as well, and his end may be seen before ours.
            std::thread::sleep(SIGNAL_LAG);
        }
        if bytes == 0 || (is_cut && self.interrupt.is_raised()) {
            return Ok(None);
        }
        self.number += 1;
        if bytes == LINE_BYTES_MAX {
            self.line.truncate(1000);
            return Err(self.told_at(
                0..0,
                "this line goes on for over 64 KiB",
                "one event a line",
            ));
        }
        while self.line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.pop();
        }
        if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        if let Err(error) = core::str::from_utf8(&self.line) {
            let at = error.valid_up_to();
            return Err(self.told_at(at..at + 1, "this is no text", "UTF-8"));
        }
        Ok(core::str::from_utf8(&self.line).ok())
    }

    /// The line read last, as it can be printed.
    pub(super) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.line);
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// A mistake in the line read last, with file, line, column and the place itself.
    pub(super) fn told(&self, mistake: &Mistake) -> Failure {
        let mistake = recorded::Mistake {
            at: mistake.at.clone(),
            what: mistake.what.clone(),
            expected: mistake.expected.clone(),
            remedy: mistake.remedy.clone(),
        };
        mistake::told(&self.name, self.number, &self.line, &mistake)
    }

    fn told_at(&self, at: core::ops::Range<usize>, what: &str, expected: &str) -> Failure {
        let (what, expected) = (what.to_owned(), expected.to_owned());
        let remedy =
            Some("a trace is plain text: zstd -dc TRACE.zst | ringfence check -".to_owned());
        let mistake = recorded::Mistake { at, what, expected, remedy };
        mistake::told(&self.name, self.number, &self.line, &mistake)
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::mistake(
        format!("can't read {name}: {error}"),
        "name a trace that can be read, or `-` for standard input",
    )
}
