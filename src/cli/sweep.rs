//! `ringfence sweep`: every single fault of one scenario, counted exactly.

use std::io::Write;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::campaign::replay::file_word;
use crate::campaign::sweep::SweepProgress;
use crate::campaign::{Origin, Registries, Sweep, Swept, Tally, TrialError};
use crate::outcome::Class;
use crate::report::table::{Column, table};
use crate::scenario::{Scenario, shown_in_line};

use super::arguments::SweepArguments;
use super::asleep::Longer;
use super::campaign::{by_itself, told_and_kept};
use super::cases::{self, Found};
use super::ending::stopped_when_asked;
use super::save::Folder;
use super::table::{nothing_struck, of_all, stopped};
use super::{Ended, Failure, asleep, load, progress, run};

/// Tries every fault of a scenario and prints what they come to.
pub(super) fn sweep(arguments: &SweepArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let registries = Registries { interrupt: stopped_when_asked()?, ..Registries::default() };
    let scenario = load::scenario(&arguments.scenario)?;
    let prepare = |path| Folder::prepare(path, Some(&arguments.scenario));
    let folder = arguments.save.as_deref().map(prepare).transpose()?;
    let sweep = Sweep {
        scenario,
        kinds: arguments.fault.clone(),
        workers: load::workers(arguments.jobs),
        check_one_in: arguments.check_one_in,
        registries,
    };
    if let Some(number) = arguments.only {
        return one(&sweep, number, arguments, folder.as_ref(), out);
    }
    let bar = progress::bar();
    let swept = match sweep.run(told_by(&bar)) {
        Err(TrialError::Interrupted) => {
            bar.finish_and_clear();
            return run::interrupted(&sweep.scenario.name, arguments.json, out);
        }
        swept => swept.map_err(|error| run::unresolved(&sweep.scenario, &error))?,
    };
    let stop = &sweep.registries.interrupt;
    let is_whole = !swept.is_partial && !stop.is_raised();
    let is_beyond = |steps| asleep::is_beyond(&swept.total.sleeps, steps);
    let longer = if is_whole && arguments.horizon.is_some_and(is_beyond) {
        let longer = Sweep { scenario: sweep.scenario.working_on(), ..sweep.clone() };
        match longer.run(told_by(&bar)) {
            Err(TrialError::Interrupted) => None,
            longer => Some(longer.map_err(|error| run::unresolved(&sweep.scenario, &error))?)
                .filter(|longer| !longer.is_partial),
        }
    } else {
        None
    };
    bar.finish_and_clear();
    let told = Told { arguments, sweep: &sweep, swept: &swept, longer: longer.as_ref() };
    if arguments.json {
        for line in told.json() {
            writeln!(out, "{line}")?;
        }
    } else {
        told.text(out)?;
    }
    out.flush()?;
    if let Some(folder) = &folder {
        save(&sweep, &swept, folder)?;
    }
    Ok(if swept.is_partial || sweep.registries.interrupt.is_raised() {
        Ended::Interrupted
    } else if swept.total.violations > 0
        || swept.disagreements_total > 0
        || !swept.golden.is_empty()
        || swept.total.activated == 0
    {
        Ended::Violated
    } else {
        Ended::Held
    })
}

/// What a bar tells of a sweep under way.
fn told_by(bar: &ProgressBar) -> impl Fn(SweepProgress) + Sync + '_ {
    |progress| {
        bar.set_length(progress.faults_total);
        bar.set_message(format!("{} run, {} violations", progress.run, progress.violations));
        bar.set_position(progress.faults);
    }
}

/// One fault of a sweep, told as a story; what it violates is kept where there is a folder.
fn one(
    sweep: &Sweep,
    number: u64,
    arguments: &SweepArguments,
    folder: Option<&Folder>,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let wrong = |error| run::unresolved(&sweep.scenario, &error);
    let fault = match sweep.fault(number) {
        Err(TrialError::Interrupted) => {
            return run::interrupted(&sweep.scenario.name, arguments.json, out);
        }
        fault => fault.map_err(wrong)?,
    };
    let Some(plan) = fault else {
        let total = sweep.faults().map_err(wrong)?;
        return Err(Failure::mistake(
            format!("there is no fault {number}: this sweep has {total}"),
            format!("give --only a number below {total}"),
        ));
    };
    let name = format!("{} (fault {number})", sweep.scenario.name);
    let scenario = Scenario { plan: vec![plan], ..by_itself(&sweep.scenario, name) };
    let name = format!("violation-{number}");
    let stop = &sweep.registries.interrupt;
    let ended = told_and_kept(&scenario, name, &sweep.registries, arguments.json, folder, out)?;
    if !arguments.json || stop.is_raised() {
        return Ok(ended);
    }
    match sweep.run_one(number) {
        Err(TrialError::Interrupted) => return Ok(Ended::Interrupted),
        swept => {
            if let Some(swept) = &swept.map_err(wrong)? {
                writeln!(out, "{}", Told { arguments, sweep, swept, longer: None }.summary())?;
            }
        }
    }
    Ok(if stop.is_raised() { Ended::Interrupted } else { ended })
}

