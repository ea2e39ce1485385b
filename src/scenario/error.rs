//! What is wrong with a scenario's text, told like a compiler tells it.

use core::fmt;

/// Characters of a line that are shown around a mistake.
const SHOWN_MAX: usize = 100;

/// One mistake in a scenario's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScenarioError {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What was expected, where that can be said.
    pub expected: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The line itself.
    text: String,
    /// How many characters are wrong.
    width: usize,
}

/// The mistakes found in a scenario's text, never none; and how many more there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScenarioErrors(pub Vec<ScenarioError>, pub usize);

impl ScenarioError {
    /// A mistake at these bytes of a text.
    pub(super) fn new(
        file: &str,
        text: &str,
        bytes: core::ops::Range<usize>,
        what: String,
    ) -> Self {
        let floor = |at: usize| {
            (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
        };
        let start = floor(bytes.start);
        let end = floor(bytes.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        Self {
            file: file.to_owned(),
            line: 1 + text[..line_start].matches('\n').count(),
            column: 1 + text[line_start..start].chars().count(),
            what,
            expected: None,
            remedy: None,
            text: line.to_owned(),
            width: text[start..end.min(line_end).max(start)].chars().count().max(1),
        }
    }
}

/// A character as it can stand in one column of a terminal.
fn plain(c: char) -> char {
    if c == '\t' {
        ' '
    } else if c.is_control() {
        '\u{fffd}'
    } else {
        c
    }
}

/// A text as a terminal may be given it: what comes from files and arguments may move its cursor or change
/// its colours, and is escaped. Lines stay lines.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push(c),
            '\t' => shown.push(' '),
            _ if c.is_control() => shown.extend(c.escape_unicode()),
            _ => shown.push(c),
        }
    }
    shown
}

/// The same of what is told in one line, as a name is.
#[cfg(feature = "cli")]
pub(crate) fn shown_in_line(text: &str) -> String {
    shown(text).replace('\n', "\\n")
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A long line is shown around the mistake.
        let first = (self.column - 1).saturating_sub(SHOWN_MAX / 2);
        let line: String = self.text.chars().skip(first).take(SHOWN_MAX).map(plain).collect();
        let before = self.column - 1 - first;
        let width = self.width.min(line.chars().count().saturating_sub(before)).max(1);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "error: {}", shown(&self.what))?;
        writeln!(f, "{margin}--> {}:{}:{}", shown(&self.file), self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {line}")?;
        write!(f, "{margin} | {}{}", " ".repeat(before), "^".repeat(width))?;
        if let Some(expected) = &self.expected {
            write!(f, "\n{margin} = expected: {}", shown(expected))?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n{margin} = help: {}", shown(remedy))?;
        }
        Ok(())
    }
}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n\n")?;
            }
            error.fmt(f)?;
        }
        if self.1 > 0 {
            write!(f, "\n\nerror: {} more mistakes; mend these first", self.1)?;
        }
        Ok(())
    }
}

impl core::error::Error for ScenarioError {}
impl core::error::Error for ScenarioErrors {}
