//! Standard input, read by a thread of its own so that whoever waits for it can stop waiting.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::campaign::Interrupt;

/// Bytes that are handed over at once.
const CHUNK_BYTES: usize = 1 << 16;
/// Chunks read ahead.
const CHUNKS: usize = 4;
/// How soon a wish to end is heeded.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a thread reads, until an interrupt is raised: that ends it like the end of a file.
pub(super) struct Awaited {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    taken: usize,
    interrupt: Interrupt,
}

impl Awaited {
    pub(super) fn new(source: impl Read + Send + 'static, interrupt: Interrupt) -> Self {
        let (sender, chunks) = sync_channel(CHUNKS);
        // It may be waiting for input when the program ends, and ends with it.
        std::thread::spawn(move || hand_over(source, &sender));
        Self { chunks, chunk: Vec::new(), taken: 0, interrupt }
    }
}

fn hand_over(mut source: impl Read, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let sent = match source.read(&mut chunk) {
            Ok(0) => return,
            Ok(bytes) => {
                chunk.truncate(bytes);
                to.send(Ok(chunk))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = to.send(Err(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.chunk.len() {
            if self.interrupt.is_raised() {
                return Ok(0);
            }
            self.taken = 0;
            self.chunk = match self.chunks.recv_timeout(PATIENCE) {
                Ok(chunk) => chunk?,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            };
        }
        let bytes = buffer.len().min(self.chunk.len() - self.taken);
        buffer[..bytes].copy_from_slice(&self.chunk[self.taken..self.taken + bytes]);
        self.taken += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one line and then nothing, and does not end.
    struct Silent(bool);

    impl Read for Silent {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            while core::mem::replace(&mut self.0, true) {
                std::thread::park();
            }
            buffer[0] = b'\n';
            Ok(1)
        }
    }

    #[test]
    fn whoever_waits_for_silence_is_released() {
        let interrupt = Interrupt::default();
        let mut awaited = Awaited::new(Silent(false), interrupt.clone());
        let mut buffer = [0; 8];

        let first = awaited.read(&mut buffer).expect("a line");
        interrupt.raise();
        let second = awaited.read(&mut buffer).expect("the end");

        assert_eq!((first, second), (1, 0));
    }

    #[test]
    fn all_that_is_read_comes_in_order() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut found = Vec::new();

        let source = io::Cursor::new(bytes.clone());
        let mut awaited = Awaited::new(source, Interrupt::default());
        awaited.read_to_end(&mut found).expect("memory can be read");

        assert!(found == bytes, "{} of {} bytes", found.len(), bytes.len());
    }
}
