//! `ringfence campaign --compare`: the same faults under several configurations.

mod asked;
mod json;
mod text;

use std::io::Write;

use crate::campaign::TrialError;
use crate::campaign::comparison::{
    Cannot, Compared, Comparison, ComparisonError, Pair, Why, run_all,
};
use crate::counterexample::incident::{Ending, side_by_side};
use crate::counterexample::{Story, test_text};
use crate::scenario::{shown, shown_in_line};

use super::arguments::{CampaignArguments, Only};
use super::campaign::{Worlds, check_only};
use super::ending::stopped_when_asked;
use super::save::Folder;
use super::table::nothing_struck;
use super::{Ended, Failure, progress, run};

/// What is compared, with the words that it is told under.
struct Asked {
    /// What the comparisons are of; each is of two or more configurations.
    title: &'static str,
    /// All of one sort, over the same seeds.
    comparisons: Vec<Comparison>,
}

/// Compares what was asked for, or homes and protections.
pub(super) fn compare(
    arguments: &CampaignArguments,
    names: &[String],
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let mut all = asked::asked(arguments, names)?;
    if let Some(only) = arguments.only {
        let is_generated =
            all.iter().flat_map(|asked| &asked.comparisons).any(Comparison::is_generated);
        let worlds = if is_generated { Worlds::Generated } else { Worlds::Named };
        check_only(arguments, only, worlds)?;
    }
    if arguments.save.is_some() && arguments.only.is_none() {
        return Err(Failure::mistake(
            "--save keeps one fault in each configuration, and none is named",
            "name it: --seeds SEED --only NUMBER, as in a replay line",
        ));
    }
    let stop = stopped_when_asked()?;
    for one in all.iter_mut().flat_map(|asked| &mut asked.comparisons) {
        one.registries.interrupt = stop.clone();
    }
    if let Some(only) = arguments.only {
        return one(&all, arguments, only, out);
    }
    let bar = progress::bar();
    let mut told = Vec::new();
    for asked in &all {
        let compared = run_all(&asked.comparisons, |progress| {
            let stopping = if stop.is_raised() { ", stopping" } else { "" };
            bar.set_length(progress.blocks_total);
            bar.set_message(format!(
                "{}: {} experiments{stopping}",
                asked.title, progress.experiments
            ));
            bar.set_position(progress.blocks);
        });
        told.push(compared.map_err(|error| wrong(&error))?);
    }
    bar.finish_and_clear();
    let pairs = || all.iter().zip(&told);
    if arguments.json {
        for (asked, compared) in pairs() {
            for line in json::lines(asked, compared) {
                writeln!(out, "{line}")?;
            }
        }
    } else {
        for (number, (asked, compared)) in pairs().enumerate() {
            let gap = if number > 0 { "\n" } else { "" };
            write!(out, "{gap}{}", shown(&text::text(asked, compared)))?;
        }
        if struck(told.iter().flatten()) == 0 && !told.iter().flatten().any(|one| one.is_partial) {
            let columns = told.iter().flatten().flat_map(|one| one.columns.first());
            let tried = columns.map(|column| column.total.tried).sum();
            writeln!(out, "\n{}", nothing_struck(tried))?;
        }
    }
    out.flush()?;
    let each = || told.iter().flatten();
    let is_violated = |compared: &Compared| {
        compared.violations() > 0 || compared.columns.iter().any(|one| one.golden_violations > 0)
    };
    Ok(if each().any(|compared| compared.is_partial) || stop.is_raised() {
        Ended::Interrupted
    } else if each().any(is_violated) || struck(each()) == 0 {
        Ended::Violated
    } else {
        Ended::Held
    })
}

/// Faults that struck, in whatever configuration.
fn struck<'a>(compared: impl Iterator<Item = &'a Compared>) -> u64 {
    compared.flat_map(|one| &one.columns).map(|column| column.total.struck).sum()
}

fn wrong(error: &ComparisonError) -> Failure {
    Failure::mistake(error, "compare configurations that this world can have")
}

