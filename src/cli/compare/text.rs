//! A comparison as text.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use crate::campaign::Comparison;
use crate::campaign::comparison::{Cannot, Cell, Column as Of, Compared, Moves, Turn};
use crate::report::interval::{DifferenceEstimate, DifferenceSample};
use crate::report::table::{Column, table};

use super::super::fault_load as load;
use super::super::numbers::counted;
use super::super::table::stopped;
use super::Asked;

/// Configurations beside the first in one table.
const BESIDE: usize = 2;
/// Moves that are told of each pair of configurations.
const MOVES_MAX: usize = 6;

/// What was asked for, lines of at most 100 columns.
pub(super) fn text(asked: &Asked, compared: &[Compared]) -> String {
    let mut text = String::new();
    let written = match (&asked.comparisons[..], compared) {
        ([comparison], [compared]) => write_one(&mut text, comparison, compared),
        (comparisons, compared) => write_many(&mut text, comparisons, compared),
    };
    written.expect("a string takes everything");
    text
}

/// The difference of a cell between two configurations.
pub(super) fn difference(
    comparison: &Comparison,
    cell: impl Fn(&Of, usize) -> u64,
    before: &Of,
    after: &Of,
) -> DifferenceEstimate {
    let worlds = before.worlds.len();
    let pair = |world: usize| (cell(before, world), cell(after, world));
    if comparison.is_generated() {
        return (0..worlds).map(pair).collect::<DifferenceSample>().estimate();
    }
    // A fixed world is one world, whatever plans were drawn for it.
    let sum = (0..worlds).map(pair).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    core::iter::once(sum).collect::<DifferenceSample>().estimate()
}

pub(super) fn of_cell(cell: Cell) -> impl Fn(&Of, usize) -> u64 {
    move |column, world| column.worlds[world].of(cell)
}

/// Every cell that any configuration has, in order.
pub(super) fn cells(compared: &Compared) -> BTreeSet<Cell> {
    compared.columns.iter().flat_map(|column| column.total.cells.keys().copied()).collect()
}

/// What follows a line that is not about everything asked for.
fn partial(is_partial: bool) -> &'static str {
    if is_partial { "  PARTIAL: interrupted" } else { "" }
}

fn head(comparison: &Comparison, compared: &Compared) -> String {
    let tried = compared.columns.first().map_or(0, |column| column.total.tried);
    let of = match &comparison.component {
        Some(component) => format!("faults of `{component}`"),
        None => "faults".to_owned(),
    };
    let on = match (&comparison.file, comparison.is_generated()) {
        (_, true) => counted(compared.seeds, "generated world"),
        (Some(name), _) => format!("{name}, {}", counted(compared.seeds, "seed")),
        (None, _) => format!("the worlds named, {}", counted(compared.seeds, "seed")),
    };
    let partial = partial(compared.is_partial);
    let nowhere = match compared.nowhere {
        0 => String::new(),
        more => format!("\n{more} more that were asked for have no place in their world"),
    };
    format!("{tried} {of} on {on}{partial}{nowhere}")
}

/// The letter of a configuration.
fn letter(number: usize) -> String {
    let of =
        |number: usize| u8::try_from(number % 26).map_or('A', |number| char::from(b'A' + number));
    match number / 26 {
        0 => of(number).to_string(),
        rounds => format!("{}{rounds}", of(number)),
    }
}

