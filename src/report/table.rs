//! A plain-text table that fits a terminal.
//!
//! A pure function of its rows. Widths are counted in Unicode scalar values, which is right for the
//! Latin text, digits, dashes and arrows that reports are made of.

/// Columns of a terminal that a table may take.
pub const WIDTH_MAX: usize = 100;

/// Between two columns.
const GAP: &str = "  ";

/// A text column is not cut below this; the next widest gives way instead.
const TEXT_WIDTH_MIN: usize = 8;

/// Sentences are not wrapped below this while another text can be cut.
const PROSE_WIDTH_MIN: usize = 16;

/// At which edge the cells of a column stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// What becomes of a cell that is wider than its column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overflow {
    /// As much of it as fits before a `…`.
    Cut,
    /// All of it, in as many lines as it takes.
    Wrap,
}

/// A column: its title and its alignment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Wrapped at spaces where the cells below are narrower.
    pub title: String,
    /// Where the cells and the title stand.
    pub align: Align,
    /// What is done with too much.
    pub overflow: Overflow,
}

impl Column {
    /// A column of text.
    #[must_use]
    pub fn text(title: impl Into<String>) -> Self {
        Self { title: title.into(), align: Align::Left, overflow: Overflow::Cut }
    }

    /// A column of sentences, none of which is cut.
    #[must_use]
    pub fn prose(title: impl Into<String>) -> Self {
        Self { overflow: Overflow::Wrap, ..Self::text(title) }
    }

    /// A column of numbers.
    #[must_use]
    pub fn number(title: impl Into<String>) -> Self {
        Self { title: title.into(), align: Align::Right, overflow: Overflow::Cut }
    }
}

/// The table as text: titles, a rule, one line a row or as many as its sentences take, each at most
/// [`WIDTH_MAX`] wide, without trailing blanks, and each ended by a newline.
///
/// A column is as wide as its widest cell and the longest word of its title. Where that is too much
/// in all, the widest text columns give way first: sentences are wrapped, of other texts the end is cut
/// for a `…`. Number columns are cut only when no text is left to cut.
///
/// ```
/// use ringfence::report::table::{Column, table};
///
/// let columns = [Column::text("origin"), Column::number("worlds struck")];
/// let rows = [["application", "910"], ["kernel", "87"]];
///
/// assert_eq!(
///     table(&columns, &rows),
///     "             worlds\n\
///      origin       struck\n\
///      ───────────  ──────\n\
///      application     910\n\
///      kernel           87\n"
/// );
/// ```
///
/// # Panics
///
/// When a row has not as many cells as there are columns.
#[must_use]
pub fn table<R: AsRef<[C]>, C: AsRef<str>>(columns: &[Column], rows: &[R]) -> String {
    let rows: Vec<Vec<&str>> =
        rows.iter().map(|row| row.as_ref().iter().map(AsRef::as_ref).collect()).collect();
    for row in &rows {
        assert_eq!(row.len(), columns.len(), "a row has a cell for each column: {row:?}");
    }

    let widths = widths(columns, &rows);
    let mut text = String::new();
    for line in title_lines(columns, &widths) {
        push_line(&mut text, columns, &widths, &line);
    }
    let rules: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    push_line(&mut text, columns, &widths, &rules);
    for row in &rows {
        push_row(&mut text, columns, &widths, row);
    }
    text
}

/// A row, in as many lines as its longest wrapped cell takes.
fn push_row(text: &mut String, columns: &[Column], widths: &[usize], row: &[&str]) {
    let lines_of = |(index, cell): (usize, &&str)| match columns[index].overflow {
        Overflow::Wrap => wrap(cell, widths[index]),
        Overflow::Cut => vec![(*cell).to_owned()],
    };
    let cells: Vec<Vec<String>> = row.iter().enumerate().map(lines_of).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
    for line in 0..height {
        let of_line = |lines: &Vec<String>| lines.get(line).cloned().unwrap_or_default();
        push_line(text, columns, widths, &cells.iter().map(of_line).collect::<Vec<_>>());
    }
}

pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// How wide each column is, so that all and the gaps fit.
fn widths(columns: &[Column], rows: &[Vec<&str>]) -> Vec<usize> {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let words = column.title.split_whitespace().map(width);
            let cells = rows.iter().map(|row| width(row[index]));
            words.chain(cells).max().unwrap_or(0).max(1)
        })
        .collect();
    let room = WIDTH_MAX.saturating_sub(GAP.len() * columns.len().saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        let widest = |gives_way: fn(&Column) -> bool, least: usize| {
            let candidates = (0..columns.len()).filter(|&index| gives_way(&columns[index]));
            candidates.filter(|&index| widths[index] > least).max_by_key(|&index| widths[index])
        };
        match widest(|column| column.overflow == Overflow::Wrap, PROSE_WIDTH_MIN)
            .or_else(|| widest(|column| column.align == Align::Left, TEXT_WIDTH_MIN))
            .or_else(|| widest(|_| true, 1))
        {
            Some(index) => widths[index] -= 1,
            None => break,
        }
    }
    widths
}

