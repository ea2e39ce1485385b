//! What a campaign in a test found, and how its failure is told: with the seed, the line that runs it
//! again, and the least case, saved.
//!
//! ```
//! use ringfence::campaign::Campaign;
//!
//! let results = Campaign::on_generated_worlds(0..2)
//!     .with_faults(["wild-write", "crash"])
//!     .experiments(10)
//!     .run_all();
//!
//! results.assert_guarantees_hold();
//! assert!(!results.cells_text().contains("violated"));
//! ```

use core::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::base::nearest;
use crate::campaign::findings::Example;
use crate::campaign::replay::file_word;
use crate::campaign::{Campaign, GoldenViolation, Report, Seeds};
use crate::counterexample::{Story, case, minimised, test_text};
use crate::scenario::Scenario;

use super::saved;

/// The environment variable that restricts a campaign to the world of one seed, as in
/// `RINGFENCE_SEED=7`, or to one experiment in it, as in `RINGFENCE_SEED=7:12`.
pub const SEED_VARIABLE: &str = "RINGFENCE_SEED";
/// The environment variable that names the folder where failing cases are saved. Without it, they go
/// into `ringfence-cases` beside the test binary's folder in `target`.
pub const SAVE_VARIABLE: &str = "RINGFENCE_SAVE";

/// Cases that a failure describes; more of them say the same.
const TOLD_MAX: usize = 3;

impl Campaign {
    /// Runs to the end. The variable `RINGFENCE_SEED` restricts it to one seed or one experiment, as a
    /// failure's last line does.
    ///
    /// # Panics
    ///
    /// When a world can't be built or a fault can't be made, which is a mistake in the test; or when
    /// the variable holds no seed.
    #[must_use]
    #[track_caller]
    pub fn run_all(mut self) -> Results {
        if let Ok(text) = std::env::var(SEED_VARIABLE) {
            let Some((seed, only)) = read_seed(&text) else {
                panic!("{SEED_VARIABLE}={text:?} is no seed; expected one such as 7, 0x1f or 7:12")
            };
            self.seeds = Seeds::one(seed);
            self.only = only.or(self.only);
        }
        for name in &self.kinds {
            let faults = &self.registries.faults;
            let known = faults.kinds().iter().map(|kind| kind.name);
            if faults.get(name).is_none() {
                let near = nearest(name, known)
                    .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                panic!("there is no kind of fault `{name}`{near}");
            }
        }
        match self.run(|_| {}) {
            Ok(report) => Results { report, campaign: self },
            Err((seed, error)) => {
                let line = self.golden_line(seed).filter(|_| self.is_known_to_the_command());
                let line = line.map_or(String::new(), |line| format!("\nreplay     {line}"));
                let here = format!("{SEED_VARIABLE}={seed} {}", cargo_line());
                panic!("the world of seed {seed} can't be run: {error}{line}\nreplay     {here}")
            }
        }
    }
}