fn write_one(to: &mut String, comparison: &Comparison, compared: &Compared) -> core::fmt::Result {
    writeln!(to, "The same faults, compared: {}", head(comparison, compared))?;
    if let Some(mix) = comparison.mix() {
        write!(to, "{}", load::said(&mix))?;
    }
    writeln!(to)?;
    for (number, column) in compared.columns.iter().enumerate() {
        let violates = match column.golden_violations {
            0 => String::new(),
            _ if !comparison.is_generated() => {
                "  (violates an invariant without a fault)".to_owned()
            }
            1 => "  (1 world violates an invariant without a fault)".to_owned(),
            worlds => format!("  ({worlds} worlds violate an invariant without a fault)"),
        };
        writeln!(to, "  {}  {}{violates}", letter(number), column.name)?;
        if let Some((seed, name)) = column.first_golden_violation {
            let line = match comparison.is_generated() {
                true => format!("the first of seed {seed}: {}", comparison.replay_line(seed, 0)),
                false => comparison.replay_line(seed, 0),
            };
            writeln!(to, "     {name}; {line}")?;
        }
    }
    let named = compared.columns.iter().enumerate().map(|(number, of)| (letter(number), of));
    write_stops(to, comparison, &named.collect::<Vec<_>>())?;
    let others: Vec<usize> = (1..compared.columns.len()).collect();
    for some in others.chunks(BESIDE) {
        writeln!(to)?;
        write_table(to, comparison, compared, some)?;
    }
    writeln!(to)?;
    if comparison.is_generated() && compared.seeds > 1 {
        writeln!(
            to,
            "Counts of the whole load, the same in every column; differences to A with 95 % intervals\n\
             over this generator; the sampling unit is the generated world."
        )?;
    } else {
        writeln!(
            to,
            "Counts of the whole load, the same in every column: of the faults that were drawn, in what was\n\
             named. No interval says more; `ringfence sweep` counts every fault of a world."
        )?;
    }
    for &number in &others {
        write_moves(to, comparison, compared, number)?;
    }
    write_violations(to, comparison, compared)?;
    writeln!(to, "\ndigest  {}{}", compared.digest, partial(compared.is_partial))
}

/// Which machines stop without any fault, and under which configurations.
fn write_stops(
    to: &mut String,
    comparison: &Comparison,
    named: &[(String, &Of)],
) -> core::fmt::Result {
    let mut stops: Vec<((u64, String), Vec<&str>)> = Vec::new();
    for (name, column) in named {
        for stop in &column.golden_stops {
            let this = (stop.seed, stopped(stop.rest));
            match stops.iter_mut().find(|(known, _)| *known == this) {
                Some((_, names)) => names.push(name),
                None => stops.push((this, vec![name])),
            }
        }
    }
    if !stops.is_empty() {
        writeln!(to)?;
    }
    for ((seed, how), names) in &stops {
        let which =
            if comparison.is_generated() { format!("of seed {seed} ") } else { String::new() };
        let said = format!("the machine {which}stops without any fault: {how}. So it does below.");
        let others: Vec<&str> =
            named.iter().map(|(name, _)| &**name).filter(|name| !names.contains(name)).collect();
        let (head, told) = match others.len() {
            0 => ("Under each", &others),
            few if few < names.len() => ("Under each but", &others),
            _ => ("Under", names),
        };
        let space = if told.is_empty() { "" } else { " " };
        let line = format!("{head}{space}{} {said}", told.join(", "));
        if line.len() <= 98 {
            writeln!(to, "{line}")?;
        } else {
            let told: Vec<String> = told.iter().map(|&name| name.to_owned()).collect();
            writeln!(to, "{}\n{said}", wrapped(head, &told))?;
        }
    }
    if !stops.is_empty() {
        writeln!(to, "Whether it survives faults of user mode is therefore not asked there.")?;
    }
    Ok(())
}

fn write_table(
    to: &mut String,
    comparison: &Comparison,
    compared: &Compared,
    some: &[usize],
) -> core::fmt::Result {
    let mut columns = vec![Column::text(""), Column::number("A")];
    for &number in some {
        columns.push(Column::number(letter(number)));
        columns.push(Column::number(format!("{} − A", letter(number))));
    }
    let first = &compared.columns[0];
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: String, total: &dyn Fn(&Of) -> u64, cell: &dyn Fn(&Of, usize) -> u64| {
        let mut cells = vec![name, total(first).to_string()];
        for &number in some {
            let column = &compared.columns[number];
            cells.push(total(column).to_string());
            cells.push(difference(comparison, cell, first, column).to_string());
        }
        rows.push(cells);
    };
    row("struck".to_owned(), &|of| of.total.struck, &|of, world| of.worlds[world].struck);
    let mut axis = "";
    let mut heads = Vec::new();
    for (number, cell) in cells(compared).into_iter().enumerate() {
        if cell.axis() != axis {
            axis = cell.axis();
            heads.push((1 + number + heads.len(), axis));
        }
        row(format!("  {}", cell.name()), &|of| of.total.of(cell), &of_cell(cell));
    }
    for (place, axis) in heads {
        let mut head = vec![String::new(); columns.len()];
        axis.clone_into(&mut head[0]);
        rows.insert(place, head);
    }
    let mut points = vec!["points of the load".to_owned(), first.points.to_string()];
    for &number in some {
        points.push(compared.columns[number].points.to_string());
        points.push(format!("of {}", compared.points));
    }
    rows.push(points);
    write!(to, "{}", table(&columns, &rows))
}

