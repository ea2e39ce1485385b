//! Which column is where, and what its cells say.

use core::ops::Range;

use super::case::{CaseAccess, Mode, TranslationCase};
use super::csv::Fields;
use super::expectation::Expectation;
use super::outcome::LevelMask;
use crate::base::{Ring, VirtAddr, nearest};

/// Something in a file of cases that can't be read. Total: any bytes give cases or one of these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where it is, in the bytes of its record.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
}

/// Columns that every file has.
pub const REQUIRED: [&str; 11] =
    ["id", "mode", "va", "acc", "cpl", "pkru", "e5", "e4", "e3", "e2", "e1"];
/// Columns that say what somebody saw.
pub const EXPECTED: [&str; 5] = ["out", "err", "addr", "aset", "dset"];
/// The columns of the answer.
pub const ANSWER: &str = "id,out,err,addr,aset,dset";
const OPTIONAL: [&str; 3] = ["mpa", "pkrs", "set"];
const MODES: &str = "hexadecimal digits of a mode: bits 0 to 9";

/// Whether a file's expected columns are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The cases.
    Cases,
    /// And what somebody saw become of them.
    Expectations,
}

/// Where the columns of one file are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Columns {
    count: usize,
    required: [usize; 11],
    optional: [Option<usize>; 3],
    expected: Option<[usize; 5]>,
}

/// One row, as far as it is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The case.
    pub case: TranslationCase,
    /// Where its number is, in the bytes of the record.
    pub id: Range<usize>,
    /// Where the name of its set is; empty without such a column.
    pub set: Range<usize>,
    /// What somebody saw, if that is wanted.
    pub expectation: Option<Expectation>,
}

