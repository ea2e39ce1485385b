//! A campaign's report as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::campaign::{Campaign, Cut, Origin, Report, Tally};
use crate::invariants::Violation;
use crate::outcome::Class;
use crate::report::interval::{CAPTION, Estimate, Sample, WorldCount};
use crate::report::table::wrap;
use crate::world::Rest;

use super::asleep::Longer;
use super::numbers::counted;
use super::{asleep, fault_load, wild_writes};

/// Columns of a bar that stands for all experiments that struck.
const BAR: u64 = 40;

/// Columns of a line.
const WIDTH_MAX: usize = 100;

/// What is said of shares that stand without an interval among others that have one.
const OF_ONE_WORLD: &str =
    "A share without an interval is of one world alone: nothing is said of others.";

/// A line as far as it goes.
fn cut_off(line: &str) -> String {
    if line.chars().count() <= WIDTH_MAX {
        return line.to_owned();
    }
    line.chars().take(WIDTH_MAX - 1).chain(['…']).collect()
}

/// How many of all are named, where it is not all of them.
pub(super) fn of_all(named: usize, total: u64) -> String {
    if total > named as u64 { format!(" {named} of {total} are named") } else { String::new() }
}

/// What is said where no fault struck, for then nothing was tried: it is no pass.
pub(super) fn nothing_struck(experiments: u64) -> String {
    let what = match experiments {
        0 => "no fault fits what is reached here".to_owned(),
        many => format!("none of {} reached its place", counted(many, "fault")),
    };
    format!("NOTHING STRUCK: {what}, so that nothing was tried. This is no pass.")
}

/// How a machine ended, in words.
pub(super) fn stopped(rest: Rest) -> String {
    match rest {
        Rest::BugCheck(code) => format!("bug check {code:#x}"),
        Rest::Reset => "a reset without a dump".to_owned(),
        Rest::OutOfSteps => "steps-max cuts it off".to_owned(),
        Rest::Quiescent | Rest::Paused => "it comes to rest".to_owned(),
    }
}

/// What is told of a campaign beside its report.
pub(super) struct Told<'a> {
    pub(super) campaign: &'a Campaign,
    /// The scenario as it was named, when one was.
    pub(super) scenario: Option<&'a str>,
    pub(super) report: &'a Report,
    /// Steps after a strike at which is told what slept still.
    pub(super) horizon: Option<u64>,
    /// What longer runs of the same campaign said, where the horizon is beyond the end of every run.
    pub(super) longer: Option<&'a Report>,
}

