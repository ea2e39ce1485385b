//! Traces of casemate (rems-project/casemate), the monitor of Arm's break-before-make protocol that was
//! made for pKVM: S-expressions, one record each.
//!
//! Its manual, chapter "Trace format", has the grammar. Fields have names or are given by position;
//! numbers are hexadecimal, with or without `0x`, but for `id` and `tid`. What its example programs
//! print ends with a line that begins with `!` when the monitor found something: that is its verdict.

use core::ops::Range;

use super::event::{Action, Event, Mistake};
use crate::conformance::may_hold::PROCESSORS_MAX;

const RECORDS: &str = "mem-write, mem-read, mem-init, mem-free, mem-set, barrier, tlbi, sysreg-write, \
                       hint, lock, trylock or unlock";

/// One field: its name if it has one, its value, and where that is.
struct Field<'a> {
    name: Option<&'a str>,
    value: &'a str,
    at: Range<usize>,
}

/// Reads one line. `None` for one without a record.
///
/// # Errors
///
/// What is wrong and where.
pub(super) fn read(line: &str) -> Result<Option<Event<'_>>, Mistake> {
    let text = line.trim();
    let start = line.len() - line.trim_start().len();
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(verdict) = text.strip_prefix('!') {
        let action = Action::Verdict { text: verdict.trim() };
        return Ok(Some(Event { processor: 0, action, words: Vec::new() }));
    }
    let (name, fields) = record(line, start)?;
    let mut taker = Taker { fields, next: 0, name: name.clone() };
    let _ = taker.take("id", "a sequence number")?;
    let thread = taker.take("tid", "the number of a thread")?;
    let processor =
        thread.value.parse().ok().filter(|who| *who < PROCESSORS_MAX).ok_or_else(|| {
            Mistake::new(thread.at, "no thread has this number", "a number below 256")
        })?;
    let action = action(line.get(name).unwrap_or(""), &mut taker)?;
    taker.end()?;
    let words = taker.fields.into_iter().map(|field| field.at).collect();
    Ok(Some(Event { processor, action, words }))
}

/// Splits `(name (field value) value …)`.
fn record(line: &str, start: usize) -> Result<(Range<usize>, Vec<Field<'_>>), Mistake> {
    let mut tokens = Tokens { line, at: start };
    let (open, at) = tokens.next().unwrap_or(("", start..start));
    if open != "(" {
        return Err(Mistake::new(at, "no record begins here", "a `(`")
            .help("for traces in ringfence's own format leave out --format"));
    }
    let (_, name) = word(&mut tokens, RECORDS)?;
    let mut fields = Vec::new();
    loop {
        let Some((token, at)) = tokens.next() else {
            let end = line.len();
            return Err(Mistake::new(end..end, "the line ends within a record", "a `)`"));
        };
        match token {
            ")" => break,
            "(" => {
                let (name, _) = word(&mut tokens, "the name of a field")?;
                let (value, at) = word(&mut tokens, "its value")?;
                match tokens.next() {
                    Some((")", _)) => fields.push(Field { name: Some(name), value, at }),
                    Some((_, at)) => {
                        return Err(Mistake::new(at, "a field has one value", "a `)`"));
                    }
                    None => {
                        let end = line.len();
                        return Err(Mistake::new(
                            end..end,
                            "the line ends within a field",
                            "a `)`",
                        ));
                    }
                }
            }
            value => fields.push(Field { name: None, value, at }),
        }
    }
    match tokens.next() {
        None => Ok((name, fields)),
        Some((_, at)) => Err(Mistake::new(at, "something follows the record", "one record a line")),
    }
}

fn word<'a>(tokens: &mut Tokens<'a>, expected: &str) -> Result<(&'a str, Range<usize>), Mistake> {
    match tokens.next() {
        Some((token, at)) if token != "(" && token != ")" => Ok((token, at)),
        Some((_, at)) => Err(Mistake::new(at, "a word is missing here", expected)),
        None => {
            let end = tokens.line.len();
            Err(Mistake::new(end..end, "the line ends here", expected))
        }
    }
}

/// Brackets, quoted text with its quotes, and words.
struct Tokens<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (&'a str, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.line.get(self.at..)?;
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = self.line.get(start..)?;
        let first = rest.chars().next()?;
        let length = match first {
            '(' | ')' => 1,
            '"' => rest.get(1..)?.find('"').map_or(rest.len(), |end| end + 2),
            _ => {
                rest.find(|c: char| c.is_whitespace() || c == '(' || c == ')').unwrap_or(rest.len())
            }
        };
        self.at = start + length;
        Some((rest.get(..length)?, start..self.at))
    }
}

/// Hands out the fields in their order.
struct Taker<'a> {
    fields: Vec<Field<'a>>,
    next: usize,
    name: Range<usize>,
}

struct Taken<'a> {
    value: &'a str,
    at: Range<usize>,
}