/// Reads `SEED` or `SEED:EXPERIMENT`.
fn read_seed(text: &str) -> Option<(u64, Option<u32>)> {
    let (seed, only) = match text.split_once(':') {
        None => (text, None),
        Some((seed, only)) => (seed, Some(only.trim().parse().ok()?)),
    };
    let seed = match seed.trim().strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => seed.trim().parse(),
    };
    Some((seed.ok()?, only))
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
        if let Some(failure) = self.failure() {
            panic!("{failure}");
        }
        assert!(self.report.total.activated > 0, "no fault struck: this campaign tried nothing");
    }

    /// What is wrong and how to see it again; `None` when every guarantee held. The first case is made
    /// as small as it goes, told and saved.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let report = &self.report;
        if report.violations_total() == 0 {
            return None;
        }
        let mut text = String::new();
        self.tell(&mut text).expect("a string takes everything");
        Some(text)
    }

    fn tell(&self, text: &mut String) -> core::fmt::Result {
        let report = &self.report;
        match report.golden_violations_total {
            0 => {}
            1 => writeln!(text, "a world violated a guarantee by itself, without any fault")?,
            worlds => {
                writeln!(
                    text,
                    "{worlds} worlds violated a guarantee by themselves, without any fault"
                )?;
            }
        }
        if report.total.violations > 0 {
            writeln!(
                text,
                "{} of {} experiments violated a guarantee",
                report.total.violations, report.total.experiments
            )?;
        }
        for (number, golden) in report.golden_violations.iter().take(TOLD_MAX).enumerate() {
            self.tell_golden(text, golden, number == 0)?;
        }
        for (number, example) in report.violations.iter().take(TOLD_MAX).enumerate() {
            let Example { seed, case, .. } = example;
            writeln!(text, "\nviolated   {}", case.outcome.guarantees.join(", "))?;
            writeln!(text, "because    {} struck {}", case.struck_text(), case.plan.who)?;
            writeln!(text, "seed       {seed}, experiment {}", case.number)?;
            let line = self.campaign.replay_line(*seed, case.number);
            if let Some(line) = line.filter(|_| self.campaign.is_known_to_the_command()) {
                writeln!(text, "replay     {line}")?;
            }
            let here = format!("{SEED_VARIABLE}={seed}:{} {}", case.number, cargo_line());
            writeln!(text, "replay     {here}")?;
            if number == 0 && report.golden_violations.is_empty() {
                self.tell_least(text, Self::case_of(example))?;
            }
        }
        Ok(())
    }

    /// What a world violates by itself, told once, whatever the experiments in it are.
    fn tell_golden(
        &self,
        text: &mut String,
        golden: &GoldenViolation,
        is_first: bool,
    ) -> core::fmt::Result {
        let GoldenViolation { seed, scenario, violations } = golden;
        for found in violations {
            writeln!(text, "\nviolated   {}, without any fault", found.invariant)?;
            writeln!(text, "because    {}", found.detail)?;
        }
        writeln!(text, "seed       {seed}, the golden run")?;
        let line = self.campaign.golden_line(*seed);
        if let Some(line) = line.filter(|_| self.campaign.is_known_to_the_command()) {
            writeln!(text, "replay     {line}")?;
        }
        writeln!(text, "replay     {SEED_VARIABLE}={seed} {}", cargo_line())?;
        if is_first {
            let name = test_text::identifier(&scenario.name);
            let name = format!("{name}-{seed}-golden").replace('_', "-");
            self.tell_least(text, by_itself(scenario, name))?;
        }
        Ok(())
    }

    /// The world and the faults of an example.
    fn case_of(example: &Example) -> Scenario {
        let Example { seed, case, .. } = example;
        let name = test_text::identifier(&example.scenario.name);
        let name = format!("{name}-{seed}-{}", case.number).replace('_', "-");
        Scenario { plan: case.plans(), ..by_itself(&example.scenario, name) }
    }

    /// The least case that still shows what this one shows: where it is saved, and its story.
    fn tell_least(&self, text: &mut String, scenario: Scenario) -> core::fmt::Result {
        let registries = &self.campaign.registries;
        let least = minimised(&scenario, registries, case::TRIALS_MAX)
            .map_or(scenario, |found| found.scenario);
        match save(&least) {
            Ok(path) => {
                writeln!(text, "least case {}", path.display())?;
                if self.campaign.is_known_to_the_command() {
                    let file = file_word(&path.display().to_string());
                    writeln!(text, "replay     ringfence replay {file}")?;
                }
            }
            Err(error) => writeln!(text, "not saved  {error}")?,
        }
        if let Ok(story) = Story::of(&least, registries) {
            write!(text, "\n{story}")?;
        }
        Ok(())
    }

    /// As [`Report::cells_text`].
    #[must_use]
    pub fn cells_text(&self) -> String {
        self.report.cells_text()
    }
}

impl Campaign {
    /// Whether the program `ringfence` can run it: it has none of the user's own faults, drivers and
    /// invariants.
    fn is_known_to_the_command(&self) -> bool {
        let known = crate::faults::Registry::default();
        let mut kinds = self.registries.faults.kinds().iter();
        let invariants = crate::invariants::Registry::all();
        let names = |registry: &crate::invariants::Registry| -> Vec<&'static str> {
            registry.iter().map(|invariant| invariant.name()).collect()
        };
        kinds.all(|kind| known.get(kind.name).is_some())
            && self.registries.drivers.is_none()
            && names(&invariants) == names(&self.registries.invariants)
    }
}

/// A world without a fault, under another name.
fn by_itself(scenario: &Scenario, name: String) -> Scenario {
    Scenario {
        name,
        plan: Vec::new(),
        expect: None,
        published: None,
        incident: None,
        contrasts: Vec::new(),
        ..scenario.clone()
    }
}

/// Saves a case where the environment says, or beside the test's binary.
fn save(scenario: &Scenario) -> Result<PathBuf, String> {
    let folder = match std::env::var_os(SAVE_VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        None => beside_the_binary(),
    };
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    saved::save(&folder, &format!("{}.toml", scenario.name), scenario)
        .map_err(|error| error.to_string())
}

/// Cargo puts test binaries into `target/PROFILE/deps`.
fn beside_the_binary() -> PathBuf {
    let binary = std::env::current_exe().unwrap_or_default();
    let deps = binary.ancestors().find(|path| path.ends_with("deps"));
    let profile = deps.and_then(Path::parent).map(Path::to_owned);
    profile.unwrap_or_else(std::env::temp_dir).join("ringfence-cases")
}

/// How cargo runs the test that is running.
fn cargo_line() -> String {
    let name = std::thread::current().name().unwrap_or("NAME").to_owned();
    // A test binary is called as its file, a hyphen and a fingerprint.
    let binary = std::env::current_exe().ok().and_then(|path| {
        let stem = path.file_stem()?.to_str()?.to_owned();
        Some(stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_owned()))
    });
    // The unit tests of a library are in a binary called as the library, and have paths as names.
    match binary {
        Some(binary) if name.contains("::tests::") || name.starts_with("tests::") => {
            format!("cargo test -p {binary} --lib {name}")
        }
        binary => {
            format!("cargo test --test {} {name}", binary.unwrap_or_else(|| "FILE".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read_seed;

    #[test]
    fn a_seed_is_read_alone_or_with_an_experiment() {
        assert_eq!(read_seed("7"), Some((7, None)));
        assert_eq!(read_seed("0x1f:12"), Some((31, Some(12))));
        assert_eq!(read_seed("seven"), None);
        assert_eq!(read_seed("7:"), None);
    }
}