/// One fault in every configuration, told as a story.
fn one(
    all: &[Asked],
    arguments: &CampaignArguments,
    only: Only,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let Only::Experiment(number) = only else {
        return Err(Failure::mistake(
            "a golden run is of one configuration and compares nothing",
            "leave --compare out, or give --only a number",
        ));
    };
    let [comparison] = all.iter().flat_map(|asked| &asked.comparisons).collect::<Vec<_>>()[..]
    else {
        return Err(Failure::mistake(
            "--only is one fault of one comparison, and none is named",
            "name its configurations, as in --compare home=kernel home=own-host",
        ));
    };
    let seed = comparison.seeds.first();
    let pairs = comparison.pairs(seed, number..number.saturating_add(1));
    let interrupted = |out| {
        let name = format!("fault {number} of seed {seed}");
        run::interrupted(&name, arguments.json, out)
    };
    let pair = match pairs {
        Err(ComparisonError { why: Why::Trial(TrialError::Interrupted), .. }) => {
            return interrupted(out);
        }
        pairs => pairs.map_err(|error| wrong(&error))?.pop(),
    };
    let Some(Pair { what, tries, .. }) = pair else {
        return Err(Failure::mistake(
            format!("no fault of number {number} of seed {seed}: none fits what is reached"),
            "choose another number",
        ));
    };
    let read = arguments.scenario.as_deref();
    let prepare = |path| Folder::prepare(path, read);
    let folder = arguments.save.as_deref().map(prepare).transpose()?;
    let mut stories = Vec::new();
    for (place, (name, tried)) in (1..).zip(tries) {
        if let (Some(folder), Ok(scenario)) = (&folder, &tried) {
            let file = format!("pair-{seed}-{number}-{place}.toml");
            let path = folder.write(&file, scenario)?;
            let line = test_text::replay_line(&path.display().to_string());
            let _ = writeln!(std::io::stderr(), "saved: {line}");
        }
        let story = match tried {
            Err(why) => Err(why),
            Ok(scenario) => {
                let story = match Story::of(&scenario, &comparison.registries) {
                    Err(TrialError::Interrupted) => return interrupted(out),
                    story => story.map_err(|error| run::unresolved(&scenario, &error))?,
                };
                Cannot::of(&story.outcome).map_or(Ok(story), Err)
            }
        };
        stories.push((name, story));
    }
    let is_violated = stories
        .iter()
        .any(|(_, story)| story.as_ref().is_ok_and(|story| !story.outcome.guarantees.is_empty()));
    if arguments.json {
        writeln!(out, "{}", json::pair(&what, seed, number, &stories))?;
    } else {
        writeln!(out, "{}\n", shown(&what))?;
        for (name, story) in &stories {
            let (integrity, service) = match story {
                Err(why) => ("cannot activate here", why.name().to_owned()),
                Ok(story) => {
                    let ending = Ending::of(&story.outcome);
                    (ending.integrity.name(), ending.service())
                }
            };
            let name = shown_in_line(name);
            writeln!(out, "  {name:<44} {integrity:<21} {service}")?;
            let violated = story.as_ref().map_or(&[][..], |story| &story.outcome.guarantees);
            for guarantee in violated {
                writeln!(out, "    violates {guarantee}")?;
            }
        }
        let told: Vec<_> =
            stories.iter().filter_map(|(name, it)| Some((name, it.as_ref().ok()?))).collect();
        match told.as_slice() {
            [] => {}
            [(name, story)] => write!(out, "\n{}\n\n{story}", shown_in_line(name))?,
            [(name, story), others @ ..] => {
                for (other_name, other) in others {
                    write!(out, "\n{}", side_by_side(name, story, other_name, other))?;
                }
            }
        }
    }
    out.flush()?;
    Ok(match is_violated {
        _ if comparison.registries.interrupt.is_raised() => Ended::Interrupted,
        true => Ended::Violated,
        false => Ended::Held,
    })
}
