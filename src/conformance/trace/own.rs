//! Traces as `docs/trace.md` describes them: one event a line, words between spaces.

use core::ops::Range;

use super::event::{Action, Event, Mistake};
use crate::conformance::format::regime::ARCHITECTURES;
use crate::conformance::may_hold::PROCESSORS_MAX;

/// The version of the format.
const VERSION: u64 = 1;

const EVENTS: &str = "trace, init, word, store, load, barrier, invalidate, set, guard, lock, unlock, \
                      free, allocate or done";

/// The words of one line, with where they are.
struct Words<'a> {
    line: &'a str,
    words: Vec<Range<usize>>,
    next: usize,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        let end = line.find('#').unwrap_or(line.len());
        let text = line.get(..end).unwrap_or(line);
        let mut words = Vec::new();
        let mut start = None;
        for (at, c) in text.char_indices() {
            match (c.is_ascii_whitespace(), start) {
                (true, Some(first)) => {
                    words.push(first..at);
                    start = None;
                }
                (false, None) => start = Some(at),
                _ => {}
            }
        }
        if let Some(first) = start {
            words.push(first..end);
        }
        Self { line, words, next: 0 }
    }

    /// Just behind what was read last.
    fn behind(&self) -> Range<usize> {
        let last = self.next.checked_sub(1).and_then(|last| self.words.get(last));
        let end = last.map_or(0, |last| last.end);
        end..end
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, Mistake> {
        let Some(range) = self.words.get(self.next).cloned() else {
            return Err(Mistake::new(self.behind(), "the line ends here", expected));
        };
        self.next += 1;
        Ok(self.line.get(range).unwrap_or(""))
    }

    fn last(&self) -> Range<usize> {
        self.next.checked_sub(1).and_then(|last| self.words.get(last)).cloned().unwrap_or(0..0)
    }

    fn number(&mut self, expected: &str) -> Result<u64, Mistake> {
        let word = self.word(expected)?;
        number(word).map_err(|what| Mistake::new(self.last(), what, expected))
    }

    fn optional(&mut self, expected: &str) -> Result<Option<u64>, Mistake> {
        if self.next < self.words.len() { self.number(expected).map(Some) } else { Ok(None) }
    }

    fn rest(&mut self, expected: &str) -> Result<Vec<u64>, Mistake> {
        let mut numbers = Vec::new();
        while let Some(number) = self.optional(expected)? {
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn end(&self) -> Result<(), Mistake> {
        match self.words.get(self.next) {
            None => Ok(()),
            Some(range) => {
                let what = "something follows that is no part of this event";
                Err(Mistake::new(range.clone(), what, "the end of the line, or # and a comment"))
            }
        }
    }
}

/// A number: hexadecimal with `0x`, else decimal.
pub(super) fn number(word: &str) -> Result<u64, String> {
    let parsed = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
        Some(_) => return Err(format!("{word:?} is no number")),
        None if word.starts_with('+') => return Err(format!("{word:?} is no number")),
        None => word.parse(),
    };
    parsed.map_err(|error| match error.kind() {
        core::num::IntErrorKind::PosOverflow => format!("{word} needs more than 64 bits"),
        _ => format!("{word:?} is no number"),
    })
}

/// What some programs write in front of UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

const ADDRESS: &str = "a physical address, as in 0x41a3000";
const VALUE: &str = "64 bits, as in 0x41a3403";
const BYTES: &str = "a number of bytes, as in 0x1000";
const LOCK: &str = "a number that names the lock: its address";

/// Reads one line. `None` for one without an event.
///
/// # Errors
///
/// What is wrong and where.
pub(super) fn read(line: &str) -> Result<Option<Event<'_>>, Mistake> {
    let mut words = Words::of(line);
    if words.words.is_empty() {
        return Ok(None);
    }
    let name = words.word(EVENTS)?;
    let mut processor = 0;
    if DONE_BY_SOMEBODY.contains(&name) {
        let number = words.number("the number of the processor, below 256")?;
        processor =
            u16::try_from(number).ok().filter(|who| *who < PROCESSORS_MAX).ok_or_else(|| {
                Mistake::new(
                    words.last(),
                    format!("no processor has the number {number}"),
                    "below 256",
                )
            })?;
    }
    let action = action(name, &mut words)?;
    words.end()?;
    Ok(Some(Event { processor, action, words: words.words }))
}

