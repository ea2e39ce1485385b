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
        print_table(results, mode, |figure| format!("{:.2}", figure.ns), &[], &[]);
        println!("\nRatio to the bare loads of the same round, {how}\n");
        let counts = counts.filter(|_| mode == Mode::Independent);
        let counts: Vec<Vec<String>> = counts
            .unwrap_or_default()
            .iter()
            .map(|counts| counts.map(|count| format!("{count:.0}")).to_vec())
            .collect();
        print_table(results, mode, ratio, &["instr", "2 MiB"], &counts);
    }
}

/// Prints misses, each beside the walk that comes first.
pub(crate) fn print_misses(results: &[Results], counts: Option<&[[f64; 2]]>) {
    println!(
        "\nA miss against the walk of the same address: a lookup that finds nothing, and all that follows until\n\
         the entry is filled. Of translations alone (from the root); of translations, where upper levels\n\
         know the region of 2 MiB, and where they do not. 64 pages have one region, which is always known.\n\
         \"of 2 MiB\": a cache of such translations, which keeps no smaller ones. \"upper levels\": without a\n\
         cache of translations, so that a miss is a region that is not known.\n\
         Instructions: with 64k pages of 4 KiB, with pages of 2 MiB, and divided by the walk's."
    );
    let counts: Vec<Vec<String>> = counts
        .unwrap_or_default()
        .iter()
        .map(|[small, large]| {
            let [of_small, of_large] = counts.map_or([1.0; 2], |counts| counts[0]);
            vec![
                format!("{small:.0}"),
                format!("{:.2}", small / of_small),
                format!("{large:.0}"),
                format!("{:.2}", large / of_large),
            ]
        })
        .collect();
    for (mode, how) in [(Mode::Independent, "independent"), (Mode::Dependent, "dependent")] {
        println!("\nRatio to the walk of the same round, {how}\n");
        let counts = if mode == Mode::Independent { counts.as_slice() } else { &[] };
        print_table(results, mode, ratio, &["instr", "ratio", "2 MiB", "ratio"], counts);
    }
}

fn ratio(figure: Figure) -> String {
    format!("{:.2}", figure.ratio)
}

fn print_table(
    results: &[Results],
    mode: Mode,
    cell: impl Fn(Figure) -> String,
    more_titles: &[&'static str],
    more_cells: &[Vec<String>],
) {
    let names = results[0].names();
    let name_width = names.iter().map(String::len).max().unwrap_or_default();
    let mut titles: Vec<&str> = results.iter().map(|results| results.title).collect();
    if !more_cells.is_empty() {
        titles.extend(more_titles);
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
        cells.extend(more_cells.get(number).into_iter().flatten().cloned());
        row(name, &cells);
    }
}