/// Writes each violation as a scenario file.
fn save(sweep: &Sweep, swept: &Swept, folder: &Folder) -> Result<(), Failure> {
    let found = swept.violations.iter().map(|(number, case)| {
        let world = by_itself(&sweep.scenario, format!("violation-{number}"));
        let scenario = Scenario { plan: vec![case.plan.clone()], ..world };
        Found { scenario, violated: case.outcome.guarantees.clone() }
    });
    let (total, registries) = (swept.total.violations, &sweep.registries);
    cases::save(found.collect(), total, registries, folder, &mut std::io::stderr())
}

/// Outcomes as the table of kinds shows them: what came of it for whom.
const COLUMNS: [(&str, &[Class]); 6] = [
    ("guarantee violated", &[Class::GuaranteeViolated]),
    ("machine stops", &[Class::BootLoop, Class::Reset, Class::BugCheck, Class::Hang]),
    (
        "reaches others",
        &[Class::Durable, Class::Deviated, Class::Disclosed, Class::Consumed, Class::Dormant],
    ),
    (
        "lost in the open",
        &[Class::DeviceDisabled, Class::HostLost, Class::ProcessLost, Class::RequestFailed],
    ),
    ("stays at home", &[Class::ProcessHung, Class::OtherOrder, Class::OwnDamage]),
    ("nothing seen", &[Class::Overwritten, Class::Latent, Class::NoEffect]),
];

struct Told<'a> {
    arguments: &'a SweepArguments,
    sweep: &'a Sweep,
    swept: &'a Swept,
    /// The sweep of the same world working on, where the horizon is beyond the end of every run.
    longer: Option<&'a Swept>,
}

