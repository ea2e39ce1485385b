//! Where choices come from: a stream of ours, or the bytes of a fuzzer.

use crate::base::Stream;

/// A source of choices.
#[derive(Debug)]
pub(crate) enum Draw<'a> {
    Stream(Box<Stream>),
    /// Every choice takes as few bytes as it needs; behind the end everything is 0.
    Bytes(&'a [u8]),
}

impl Draw<'_> {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        match self {
            Self::Stream(stream) => stream.below(bound),
            Self::Bytes(bytes) => {
                let width = match bound {
                    ..=0x100 => 1,
                    0x101..=0x1_0000 => 2,
                    _ => 8,
                };
                let taken = bytes.split_at_checked(width).unwrap_or((bytes, &[]));
                *bytes = taken.1;
                let mut word = [0; 8];
                for (slot, byte) in word.iter_mut().zip(taken.0) {
                    *slot = *byte;
                }
                u64::from_le_bytes(word) % bound.max(1)
            }
        }
    }

    pub(crate) fn one_in(&mut self, bound: u64) -> bool {
        // A fuzzer's empty input is the plainest case.
        self.below(bound) == bound - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        if choices.is_empty() {
            return None;
        }
        let index = usize::try_from(self.below(choices.len() as u64)).ok()?;
        choices.get(index).copied()
    }

    /// Whether a fuzzer's bytes are used up.
    pub(crate) const fn is_spent(&self) -> bool {
        matches!(self, Self::Bytes([]))
    }
}
