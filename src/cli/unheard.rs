//! Output that somebody may stop reading.

use std::io::{self, ErrorKind, Write};

/// Takes what nobody reads any more as if somebody did, of a command that knows how it ends before it prints: the
/// exit code is that of the whole. One that prints as it goes ends there, and is told.
pub(super) struct Unheard<'a, W> {
    out: &'a mut W,
    is_taken: bool,
    is_closed: bool,
}

impl<'a, W: Write> Unheard<'a, W> {
    /// Whether what is unheard `is_taken`, or an error as ever.
    pub(super) const fn new(out: &'a mut W, is_taken: bool) -> Self {
        Self { out, is_taken, is_closed: false }
    }

    fn heard<T>(&mut self, done: io::Result<T>, otherwise: T) -> io::Result<T> {
        match done {
            Err(error) if self.is_taken && error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(otherwise)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Unheard<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let written = self.out.write(bytes);
        self.heard(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.heard(flushed, ())
    }
}