/// Events that some processor does.
const DONE_BY_SOMEBODY: [&str; 10] =
    ["store", "load", "barrier", "invalidate", "set", "lock", "unlock", "free", "allocate", "done"];

fn action<'a>(name: &str, words: &mut Words<'a>) -> Result<Action<'a>, Mistake> {
    Ok(match name {
        "trace" => {
            let version = words.number("the version of the format: 1")?;
            if version != VERSION {
                let what = format!("version {version} of the format is not known");
                return Err(Mistake::new(words.last(), what, "1"));
            }
            Action::Begin { architecture: words.word(ARCHITECTURES)? }
        }
        "init" => {
            let at = aligned(words, ADDRESS, 8)?;
            let bytes = aligned(words, BYTES, 8)?;
            Action::Initialise { at, bytes: some(words, bytes)? }
        }
        "word" => Action::Word { at: aligned(words, ADDRESS, 8)?, value: words.number(VALUE)? },
        "store" => {
            let (at, value) = (aligned(words, ADDRESS, 8)?, words.number(VALUE)?);
            let is_release = words.next < words.words.len();
            if is_release && words.word("release")? != "release" {
                return Err(Mistake::new(
                    words.last(),
                    "stores have no such order",
                    "release, or nothing for an ordinary store",
                ));
            }
            Action::Store { at, value, is_release }
        }
        "load" => Action::Load { at: aligned(words, ADDRESS, 8)?, value: words.number(VALUE)? },
        "barrier" => {
            let name = words.word("dsb, dmb, isb, mfence, sfence or lfence")?;
            let is_last = words.next >= words.words.len();
            let kind = if is_last { "" } else { words.word("ish")? };
            Action::Barrier { name, kind }
        }
        "invalidate" => {
            let name = words.word("an instruction such as vae1is or invlpg")?;
            Action::Invalidate { name, operands: words.rest("an operand")? }
        }
        "set" => {
            let register = words.word("a register such as ttbr0_el1 or cr3")?;
            Action::Set { register, value: words.number(VALUE)? }
        }
        "guard" => Action::Guard { root: words.number(ADDRESS)?, lock: words.number(LOCK)? },
        "lock" => Action::Lock { lock: words.number(LOCK)?, is_nested: false },
        "unlock" => Action::Unlock { lock: words.number(LOCK)? },
        "free" => {
            let at = aligned(words, ADDRESS, 4096)?;
            let bytes = words.optional(BYTES)?.unwrap_or(4096);
            Action::Free { at, bytes: within_memory(words, at, bytes)? }
        }
        "allocate" => {
            let at = aligned(words, ADDRESS, 4096)?;
            let bytes = words.optional(BYTES)?.unwrap_or(4096);
            Action::Allocate { at, bytes: within_memory(words, at, bytes)? }
        }
        "done" => Action::Done,
        other if other.starts_with(BYTE_ORDER_MARK) => {
            let what = "a byte order mark (U+FEFF) stands in front of the event";
            Err(Mistake::new(words.last(), what, EVENTS).help(
                "it may stand in front of the first line only: two files, one behind the other?",
            ))?
        }
        other => {
            let what = format!("no event has the name {other:?}");
            return Err(Mistake::new(words.last(), what, EVENTS));
        }
    })
}

/// A number of bytes that was just read, which is not zero.
fn some(words: &Words<'_>, bytes: u64) -> Result<u64, Mistake> {
    if bytes > 0 { Ok(bytes) } else { Err(Mistake::new(words.last(), "no byte at all", BYTES)) }
}

/// The same, which do not go on behind the last address that 64 bits name.
fn within_memory(words: &Words<'_>, at: u64, bytes: u64) -> Result<u64, Mistake> {
    let bytes = some(words, bytes)?;
    if at.checked_add(bytes - 1).is_some() {
        return Ok(bytes);
    }
    let what = format!("{bytes:#x} bytes from {at:#x} go on behind the last address, 2^64 - 1");
    Err(Mistake::new(words.last(), what, BYTES))
}

fn aligned(words: &mut Words<'_>, expected: &str, align: u64) -> Result<u64, Mistake> {
    let number = words.number(expected)?;
    if number.is_multiple_of(align) {
        return Ok(number);
    }
    let what = format!("{number:#x} is no multiple of {align}");
    Err(Mistake::new(words.last(), what, expected))
}
