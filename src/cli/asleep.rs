//! How long damage sleeps, as a campaign tells it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::campaign::Origin;
use crate::campaign::sleep::Sleeps;
use crate::outcome::SleepEnd;
use crate::report::survival::{Ended, Horizon, at_horizon, curve};

/// Columns of a bar that stands for all damage.
const BAR: f64 = 20.0;

/// What longer runs said.
#[derive(Clone, Copy)]
pub(super) struct Longer<'a> {
    /// How long damage slept.
    pub(super) sleeps: &'a BTreeMap<Origin, Sleeps>,
    /// Which faults those were.
    pub(super) faults: &'static str,
}

fn together(sleeps: &BTreeMap<Origin, Sleeps>) -> Sleeps {
    let mut all = Sleeps::default();
    for one in sleeps.values() {
        all.merge(one);
    }
    all
}

/// The curve of all origins together, lines of at most 100 columns. Nothing where nothing was damaged.
/// `stops`: how the machine stops without any fault, where it does.
pub(super) fn text(
    sleeps: &BTreeMap<Origin, Sleeps>,
    horizon: Option<u64>,
    longer: Option<Longer<'_>>,
    stops: Option<&str>,
) -> String {
    let all = together(sleeps);
    let mut text = String::new();
    if all.count() > 0 {
        write(&mut text, &all, horizon).expect("a string takes everything");
    }
    if let (Some(steps), Some(Longer { sleeps, faults })) = (horizon, longer) {
        let longer = together(sleeps);
        write_longer(&mut text, &all, &longer, steps, faults).expect("a string takes everything");
        // A list of actions is full at some length: more steps than it takes say nothing more.
        if steps > longer.longest() {
            write_reached(&mut text, longer.longest(), steps, stops).expect("as above");
        }
    }
    text
}

/// Whether a horizon is beyond the end of every run, so that longer runs say what these can't.
pub(super) fn is_beyond(sleeps: &BTreeMap<Origin, Sleeps>, horizon: u64) -> bool {
    let all = together(sleeps);
    all.count() > 0 && horizon > all.longest()
}

/// The estimated shares that somebody has read and that nobody has at the end, in percent.
fn at_the_end(all: &Sleeps) -> (f64, f64) {
    curve(all).last().map_or((0.0, 0.0), |row| (row.read * 100.0, row.asleep * 100.0))
}

/// What longer runs say.
fn write_longer(
    to: &mut String,
    all: &Sleeps,
    longer: &Sleeps,
    steps: u64,
    faults: &str,
) -> core::fmt::Result {
    let Horizon { before, after, .. } = at_horizon(longer, steps);
    let (count, asleep) = (longer.count(), after.iter().sum::<u64>());
    writeln!(
        to,
        "Run longer, at most {} steps after a strike: applications use what they have until their",
        longer.longest()
    )?;
    writeln!(
        to,
        "lists are full, and {faults}. Of {count} then {} read by the horizon, {} not read",
        before[0], before[3]
    )?;
    let ((read, unread), above) = (at_the_end(longer), at_the_end(all));
    writeln!(to, "when the run ended before it, {asleep} asleep; at the end {read:.1}% read and")?;
    writeln!(
        to,
        "{unread:.1}% still asleep, where above it is {:.1}% and {:.1}%.",
        above.0, above.1
    )?;
    Ok(())
}

/// That longer runs are not as long as was asked either, and why.
fn write_reached(
    to: &mut String,
    reached: u64,
    steps: u64,
    stops: Option<&str>,
) -> core::fmt::Result {
    writeln!(
        to,
        "None of these is as long either: what is said is of {reached} steps, not of {steps}."
    )?;
    if let Some(how) = stops {
        writeln!(
            to,
            "The machine stops without any fault ({how}), however much there is left to do."
        )?;
    }
    Ok(())
}