/// The titles, wrapped to their columns, bottom lines level.
fn title_lines(columns: &[Column], widths: &[usize]) -> Vec<Vec<String>> {
    let wrapped: Vec<Vec<String>> =
        columns.iter().zip(widths).map(|(column, &width)| wrap(&column.title, width)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|line| {
            let of_column = |lines: &Vec<String>| {
                let blank = height - lines.len();
                line.checked_sub(blank).map(|own| lines[own].clone()).unwrap_or_default()
            };
            wrapped.iter().map(of_column).collect()
        })
        .collect()
}

/// `text` in lines of at most `width_max`, broken at spaces; a longer word has a line of its
/// own and goes beyond it.
#[must_use]
pub fn wrap(text: &str, width_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= width_max => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn push_line(text: &mut String, columns: &[Column], widths: &[usize], cells: &[impl AsRef<str>]) {
    let mut line = String::new();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            line.push_str(GAP);
        }
        let cell = cut(cell.as_ref(), widths[index]);
        let blank = " ".repeat(widths[index] - width(&cell));
        match columns[index].align {
            Align::Left => line.extend([cell, blank]),
            Align::Right => line.extend([blank, cell]),
        }
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// `text`, or as much of it as fits before a `…`.
fn cut(text: &str, width_max: usize) -> String {
    if width(text) <= width_max {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width_max.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widest_line(text: &str) -> usize {
        text.lines().map(width).max().unwrap_or(0)
    }

    #[test]
    fn numbers_stand_right_and_text_left() {
        let columns = [Column::text("class"), Column::number("count")];

        let text = table(&columns, &[["dormant", "7"], ["consumed by another driver", "1200"]]);

        assert_eq!(
            text,
            "class                       count\n\
             ──────────────────────────  ─────\n\
             dormant                         7\n\
             consumed by another driver   1200\n"
        );
    }

    #[test]
    fn a_long_title_wraps_and_its_last_line_is_level_with_the_others() {
        let columns =
            [Column::text("name"), Column::number("worlds in which it struck"), Column::text("by")];

        let text = table(&columns, &[["a", "12", "x"]]);

        let titles: Vec<&str> = text.lines().take_while(|line| !line.starts_with('─')).collect();
        assert_eq!(
            titles,
            ["      worlds", "          in", "       which", "          it", "name  struck  by"]
        );
    }

    #[test]
    fn a_wide_text_is_cut_and_says_so_and_numbers_are_left_whole() {
        let columns = [Column::text("story"), Column::number("steps"), Column::text("short")];
        let story = "a wild write ".repeat(12);

        let text = table(&columns, &[[story.as_str(), "18446744073709551615", "fits"]]);

        assert_eq!(widest_line(&text), WIDTH_MAX);
        assert!(text.contains("…  18446744073709551615  fits\n"), "{text}");
    }

    #[test]
    fn a_sentence_is_wrapped_and_nothing_of_it_is_lost() {
        let columns = [Column::text("name"), Column::prose("about"), Column::number("count")];
        let about = "one two three four five six seven ".repeat(5);

        let text = table(&columns, &[["first", about.as_str(), "7"], ["second", "short", "1234"]]);

        let words = text.split_whitespace().filter(|word| about.contains(word)).count();
        assert_eq!(words, about.split_whitespace().count(), "{text}");
        assert!(!text.contains('…') && widest_line(&text) <= WIDTH_MAX, "{text}");
        let below: Vec<&str> = text.lines().skip(2).collect();
        assert!(below[0].starts_with("first   one two") && below[0].ends_with("     7"), "{text}");
        assert!(
            below[1].starts_with("        ") && below[3].starts_with("second  short"),
            "{text}"
        );
    }

    #[test]
    fn the_widest_text_gives_way_first() {
        let columns = [Column::text("a"), Column::text("b")];

        let text = table(&columns, &[["x".repeat(95), "y".repeat(20)]]);

        assert!(text.contains(&"y".repeat(20)), "{text}");
        assert!(text.contains(&format!("{}…  y", "x".repeat(77))), "{text}");
        assert_eq!(widest_line(&text), WIDTH_MAX);
    }

    #[test]
    fn it_fits_whatever_is_in_it() {
        for columns_count in 1..=40 {
            for cell in [0, 1, 9, 30, 200] {
                let columns: Vec<Column> = (0..columns_count)
                    .map(|index| match index % 2 {
                        0 => Column::text("a title of words"),
                        _ => Column::number("anothertitlewithoutaspace"),
                    })
                    .collect();
                let row = vec!["–".repeat(cell); columns_count];

                let text = table(&columns, &[row]);

                let fits_at_all = columns_count + GAP.len() * (columns_count - 1) <= WIDTH_MAX;
                assert!(!fits_at_all || widest_line(&text) <= WIDTH_MAX, "{text}");
                assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
            }
        }
    }

    #[test]
    fn a_table_without_rows_is_its_titles() {
        let rows: [[&str; 2]; 0] = [];

        assert_eq!(table(&[Column::text("a"), Column::number("b")], &rows), "a  b\n─  ─\n");
    }

    #[test]
    #[should_panic(expected = "a row has a cell for each column")]
    fn a_row_with_a_cell_missing_is_our_bug() {
        let _ = table(&[Column::text("a"), Column::number("b")], &[["1"]]);
    }
}