impl Columns {
    /// Reads the header line.
    ///
    /// # Errors
    ///
    /// Columns that are missing or there twice.
    pub fn from_header(bytes: &[u8], fields: &Fields, wanted: Wanted) -> Result<Self, Mistake> {
        let place = |name: &str| -> Result<Option<usize>, Mistake> {
            let mut found =
                (0..fields.count()).filter(|&index| fields.get(bytes, index) == name.as_bytes());
            let first = found.next();
            match found.next() {
                None => Ok(first),
                Some(second) => Err(Mistake {
                    at: fields.range(second),
                    what: format!("there are two columns `{name}`"),
                    expected: "each column once".to_owned(),
                    remedy: None,
                }),
            }
        };
        let mut missing = Vec::new();
        let mut needed = |name: &'static str| -> Result<usize, Mistake> {
            let found = place(name)?;
            if found.is_none() {
                missing.push(name);
            }
            Ok(found.unwrap_or(0))
        };
        let mut required = [0; 11];
        for (slot, name) in required.iter_mut().zip(REQUIRED) {
            *slot = needed(name)?;
        }
        let mut expected = None;
        if wanted == Wanted::Expectations {
            let mut places = [0; 5];
            for (slot, name) in places.iter_mut().zip(EXPECTED) {
                *slot = needed(name)?;
            }
            expected = Some(places);
        }
        if !missing.is_empty() {
            return Err(missing_columns(bytes, fields, &missing, wanted));
        }
        let mut optional = [None; 3];
        for (slot, name) in optional.iter_mut().zip(OPTIONAL) {
            *slot = place(name)?;
        }
        Ok(Self { count: fields.count(), required, optional, expected })
    }

    /// Reads one row.
    ///
    /// # Errors
    ///
    /// The first cell that can't be read, or a number of fields other than the header's.
    #[inline]
    pub fn row(&self, bytes: &[u8], fields: &Fields) -> Result<Row, Mistake> {
        if fields.count() != self.count {
            return Err(self.other_count(fields));
        }
        let record = Record { bytes, fields };
        let [id, mode, va, acc, cpl, pkru, e5, e4, e3, e2, e1] = self.required;
        let [mpa, pkrs, set] = self.optional;
        record.decimal(id, "id", u64::MAX, "a decimal number")?;
        let mode = record.hexadecimal(mode, "mode", u64::from(Mode::BITS), MODES)?;
        let virt = VirtAddr(record.word(va, "va")?);
        let access = record.decimal(acc, "acc", 4, "0 to 4")?;
        let ring = match record.decimal(cpl, "cpl", 3, "0 or 3")? {
            0 => Ring::Kernel,
            3 => Ring::User,
            _ => return Err(record.mistake(cpl, "cpl", "0 or 3")),
        };
        let pkru = record.register(pkru, "pkru")?;
        let entries = [
            record.word(e1, "e1")?,
            record.word(e2, "e2")?,
            record.word(e3, "e3")?,
            record.word(e4, "e4")?,
            record.word(e5, "e5")?,
        ];
        let given = |index: &usize| !fields.get(bytes, *index).is_empty();
        let maxphyaddr = match mpa.filter(given) {
            None => None,
            Some(mpa) => match record.decimal(mpa, "mpa", 52, "36 to 52")? {
                bits @ 36.. => u8::try_from(bits).ok(),
                _ => return Err(record.mistake(mpa, "mpa", "36 to 52")),
            },
        };
        let pkrs = match pkrs.filter(given) {
            None => 0,
            Some(pkrs) => record.register(pkrs, "pkrs")?,
        };
        let case = TranslationCase {
            mode: Mode::new(truncated(mode)).unwrap_or_default(),
            virt,
            access: CaseAccess::ALL[usize::from(truncated(access)) % CaseAccess::ALL.len()],
            ring,
            pkru,
            pkrs,
            maxphyaddr,
            entries,
        };
        let expectation = match self.expected {
            None => None,
            Some(columns) => Some(expectation(&record, columns)?),
        };
        let set = set.map_or(0..0, |set| fields.range(set));
        Ok(Row { case, id: fields.range(id), set, expectation })
    }

    #[cold]
    fn other_count(&self, fields: &Fields) -> Mistake {
        let first_extra = fields.range(self.count.min(fields.count().saturating_sub(1)));
        Mistake {
            at: first_extra,
            what: match fields.count() {
                1 => "1 field in this line".to_owned(),
                count => format!("{count} fields in this line"),
            },
            expected: format!("{} as in the header line", self.count),
            remedy: (fields.count() < self.count).then(|| "was the file cut off here?".to_owned()),
        }
    }
}

fn expectation(record: &Record<'_>, columns: [usize; 5]) -> Result<Expectation, Mistake> {
    let [out, err, addr, aset, dset] = columns;
    let optional = |index: usize| !record.cell(index).is_empty();
    let mask = |index, name| {
        let bits = record.hexadecimal(index, name, 31, "hexadecimal digits of a mask: bits 0 to 4");
        bits.map(|bits| LevelMask::new(truncated_byte(bits)).unwrap_or_default())
    };
    Ok(Expectation {
        out: match record.cell(out) {
            b"ok" => "ok",
            b"pf" => "pf",
            b"gp" => "gp",
            _ => return Err(record.mistake(out, "out", "`ok`, `pf` or `gp`")),
        },
        code: if optional(err) { Some(record.register(err, "err")?) } else { None },
        address: if optional(addr) { Some(record.word(addr, "addr")?) } else { None },
        accessed: mask(aset, "aset")?,
        dirtied: mask(dset, "dset")?,
    })
}

