//! `ringfence campaign`: many faults, and what they reach.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::nearest;
use crate::campaign::{Campaign, Registries, Report, Series, SeriesOptions};
use crate::counterexample::case::TRIALS_MAX;
use crate::counterexample::{minimised, test_text};
use crate::scenario::Scenario;

use super::arguments::CampaignArguments;
use super::save::Folder;
use super::table::Told;
use super::{Ended, Failure, load, progress, run};

/// Runs a campaign and prints its report.
pub(super) fn campaign(
    arguments: &CampaignArguments,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let campaign = planned(arguments)?;
    if let Some(number) = arguments.only {
        return one(&campaign, number, arguments.json, out);
    }
    let folder = arguments.save.as_deref().map(Folder::prepare).transpose()?;
    let stop = stopped_by_ctrl_c()?;
    let bar = progress::bar();
    let report = campaign.run(&stop, |progress| {
        let stopping = if stop.load(Ordering::Relaxed) { ", stopping" } else { "" };
        bar.set_length(progress.blocks_total);
        bar.set_message(format!(
            "{} worlds, {} experiments, {} violations{stopping}",
            progress.worlds, progress.experiments, progress.violations
        ));
        bar.set_position(progress.blocks);
    });
    bar.finish_and_clear();
    let report = report.map_err(|(seed, error)| {
        Failure::mistake(
            format!("seed {seed}: {error}"),
            "correct the scenario; `ringfence run` on it says more",
        )
    })?;

    let told =
        Told { campaign: &campaign, scenario: arguments.scenario.as_deref(), report: &report };
    if arguments.json {
        for line in told.json() {
            writeln!(out, "{line}")?;
        }
    } else {
        write!(out, "{}", told.text())?;
    }
    out.flush()?;
    if let Some(folder) = &folder {
        save(&campaign, &report, folder)?;
    }
    Ok(if report.is_partial {
        Ended::Interrupted
    } else if report.total.violations > 0 || !report.golden_violations.is_empty() {
        Ended::Violated
    } else {
        Ended::Held
    })
}

/// What the arguments ask for.
fn planned(arguments: &CampaignArguments) -> Result<Campaign, Failure> {
    let registries = Registries::default();
    for kind in &arguments.fault {
        if registries.faults.get(kind).is_none() {
            let known = registries.faults.kinds().iter().map(|kind| kind.name);
            let remedy = nearest(kind, known)
                .map_or("`ringfence list faults` names all of them".to_owned(), |near| {
                    format!("did you mean `{near}`?")
                });
            return Err(Failure::mistake(format!("there is no kind of fault `{kind}`"), remedy));
        }
    }
    if let Some(only) = arguments.only
        && only >= arguments.experiments
    {
        return Err(Failure::mistake(
            format!("there is no experiment {only} among {}", arguments.experiments),
            format!("give --only a number below {}", arguments.experiments),
        ));
    }
    let workers = load::workers(arguments.jobs);
    Ok(Campaign {
        scenario: arguments.scenario.as_deref().map(load::scenario).transpose()?,
        file: arguments.scenario.clone(),
        seeds: arguments.seeds.first..arguments.seeds.end,
        experiments: arguments.experiments,
        kinds: arguments.fault.clone(),
        only: arguments.only,
        workers,
        registries,
        ..Campaign::default()
    })
}

/// One experiment of a campaign, told as a story.
fn one(
    campaign: &Campaign,
    number: u32,
    json: bool,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let seed = campaign.seeds.start;
    let world = campaign.world_of(seed);
    let options = SeriesOptions {
        experiments: campaign.experiments,
        seed: crate::base::Seed(seed),
        kinds: campaign.kinds.clone(),
        only: Some(number..number.saturating_add(1)),
    };
    let wrong = |error| Failure::mistake(format!("seed {seed}: {error}"), "correct the scenario");
    let mut cases = Vec::new();
    Series::new(&world, &options, &campaign.registries)
        .and_then(|series| series.run(|_, case| cases.push(case)))
        .map_err(wrong)?;
    let Some(case) = cases.pop() else {
        return Err(Failure::mistake(
            format!(
                "experiment {number} of seed {seed} has no fault: none fits what this world reaches"
            ),
            "choose another number",
        ));
    };
    let scenario = Scenario {
        name: format!("{} (experiment {number})", world.name),
        plan: vec![case.plan],
        expect: None,
        published: None,
        ..world
    };
    run::told(&scenario, json, out)
}

/// Set when Ctrl-C is pressed; pressed again it ends the program at once.
pub(super) fn stopped_by_ctrl_c() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let pressed = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if pressed.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|error| Failure::mistake(format!("can't listen for Ctrl-C: {error}"), "try again"))?;
    Ok(stop)
}

/// Writes each violation, minimised, as a scenario file, with the line that replays it.
fn save(campaign: &Campaign, report: &Report, folder: &Folder) -> Result<(), Failure> {
    for example in &report.violations {
        let (seed, number) = (example.seed, example.case.number);
        let mut scenario = example.scenario.clone();
        scenario.name = format!("violation-{seed}-{number}");
        scenario.plan = vec![example.case.plan.clone()];
        scenario.expect = None;
        let least = minimised(&scenario, &campaign.registries, TRIALS_MAX);
        let least = least.map_or(scenario, |found| found.scenario);
        let place = folder.write(&format!("{}.toml", least.name), &least.to_toml())?;
        let line = test_text::replay_line(&place.display().to_string());
        let _ = writeln!(std::io::stderr(), "saved: {line}");
    }
    Ok(())
}