impl<'a> Taker<'a> {
    fn take(&mut self, name: &str, expected: &str) -> Result<Taken<'a>, Mistake> {
        let Some(field) = self.fields.get(self.next) else {
            let last = self.fields.last().map_or(self.name.end, |field| field.at.end);
            let what = format!("the record ends without {name}");
            return Err(Mistake::new(last..last, what, expected));
        };
        if let Some(other) = field.name.filter(|other| *other != name && !is_alias(name, other)) {
            let what = format!("{other} stands where {name} is expected");
            return Err(Mistake::new(field.at.clone(), what, format!("({name} …): {expected}")));
        }
        self.next += 1;
        Ok(Taken { value: field.value, at: field.at.clone() })
    }

    fn number(&mut self, name: &str) -> Result<u64, Mistake> {
        const EXPECTED: &str = "a hexadecimal number of 64 bits at most";
        let taken = self.take(name, EXPECTED)?;
        let digits = taken.value.strip_prefix("0x").unwrap_or(taken.value);
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal).ok_or_else(|| {
            let what = format!("{:?} is no such number", taken.value);
            Mistake::new(taken.at, what, EXPECTED)
        })
    }

    /// Whether a field with this name, or one without any, comes next.
    fn has(&self, name: &str) -> bool {
        self.fields.get(self.next).is_some_and(|field| {
            field.name.is_none_or(|other| other == name || is_alias(name, other))
                && !field.value.starts_with('"')
        })
    }

    /// Where the line of the source is told, nothing else follows.
    fn end(&self) -> Result<(), Mistake> {
        let rest = self.fields.get(self.next..).unwrap_or_default();
        match rest.iter().find(|field| !matches!(field.name, Some("src" | "level") | None)) {
            None => Ok(()),
            Some(field) => {
                let what = format!("the record has no field {}", field.name.unwrap_or(""));
                Err(Mistake::new(field.at.clone(), what, "(src …) or the end of the record"))
            }
        }
    }
}

/// Names that older traces have.
fn is_alias(name: &str, other: &str) -> bool {
    matches!((name, other), ("tid", "thread") | ("value", "addr"))
}

fn action<'a>(name: &str, fields: &mut Taker<'a>) -> Result<Action<'a>, Mistake> {
    Ok(match name {
        "mem-write" => {
            let order = fields.take("mem-order", "plain or release")?;
            let is_release = match order.value {
                "release" | "RELEASE" => true,
                "plain" | "PLAIN" => false,
                _ => return Err(Mistake::new(order.at, "no such order", "plain or release")),
            };
            let at = aligned(fields, "address", 8)?;
            Action::Store { at, value: fields.number("value")?, is_release }
        }
        "mem-read" => {
            Action::Load { at: aligned(fields, "address", 8)?, value: fields.number("value")? }
        }
        "mem-init" => {
            let at = aligned(fields, "address", 8)?;
            Action::Initialise { at, bytes: aligned(fields, "size", 8)? }
        }
        "mem-free" => {
            let at = aligned(fields, "address", 8)?;
            Action::Free { at, bytes: aligned(fields, "size", 8)? }
        }
        "mem-set" => {
            let at = aligned(fields, "address", 8)?;
            let bytes = aligned(fields, "size", 8)?;
            let byte = u8::try_from(fields.number("value")? & 0xff).unwrap_or(0);
            Action::Fill { at, bytes, byte }
        }
        "barrier" => {
            let name = fields.take("barrier", "dsb or isb")?.value;
            let kind = if fields.has("kind") { fields.take("kind", "ish")?.value } else { "" };
            Action::Barrier { name, kind }
        }
        "tlbi" => {
            let name = fields.take("tlbi", "a TLBI operation")?.value;
            let mut operands = Vec::new();
            if fields.has("value") {
                operands.push(fields.number("value")?);
            }
            Action::Invalidate { name, operands }
        }
        "sysreg-write" | "msr" => {
            let register = fields.take("sysreg", "a register such as vttbr_el2")?.value;
            Action::Set { register, value: fields.number("value")? }
        }
        "hint" => hint(fields)?,
        "lock" => Action::Lock { lock: fields.number("address")?, is_nested: false },
        "trylock" => Action::Lock { lock: fields.number("address")?, is_nested: true },
        "unlock" => Action::Unlock { lock: fields.number("address")? },
        other => {
            let what = format!("no record has the name {other:?}");
            return Err(Mistake::new(fields.name.clone(), what, RECORDS));
        }
    })
}

fn hint<'a>(fields: &mut Taker<'a>) -> Result<Action<'a>, Mistake> {
    const KINDS: &str = "set_root_lock, set_owner_root, release_table or set_pte_thread_owner";
    let kind = fields.take("kind", KINDS)?;
    let location = fields.number("location")?;
    let value = fields.number("value")?;
    Ok(match kind.value {
        "set_root_lock" => Action::Guard { root: location, lock: value },
        "release_table" => Action::Release { at: location },
        "set_pte_thread_owner" => Action::Own { at: location & !7, processor: value },
        // Whose a table is follows here from which root leads to it.
        "set_owner_root" => Action::Nothing,
        _ => return Err(Mistake::new(kind.at, "no hint of this kind", KINDS)),
    })
}

fn aligned(fields: &mut Taker<'_>, name: &str, align: u64) -> Result<u64, Mistake> {
    let number = fields.number(name)?;
    if number.is_multiple_of(align) {
        return Ok(number);
    }
    let at = fields.fields.get(fields.next - 1).map_or(0..0, |field| field.at.clone());
    let what = format!("{number:#x} is no multiple of {align}");
    Err(Mistake::new(at, what, format!("a multiple of {align}")))
}
