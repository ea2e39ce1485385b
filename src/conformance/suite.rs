//! The suite for mappers: many cases, each kind of finding minimised once.

use std::collections::BTreeSet;
use std::env;
use std::time::Duration;

use super::breach::{Breach, Check, INTERFACE, Key};
use super::case::{Case, generate};
use super::draw::Draw;
use super::finding::Finding;
use super::format::{Format, X86_64};
use super::isolate::{self, Death};
#[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
use super::memory::Observed;
use super::memory::{Hosting, Memory};
use super::report::Report;
use super::run::{ACCESSES_MAX, Setting, Tally};
use super::stop::Stop;
use super::subject::{Capabilities, Mapper};
use crate::base::{Seed, TraceHash};
use crate::minimise::{Budget, Cut, Extent, Minimiser};

/// Cases of a run that nobody sized: a few seconds in a debug build.
pub(super) const CASES: u64 = 400;

/// Runs that minimising one finding may take.
const TRIALS_MAX: u32 = 600;

/// Kinds of findings that are minimised and told; behind that many, the code needs another look first.
const FINDINGS_MAX: usize = 12;

/// Who is told of each finding at once.
pub(super) type Observer = Box<dyn Fn(&Finding)>;

/// A run of the suite that is about to begin.
#[must_use = "nothing is run until `check` or `run` is called"]
pub struct Suite<F> {
    factory: F,
    pub(super) format: &'static dyn Format,
    pub(super) cases: u64,
    pub(super) seed: u64,
    tolerated: Vec<(Check, String)>,
    patience: Option<Duration>,
    findings_max: usize,
    observer: Option<Observer>,
    hosting: Hosting,
    accesses_max: u32,
}

/// A suite for code that maps pages. `factory` makes an instance on the memory it is given; it is
/// called once for each case.
pub fn mapper<M: Mapper, F: Fn(Memory) -> M>(factory: F) -> Suite<F> {
    Suite::new(factory)
}

/// A number from the environment.
///
/// # Panics
///
/// When the variable is set and no number.
pub(super) fn from_environment(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    match text.trim().parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is {text:?}; expected a decimal number below 2^64"),
    }
}

/// The name of the running test: the test harness gives it to its thread.
pub(super) fn test_name() -> Option<String> {
    std::thread::current().name().filter(|name| *name != "main").map(str::to_owned)
}

impl<M: Mapper, F: Fn(Memory) -> M> Suite<F> {
    fn new(factory: F) -> Self {
        Self {
            factory,
            format: X86_64::FOUR_LEVELS,
            cases: CASES,
            seed: 1,
            tolerated: Vec::new(),
            patience: None,
            findings_max: FINDINGS_MAX,
            observer: None,
            hosting: Hosting::default(),
            accesses_max: ACCESSES_MAX,
        }
    }

    /// The table format; x86-64 with 4 levels unless said otherwise.
    pub fn format(mut self, format: &'static dyn Format) -> Self {
        self.format = format;
        self
    }

    /// How many cases; `RINGFENCE_CASES` overrides it.
    pub fn cases(mut self, cases: u64) -> Self {
        self.cases = cases;
        self
    }

    /// The seed of the first case, 1 unless said otherwise; the next case has the next seed.
    /// `RINGFENCE_SEED` overrides it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A kind of finding that is known and not to be told, by its [`Finding::kind`].
    pub fn tolerating(mut self, check: Check, kind: &str) -> Self {
        self.tolerated.push((check, kind.to_owned()));
        self
    }

    /// How many kinds of findings are minimised and told before the run ends; 12 unless said
    /// otherwise.
    pub fn findings_max(mut self, findings: usize) -> Self {
        self.findings_max = findings;
        self
    }