/// What became of the pairs that struck in both.
fn write_moves(
    to: &mut String,
    comparison: &Comparison,
    compared: &Compared,
    number: usize,
) -> core::fmt::Result {
    let pairs = &compared.pairs[number];
    writeln!(
        to,
        "\nA and {}: {} pairs struck in both, {} of them alike; {} struck in A only, {} in {} only",
        letter(number),
        pairs.both,
        pairs.alike,
        pairs.first_only,
        pairs.this_only,
        letter(number)
    )?;
    if pairs.both == 0 && pairs.first_only + pairs.this_only > 0 {
        writeln!(to, "{}", why_none(compared))?;
    }
    let of_classes = pairs.moves.iter().filter(|((before, after), _)| before != after);
    let of_classes =
        of_classes.map(|((before, after), moves)| (format!("{before} → {after}"), moves));
    let of_axes = pairs.turns.iter().map(|(turn, moves)| {
        let Turn { class, before, after } = turn;
        (format!("{class}, {}: {} → {}", before.axis(), before.name(), after.name()), moves)
    });
    let mut moves: Vec<(String, &Moves)> = of_classes.chain(of_axes).collect();
    moves.sort_by_key(|(_, moves)| core::cmp::Reverse(moves.count));
    for (words, moves) in moves.iter().take(MOVES_MAX) {
        let (seed, fault) = moves.first;
        writeln!(to, "  {:>7}  {words}", moves.count)?;
        writeln!(to, "    {}", comparison.replay_line(seed, fault))?;
    }
    let rest = moves.iter().skip(MOVES_MAX);
    let (kinds, count) =
        rest.fold((0_u64, 0), |(kinds, count), (_, one)| (kinds + 1, count + one.count));
    if kinds > 0 {
        writeln!(to, "  {count:>7}  in {kinds} other ways")?;
    }
    Ok(())
}

/// Why no fault struck in both of two configurations, and what to do.
fn why_none(compared: &Compared) -> String {
    let [first, other] = &compared.columns[..] else {
        return "  Nothing pairs: no fault that was drawn strikes in both.".to_owned();
    };
    match (first.points + other.points).saturating_sub(compared.points) {
        0 => "  Nothing pairs: of these points none is in both, for what does the work here is other code there.\n  \
             Compare what each column counts; a fault of one has no counterpart in the other."
            .to_owned(),
        shared => format!(
            "  Nothing pairs: of {shared} points that are in both none was drawn that strikes in both. Draw more:\n  \
             --experiments, or --fault with a kind that fits them."
        ),
    }
}

fn write_violations(
    to: &mut String,
    comparison: &Comparison,
    compared: &Compared,
) -> core::fmt::Result {
    let violated = compared.columns.iter().filter(|column| column.violations > 0);
    for column in violated {
        let faults = counted(column.violations, "fault");
        writeln!(to, "\nGuarantees violated with {}: {faults}", column.name)?;
        if let Some((seed, number)) = column.first_violation {
            writeln!(to, "    {}", comparison.replay_line(seed, number))?;
        }
    }
    Ok(())
}