impl Told<'_> {
    /// The command that tells the story of one fault.
    fn line(&self, number: u64) -> String {
        let SweepArguments { scenario, fault, .. } = self.arguments;
        let kinds = match &**fault {
            [] => String::new(),
            kinds => format!(" --fault {}", kinds.join(",")),
        };
        format!("ringfence sweep {}{kinds} --only {number}", file_word(scenario))
    }

    fn text(&self, out: &mut impl Write) -> Result<(), Failure> {
        let Swept { points, faults, run, alike, nowhere, is_partial, reached, .. } = self.swept;
        let partial = if *is_partial { "  PARTIAL: interrupted" } else { "" };
        writeln!(
            out,
            "Every single fault of {}{partial}",
            shown_in_line(&self.sweep.scenario.name)
        )?;
        writeln!(
            out,
            "{faults} faults at {points} injection points: {run} run, {alike} alike with one of \
             them,\n{nowhere} whose place is nowhere at that moment"
        )?;
        if *is_partial {
            writeln!(out, "of the first {reached} faults and those for which they stand")?;
        }
        for found in &self.swept.golden {
            writeln!(out, "the golden run itself violates {}: {}", found.invariant, found.detail)?;
        }
        if let Some(how) = self.stops() {
            writeln!(out, "\nThe machine stops without any fault: {how}. So it does below.")?;
            writeln!(out, "Whether it survives faults of user mode is therefore not asked.")?;
        }
        writeln!(out, "\n{}", self.kinds())?;
        self.cells(out)?;
        self.asleep(out)?;
        self.ends(out)
    }

    /// How the machine stops, or that it never comes to rest, without any fault.
    fn stops(&self) -> Option<String> {
        self.swept.golden_stop.map(stopped)
    }

    fn longer(&self) -> Option<Longer<'_>> {
        let sleeps = &self.longer?.total.sleeps;
        Some(Longer { sleeps, faults: "all faults are run anew" })
    }

    /// How long the damage of what was run sleeps, where that is asked.
    fn asleep(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.arguments.horizon.is_none() {
            return Ok(());
        }
        let sleeps = &self.swept.total.sleeps;
        write!(
            out,
            "{}",
            asleep::text(sleeps, self.arguments.horizon, self.longer(), self.stops().as_deref())
                .trim_start()
        )?;
        writeln!(
            out,
            "Of the faults that were run; a flip for which one of them stands sleeps less long.\n"
        )?;
        Ok(())
    }

    fn kinds(&self) -> String {
        let mut columns =
            vec![Column::text("fault"), Column::number("faults"), Column::number("run")];
        columns.push(Column::number("struck"));
        columns.extend(COLUMNS.iter().map(|(title, _)| Column::number(*title)));
        let count = |tally: &Tally, classes: &[Class]| -> u64 {
            let of = |(&(_, class), &count): (&(Origin, Class), &u64)| {
                if classes.contains(&class) { count } else { 0 }
            };
            tally.cells.iter().map(of).sum()
        };
        let row = |name: &str, run: u64, tally: &Tally| {
            let counts = [tally.experiments, run, tally.activated];
            let counts = counts.into_iter().chain(COLUMNS.iter().map(|(_, of)| count(tally, of)));
            core::iter::once(name.to_owned())
                .chain(counts.map(|count| count.to_string()))
                .collect::<Vec<String>>()
        };
        let seen = self.swept.kinds.iter().filter(|of| of.tally.experiments > 0);
        let mut rows: Vec<_> = seen.map(|of| row(of.name, of.run, &of.tally)).collect();
        rows.push(row("all", self.swept.run, &self.swept.total));
        table(&columns, &rows)
    }

    fn cells(&self, out: &mut impl Write) -> Result<(), Failure> {
        for origin in Origin::ALL {
            let of = |class: Class| {
                let count = self.swept.total.cells.get(&(origin, class)).copied().unwrap_or(0);
                (class, count)
            };
            let cells = Class::ALL.iter().map(|class| of(*class)).filter(|(_, count)| *count > 0);
            let cells: Vec<(Class, u64)> = cells.collect();
            let total: u64 = cells.iter().map(|(_, count)| count).sum();
            if total == 0 {
                continue;
            }
            writeln!(out, "{} · {total} faults", origin.name())?;
            for (class, count) in cells {
                let first = self.swept.examples.get(&(origin, class));
                let first = first.map_or(String::new(), |number| format!("first: fault {number}"));
                let line = format!("  {class:<18} {count:>10}  {first}");
                writeln!(out, "{}", line.trim_end())?;
            }
            writeln!(out)?;
        }
        if let Some(number) = self.swept.examples.values().min() {
            writeln!(out, "A fault as a story:\n  {}\n", self.line(*number))?;
        }
        Ok(())
    }

    fn ends(&self, out: &mut impl Write) -> Result<(), Failure> {
        let swept = self.swept;
        writeln!(out, "Counted exactly on this world: there is no interval.")?;
        if swept.alike > 0 {
            writeln!(
                out,
                "Flips of a bit between two uses of its word are one fault: the first is run and \
                 counted as\nmany. {} of the others were run after all: {} came to something else.",
                swept.checked, swept.disagreements_total
            )?;
        }
        for one in &swept.disagreements {
            writeln!(
                out,
                "  fault {} is {} where fault {}, which stood for it, is {}\n    {}\n    {}",
                one.number,
                one.found,
                one.stands,
                one.expected,
                self.line(one.number),
                self.line(one.stands)
            )?;
        }
        if swept.disagreements_total > 0 {
            writeln!(out, "This is a bug in ringfence: please report it with these lines.")?;
        }
        if !swept.violations.is_empty() {
            writeln!(
                out,
                "\nGuarantees violated:{}",
                of_all(swept.violations.len(), swept.total.violations)
            )?;
        }
        for (number, case) in &swept.violations {
            let (kind, who) = (&case.plan.kind, &case.plan.who);
            writeln!(out, "  {} by {kind} in {who}", case.outcome.guarantees.join(", "))?;
            writeln!(out, "    {}", self.line(*number))?;
        }
        // Cut short, it can't tell.
        if swept.total.activated == 0 && !swept.is_partial {
            writeln!(out, "\n{}", nothing_struck(swept.total.experiments))?;
        }
        writeln!(out, "\nguarantees violated  {:>12}", swept.total.violations)?;
        let partial = if swept.is_partial { "  PARTIAL: interrupted" } else { "" };
        writeln!(out, "digest               {}{partial}", swept.digest)?;
        Ok(())
    }

    /// One object a cell of kind, origin and class, then one a violation and one a disagreement, then
    /// the summary.
    fn json(&self) -> Vec<Value> {
        let swept = self.swept;
        let mut lines = Vec::new();
        for of in &swept.kinds {
            for (&(origin, class), &count) in &of.tally.cells {
                lines.push(json!({
                    "kind": of.name,
                    "origin": origin.name(),
                    "class": class.name(),
                    "count": count,
                }));
            }
        }
        for (number, case) in &swept.violations {
            lines.push(json!({
                "violation": case.outcome.guarantees,
                "number": number,
                "kind": case.plan.kind,
                "who": case.plan.who,
                "replay": self.line(*number),
            }));
        }
        for one in &swept.disagreements {
            lines.push(json!({
                "disagreement": one.number,
                "stands": one.stands,
                "found": one.found.name(),
                "expected": one.expected.name(),
                "replay": self.line(one.number),
            }));
        }
        if self.arguments.horizon.is_some() {
            lines.extend(asleep::json(&swept.total.sleeps, self.arguments.horizon, self.longer()));
        }
        lines.push(self.summary());
        lines
    }

    /// The last object.
    fn summary(&self) -> Value {
        let swept = self.swept;
        json!({ "summary": {
            "points": swept.points,
            "faults": swept.faults,
            "run": swept.run,
            "alike": swept.alike,
            "nowhere": swept.nowhere,
            "activated": swept.total.activated,
            "nothing_struck": swept.total.activated == 0 && !swept.is_partial,
            "violations": swept.total.violations,
            "violations_named": swept.violations.len(),
            "golden_violations": swept.golden.len(),
            "stops_by_itself": self.stops(),
            "check_one_in": self.sweep.check_one_in,
            "checked": swept.checked,
            "disagreements": swept.disagreements_total,
            "digest": swept.digest.to_string(),
            "partial": swept.is_partial,
            "reached": swept.reached,
        }})
    }
}
