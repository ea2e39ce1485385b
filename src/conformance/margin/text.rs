//! Margins as lines, and back.

use core::fmt;

use super::{CallMargins, CaseMargins, Instant, Instants, Margins, SingleFault};

/// The first line, with the version of the form.
const HEADER: &str = "ringfence margins 2";

impl fmt::Display for Margins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        writeln!(f, "format {}", self.format)?;
        for case in &self.cases {
            writeln!(f, "case {}", case.name)?;
            for call in &case.calls {
                writeln!(f, "call {} {}", call.number, call.call)?;
                for instant in &call.instants {
                    write!(f, "{instant}")?;
                }
                if let Some(stopped) = &call.stopped {
                    writeln!(f, "  stopped: {stopped}")?;
                }
            }
        }
        writeln!(f, "{}", self.end())
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} margin {}", self.when, self.margin())?;
        for (kind, count) in SingleFault::ALL.into_iter().zip(self.faults) {
            write!(f, " {} {count}", kind.name())?;
        }
        writeln!(f)?;
        if let Some(breach) = &self.breach {
            writeln!(f, "  breach: {breach}")?;
        }
        for (kind, witness) in SingleFault::ALL.into_iter().zip(&self.witnesses) {
            if let Some(witness) = witness {
                writeln!(f, "  {}: {witness}", kind.name())?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was expected there.
    pub expected: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: expected {}", self.line, self.column, self.expected)
    }
}

impl std::error::Error for ParseError {}

/// One line as it is read.
struct Line<'a> {
    number: usize,
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn error(&self, expected: impl Into<String>) -> ParseError {
        let read = self.whole.len() - self.rest.len();
        let column = self.whole.get(..read).unwrap_or("").chars().count() + 1;
        ParseError { line: self.number, column, expected: expected.into() }
    }

    /// The word that must come now.
    fn word(&mut self, word: &str) -> Result<(), ParseError> {
        let rest = self.rest.strip_prefix(word);
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with(' '));
        let Some(rest) = rest else { return Err(self.error(format!("`{word}`"))) };
        self.rest = rest.strip_prefix(' ').unwrap_or(rest);
        Ok(())
    }

    /// Digits up to anything else.
    fn number<T: core::str::FromStr>(&mut self, what: &str) -> Result<T, ParseError> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit());
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let number = digits.parse().map_err(|_| self.error(format!("{what}, a decimal number")))?;
        self.rest = rest;
        Ok(number)
    }

    fn space(&mut self) -> Result<(), ParseError> {
        let Some(rest) = self.rest.strip_prefix(' ') else { return Err(self.error("a space")) };
        self.rest = rest;
        Ok(())
    }

    fn text(&mut self, what: &str) -> Result<String, ParseError> {
        if self.rest.is_empty() {
            return Err(self.error(what));
        }
        Ok(core::mem::take(&mut self.rest).to_owned())
    }
}

