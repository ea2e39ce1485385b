//! Every single-bit flip, the witnesses, and the isolation margin of each protection.

use std::fmt::Write as _;
use std::io::Write;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::audit::findings::Findings;
use crate::audit::flip::{Class, Counts, KernelGain, Progress, Swept, Verdict, sweep};
use crate::audit::protections::{Margin, NotMade, Protection, open};
use crate::audit::space::Space;
use crate::campaign::Interrupt;
use crate::report::table::{Column, table};

use super::Audited;
use super::told::{counted, lines_of, summary};
use super::witnesses::{Kept, WitnessFile, kernel_text, line, opens};
use crate::cli::ending::stopped_when_asked;
use crate::cli::progress::bar;
use crate::cli::{Ended, Failure};

/// Steps of the bar for each machine that is tried: they take about as long as each other.
const STEPS: u64 = 1 << 20;

/// Which protection is switched, and to which state; `None` for the machine as given.
type Switched = Option<(Protection, bool)>;

/// What is known of a machine: its margin, or why there is none.
#[derive(Clone, Copy)]
struct Row {
    switched: Switched,
    margin: Result<Margin, NotMade>,
}

/// What is tried: the machine as given, and with each protection switched.
fn planned(audited: &Audited<'_>) -> Vec<Switched> {
    let switched = Protection::ALL.map(|one| Some((one, !audited.machine.has(one))));
    [None].into_iter().chain(switched).collect()
}

/// Tries all flips and prints what they give.
pub(super) fn margin(
    audited: &Audited<'_>,
    findings: &Findings,
    mut file: Option<WitnessFile>,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let arguments = audited.arguments;
    let stop = stopped_when_asked()?;
    let planned = planned(audited);
    let bar = bar();
    bar.set_length(planned.len() as u64 * STEPS);
    let mut kept = Kept::default();
    let mut rows = Vec::new();
    let mut is_partial = false;
    for (switched, begun) in planned.into_iter().zip(0..) {
        bar.set_message(label(switched));
        let is_given = switched.is_none();
        // One at a time: each is as large as the machine as given.
        let made = match switched {
            None => None,
            Some((protection, on)) => match audited.machine.with(protection, on).space() {
                Ok(space) => Some(space),
                Err(error) => {
                    rows.push(Row { switched, margin: Err(error) });
                    continue;
                }
            },
        };
        let space = made.as_ref().unwrap_or(&audited.space);
        let swept = swept(audited, space, &stop, (&bar, begun * STEPS), |verdict| {
            if !is_given {
                return true;
            }
            kept.add(verdict, arguments.examples_max());
            let replay = |verdict: &Verdict| audited.replay(verdict.flip);
            file.as_mut().is_none_or(|file| file.add(space, verdict, &replay(verdict)))
        });
        let tables = space.image.frames().len() as u64;
        let mut add = |counts| {
            let margin = Margin { counts, open: open(space), tables };
            rows.push(Row { switched, margin: Ok(margin) });
        };
        match swept {
            Swept::Whole(counts) => add(counts),
            // Where the file of witnesses is why it ended, that is told.
            Swept::Stopped(_) if !stop.is_raised() => {
                bar.finish_and_clear();
                if let Some(file) = file {
                    file.finish()?;
                }
                return Ok(Ended::Interrupted);
            }
            // What was found is told of the machine as given; of another one it says nothing.
            Swept::Stopped(counts) => {
                is_partial = true;
                if is_given {
                    add(counts);
                }
                break;
            }
        }
    }
    bar.finish_and_clear();
    if let Some(file) = file.filter(|_| !is_partial) {
        file.finish()?;
    }
    let rows = both_states(audited, &rows);
    if arguments.json {
        for object in json_lines(audited, &kept, &rows, findings, is_partial) {
            writeln!(out, "{object}")?;
        }
    } else {
        write!(out, "{}", text(audited, &kept, &rows, is_partial))?;
    }
    Ok(if is_partial { Ended::Interrupted } else { Ended::Held })
}

fn swept(
    audited: &Audited<'_>,
    space: &Space,
    stop: &Interrupt,
    (bar, begun): (&ProgressBar, u64),
    verdicts: impl FnMut(&Verdict) -> bool,
) -> Swept {
    let progress = |Progress { done, total }| {
        let steps = u128::from(done) * u128::from(STEPS) / u128::from(total.max(1));
        bar.set_position(begun + u64::try_from(steps).unwrap_or(STEPS));
    };
    sweep(space, audited.jobs(), stop.flag(), progress, verdicts)
}

/// A row for the machine as given, then two for each protection: on and off.
fn both_states(audited: &Audited<'_>, rows: &[Row]) -> Vec<Row> {
    let Some(given) = rows.first() else { return Vec::new() };
    let mut both = vec![*given];
    for row in &rows[1..] {
        let Some((protection, on)) = row.switched else { continue };
        let as_given = Row { switched: Some((protection, !on)), ..*given };
        debug_assert_eq!(audited.machine.has(protection), !on);
        if on { both.extend([*row, as_given]) } else { both.extend([as_given, *row]) }
    }
    both
}

