//! `ringfence campaign`: many faults, and what they reach.

use core::ops::Range;
use std::io::Write;

use serde_json::Value;

use crate::campaign::{
    Campaign, Progress, Registries, Report, Series, SeriesOptions, Trial, TrialError,
};
use crate::faults::{Mix, Registry};
use crate::scenario::{Scenario, shown};

use super::arguments::{CampaignArguments, Only};
use super::cases::{self, Found};
use super::ending::stopped_when_asked;
use super::numbers::counted;
use super::save::Folder;
use super::table::Told;
use super::{Ended, Failure, asleep, compare, load, progress, run};

/// Seeds when none are named.
pub(super) const SEEDS: Range<u64> = 0..60;

/// Runs a campaign and prints its report.
pub(super) fn campaign(
    arguments: &CampaignArguments,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    if let Some(configurations) = &arguments.compare {
        return compare::compare(arguments, configurations, out);
    }
    let mut campaign = planned(arguments)?;
    let read = arguments.scenario.as_deref();
    let prepare = |path| Folder::prepare(path, read);
    let folder = arguments.save.as_deref().map(prepare).transpose()?;
    let stop = stopped_when_asked()?;
    campaign.registries.interrupt = stop.clone();
    if let Some(only) = arguments.only {
        let ended = one(&campaign, only, arguments.json, folder.as_ref(), out)?;
        if arguments.json {
            writeln!(out, "{}", summary_of_one(campaign, only)?)?;
        }
        return Ok(if stop.is_raised() { Ended::Interrupted } else { ended });
    }
    let bar = progress::bar();
    let told = |progress: Progress| {
        let stopping = if stop.is_raised() { ", stopping" } else { "" };
        bar.set_length(progress.blocks_total);
        bar.set_message(format!(
            "{}, {}, {}{stopping}",
            counted(progress.worlds, "world"),
            counted(progress.experiments, "experiment"),
            counted(progress.violations, "violation")
        ));
        bar.set_position(progress.blocks);
    };
    let report = campaign.run(told).map_err(wrong)?;
    let is_beyond = |steps| asleep::is_beyond(&report.total.sleeps, steps);
    let is_whole = !report.is_partial && !stop.is_raised();
    let longer = if is_whole && arguments.horizon.is_some_and(is_beyond) {
        let longer = Campaign { works_on: true, ..campaign.clone() };
        Some(longer.run(told).map_err(wrong)?).filter(|longer| !longer.is_partial)
    } else {
        None
    };
    bar.finish_and_clear();

    let told = Told {
        campaign: &campaign,
        scenario: arguments.scenario.as_deref(),
        report: &report,
        horizon: arguments.horizon,
        longer: longer.as_ref(),
    };
    if arguments.json {
        for line in told.json() {
            writeln!(out, "{line}")?;
        }
    } else {
        write!(out, "{}", shown(&told.text()))?;
    }
    out.flush()?;
    if let Some(folder) = &folder {
        save(&campaign, &report, folder)?;
    }
    Ok(if report.is_partial || stop.is_raised() {
        Ended::Interrupted
    } else if report.violations_total() > 0 || report.total.activated == 0 {
        // A campaign that tried nothing is no pass, as in a test.
        Ended::Violated
    } else {
        Ended::Held
    })
}

/// A world that can't be built, or a fault that can't be made.
fn wrong((seed, error): (u64, TrialError)) -> Failure {
    Failure::mistake(
        format!("seed {seed}: {error}"),
        "correct the scenario; `ringfence run` on it says more",
    )
}

/// The last object of a campaign of one run: what that of a whole campaign would be without the others.
fn summary_of_one(campaign: Campaign, only: Only) -> Result<Value, Failure> {
    // Of a scenario by itself every seed says the same.
    let first = campaign.seeds.first();
    let campaign = Campaign { seeds: (first..=first).into(), ..campaign };
    let campaign = match only {
        Only::Experiment(number) => Campaign { only: Some(number), ..campaign },
        Only::Golden => Campaign { experiments: 0, ..campaign },
    };
    let report = campaign.run(|_| {}).map_err(wrong)?;
    let scenario = campaign.file.as_deref();
    let told = Told { campaign: &campaign, scenario, report: &report, horizon: None, longer: None };
    let mut summary = told.summary();
    if only == Only::Golden && !report.is_partial {
        match Trial::new(&campaign.world_of(first), &campaign.registries) {
            Err(TrialError::Interrupted) => summary["summary"]["partial"] = true.into(),
            trial => {
                let trial = trial.map_err(|error| wrong((first, error)))?;
                summary["summary"]["events"] = trial.golden.events.into();
            }
        }
    }
    Ok(summary)
}

/// What the arguments ask for.
fn planned(arguments: &CampaignArguments) -> Result<Campaign, Failure> {
    let registries = Registries { mix: mix(arguments)?, ..Registries::default() };
    let scenario = arguments.scenario.as_deref().map(load::scenario).transpose()?;
    if let Some(only) = arguments.only {
        let worlds = if scenario.is_some() { Worlds::Named } else { Worlds::Generated };
        check_only(arguments, only, worlds)?;
    }
    let seeds = arguments.seeds.unwrap_or_else(|| SEEDS.into());
    let workers = load::workers(arguments.jobs);
    Ok(Campaign {
        scenario,
        file: arguments.scenario.clone(),
        seeds,
        experiments: arguments.experiments,
        kinds: arguments.fault.clone(),
        errors: arguments.errors,
        workers,
        registries,
        ..Campaign::default()
    })
}

