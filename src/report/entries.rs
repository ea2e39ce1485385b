//! Entries one below the other: a head, then labelled lines. For what is too long for a table.

use super::table::{WIDTH_MAX, width, wrap};

/// Columns that the labels take, with the indent before and the gap behind them.
const INDENT: &str = "    ";

/// An entry: its head, and labelled text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it is.
    pub head: String,
    /// Label and text; an empty text is left out.
    pub lines: Vec<(&'static str, String)>,
}

/// The entries as text, with a blank line between two; each line is at most [`WIDTH_MAX`] wide unless a
/// word alone is longer. Texts stand below each other.
///
/// ```
/// use ringfence::report::entries::{Entry, entries};
///
/// let entry = Entry { head: "0x44".into(), lines: vec![("when", "it is complete".into())] };
///
/// assert_eq!(entries(&[entry]), "0x44\n    when  it is complete\n");
/// ```
#[must_use]
pub fn entries(all: &[Entry]) -> String {
    let labels = all.iter().flat_map(|entry| &entry.lines).map(|(label, _)| width(label));
    let label_width = labels.max().unwrap_or(0);
    let mut text = String::new();
    for (number, entry) in all.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        text.push_str(&entry.head);
        text.push('\n');
        for (label, told) in &entry.lines {
            let room = WIDTH_MAX - INDENT.len() - label_width - 2;
            for (line, part) in wrap(told, room).iter().enumerate() {
                let label = if line == 0 { label } else { "" };
                text.push_str(&format!("{INDENT}{label:label_width$}  {part}\n"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_goes_on_below_itself_within_a_terminal() {
        let told = "word ".repeat(60);
        let entry = Entry {
            head: "head".to_owned(),
            lines: vec![("a", told.clone()), ("label", String::new()), ("b", "end".to_owned())],
        };

        let text = entries(&[entry.clone(), entry]);

        assert!(text.lines().all(|line| width(line) <= WIDTH_MAX && line == line.trim_end()));
        assert_eq!(text.matches("word").count(), 120);
        assert_eq!(text.matches("label").count(), 0);
        assert!(text.contains("\n\nhead\n    a      word word"));
        assert!(text.contains("\n           word"));
    }
}