/// The margin of the machine as given.
fn given(rows: &[Row]) -> Option<Margin> {
    rows.first()?.margin.ok()
}

fn label(switched: Switched) -> String {
    match switched {
        None => "as given".to_owned(),
        Some((protection, on)) => {
            format!("{} {}", protection.name(), if on { "on" } else { "off" })
        }
    }
}

fn text(audited: &Audited<'_>, kept: &Kept, rows: &[Row], is_partial: bool) -> String {
    let mut text = String::new();
    write_text(audited, kept, rows, is_partial, &mut text).expect("a string takes everything");
    text
}

fn write_text(
    audited: &Audited<'_>,
    kept: &Kept,
    margins: &[Row],
    is_partial: bool,
    to: &mut String,
) -> core::fmt::Result {
    let Some(Margin { counts, tables, .. }) = &given(margins) else { return Ok(()) };
    if is_partial {
        writeln!(
            to,
            "\nPARTIAL: interrupted; the first flips, and protections as far as they were tried"
        )?;
    }
    writeln!(
        to,
        "\nEvery single-bit flip of every entry: {} flips of {} entries in {tables} page tables\n",
        counts.flips(),
        tables * 512
    )?;
    let columns = [
        Column::text("the worst it gives a user process"),
        Column::number("flips"),
        Column::number("share"),
    ];
    let mut rows = Vec::new();
    for class in Class::ALL {
        let count = counts.of(class);
        rows.push([class.meaning().to_owned(), count.to_string(), share(count, counts.flips())]);
        if class == Class::TableWrite {
            let made = counts.tables_made;
            let meaning = "  of these, what it writes becomes one".to_owned();
            rows.push([meaning, made.to_string(), share(made, counts.flips())]);
        }
    }
    write!(to, "{}", table(&columns, &rows))?;
    writeln!(to, "\nFlips that let kernel mode be abused, whatever they give user mode:\n")?;
    let meanings = [
        "kernel mode executes what a process can write",
        "kernel mode reads or writes, AC clear, what a process can write",
        "kernel mode may write a page table",
    ];
    let rows: Vec<[String; 3]> = KernelGain::ALL
        .into_iter()
        .zip(meanings)
        .map(|(kind, meaning)| {
            let count = counts.of_kernel(kind);
            [meaning.to_owned(), count.to_string(), share(count, counts.flips())]
        })
        .chain([[
            "none of all this, but kernel mode faults".to_owned(),
            counts.kernel_faults.to_string(),
            share(counts.kernel_faults, counts.flips()),
        ]])
        .collect();
    let columns =
        [Column::text("it gives kernel mode"), Column::number("flips"), Column::number("share")];
    write!(to, "{}", table(&columns, &rows))?;
    write_witnesses(audited, kept, counts, to)?;
    write_margins(counts, margins, to)
}

/// Parts in ten thousand, rounded down, as a percentage; what is there is never shown as nothing.
fn share(count: u64, all: u64) -> String {
    let parts = u128::from(count) * 10_000 / u128::from(all.max(1));
    match (count, parts) {
        (0, _) => "–".to_owned(),
        (_, 0) => "<0.01%".to_owned(),
        _ => format!("{}.{:02}%", parts / 100, parts % 100),
    }
}

fn write_witnesses(
    audited: &Audited<'_>,
    kept: &Kept,
    counts: &Counts,
    to: &mut String,
) -> core::fmt::Result {
    writeln!(to, "\nWitnesses: entry, bit, what it is, and the first address it opens")?;
    writeln!(to, "(each is replayed by its own ENTRY:BIT behind --flip-one)")?;
    for (class, verdicts) in Class::ALL.into_iter().zip(&kept.classes) {
        let Some(first) = verdicts.first() else { continue };
        writeln!(to, "\n{}", class.meaning())?;
        for verdict in verdicts {
            writeln!(to, "  {}", line(&audited.space, verdict))?;
        }
        let left = counts.of(class) - verdicts.len() as u64;
        if left > 0 {
            writeln!(to, "  {left} more with --all or --witnesses")?;
        }
        writeln!(to, "  replay: {}", audited.replay(first.flip))?;
    }
    for (index, (kind, verdicts)) in KernelGain::ALL.into_iter().zip(&kept.kernel).enumerate() {
        let Some(first) = verdicts.first() else { continue };
        writeln!(to, "\n{}", kind.name())?;
        for verdict in verdicts {
            if let Some(gain) = &verdict.kernel[index] {
                writeln!(to, "  {}: {}", verdict.flip, kernel_text(kind, gain))?;
            }
        }
        let left = counts.of_kernel(kind) - verdicts.len() as u64;
        if left > 0 {
            writeln!(to, "  {left} more with --all or --witnesses")?;
        }
        writeln!(to, "  replay: {}", audited.replay(first.flip))?;
    }
    Ok(())
}