    /// Calls `observer` with each finding as soon as it is minimised: a long run tells what it found
    /// before it ends.
    pub fn on_finding(mut self, observer: impl Fn(&Finding) + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// How many accesses to memory a call may make before it counts as endless; 200000 unless said
    /// otherwise. The longest call that is drawn clears a few tables and writes a thousand entries.
    pub fn accesses_max(mut self, accesses: u32) -> Self {
        self.accesses_max = accesses;
        self
    }

    /// Runs everything in a child process first, and tells of a case in which that is ended by a
    /// signal or makes no progress for so long: for code that may crash, or loop without touching
    /// memory. The child is this test alone, in its test binary.
    pub fn isolated(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Observes each access of the code through [`Memory::pointer`] by itself, in order, as if it came by
    /// the accessor: for code that holds raw pointers. Linux on x86-64, feature `store-trap`.
    ///
    /// # Panics
    ///
    /// At the run, when a debugger is attached, when somebody replaces the handlers of SIGSEGV, SIGTRAP or
    /// SIGILL meanwhile, or when the host has no addresses left.
    #[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
    pub fn trapping(mut self, observed: Observed) -> Self {
        self.hosting.observed = Some(observed);
        self
    }

    /// Emulates the privileged instructions of the code and takes what they invalidate as reported: for
    /// kernel code that runs as it is. Linux on x86-64, feature `privileged-shim`.
    ///
    /// # Panics
    ///
    /// At the run, as [`trapping`](Self::trapping) does.
    #[cfg(all(feature = "privileged-shim", target_os = "linux", target_arch = "x86_64"))]
    pub fn privileged(mut self) -> Self {
        self.hosting.is_privileged = true;
        self
    }

    /// Runs the suite and prints the report.
    ///
    /// # Panics
    ///
    /// With the report, when there is a finding.
    #[track_caller]
    pub fn check(self) {
        let report = self.run();
        if report.findings.is_empty() {
            println!("{report}");
        } else {
            panic!("\n{report}");
        }
    }

    /// Runs the suite.
    ///
    /// # Panics
    ///
    /// When `RINGFENCE_SEED` or `RINGFENCE_CASES` is set and no number.
    #[must_use]
    pub fn run(self) -> Report {
        let cases = from_environment("RINGFENCE_CASES").unwrap_or(self.cases);
        let seed = from_environment("RINGFENCE_SEED").unwrap_or(self.seed);
        let format = self.format;
        if let Some(patience) = self.patience
            && !isolate::is_child()
            && let Some(death) = isolate::trial(patience)
        {
            return self.dead(seed, &death);
        }
        self.over(
            (0..cases).map(|number| {
                let seed = seed.wrapping_add(number);
                let draw = Draw::Stream(Box::new(Seed(seed).stream("conformance", 0)));
                (Some(seed), draw)
            }),
            seed,
            format,
        )
    }

    fn over<'a>(
        &self,
        draws: impl Iterator<Item = (Option<u64>, Draw<'a>)>,
        seed: u64,
        format: &'static dyn Format,
    ) -> Report {
        let mut known: BTreeSet<Key> = self.tolerated.iter().cloned().collect();
        let mut report = Report { has_barriers: format.has_barriers(), ..Report::empty(seed) };
        let mut hash = TraceHash::default();
        let none = BTreeSet::new();
        let setting = self.setting(format, &none, false);
        report.capabilities = match setting.capabilities() {
            Ok(capabilities) => capabilities,
            Err(stop) => {
                report.findings.push(self.unmakeable(&stop));
                return report;
            }
        };
        for (seed, mut draw) in draws {
            isolate::begins(seed);
            let case = generate(&mut draw, format, report.capabilities);
            report.cases += 1;
            let setting = self.setting(format, &known, false);
            let trial = setting.run(&case, report.capabilities);
            let [high, low] = trial.digest.words();
            hash.absorb(high, low);
            report.tally.add(&trial.tally);
            let Some(breach) = trial.breach else { continue };
            let key = breach.key();
            let finding = self.minimised(case, trial.calls, &key, &known, report.capabilities);
            let finding = Finding { seed, ..finding };
            if let Some(observer) = &self.observer {
                observer(&finding);
            }
            report.findings.push(finding);
            known.insert(key);
            if report.findings.len() >= self.findings_max {
                break;
            }
        }
        report.digest = hash.digest();
        report
    }

    fn minimised(
        &self,
        case: Case,
        calls: usize,
        key: &Key,
        known: &BTreeSet<Key>,
        capabilities: Capabilities,
    ) -> Finding {
        let fails = |case: &Case| {
            let setting = self.setting(self.format, known, false);
            setting.run(case, capabilities).breach.filter(|breach| breach.key() == *key)
        };
        let whole = case.clone();
        let minimal = Minimiser::within(Budget { trials_max: TRIALS_MAX })
            .cut(Cut { sequence: 0, kept: calls })
            .minimise(case, fails);
        let (case, extent, trials) = match minimal {
            Some(minimal) => (minimal.value, minimal.extent, minimal.trials),
            // The code under test does not do the same twice: say so with the whole case.
            None => (whole, Extent::BudgetHit, 1),
        };
        let told = self.setting(self.format, known, true).run(&case, capabilities);
        let breach = told.breach.unwrap_or_else(|| Breach {
            check: key.0,
            kind: key.1.clone(),
            what: "did so once and not again for the same calls: it depends on something else"
                .to_owned(),
            virt: None,
            rule: INTERFACE,
        });
        Finding {
            reproduction: self.spelled(&case),
            breach,
            case,
            seed: None,
            format: self.format.name(),
            extent,
            trials,
            story: told.story.lines,
            test: test_name(),
        }
    }

    pub(super) fn setting<'a>(
        &'a self,
        format: &'static dyn Format,
        known: &'a BTreeSet<Key>,
        tells: bool,
    ) -> Setting<'a, M> {
        let (factory, hosting, accesses_max) = (&self.factory, self.hosting, self.accesses_max);
        Setting { format, factory, known, tells, hosting, accesses_max }
    }

