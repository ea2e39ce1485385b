//! Lines of comma-separated values, as bytes.
//!
//! RFC 4180 with what real files have beside it: lines may end in LF or CRLF, blank lines are no
//! records, the last line need not end, a byte-order mark may stand in front. A CR elsewhere is a mistake
//! unless it is quoted: lines that CR alone ends would be one long line. Fields are ranges of
//! the caller's bytes, so nothing is copied and memory stays bounded however long the input is.

use core::ops::Range;

/// What was found at the start of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scanned {
    /// A record, whose fields are now in [`Fields`].
    Record {
        /// Bytes it takes, its line's end included.
        bytes: usize,
        /// Lines it takes: more than one when a quoted field goes over lines.
        lines: u64,
    },
    /// A blank line.
    Blank {
        /// Bytes it takes.
        bytes: usize,
    },
    /// The bytes end before the record does.
    Incomplete,
    /// Not comma-separated values.
    Malformed(Malformed),
}

/// Why bytes are not comma-separated values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// The quoted field that starts here never ends.
    Unclosed(usize),
    /// Something follows a closing quote here that is neither a comma nor the end of the line.
    AfterQuote(usize),
    /// The CR here is neither at the end of a line nor quoted.
    ReturnInLine(usize),
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unclosed(at) => write!(f, "unclosed: the quote at byte {at} is never closed"),
            Self::AfterQuote(at) => {
                write!(f, "something follows a closing quote at byte {at}")
            }
            Self::ReturnInLine(at) => write!(f, "a CR inside of a line at byte {at}"),
        }
    }
}

/// The fields of one record, as ranges of the bytes it was read from.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<Range<usize>>);

impl Fields {
    /// How many there are.
    #[must_use]
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Where field `index` is: without its quotes; a doubled quote inside is left doubled. Empty
    /// when there is no such field.
    #[must_use]
    #[inline(always)]
    pub fn range(&self, index: usize) -> Range<usize> {
        self.0.get(index).cloned().unwrap_or(0..0)
    }

    /// The bytes of field `index`.
    #[must_use]
    #[inline(always)]
    pub fn get<'a>(&self, bytes: &'a [u8], index: usize) -> &'a [u8] {
        bytes.get(self.range(index)).unwrap_or_default()
    }

    /// Reads the record at the start of `bytes`. `at_end`: nothing follows these bytes.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8], at_end: bool) -> Scanned {
        self.0.clear();
        let mut start = 0;
        let mut at = 0;
        let mut lines = 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b',' => {
                    self.0.push(start..at);
                    start = at + 1;
                }
                b'\n' => return self.ended(bytes, start, at, at + 1, lines),
                b'\r' if bytes.get(at + 1).is_some_and(|&next| next != b'\n') => {
                    return Scanned::Malformed(Malformed::ReturnInLine(at));
                }
                b'"' if at == start => match closed(bytes, at) {
                    Closed::At(quote, over) => {
                        self.0.push(start + 1..quote);
                        lines += over;
                        let after = quote + 1;
                        match bytes.get(after) {
                            Some(b',') => {
                                at = after + 1;
                                start = at;
                                continue;
                            }
                            Some(b'\n') => return Scanned::Record { bytes: after + 1, lines },
                            Some(b'\r') if bytes.get(after + 1) == Some(&b'\n') => {
                                return Scanned::Record { bytes: after + 2, lines };
                            }
                            None if at_end => return Scanned::Record { bytes: after, lines },
                            Some(b'\r') if after + 1 == bytes.len() => {
                                return if at_end {
                                    Scanned::Record { bytes: after + 1, lines }
                                } else {
                                    Scanned::Incomplete
                                };
                            }
                            None => return Scanned::Incomplete,
                            Some(b'\r') => {
                                return Scanned::Malformed(Malformed::ReturnInLine(after));
                            }
                            Some(_) => return Scanned::Malformed(Malformed::AfterQuote(after)),
                        }
                    }
                    Closed::Never if at_end => {
                        return Scanned::Malformed(Malformed::Unclosed(at));
                    }
                    Closed::Never => return Scanned::Incomplete,
                },
                _ => {}
            }
            at += 1;
        }
        if at_end && at > 0 {
            return self.ended(bytes, start, at, at, lines);
        }
        Scanned::Incomplete
    }

    /// The last field of a record goes from `start` to `end`, and the next line starts at `next`.
    #[inline(always)]
    fn ended(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        next: usize,
        lines: u64,
    ) -> Scanned {
        let has_return = end > start && bytes.get(end - 1) == Some(&b'\r');
        let end = if has_return { end - 1 } else { end };
        if self.0.is_empty() && start == end {
            return Scanned::Blank { bytes: next };
        }
        self.0.push(start..end);
        Scanned::Record { bytes: next, lines }
    }
}

