//! A mistake in a file of cases, shown where it is.

use std::fmt::Write as _;
use std::ops::Range;

use crate::cli::Failure;
use crate::oracles::recorded::Mistake;

/// Characters of a line that are shown.
const SHOWN_MAX: usize = 80;

/// The message for a mistake in `record`, which starts at this line.
pub(in crate::cli) fn told(file: &str, line: u64, record: &[u8], mistake: &Mistake) -> Failure {
    let at = mistake.at.start.min(record.len());
    let start = record[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |found| found + 1);
    let length = record[start..].iter().position(|&byte| byte == b'\n');
    let end = length.map_or(record.len(), |length| start + length);
    let end = end - usize::from(record[start..end].ends_with(b"\r"));
    let number = line + record[..start].iter().filter(|&&byte| byte == b'\n').count() as u64;
    let characters = |bytes: Range<usize>| -> Vec<char> {
        let text = String::from_utf8_lossy(&record[bytes]).into_owned();
        text.chars().map(plain).collect()
    };
    let before = characters(start..at);
    let marked = characters(at..mistake.at.end.clamp(at, end.max(at))).len().max(1);
    let all = characters(start..end.max(at));
    // A long line is shown around the mistake.
    let first = before.len().saturating_sub(SHOWN_MAX / 2);
    let shown: String = all.iter().skip(first).take(SHOWN_MAX).collect();
    let blank = " ".repeat(before.len() - first);
    let marks = "^".repeat(marked.min(SHOWN_MAX.saturating_sub(blank.len())).max(1));
    let margin = " ".repeat(number.to_string().len());

    let mut text = format!("error: {}\n", mistake.what);
    let column = before.len() + 1;
    // A string takes everything.
    let _ = writeln!(text, "{margin}--> {file}:{number}:{column}");
    let _ = writeln!(text, "{margin} |");
    let _ = writeln!(text, "{number} | {}", shown.trim_end());
    let _ = writeln!(text, "{margin} | {blank}{marks}");
    let _ = write!(text, "{margin} = expected: {}", mistake.expected);
    if let Some(remedy) = &mistake.remedy {
        let _ = write!(text, "\n{margin} = help: {remedy}");
    }
    Failure::Mistake(text)
}

/// A character as it can stand in one column of a terminal.
fn plain(c: char) -> char {
    match c {
        '\t' => ' ',
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    }
}