#[cold]
fn missing_columns(bytes: &[u8], fields: &Fields, missing: &[&str], wanted: Wanted) -> Mistake {
    let names: Vec<_> = (0..fields.count())
        .map(|index| String::from_utf8_lossy(fields.get(bytes, index)).trim().to_lowercase())
        .collect();
    let quoted: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
    let near = missing.iter().find_map(|name| {
        let near = nearest(name, names.iter().map(String::as_str))?;
        let place = names.iter().position(|name| name == near)?;
        let is_another = REQUIRED
            .iter()
            .chain(&EXPECTED)
            .chain(&OPTIONAL)
            .any(|known| known.as_bytes() == fields.get(bytes, place));
        (!is_another).then(|| {
            let found =
                String::from_utf8_lossy(fields.get(bytes, place)).escape_debug().to_string();
            (fields.range(place), format!("is column `{found}` meant to be `{name}`?"))
        })
    });
    let (at, remedy) = match near {
        Some((at, remedy)) => (at, Some(remedy)),
        None => (0..0, None),
    };
    let mut expected = REQUIRED.join(",");
    if wanted == Wanted::Expectations {
        expected = format!("{expected},{}", EXPECTED.join(","));
    }
    Mistake {
        at,
        what: format!(
            "the header line has no column {}{}",
            quoted.join(", "),
            if wanted == Wanted::Expectations { "; --expect needs it" } else { "" }
        ),
        expected: format!("{expected} in any order, other columns beside them"),
        remedy,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the cell was held to its largest value")]
const fn truncated(value: u64) -> u16 {
    value as u16
}

#[allow(clippy::cast_possible_truncation, reason = "the cell was held to its largest value")]
const fn truncated_byte(value: u64) -> u8 {
    value as u8
}

/// One record and its fields.
struct Record<'a> {
    bytes: &'a [u8],
    fields: &'a Fields,
}

impl Record<'_> {
    #[inline(always)]
    fn cell(&self, index: usize) -> &[u8] {
        self.fields.get(self.bytes, index)
    }

    #[inline(always)]
    fn word(&self, index: usize, name: &str) -> Result<u64, Mistake> {
        self.hexadecimal(
            index,
            name,
            u64::MAX,
            "a number of 64 bits, in hexadecimal digits without a prefix",
        )
    }

    #[inline(always)]
    fn register(&self, index: usize, name: &str) -> Result<u32, Mistake> {
        let most = u64::from(u32::MAX);
        let value = self.hexadecimal(
            index,
            name,
            most,
            "a number of 32 bits, in hexadecimal digits without a prefix",
        )?;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }

    #[inline(always)]
    fn hexadecimal(
        &self,
        index: usize,
        name: &str,
        most: u64,
        expected: &str,
    ) -> Result<u64, Mistake> {
        match hexadecimal(self.cell(index)) {
            Some(value) if value <= most => Ok(value),
            _ => Err(self.mistake(index, name, expected)),
        }
    }

    #[inline(always)]
    fn decimal(&self, index: usize, name: &str, most: u64, expected: &str) -> Result<u64, Mistake> {
        match decimal(self.cell(index)) {
            Some(value) if value <= most => Ok(value),
            _ => Err(self.mistake(index, name, expected)),
        }
    }

    #[cold]
    fn mistake(&self, index: usize, name: &str, expected: &str) -> Mistake {
        let cell = self.cell(index);
        let what = if cell.is_empty() {
            format!("column `{name}` is empty")
        } else {
            // A cell may be long and anything; a few characters show which it is.
            let shown = String::from_utf8_lossy(cell.get(..24).unwrap_or(cell)).into_owned();
            let more = if cell.len() > 24 { "…" } else { "" };
            format!("column `{name}`: {}{more} can't be read", shown.escape_debug())
        };
        let has_prefix = cell.starts_with(b"0x") || cell.starts_with(b"0X");
        let has_blank = cell.first() == Some(&b' ') || cell.last() == Some(&b' ');
        let remedy = if has_prefix {
            Some("leave out the `0x`".to_owned())
        } else if has_blank {
            Some("leave out the blanks".to_owned())
        } else {
            None
        };
        Mistake { at: self.fields.range(index), what, expected: expected.to_owned(), remedy }
    }
}

#[inline(always)]
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for &digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        if value >> 60 != 0 {
            return None;
        }
        value = value << 4 | u64::from(digit);
    }
    (!digits.is_empty()).then_some(value)
}

#[inline(always)]
fn decimal(digits: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (!digits.is_empty()).then_some(value)
}
