//! The tables that are printed.

use crate::measure::{Figure, Mode, Results};

/// Least width of a column with figures.
const WIDTH: usize = 7;

/// Prints times, ratios and instructions.
pub(crate) fn print(results: &[Results], counts: Option<&[[f64; 2]]>) {
    println!(
        "64 and 64k pages of 4 KiB in a row; 64k anywhere in 16 GiB; 1M anywhere in 64 GiB; 4k of 2 MiB\n\
         in a row. Asked for uniformly at random. Instructions: of the first and the last."
    );
    for (mode, how) in [(Mode::Independent, "independent"), (Mode::Dependent, "dependent")] {
        println!("\nns for one translation, {how}\n");
        print_table(results, mode, |figure| format!("{:.2}", figure.ns), None);
        println!("\nRatio to the bare loads of the same round, {how}\n");
        let counts = counts.filter(|_| mode == Mode::Independent);
        print_table(results, mode, |figure| format!("{:.2}", figure.ratio), counts);
    }
}

fn print_table(
    results: &[Results],
    mode: Mode,
    cell: impl Fn(Figure) -> String,
    counts: Option<&[[f64; 2]]>,
) {
    let names = results[0].names();
    let name_width = names.iter().map(String::len).max().unwrap_or_default();
    let mut titles: Vec<&str> = results.iter().map(|results| results.title).collect();
    if counts.is_some() {
        titles.extend(["instr", "2 MiB"]);
    }
    let row = |name: &str, cells: &[String]| {
        let cells = cells.iter().map(|cell| format!("{cell:>WIDTH$} |")).collect::<Vec<_>>();
        println!("| {name:<name_width$} | {}", cells.join(" "));
    };
    row("", &titles.iter().map(|title| (*title).to_owned()).collect::<Vec<_>>());
    let rule = format!("{:->1$}|", ":", WIDTH + 2).repeat(titles.len());
    println!("|:{:-<1$}|{rule}", "", name_width + 1);
    for (number, name) in names.iter().enumerate() {
        let figures = results.iter().map(|results| results.rows[number].1[mode as usize]);
        let mut cells: Vec<String> =
            figures.map(|figure| figure.map_or("–".to_owned(), &cell)).collect();
        if cells.iter().all(|cell| cell == "–") {
            continue;
        }
        if let Some(counts) = counts {
            cells.extend(counts[number].map(|count| format!("{count:.0}")));
        }
        row(name, &cells);
    }
}
