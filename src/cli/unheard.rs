//! Output of a command that knows how it ends before it prints.

use std::io::{self, ErrorKind, Write};

/// Takes what nobody reads any more as if somebody did: the exit code is that of the whole.
pub(super) struct Unheard<'a, W> {
    out: &'a mut W,
    is_closed: bool,
}

impl<'a, W: Write> Unheard<'a, W> {
    pub(super) const fn new(out: &'a mut W) -> Self {
        Self { out, is_closed: false }
    }

    fn heard<T>(&mut self, done: io::Result<T>, otherwise: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
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
