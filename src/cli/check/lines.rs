//! A trace of any length, line by line, in constant memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};

use crate::cli::Failure;
use crate::cli::translate::mistake;
use crate::conformance::trace::Mistake;
use crate::oracles::recorded;

/// Bytes of one line at most: an event takes some 60.
const LINE_BYTES_MAX: u64 = 1 << 16;

/// Where the lines come from.
pub(super) struct Lines {
    name: String,
    source: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(name: &str) -> Result<Self, Failure> {
        let (name, source): (_, Box<dyn BufRead>) = if name == "-" {
            ("standard input", Box::new(BufReader::new(io::stdin().lock())))
        } else {
            let file = File::open(name).map_err(|error| unreadable(name, &error))?;
            (name, Box::new(BufReader::with_capacity(1 << 18, file)))
        };
        Ok(Self { name: name.to_owned(), source, line: Vec::new(), number: 0 })
    }

    /// What the trace is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next line without its end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, Failure> {
        self.line.clear();
        let mut bounded = (&mut self.source).take(LINE_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut self.line);
        let bytes = read.map_err(|error| unreadable(&self.name, &error))? as u64;
        if bytes == 0 {
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