/// The mix that is named, where one is.
pub(super) fn mix(arguments: &CampaignArguments) -> Result<Option<Mix>, Failure> {
    let read = |text: &String| Mix::read(text, &Registry::default());
    let mix = arguments.mix.as_ref().map(read).transpose();
    mix.map_err(|wrong| Failure::mistake(wrong.what, wrong.remedy))
}

/// Where the worlds come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Worlds {
    /// A scenario that is named is the same world with every seed: those of its plans.
    Named,
    /// Each is its seed's.
    Generated,
}

/// `--only` is of one world: with more of them, or with none named, what is meant is not clear. In a world that is
/// named the plan is the first seed's where none is.
pub(super) fn check_only(
    arguments: &CampaignArguments,
    only: Only,
    worlds: Worlds,
) -> Result<(), Failure> {
    if let Only::Experiment(number) = only
        && number >= arguments.experiments
    {
        return Err(Failure::mistake(
            format!("there is no experiment {number} among {}", arguments.experiments),
            format!("give --only a number below {}", arguments.experiments),
        ));
    }
    match arguments.seeds {
        Some(seeds) if seeds.count() > 1 => Err(Failure::mistake(
            format!("--only is one run of one world, and --seeds {seeds} are {}", seeds.count()),
            format!("name the seed that is meant: --seeds {}", seeds.first()),
        )),
        None if worlds == Worlds::Generated => Err(Failure::mistake(
            "--only is one run of one world, and no seed is named",
            "name the seed that is meant, as in --seeds 0",
        )),
        _ => Ok(()),
    }
}

/// One run of a campaign, told as a story; what it violates is kept where there is a folder.
fn one(
    campaign: &Campaign,
    only: Only,
    json: bool,
    folder: Option<&Folder>,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let seed = campaign.seeds.first();
    let world = campaign.world_of(seed);
    let Only::Experiment(number) = only else {
        let scenario = by_itself(&world, format!("{} (golden run)", world.name));
        let name = format!("golden-{seed}");
        return told_and_kept(&scenario, name, &campaign.registries, json, folder, out);
    };
    let options = SeriesOptions {
        experiments: campaign.experiments,
        seed: crate::base::Seed(seed),
        kinds: campaign.kinds.clone(),
        errors: campaign.errors,
        only: Some(number..number.saturating_add(1)),
    };
    let wrong = |error| Failure::mistake(format!("seed {seed}: {error}"), "correct the scenario");
    let mut cases = Vec::new();
    let ran = Series::new(&world, &options, &campaign.registries)
        .and_then(|series| series.run(|_, case| cases.push(case)));
    match ran {
        Err(TrialError::Interrupted) => return run::interrupted(&world.name, json, out),
        ran => ran.map_err(wrong)?,
    }
    let Some(case) = cases.pop() else {
        return Err(Failure::mistake(
            format!(
                "experiment {number} of seed {seed} has no fault: none fits what this world reaches"
            ),
            "choose another number",
        ));
    };
    let name = format!("{} (experiment {number})", world.name);
    let scenario = Scenario { plan: case.plans(), ..by_itself(&world, name) };
    let name = format!("violation-{seed}-{number}");
    told_and_kept(&scenario, name, &campaign.registries, json, folder, out)
}

/// Tells the story of a run and, where there is a folder, keeps the run under a name if it violates
/// something.
pub(super) fn told_and_kept(
    scenario: &Scenario,
    name: String,
    registries: &Registries,
    json: bool,
    folder: Option<&Folder>,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let (ended, story) = run::story(scenario, registries, json, out)?;
    let (Some(story), Some(folder)) = (story, folder) else { return Ok(ended) };
    out.flush()?;
    // What a world violates by itself is among them in its golden run only.
    let violated = story.outcome.guarantees;
    let mut told = std::io::stderr();
    if violated.is_empty() {
        // Nobody may be there to read it, which changes nothing.
        let _ = writeln!(told, "nothing is saved: no guarantee is violated");
        return Ok(ended);
    }
    let scenario = Scenario { name, ..scenario.clone() };
    cases::save(vec![Found { scenario, violated }], 1, registries, folder, &mut told)?;
    Ok(if registries.interrupt.is_raised() { Ended::Interrupted } else { ended })
}

/// A world without a fault, under another name.
pub(super) fn by_itself(world: &Scenario, name: String) -> Scenario {
    Scenario {
        name,
        plan: Vec::new(),
        expect: None,
        published: None,
        incident: None,
        contrasts: Vec::new(),
        ..world.clone()
    }
}

/// Writes what each world violates by itself, and each violation, as a scenario file.
fn save(campaign: &Campaign, report: &Report, folder: &Folder) -> Result<(), Failure> {
    let golden = report.golden_violations.iter().map(|golden| {
        let name = format!("golden-{}", golden.seed);
        let mut violated: Vec<String> =
            golden.violations.iter().map(|one| one.invariant.to_owned()).collect();
        violated.dedup();
        Found { scenario: by_itself(&golden.scenario, name), violated }
    });
    let struck = report.violations.iter().map(|example| {
        let name = format!("violation-{}-{}", example.seed, example.case.number);
        let plan = example.case.plans();
        let scenario = Scenario { plan, ..by_itself(&example.scenario, name) };
        Found { scenario, violated: example.case.outcome.guarantees.clone() }
    });
    let found = golden.chain(struck).collect();
    let (total, registries) = (report.violations_total(), &campaign.registries);
    cases::save(found, total, registries, folder, &mut std::io::stderr())
}