enum Closed {
    /// The closing quote, and the lines' ends before it.
    At(usize, u64),
    Never,
}

/// The end of the quoted field that opens at `open`. At the end of the bytes a quote may be the
/// first of two, but what follows decides that: the caller asks again with more bytes.
fn closed(bytes: &[u8], open: usize) -> Closed {
    let mut at = open + 1;
    let mut lines = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 1,
            b'"' => return Closed::At(at, lines),
            b'\n' => lines += 1,
            _ => {}
        }
        at += 1;
    }
    Closed::Never
}

/// The bytes of a byte-order mark in front of UTF-8 text.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> (Scanned, Vec<&str>) {
        let mut fields = Fields::default();
        let scanned = fields.scan(text.as_bytes(), true);
        (scanned, fields.0.iter().map(|range| &text[range.clone()]).collect())
    }

    #[test]
    fn a_record_ends_with_its_line_however_that_ends() {
        for (text, bytes) in [("a,,c\nx", 5), ("a,,c\r\nx", 6), ("a,,c", 4), ("a,,c\r", 5)] {
            assert_eq!(fields(text), (Scanned::Record { bytes, lines: 1 }, vec!["a", "", "c"]));
        }
        assert_eq!(fields("\n").0, Scanned::Blank { bytes: 1 });
        assert_eq!(fields("\r\nx").0, Scanned::Blank { bytes: 2 });
        assert_eq!(fields("").0, Scanned::Incomplete);
    }

    #[test]
    fn quotes_hide_commas_and_line_ends_and_quotes() {
        let (scanned, found) = fields("\"a,b\",\"c\nd\",\"e\"\"f\"\nx");
        assert_eq!(scanned, Scanned::Record { bytes: 19, lines: 2 });
        assert_eq!(found, ["a,b", "c\nd", "e\"\"f"]);
        assert_eq!(fields("a\"b,c\n").1, ["a\"b", "c"]);
        assert_eq!(fields("\"\"\n"), (Scanned::Record { bytes: 3, lines: 1 }, vec![""]));
        for text in ["\"a\"\r\n", "\"a\"\r", "\"a\""] {
            let bytes = text.len();
            assert_eq!(fields(text), (Scanned::Record { bytes, lines: 1 }, vec!["a"]));
        }
    }

    #[test]
    fn what_is_wrong_with_quotes_is_told_where_it_is() {
        assert_eq!(fields("a,\"b\nc").0, Scanned::Malformed(Malformed::Unclosed(2)));
        assert_eq!(fields("a,\"b\"c\n").0, Scanned::Malformed(Malformed::AfterQuote(5)));
    }

    #[test]
    fn a_return_that_neither_ends_its_line_nor_is_quoted_is_told() {
        for (text, at) in [("a,b\r1,2\r", 3), ("a\r\r\n", 1), ("\ra\n", 0), ("\"a\"\rb\n", 3)] {
            let told = Scanned::Malformed(Malformed::ReturnInLine(at));
            assert_eq!(fields(text).0, told, "{text:?}");
            let open = Fields::default().scan(text.as_bytes(), false);
            assert_eq!(open, told, "{text:?}");
        }
        assert_eq!(fields("\"a\rb\",c\n").1, ["a\rb", "c"]);
        assert_eq!(Fields::default().scan(b"a\r", false), Scanned::Incomplete);
    }

    #[test]
    fn any_cut_of_a_record_asks_for_more_and_then_reads_the_same() {
        let text = b"1,\"a\"\"b\",\"c\r\nd\"\r\n2,x\r\n";
        let mut whole = Fields::default();
        let expected = whole.scan(text, true);
        assert_eq!(expected, Scanned::Record { bytes: 17, lines: 2 });
        for cut in 0..17 {
            let mut part = Fields::default();

            assert_eq!(part.scan(&text[..cut], false), Scanned::Incomplete, "cut at {cut}");
        }
        for cut in 17..text.len() {
            let mut part = Fields::default();

            assert_eq!(part.scan(&text[..cut], false), expected, "cut at {cut}");
            assert_eq!(part.0, whole.0);
        }
    }
}