impl Told<'_> {
    /// The command that runs one experiment again: there is one, for the world was named or generated.
    fn replay(&self, seed: u64, number: u32) -> String {
        self.campaign.replay_line(seed, number).unwrap_or_default()
    }

    /// The command that runs a world by itself.
    fn golden(&self, seed: u64) -> String {
        self.campaign.golden_line(seed).unwrap_or_default()
    }

    fn is_generated(&self) -> bool {
        self.campaign.scenario.is_none()
    }

    /// What shares are estimated over: generated worlds; a fixed world is one, whatever the seeds.
    fn worlds(&self) -> &[Tally] {
        let Report { worlds, total, .. } = self.report;
        if self.is_generated() { worlds } else { core::slice::from_ref(total) }
    }

    /// The share of a cell in what struck.
    fn estimate(&self, origin: Origin, class: Class) -> Estimate {
        let count = |tally: &Tally| {
            let (events, experiments) = tally.world_count(origin, class);
            WorldCount { events, experiments }
        };
        self.worlds().iter().map(count).collect::<Sample>().estimate()
    }

    /// Cells of one origin in the classes' order, those not struck left out.
    fn cells(&self, origin: Origin) -> Vec<(Class, u64)> {
        let of = |class: Class| self.report.total.cells.get(&(origin, class)).copied().unwrap_or(0);
        let struck = Class::ALL.iter().copied().filter(|class| *class != Class::NotActivated);
        struck.map(|class| (class, of(class))).filter(|(_, count)| *count > 0).collect()
    }

    /// The whole report, lines of at most 100 columns.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text).expect("a string takes everything");
        text
    }

    fn write_text(&self, to: &mut String) -> core::fmt::Result {
        let Report { total, worlds, digest, is_partial, cut, .. } = self.report;
        let worlds_told = match self.scenario {
            None => counted(worlds.len() as u64, "generated world"),
            Some(name) => format!("{name}, {}", counted(worlds.len() as u64, "seed")),
        };
        let partial = if *is_partial { "  PARTIAL: interrupted" } else { "" };
        let what = match self.campaign.errors {
            0 | 1 => "one fault".to_owned(),
            errors => format!("{errors} faults of one component"),
        };
        writeln!(
            to,
            "What {what} can reach: {} on {worlds_told}{partial}",
            counted(total.experiments, "experiment")
        )?;
        if let Some(Cut { seed, next }) = cut {
            writeln!(
                to,
                "The last world, of seed {seed}, up to experiment {next} and not further"
            )?;
        }
        if let Some(mix) = self.campaign.mix() {
            let each =
                u64::from(self.campaign.experiments) * u64::from(self.campaign.errors.max(1));
            let asked = worlds.len() as u64 * each;
            let within = if self.has_one_each() { "world" } else { "component" };
            let drawn = fault_load::drawn(&mix, total, asked, within);
            write!(to, "\n{}{}", fault_load::said(&mix), drawn)?;
        }
        self.write_golden(to)?;
        for origin in Origin::ALL {
            let cells = self.cells(origin);
            let struck = total.struck.get(&origin).copied().unwrap_or(0);
            let missed = total.cells.get(&(origin, Class::NotActivated)).copied().unwrap_or(0);
            if struck + missed == 0 {
                continue;
            }
            writeln!(to, "\n{} · struck {struck} of {}", origin.name(), struck + missed)?;
            for (class, count) in cells {
                let share = self.estimate(origin, class).to_string();
                let eighths = count.saturating_mul(BAR * 2).checked_div(struck).unwrap_or(0);
                let full = usize::try_from(eighths / 2).unwrap_or(0);
                let mut bar = "█".repeat(full);
                if eighths % 2 == 1 || full == 0 {
                    bar.push('▌');
                }
                writeln!(
                    to,
                    "{}",
                    format!("  {class:<18} {count:>7}  {share:<26} {bar}").trim_end()
                )?;
            }
        }
        writeln!(to)?;
        if total.experiments == 0 {
            writeln!(to, "No experiment was run: there are no shares.")?;
        } else if self.is_generated() && worlds.len() > 1 {
            writeln!(to, "Shares of what struck; {CAPTION}.")?;
            let mut shares = Origin::ALL.iter().flat_map(|origin| {
                self.cells(*origin).into_iter().map(|(class, _)| self.estimate(*origin, class))
            });
            if shares.any(|share| matches!(share, Estimate::Exact { .. }))
                || wild_writes::has_exact(total, self.worlds())
            {
                writeln!(to, "{OF_ONE_WORLD}")?;
            }
        } else {
            writeln!(
                to,
                "Shares of what struck in a sample of this world's faults, without an interval."
            )?;
        }
        if self.has_one_each() {
            to.push_str(&wild_writes::text(total, self.worlds()));
        }
        let stops = self.longer.and_then(|longer| longer.golden_stops.first());
        to.push_str(&asleep::text(
            &total.sleeps,
            self.horizon,
            self.longer(),
            stops.map(|stop| stopped(stop.rest)).as_deref(),
        ));
        self.write_replays(to)?;
        if total.activated == 0 && !self.report.is_partial {
            writeln!(to, "\n{}", nothing_struck(total.faults()))?;
        }
        writeln!(to, "\nexperiments          {:>12}", total.experiments)?;
        if self.campaign.errors > 1 {
            writeln!(to, "faults planned       {:>12}", total.faults())?;
        }
        writeln!(to, "struck               {:>12}", total.activated)?;
        writeln!(to, "corrupt bytes read   {:>12}", total.consumed)?;
        writeln!(to, "guarantees violated  {:>12}", self.report.violations_total())?;
        writeln!(to, "digest               {digest}{partial}")?;
        Ok(())
    }

    /// What worlds do and violate by themselves, before anything that faults do in them.
    fn write_golden(&self, to: &mut String) -> core::fmt::Result {
        for stop in &self.report.golden_stops {
            let (seed, how) = (stop.seed, stopped(stop.rest));
            let which =
                if self.is_generated() { format!("of seed {seed} ") } else { String::new() };
            writeln!(to, "\nThe machine {which}stops without any fault: {how}. So it does below.")?;
            writeln!(to, "Whether it survives faults of user mode is therefore not asked there.")?;
        }
        let Report { golden_violations: golden, golden_violations_total: total, .. } = self.report;
        if golden.is_empty() {
            return Ok(());
        }
        writeln!(to, "\nThe golden run itself violates, without any fault:")?;
        for one in golden {
            for (number, found) in one.violations.iter().enumerate() {
                let is_same = |other: &&Violation| other.invariant == found.invariant;
                if one.violations[..number].iter().any(|other| is_same(&other)) {
                    continue;
                }
                let more = match one.violations.iter().filter(is_same).count() {
                    0 | 1 => String::new(),
                    count => format!(" (and {} more)", count - 1),
                };
                let what =
                    format!("  seed {}: {}{more}: {}", one.seed, found.invariant, found.detail);
                writeln!(to, "{}", cut_off(&what))?;
            }
            writeln!(to, "    {}", self.golden(one.seed))?;
        }
        if *total > golden.len() as u64 {
            writeln!(to, "  and {} more worlds", total - golden.len() as u64)?;
        }
        writeln!(to, "Experiments are not charged with it.")
    }

    fn write_replays(&self, to: &mut String) -> core::fmt::Result {
        let Report { examples, violations, .. } = self.report;
        if examples.keys().any(|(_, class)| *class != Class::NotActivated) {
            writeln!(to, "\nOne of each, as a story:")?;
        }
        for class in Class::ALL.iter().filter(|class| **class != Class::NotActivated) {
            // The example that needs the fewest words: of the first origin of the table.
            let found = Origin::ALL.iter().find_map(|origin| examples.get(&(*origin, *class)));
            if let Some((seed, number)) = found {
                writeln!(to, "  {class:<18} {}", self.replay(*seed, *number))?;
            }
        }
        if !violations.is_empty() {
            let named = of_all(violations.len(), self.report.total.violations);
            writeln!(to, "\nGuarantees violated:{named}")?;
        }
        for example in violations {
            let (seed, case) = (example.seed, &example.case);
            let violated = case.outcome.guarantees.join(", ");
            let told = format!("{violated} by {} in {}", case.struck_text(), case.plan.who);
            for line in wrap(&told, WIDTH_MAX - 2) {
                writeln!(to, "  {line}")?;
            }
            writeln!(to, "    {}", self.replay(seed, case.number))?;
        }
        Ok(())
    }

    /// One object a world that violates something by itself, then one a cell, then one a violation,
    /// then the summary.
    pub(super) fn json(&self) -> Vec<Value> {
        let Report { total, violations, golden_violations, .. } = self.report;
        let mix = self.campaign.mix();
        let mut lines = mix.map_or_else(Vec::new, |mix| fault_load::json(&mix, total));
        for golden in golden_violations {
            let found: Vec<Value> = golden
                .violations
                .iter()
                .map(|found| json!({ "invariant": found.invariant, "detail": found.detail }))
                .collect();
            lines.push(json!({
                "golden_violation": found,
                "seed": golden.seed,
                "replay": self.golden(golden.seed),
            }));
        }
        for (&(origin, class), &count) in &total.cells {
            let (share, low, high) = match class {
                Class::NotActivated => (None, None, None),
                _ => self.estimate(origin, class).numbers(),
            };
            let replay = self.report.examples.get(&(origin, class));
            lines.push(json!({
                "origin": origin.name(),
                "class": class.name(),
                "count": count,
                "struck": total.struck.get(&origin).copied().unwrap_or(0),
                "share": share,
                "low": low,
                "high": high,
                "replay": replay.map(|&(seed, number)| self.replay(seed, number)),
            }));
        }
        for example in violations {
            let further: Vec<&str> =
                example.case.further.iter().map(|plan| plan.kind.as_str()).collect();
            lines.push(json!({
                "violation": example.case.outcome.guarantees,
                "seed": example.seed,
                "number": example.case.number,
                "kind": example.case.plan.kind,
                "further": further,
                "who": example.case.plan.who,
                "replay": self.replay(example.seed, example.case.number),
            }));
        }
        if self.has_one_each() {
            lines.extend(wild_writes::json(total, self.worlds()));
        }
        lines.extend(asleep::json(&total.sleeps, self.horizon, self.longer()));
        lines.push(self.summary());
        lines
    }

    /// Whether an experiment is one fault: of several nobody knows which one hit.
    fn has_one_each(&self) -> bool {
        self.campaign.errors <= 1
    }

    fn longer(&self) -> Option<Longer<'_>> {
        let sleeps = &self.longer?.total.sleeps;
        Some(Longer { sleeps, faults: "faults are drawn anew" })
    }

    /// The last object.
    pub(super) fn summary(&self) -> Value {
        let Report {
            total, worlds, violations, golden_violations, digest, is_partial, cut, ..
        } = self.report;
        json!({ "summary": {
            "experiments": total.experiments,
            "errors": self.campaign.errors.max(1),
            "activated": total.activated,
            // Where no fault is asked for, none can fail to strike.
            "nothing_struck": (self.campaign.experiments > 0)
                .then_some(total.activated == 0 && !self.report.is_partial),
            "consumed": total.consumed,
            "violations": self.report.violations_total(),
            "violations_named": violations.len() + golden_violations.len(),
            "golden_violations": self.report.golden_violations_total,
            "digest": digest.to_string(),
            "partial": is_partial,
            "stop_by_themselves": self.report.golden_stops.iter().map(|stop| {
                json!({ "seed": stop.seed, "how": stopped(stop.rest) })
            }).collect::<Vec<_>>(),
            "cut": cut.map(|cut| json!({ "seed": cut.seed, "next": cut.next })),
            "worlds": if self.is_generated() { worlds.len() } else { worlds.len().min(1) },
            "seeds": worlds.len(),
            "events": total.events,
        }})
    }
}
