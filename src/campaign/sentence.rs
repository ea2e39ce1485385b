//! A campaign as a sentence, for tests: what to run, and what to hold it to.
//!
//! ```
//! use ringfence::campaign::Campaign;
//!
//! let report = Campaign::on_builtin("content-parser-host")
//!     .with_faults(["crash"])
//!     .experiments(12)
//!     .run_all();
//!
//! report.assert_guarantees_hold();
//! assert!(report.cells_text().lines().all(|line| !line.ends_with("violated")));
//! ```

use core::fmt::Write as _;
use core::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::faults::Kind;
use crate::invariants;
use crate::outcome::Class;
use crate::scenario::{Scenario, library};
use crate::world::Drivers;
use crate::world::components;

use super::tally::Origin;
use super::workers::{Campaign, Example, Report};

/// The environment variable that restricts a campaign to the world of one seed.
pub const SEED_VARIABLE: &str = "RINGFENCE_SEED";
/// The environment variable that names the folder where failing cases are saved.
pub const SAVE_VARIABLE: &str = "RINGFENCE_SAVE";

/// Cases that a failure describes; more of them say the same.
const TOLD_MAX: usize = 3;

impl Campaign {
    /// A campaign on a world of yours. One seed: more of them draw other plans for the same world.
    #[must_use]
    pub fn on(scenario: Scenario) -> Self {
        Self { scenario: Some(scenario), seeds: 0..1, ..Self::default() }
    }

    /// A campaign on a scenario built in.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    #[must_use]
    pub fn on_builtin(name: &str) -> Self {
        let names =
            || library::ALL.iter().map(|builtin| builtin.name).collect::<Vec<_>>().join(", ");
        let builtin = library::find(name)
            .unwrap_or_else(|| panic!("there is no scenario {name:?}; there are {}", names()));
        let scenario = Scenario::from_bytes(builtin.text.as_bytes())
            .unwrap_or_else(|errors| panic!("the scenario {name:?} can't be read:\n{errors}"));
        Self::on(scenario)
    }

    /// A campaign on generated worlds, one for each seed.
    #[must_use]
    pub fn on_generated_worlds(seeds: Range<u64>) -> Self {
        Self { seeds, ..Self::default() }
    }

    /// Only faults of these kinds; the names are those of `ringfence list faults`.
    #[must_use]
    pub fn with_faults<'a>(mut self, kinds: impl IntoIterator<Item = &'a str>) -> Self {
        self.kinds = kinds.into_iter().map(str::to_owned).collect();
        self
    }

    /// Only faults of this kind, which is yours.
    #[must_use]
    pub fn with_my_fault(mut self, kind: Kind) -> Self {
        self.registries.faults.add(kind);
        self.kinds.push(kind.name.to_owned());
        self
    }

    /// Held to these invariants: `Registry::all().with(mine)` are all there are and one of yours.
    #[must_use]
    pub fn held_to(mut self, invariants: invariants::Registry) -> Self {
        self.registries.invariants = Arc::new(invariants);
        self
    }

    /// With these drivers beside those that come with the crate, for scenarios to name.
    #[must_use]
    pub fn with_my_drivers(mut self, mine: Drivers) -> Self {
        let mut drivers = self.registries.drivers.take().unwrap_or_else(components::drivers);
        drivers.kernel.extend(mine.kernel);
        drivers.hosted.extend(mine.hosted);
        self.registries.drivers = Some(drivers);
        self
    }

    /// So many experiments in each world.
    #[must_use]
    pub fn experiments(mut self, experiments: u32) -> Self {
        self.experiments = experiments;
        self
    }

    /// With these seeds.
    #[must_use]
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// With so many threads; the result is the same.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Runs to the end. The variable `RINGFENCE_SEED` restricts it to one seed, as a failure's last
    /// line does.
    ///
    /// # Panics
    ///
    /// When a world can't be built or a fault can't be made, which is a mistake in the test; or when
    /// the variable holds no number.
    #[must_use]
    pub fn run_all(mut self) -> Results {
        if let Some(seed) = seed_from_environment() {
            self.seeds = seed..seed.saturating_add(1);
        }
        for name in &self.kinds {
            let faults = &self.registries.faults;
            let known = faults.kinds().iter().map(|kind| kind.name);
            if faults.get(name).is_none() {
                let near = crate::base::nearest(name, known)
                    .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                panic!("there is no kind of fault `{name}`{near}");
            }
        }
        match self.run(&AtomicBool::new(false), |_| {}) {
            Ok(report) => Results { report, campaign: self },
            Err((seed, error)) => panic!("the world of seed {seed} can't be run: {error}"),
        }
    }
}

fn seed_from_environment() -> Option<u64> {
    let text = std::env::var(SEED_VARIABLE).ok()?;
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(parsed.unwrap_or_else(|_| panic!("{SEED_VARIABLE}={text:?} is not a seed")))
}

/// What a campaign found, to be held to something.
pub struct Results {
    /// The numbers.
    pub report: Report,
    campaign: Campaign,
}

impl Results {
    /// Holds the code under test to its guarantees.
    ///
    /// # Panics
    ///
    /// When a guarantee was violated, with what is needed to see it again; and when nothing struck,
    /// because then nothing was tried.
    #[track_caller]
    pub fn assert_guarantees_hold(&self) {
        assert!(self.report.total.activated > 0, "no fault struck: this campaign tried nothing");
        if let Some(failure) = self.failure() {
            panic!("{failure}");
        }
    }