fn write_margins(counts: &Counts, margins: &[Row], to: &mut String) -> core::fmt::Result {
    writeln!(
        to,
        "\nIsolation margin: {} single points of failure between user mode and the kernel\n",
        counts.breaches()
    )?;
    let columns = [
        Column::text("protection"),
        Column::number("table write"),
        Column::number("kernel write"),
        Column::number("kernel read"),
        Column::number("kernel executes user"),
        Column::number("kernel data user"),
        Column::number("kernel writes table"),
    ];
    let rows: Vec<[String; 7]> = margins
        .iter()
        .map(|Row { switched, margin }| {
            let Ok(margin) = margin else {
                return [label(*switched).as_str(), "–", "–", "–", "–", "–", "–"]
                    .map(str::to_owned);
            };
            let with_open = |flips: u64, open: u64| match open {
                0 => flips.to_string(),
                open => format!("{flips} (open {})", counted(open)),
            };
            let user = |class| margin.counts.of(class);
            let [execute, data, table] = margin.counts.kernel;
            let [open_execute, open_data, open_table] = margin.open.kernel;
            [
                label(*switched),
                with_open(user(Class::TableWrite), margin.open.user_writes_table),
                user(Class::KernelWrite).to_string(),
                user(Class::KernelRead).to_string(),
                with_open(execute, open_execute),
                with_open(data, open_data),
                with_open(table, open_table),
            ]
        })
        .collect();
    write!(to, "{}", table(&columns, &rows))?;
    writeln!(
        to,
        "\nEach number: flips, each of which is enough. \"open\": 4 KiB pages where no flip is needed."
    )?;
    for (row, error) in margins.iter().filter_map(|row| Some((row, row.margin.err()?))) {
        write!(to, "{}", lines_of(0, &format!("{} can't be made: {error}", label(row.switched))))?;
    }
    Ok(())
}

fn json_lines(
    audited: &Audited<'_>,
    kept: &Kept,
    margins: &[Row],
    findings: &Findings,
    is_partial: bool,
) -> Vec<Value> {
    let mut lines = Vec::new();
    let space = &audited.space;
    let kernel_only = kept.kernel.iter().flatten().filter(|verdict| !verdict.class.is_gain());
    let mut verdicts: Vec<&Verdict> = kept.classes.iter().flatten().chain(kernel_only).collect();
    verdicts.sort_by_key(|verdict| (verdict.class, verdict.flip));
    verdicts.dedup();
    for verdict in verdicts {
        lines.push(json!({ "witness": witness(audited, space, verdict) }));
    }
    for row in margins {
        let object = match &row.margin {
            Ok(margin) => margin_json(row.switched, margin),
            Err(error) => json!({ "state": label(row.switched), "not-made": error.to_string() }),
        };
        lines.push(json!({ "margin": object }));
    }
    let mut summary = summary(audited, findings);
    if let Some(margin) = given(margins) {
        summary["partial"] = json!(is_partial);
        summary["flips"] = json!(margin.counts.flips());
        summary["breaches"] = json!(margin.counts.breaches());
        for class in Class::ALL {
            summary["classes"][class.name()] = json!(margin.counts.of(class));
        }
        summary["tables-made"] = json!(margin.counts.tables_made);
        summary["kernel-faults"] = json!(margin.counts.kernel_faults);
        for kind in KernelGain::ALL {
            summary["kernel"][kind.name()] = json!(margin.counts.of_kernel(kind));
        }
    }
    lines.push(json!({ "summary": summary }));
    lines
}

fn witness(audited: &Audited<'_>, space: &Space, verdict: &Verdict) -> Value {
    use crate::machine::paging::TableMemory as _;
    let mut object = json!({
        "entry": format!("{:#x}", verdict.flip.at.raw()),
        "bit": verdict.flip.bit,
        "level": crate::audit::protections::level_name(verdict.level),
        "value": format!("{:#x}", space.image.entry(verdict.flip.at)),
        "class": verdict.class.name(),
        "replay": audited.replay(verdict.flip),
    });
    if let Some(gain) = &verdict.gain {
        object["va"] = json!(gain.virt.to_string());
        object["frame"] = json!(format!("{:#x}", gain.frame.start().raw()));
        object["gained"] = json!(gain.gained.user_text());
        object["opens"] = json!(opens(verdict, gain));
    }
    for (kind, gain) in KernelGain::ALL.into_iter().zip(&verdict.kernel) {
        if let Some(gain) = gain {
            object[kind.name()] = json!(kernel_text(kind, gain));
        }
    }
    object
}

fn margin_json(switched: Switched, margin: &Margin) -> Value {
    let mut object = json!({ "state": label(switched), "tables": margin.tables });
    for class in Class::ALL {
        object[class.name()] = json!(margin.counts.of(class));
    }
    for (kind, open) in KernelGain::ALL.into_iter().zip(margin.open.kernel) {
        object[kind.name()] = json!({ "flips": margin.counts.of_kernel(kind), "open": open });
    }
    object["user-writes-table-open"] = json!(margin.open.user_writes_table);
    object
}
