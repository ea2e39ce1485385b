//! Answers as CSV or JSON lines. Written by hand: formatting would take longer than translating.

use std::io::{self, Write};

use crate::oracles::recorded::CaseAnswer;
use crate::oracles::recorded::columns::ANSWER;

/// Bytes that are gathered before they are written.
const GATHERED_BYTES: usize = 1 << 16;

/// Answers on their way out.
pub(super) struct Answers {
    text: Vec<u8>,
    json: bool,
    /// Cases answered.
    pub(super) count: u64,
}

impl Answers {
    pub(super) fn new(json: bool) -> Self {
        let mut text = Vec::with_capacity(GATHERED_BYTES + 4096);
        if !json {
            text.extend_from_slice(ANSWER.as_bytes());
            text.push(b'\n');
        }
        Self { text, json, count: 0 }
    }

    /// Adds the answer to the case with this number.
    #[inline]
    pub(super) fn push(&mut self, id: &[u8], answer: &CaseAnswer) {
        self.count += 1;
        if self.json {
            self.push_json(id, answer);
        } else {
            self.push_csv(id, answer);
        }
    }

    fn push_csv(&mut self, id: &[u8], answer: &CaseAnswer) {
        let text = &mut self.text;
        text.extend_from_slice(id);
        text.push(b',');
        text.extend_from_slice(answer.outcome.name().as_bytes());
        text.push(b',');
        if let Some(code) = answer.outcome.error_code() {
            push_hexadecimal(text, u64::from(code));
        }
        text.push(b',');
        if let Some(address) = answer.outcome.address() {
            push_hexadecimal(text, address);
        }
        text.push(b',');
        push_hexadecimal(text, u64::from(answer.accessed.bits()));
        text.push(b',');
        push_hexadecimal(text, u64::from(answer.dirtied.bits()));
        text.push(b'\n');
    }

    fn push_json(&mut self, id: &[u8], answer: &CaseAnswer) {
        let text = &mut self.text;
        // JSON numbers have no leading zeros.
        let zeros = id.iter().take_while(|&&digit| digit == b'0').count();
        let id = &id[zeros.min(id.len().saturating_sub(1))..];
        let cell = |text: &mut Vec<u8>, name: &str, value: Option<u64>| {
            text.extend_from_slice(b",\"");
            text.extend_from_slice(name.as_bytes());
            match value {
                None => text.extend_from_slice(b"\":null"),
                Some(value) => {
                    text.extend_from_slice(b"\":\"");
                    push_hexadecimal(text, value);
                    text.push(b'"');
                }
            }
        };
        text.extend_from_slice(b"{\"id\":");
        text.extend_from_slice(id);
        text.extend_from_slice(b",\"out\":\"");
        text.extend_from_slice(answer.outcome.name().as_bytes());
        text.push(b'"');
        cell(text, "err", answer.outcome.error_code().map(u64::from));
        cell(text, "addr", answer.outcome.address());
        cell(text, "aset", Some(u64::from(answer.accessed.bits())));
        cell(text, "dset", Some(u64::from(answer.dirtied.bits())));
        text.extend_from_slice(b"}\n");
    }

    /// Whether enough was gathered to be written.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= GATHERED_BYTES
    }

    /// Writes what was gathered.
    pub(super) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

#[inline]
fn push_hexadecimal(text: &mut Vec<u8>, value: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (67 - u64::leading_zeros(value | 1)) / 4;
    let mut shift = digits * 4;
    while shift > 0 {
        shift -= 4;
        text.push(DIGITS[usize::from((value >> shift & 15).to_le_bytes()[0])]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hexadecimal_without_leading_zeros() {
        for value in (0..64).map(|bit| 1u64 << bit).flat_map(|bit| [bit - 1, bit, bit + 1]) {
            let mut text = Vec::new();

            push_hexadecimal(&mut text, value);

            assert_eq!(String::from_utf8(text).as_deref(), Ok(&*format!("{value:x}")));
        }
    }
}