    /// What is wrong and how to see it again; `None` when every guarantee held.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let report = &self.report;
        if report.total.violations == 0 && report.golden_violations.is_empty() {
            return None;
        }
        let mut text = format!(
            "{} of {} experiments violated a guarantee\n",
            report.total.violations, report.total.experiments
        );
        for (seed, what) in report.golden_violations.iter().take(TOLD_MAX) {
            let _ = writeln!(
                text,
                "violated   {}, without any fault, in the world of seed {seed}",
                what.invariant
            );
        }
        for example in report.violations.iter().take(TOLD_MAX) {
            self.tell(&mut text, example);
        }
        Some(text)
    }

    fn tell(&self, text: &mut String, example: &Example) {
        let Example { seed, case, .. } = example;
        let kind = &case.plan.kind;
        let who = &case.plan.who;
        let _ = writeln!(text, "violated   {}", case.outcome.guarantees.join(", "));
        let _ = writeln!(text, "because    {kind} struck {who}");
        let _ = writeln!(text, "seed       {seed}, experiment {}", case.number);
        let mut scenario = example.scenario.clone();
        scenario.plan = vec![case.plan.clone()];
        let saved = save(&scenario, *seed, case.number);
        match &saved {
            Some(Ok(path)) => {
                let _ = writeln!(text, "saved      {}", path.display());
            }
            Some(Err(error)) => {
                let _ = writeln!(text, "not saved  {error}");
            }
            None => {
                let _ = writeln!(text, "to save    {SAVE_VARIABLE}=FOLDER before the last line");
            }
        }
        let replay = match (saved, &self.campaign.scenario) {
            (Some(Ok(path)), _) => format!("replay {}", path.display()),
            (_, Some(on)) if library::find(&on.name).is_none() => {
                "replay FOLDER/CASE.toml".to_owned()
            }
            (_, on) => {
                let name = on.as_ref().map_or("", |scenario| &scenario.name);
                let gap = if name.is_empty() { "" } else { " " };
                let count = self.campaign.experiments;
                let kinds = match self.campaign.kinds.as_slice() {
                    [] => String::new(),
                    kinds => format!(" --fault {}", kinds.join(",")),
                };
                let only = case.number;
                format!(
                    "campaign{gap}{name} --seeds {seed} --experiments {count}{kinds} --only {only}"
                )
            }
        };
        let _ = writeln!(text, "replay     ringfence {replay}");
        let _ = writeln!(text, "       or  {SEED_VARIABLE}={seed} {}", cargo_line());
    }

    /// The set of cells that occur: where a fault started, what became of it, and whether that is a
    /// guarantee that held, a guarantee violated, an exposure, or either that or by leave of the influence
    /// relation, which the cell alone does not tell. No counts: this is what a snapshot
    /// keeps and a person can judge.
    #[must_use]
    pub fn cells_text(&self) -> String {
        self.report.cells_text()
    }
}

impl Report {
    /// As [`Results::cells_text`].
    #[must_use]
    pub fn cells_text(&self) -> String {
        let mut text = String::new();
        for &(origin, class) in self.total.cells.keys() {
            let standing = standing(origin, class);
            let (origin, class) = (origin.to_string(), class.name());
            let _ = writeln!(text, "{origin:<20} {class:<20} {standing}");
        }
        text
    }
}

/// What a cell says about the architecture. The class alone does not say whether a case was within a
/// guarantee: what an application shares with another it may change, and a critical process may stop
/// the machine. Such cells say that nothing was promised that did not hold.
fn standing(origin: Origin, class: Class) -> &'static str {
    let is_user_mode = matches!(origin, Origin::Application | Origin::UserModeDriver);
    match class {
        Class::GuaranteeViolated => "guarantee violated",
        Class::NotActivated => "nothing tried",
        _ if !is_user_mode => "exposure",
        Class::HostLost
        | Class::ProcessLost
        | Class::ProcessHung
        | Class::RequestFailed
        | Class::OwnDamage
        | Class::Overwritten
        | Class::NoEffect => "guarantee held",
        _ => "exposure or by leave",
    }
}

/// Saves a case in the folder that the environment names.
fn save(scenario: &Scenario, seed: u64, number: u32) -> Option<Result<PathBuf, String>> {
    let folder = PathBuf::from(std::env::var_os(SAVE_VARIABLE)?);
    let path = folder.join(format!("{}-{seed}-{number}.toml", scenario.name));
    let done = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, scenario.to_toml()))
        .map_err(|error| format!("{}: {error}", path.display()));
    Some(done.map(|()| path))
}

/// How cargo runs the test that is running.
fn cargo_line() -> String {
    let name = std::thread::current().name().unwrap_or("NAME").to_owned();
    // A test binary is called as its file, a hyphen and a fingerprint.
    let binary = std::env::current_exe().ok().and_then(|path| {
        let stem = path.file_stem()?.to_str()?.to_owned();
        Some(stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_owned()))
    });
    format!("cargo test --test {} {name}", binary.unwrap_or_else(|| "FILE".to_owned()))
}