fn write(to: &mut String, all: &Sleeps, horizon: Option<u64>) -> core::fmt::Result {
    writeln!(to, "\nHow long damage sleeps: steps from the strike to the first reader")?;
    let [read, overwritten, stopped, ended] = SleepEnd::ALL.map(SleepEnd::name);
    writeln!(
        to,
        "  {:>8} {:>8} {read:>8} {overwritten:>12} {stopped:>8} {ended:>10} {:>7} {:>9}",
        "up to", "at risk", "% read", "% asleep"
    )?;
    for row in curve(all) {
        let (steps, at_risk) = (row.steps, row.at_risk);
        let (so_far, share) = (row.read * 100.0, row.asleep * 100.0);
        let [read, overwritten, stopped, ended] = row.ended;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the bar's columns"
        )]
        let bar = "█".repeat((row.asleep * BAR).round() as usize);
        let line = format!(
            "  {steps:>8} {at_risk:>8} {read:>8} {overwritten:>12} {stopped:>8} {ended:>10} \
             {so_far:>7.1} {share:>9.1} {bar}"
        );
        writeln!(to, "{}", line.trim_end())?;
    }
    let longest = all.longest();
    writeln!(
        to,
        "Shares of all damage: what was overwritten or given back or was lost with a stop is never read. The"
    )?;
    writeln!(
        to,
        "horizon is the end of each run, at most {longest} steps after its strike: what nobody has read by"
    )?;
    writeln!(to, "then is censored there (Aalen–Johansen).")?;
    if let Some(steps) = horizon {
        let Horizon { before, after, .. } = at_horizon(all, steps);
        let asleep: u64 = after.iter().sum();
        let [read, overwritten, stopped, ended] = after;
        writeln!(to, "With a horizon of {steps} steps: {} read, {asleep} asleep.", before[0])?;
        if steps >= longest {
            writeln!(to, "No run is as long: {} ended before it, not read.", before[3])?;
        }
        writeln!(
            to,
            "Of these, later: {read} read, {overwritten} overwritten or given back, {stopped} lost with a \
             stop,\n{ended} not read to the end."
        )?;
    }
    Ok(())
}

fn named(ended: Ended) -> Value {
    let fields = SleepEnd::ALL.iter().zip(ended);
    let fields = fields.map(|(end, count)| (end.name().replace(' ', "_"), Value::from(count)));
    Value::Object(fields.collect())
}

/// One object an origin, then one of all together, each with its curve; nothing where nothing was
/// damaged.
pub(super) fn json(
    sleeps: &BTreeMap<Origin, Sleeps>,
    horizon: Option<u64>,
    longer: Option<Longer<'_>>,
) -> Vec<Value> {
    let longer = longer.map(|longer| together(longer.sleeps));
    let all = together(sleeps);
    let of_each = sleeps.iter().map(|(origin, sleeps)| (Some(origin.name()), sleeps));
    let told = of_each.chain(core::iter::once((None, &all)));
    let told = told.filter(|(_, sleeps)| sleeps.count() > 0);
    told.map(|(origin, sleeps)| {
        let rows: Vec<Value> = curve(sleeps)
            .iter()
            .map(|row| {
                let mut ended = named(row.ended);
                ended["steps"] = row.steps.into();
                ended["at_risk"] = row.at_risk.into();
                ended["read_share"] = row.read.into();
                ended["asleep"] = row.asleep.into();
                ended
            })
            .collect();
        let asked = horizon;
        let horizon = horizon.map(|steps| {
            let Horizon { before, after, .. } = at_horizon(sleeps, steps);
            json!({ "steps": steps, "before": named(before), "after": named(after) })
        });
        let longer =
            longer.as_ref().filter(|_| origin.is_none()).zip(asked).map(|(longer, steps)| {
                let Horizon { before, after, .. } = at_horizon(longer, steps);
                json!({
                    "count": longer.count(),
                    "longest": longer.longest(),
                    "before": named(before),
                    "after": named(after),
                    "read_share": at_the_end(longer).0 / 100.0,
                    "asleep": at_the_end(longer).1 / 100.0,
                })
            });
        json!({ "sleep": {
            "origin": origin,
            "count": sleeps.count(),
            "longest": sleeps.longest(),
            "curve": rows,
            "horizon": horizon,
            "longer": longer,
        }})
    })
    .collect()
}
