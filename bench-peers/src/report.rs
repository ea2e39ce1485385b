//! The tables that are printed.

use crate::measure::{Figure, Mode, Results};

/// Prints times, ratios and instructions.
pub(crate) fn print(results: &[Results], counts: Option<&[[f64; 2]]>) {
    for (mode, how) in
        [(Mode::Independent, "independent"), (Mode::Dependent, "each after the last")]
    {
        println!("\nns for one translation, {how}");
        print_table(results, mode, |figure| format!("{:.2}", figure.ns), None);
        println!("\nRatio to the bare loads of the same round, {how}");
        let counts = if mode == Mode::Independent { counts } else { None };
        print_table(results, mode, |figure| format!("{:.2}", figure.ratio), counts);
    }
}

fn print_table(
    results: &[Results],
    mode: Mode,
    cell: impl Fn(Figure) -> String,
    counts: Option<&[[f64; 2]]>,
) {
    let mut titles: Vec<&str> = results.iter().map(|results| results.title).collect();
    if counts.is_some() {
        titles.extend(["instr 4K", "instr 2M"]);
    }
    println!("| {:<34} | {} |", "", titles.join(" | "));
    println!(
        "|:{:-<34}-|{}|",
        "",
        titles
            .iter()
            .map(|title| format!("{:->1$}", ":", title.len() + 2))
            .collect::<Vec<_>>()
            .join("|")
    );
    for (number, (name, _)) in results[0].rows.iter().enumerate() {
        let mut cells: Vec<String> = results
            .iter()
            .map(|results| results.rows[number].1[mode as usize].map_or("–".to_owned(), &cell))
            .collect();
        if cells.iter().all(|cell| cell == "–") {
            continue;
        }
        if let Some(counts) = counts {
            cells.extend(counts[number].map(|count| format!("{count:.0}")));
        }
        let cells: Vec<String> = cells
            .iter()
            .zip(&titles)
            .map(|(cell, title)| format!("{cell:>0$}", title.len()))
            .collect();
        println!("| {name:<34} | {} |", cells.join(" | "));
    }
}