impl Margins {
    /// Reads what was printed.
    ///
    /// # Errors
    ///
    /// The first thing that is not as [the form](super#the-text) has it, with its line and column.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let lines = (1..).zip(text.lines());
        let mut lines = lines.map(|(number, whole)| Line { number, whole, rest: whole });
        let empty = Line { number: 1, whole: "", rest: "" };
        let header = lines.next().unwrap_or(empty);
        if header.whole != HEADER {
            return Err(header.error(format!("`{HEADER}`, the first line of a print of margins")));
        }
        let mut line = lines.next().unwrap_or(Line { number: 2, whole: "", rest: "" });
        line.word("format")?;
        let mut margins = Self { format: line.text("the name of a format")?, cases: Vec::new() };
        let mut last = 2;
        while let Some(line) = lines.next() {
            last = line.number;
            if !line.whole.starts_with("end") {
                margins.line(line)?;
                continue;
            }
            let end = margins.end();
            if line.whole != end {
                return Err(line.error(format!("`{end}`, by the lines above")));
            }
            // Whoever prints it may end the line once more.
            return match lines.find(|line| !line.whole.is_empty()) {
                Some(more) => Err(more.error("nothing: the print is complete")),
                None => Ok(margins),
            };
        }
        let behind = Line { number: last + 1, whole: "", rest: "" };
        Err(behind
            .error("the last line, `end` and how many cases and calls: the print is cut short"))
    }

    /// The last line, by which a print that is cut short is told from a whole one.
    fn end(&self) -> String {
        let calls: usize = self.cases.iter().map(|case| case.calls.len()).sum();
        format!("end {} cases {calls} calls", self.cases.len())
    }

    fn line(&mut self, mut line: Line<'_>) -> Result<(), ParseError> {
        if line.whole.starts_with("case") {
            line.word("case")?;
            self.cases.push(CaseMargins { name: line.text("a seed")?, calls: Vec::new() });
            return Ok(());
        }
        let Some(case) = self.cases.last_mut() else { return Err(line.error("`case`")) };
        if line.whole.starts_with("call") {
            line.word("call")?;
            let number = line.number("the number of a call")?;
            line.space()?;
            let call = line.text("a call")?;
            case.calls.push(CallMargins { number, call, instants: Vec::new(), stopped: None });
            return Ok(());
        }
        let Some(call) = case.calls.last_mut() else { return Err(line.error("`call`")) };
        if line.whole.starts_with("  ") {
            let Some(instant) = call.instants.last_mut() else {
                return Err(line.error("`after`, `return` or `stopped`"));
            };
            if let Some(told) = line.whole.strip_prefix("  stopped: ")
                && instant.when == Instants::Stopped
            {
                call.stopped = Some(told.to_owned());
                return Ok(());
            }
            return witness(instant, line);
        }
        let instant = instant(line)?;
        if instant.when == Instants::Stopped {
            call.stopped = Some(String::new());
        }
        call.instants.push(instant);
        Ok(())
    }
}

fn instant(mut line: Line<'_>) -> Result<Instant, ParseError> {
    let when = if line.rest.starts_with("after") {
        line.word("after")?;
        let first = line.number("the number of a store")?;
        let mut last = first;
        if let Some(rest) = line.rest.strip_prefix('-') {
            line.rest = rest;
            last = line.number("the number of a store")?;
            if last < first {
                return Err(line.error(format!("a number that is not below {first}")));
            }
        }
        line.space()?;
        Instants::After { first, last }
    } else if line.rest.starts_with("return") {
        line.word("return")?;
        Instants::Return
    } else if line.rest.starts_with("stopped") {
        line.word("stopped")?;
        Instants::Stopped
    } else {
        return Err(line.error("`case`, `call`, `after`, `return`, `stopped`, `end` or two spaces"));
    };
    line.word("margin")?;
    let before = Line { number: line.number, whole: line.whole, rest: line.rest };
    let margin: u8 = line.number("a margin")?;
    if margin > 2 {
        return Err(before.error("0, 1 or 2"));
    }
    let mut faults = [0; 4];
    for (kind, count) in SingleFault::ALL.into_iter().zip(&mut faults) {
        line.space()?;
        line.word(kind.name())?;
        *count = line.number("how many faults")?;
    }
    if !line.rest.is_empty() {
        return Err(line.error("the end of the line"));
    }
    let breach = (margin == 0).then(String::new);
    let instant = Instant { when, breach, faults, witnesses: [const { None }; 4] };
    if instant.margin() != margin {
        return Err(before.error(format!("{}, by the faults of this line", instant.margin())));
    }
    Ok(instant)
}

fn witness(instant: &mut Instant, mut line: Line<'_>) -> Result<(), ParseError> {
    line.rest = line.rest.trim_start();
    if let Some(told) = line.rest.strip_prefix("breach: ") {
        let Some(breach) = &mut instant.breach else {
            return Err(line.error("no breach, by the margin above"));
        };
        *breach = told.to_owned();
        return Ok(());
    }
    for (kind, slot) in SingleFault::ALL.into_iter().zip(&mut instant.witnesses) {
        let told = line.rest.strip_prefix(kind.name()).and_then(|rest| rest.strip_prefix(": "));
        if let Some(told) = told {
            *slot = Some(told.to_owned());
            return Ok(());
        }
    }
    Err(line.error("`breach: ` or the name of a fault, and `: `"))
}