    /// The calls as Rust, if the adapter spells them all.
    fn spelled(&self, case: &Case) -> Vec<String> {
        let memory = Memory::hosted(self.format, None, self.hosting);
        super::memory::enter(&memory);
        memory.begin(u32::MAX);
        let lines = memory.attempt(|| {
            let mapper = (self.factory)(memory.clone());
            case.calls.iter().map(|call| mapper.spell(call)).collect::<Option<Vec<String>>>()
        });
        super::memory::leave();
        lines.ok().flatten().unwrap_or_default()
    }

    fn unmakeable(&self, stop: &Stop) -> Finding {
        let breach = super::checks::totality::stopped(stop, "making it", u32::MAX);
        self.untold(breach.unwrap_or_else(|| Breach {
            check: Check::Totality,
            kind: "making it ended".to_owned(),
            what: "can't be made".to_owned(),
            virt: None,
            rule: INTERFACE,
        }))
    }

    /// The child process died: its case is told, and not run here.
    fn dead(&self, seed: u64, death: &Death) -> Report {
        let mut report = Report::empty(seed);
        let none = BTreeSet::new();
        let setting = self.setting(self.format, &none, false);
        let breach = Breach {
            check: Check::Totality,
            kind: "the process dies".to_owned(),
            what: death.how.clone(),
            virt: None,
            rule: INTERFACE,
        };
        let mut finding = self.untold(breach);
        finding.extent = Extent::BudgetHit;
        finding.seed = death.seed;
        // Making an instance was survived if there was a case.
        if let (Some(seed), Ok(capabilities)) =
            (death.seed, death.seed.map_or(Err(Stop::Abandoned), |_| setting.capabilities()))
        {
            let mut draw = Draw::Stream(Box::new(Seed(seed).stream("conformance", 0)));
            report.capabilities = capabilities;
            finding.case = generate(&mut draw, self.format, capabilities);
            finding.story = finding.case.calls.iter().map(ToString::to_string).collect();
        }
        report.findings.push(finding);
        report
    }

    /// A finding without a story: nothing can be run again in this process.
    fn untold(&self, breach: Breach) -> Finding {
        Finding {
            breach,
            case: Case::default(),
            seed: None,
            format: self.format.name(),
            extent: Extent::OneMinimal,
            trials: 1,
            story: Vec::new(),
            reproduction: Vec::new(),
            test: test_name(),
        }
    }
}

/// Runs one case drawn from a fuzzer's bytes: the body of a `fuzz_target!`.
///
/// # Panics
///
/// With the report, when there is a finding.
#[track_caller]
pub fn fuzz<M: Mapper, F: Fn(Memory) -> M>(bytes: &[u8], factory: F) {
    let suite = Suite::new(factory);
    let format = suite.format;
    let report = suite.over(core::iter::once((None, Draw::Bytes(bytes))), 0, format);
    assert!(report.findings.is_empty(), "\n{report}");
}

/// Runs one case: what a strategy drew, or a stored one.
///
/// # Panics
///
/// With the report, when there is a finding.
#[track_caller]
pub fn replay<M: Mapper, F: Fn(Memory) -> M>(case: &Case, factory: F) {
    let suite = Suite::new(factory);
    let known = BTreeSet::new();
    let setting = suite.setting(suite.format, &known, false);
    let capabilities = setting.capabilities().unwrap_or(Capabilities::PLAIN);
    let trial = setting.run(case, capabilities);
    if let Some(breach) = trial.breach {
        let key = breach.key();
        let finding = suite.minimised(case.clone(), trial.calls, &key, &known, capabilities);
        panic!("\n{finding}");
    }
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.stores += other.stores;
        for (sum, count) in self.strikes.iter_mut().zip(other.strikes) {
            *sum += count;
        }
        self.lost_noticed += other.lost_noticed;
        self.done.extend(&other.done);
        self.tried.extend(&other.tried);
        self.has_pointers |= other.has_pointers;
        self.has_unseen_loads |= other.has_unseen_loads;
    }
}