/// Comparisons of two configurations each: what differs.
fn write_many(
    to: &mut String,
    comparisons: &[Comparison],
    compared: &[Compared],
) -> core::fmt::Result {
    let (Some(first), Some(found)) = (comparisons.first(), compared.first()) else { return Ok(()) };
    writeln!(to, "Each protection, off and on: {}", head(first, found))?;
    if let Some(mix) = first.mix() {
        write!(to, "{}", load::said(&mix))?;
    }
    let named = compared.iter().flat_map(|one| &one.columns).map(|of| (of.name.clone(), of));
    write_stops(to, first, &named.collect::<Vec<_>>())?;
    writeln!(to)?;
    let columns = [
        Column::text("from"),
        Column::text("to"),
        Column::text(""),
        Column::number("before"),
        Column::number("after"),
        Column::number("difference"),
    ];
    let mut rows: Vec<Vec<String>> = Vec::new();
    let (mut idle, mut lines) = (Vec::new(), Vec::new());
    for (comparison, compared) in comparisons.iter().zip(compared) {
        let [before, after] = &compared.columns[..] else { continue };
        let differs = |cell: &Cell| {
            let of = of_cell(*cell);
            (0..before.worlds.len()).any(|world| of(before, world) != of(after, world))
        };
        let mut names = Some((before.name.clone(), change_of(&before.name, &after.name)));
        for cell in cells(compared).into_iter().filter(differs) {
            // Classes fold both axes into one; they are in the objects of --json.
            if matches!(cell, Cell::Class(_)) {
                continue;
            }
            let (from, to) = names.take().unwrap_or_default();
            let (a, b) = (before.total.of(cell), after.total.of(cell));
            let told = difference(comparison, of_cell(cell), before, after).to_string();
            let name = match cell {
                Cell::Cannot(Cannot::NothingThere) => "(nothing to alter)".to_owned(),
                Cell::Cannot(why) => format!("({})", why.name()),
                cell => format!("{}: {}", cell.axis(), cell.name()),
            };
            rows.push(vec![from, to, name, a.to_string(), b.to_string(), told]);
        }
        let other = compared.pairs[1].moves.iter().find(|((before, after), _)| before != after);
        let moved = other.map(|(_, moves)| moves);
        let moved = moved.or_else(|| compared.pairs[1].turns.values().next());
        match (names, moved) {
            (Some(_), None) => {
                idle.push(after.name.split('=').next().unwrap_or_default().to_owned())
            }
            (_, Some(moves)) => {
                let (seed, number) = moves.first;
                lines.push(comparison.replay_line(seed, number));
            }
            _ => {}
        }
    }
    write!(to, "{}", table(&columns, &rows))?;
    if !idle.is_empty() {
        idle.dedup();
        writeln!(to, "\n{}", wrapped("No difference:", &idle))?;
    }
    if !lines.is_empty() {
        writeln!(to, "\nOne pair that differs, of each:")?;
    }
    for line in lines {
        writeln!(to, "  {line}")?;
    }
    for (comparison, compared) in comparisons.iter().zip(compared) {
        write_violations(to, comparison, compared)?;
    }
    let mut hash = crate::base::TraceHash::default();
    for one in compared {
        let [high, low] = one.digest.words();
        hash.absorb(high, low);
    }
    let is_partial = compared.iter().any(|one| one.is_partial);
    writeln!(to, "\ndigest  {}{}", hash.digest(), partial(is_partial))
}

/// What of the second name is not in the first: the value.
fn change_of(before: &str, after: &str) -> String {
    match (before.split_once('='), after.split_once('=')) {
        (Some((field, _)), Some((other, value))) if field == other => value.to_owned(),
        _ => after.to_owned(),
    }
}

/// Words on lines of at most 100 columns.
fn wrapped(head: &str, words: &[String]) -> String {
    let mut lines = vec![head.to_owned()];
    for (number, word) in words.iter().enumerate() {
        let comma = if number + 1 < words.len() { "," } else { "" };
        let last = lines.last_mut().expect("never empty");
        if last.chars().count() + word.chars().count() + 2 > 98 {
            lines.push("   ".to_owned());
        }
        let last = lines.last_mut().expect("never empty");
        *last += &format!(" {word}{comma}");
    }
    lines.join("\n")
}

/// A difference of whole counts, for objects.
pub(super) fn told(estimate: DifferenceEstimate) -> (Option<i64>, Option<f64>, Option<f64>) {
    match estimate {
        DifferenceEstimate::Nothing => (None, None, None),
        DifferenceEstimate::Exact { difference } | DifferenceEstimate::Alike { difference, .. } => {
            (Some(difference), None, None)
        }
        DifferenceEstimate::Never { .. } => (Some(0), None, None),
        DifferenceEstimate::Between { difference, low, high } => {
            (Some(difference), Some(low), Some(high))
        }
    }
}
