//! What a run of either suite can be told.

use std::collections::BTreeSet;
use std::env;
use std::time::Duration;

use super::breach::{Check, Key};
use super::finding::Finding;
use super::format::{Format, X86_64};
use super::memory::Hosting;

/// Kinds of findings that are minimised and told; behind that many, the code needs another look first.
const FINDINGS_MAX: usize = 12;

/// Who is told of each finding at once.
pub(super) type Observer = Box<dyn Fn(&Finding)>;

/// How a suite is run.
pub(super) struct Options {
    pub(super) format: &'static dyn Format,
    /// How many cases somebody wants, and how many there are where nobody said that.
    pub(super) cases: Option<u64>,
    cases_default: u64,
    pub(super) seed: u64,
    pub(super) tolerated: Vec<(Check, String)>,
    pub(super) patience: Option<Duration>,
    pub(super) findings_max: usize,
    pub(super) observer: Option<Observer>,
    pub(super) hosting: Hosting,
    pub(super) accesses_max: u32,
    pub(super) reserved: Vec<u64>,
}

impl Options {
    pub(super) fn new(cases_default: u64, accesses_max: u32) -> Self {
        Self {
            format: X86_64::FOUR_LEVELS,
            cases: None,
            cases_default,
            seed: 1,
            tolerated: Vec::new(),
            patience: None,
            findings_max: FINDINGS_MAX,
            observer: None,
            hosting: Hosting::default(),
            accesses_max,
            reserved: Vec::new(),
        }
    }

    /// How many cases there are to be.
    ///
    /// # Panics
    ///
    /// When `RINGFENCE_CASES` is set and no number, or 0.
    pub(super) fn cases(&self) -> u64 {
        let Some(cases) = from_environment("RINGFENCE_CASES") else {
            return self.cases.unwrap_or_else(|| self.hosting.cases(self.cases_default)).max(1);
        };
        assert!(cases > 0, "RINGFENCE_CASES is 0; a run of no case shows nothing");
        cases
    }

    /// The seed of the first case.
    ///
    /// # Panics
    ///
    /// When `RINGFENCE_SEED` is set and no number.
    pub(super) fn seed(&self) -> u64 {
        from_environment("RINGFENCE_SEED").unwrap_or(self.seed)
    }

    /// How many cases are usual, if it is a run of fewer because accesses are trapped and nobody said how many.
    pub(super) fn usual(&self) -> Option<u64> {
        let own = self.hosting.cases(self.cases_default);
        let is_own = self.cases.is_none() && from_environment("RINGFENCE_CASES").is_none();
        (is_own && own < self.cases_default).then_some(self.cases_default)
    }

    /// What is not to be told.
    pub(super) fn tolerated(&self) -> BTreeSet<Key> {
        self.tolerated.iter().cloned().collect()
    }
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

/// The methods of a suite that set its options, and those that run it: the same words for both suites.
macro_rules! builder {
    () => {
        /// The table format; x86-64 with 4 levels unless said otherwise.
        pub fn format(mut self, format: &'static dyn Format) -> Self {
            self.options.format = format;
            self
        }

        /// How many cases; `RINGFENCE_CASES` overrides it. At least one, also for 0. Unless said otherwise as many
        /// as take a few seconds in a debug build, and a twentieth of that where accesses are trapped.
        pub fn cases(mut self, cases: u64) -> Self {
            self.options.cases = Some(cases);
            self
        }

        /// The seed of the first case, 1 unless said otherwise; the next case has the next seed.
        /// `RINGFENCE_SEED` overrides it.
        pub fn seed(mut self, seed: u64) -> Self {
            self.options.seed = seed;
            self
        }

        /// A kind of finding that is known and not to be told, by its [`Finding::kind`].
        pub fn tolerating(mut self, check: Check, kind: &str) -> Self {
            self.options.tolerated.push((check, kind.to_owned()));
            self
        }

        /// How many kinds of findings are minimised and told before the run ends; 12 unless said
        /// otherwise. At least one, also for 0: a run that tells none would pass.
        pub fn findings_max(mut self, findings: usize) -> Self {
            self.options.findings_max = findings.max(1);
            self
        }

        /// Calls `observer` with each finding as soon as it is minimised: a long run tells what it found
        /// before it ends.
        pub fn on_finding(mut self, observer: impl Fn(&Finding) + 'static) -> Self {
            self.options.observer = Some(Box::new(observer));
            self
        }

        /// Runs everything in a child process first, and tells of a case in which that is ended by a
        /// signal, takes more than 2 GiB of memory (looked at where there is a `/proc`) or makes no
        /// progress for so long: for code that may crash, or loop without touching memory. The child is
        /// this test alone, in its test binary. The case is minimised, each try in a child of its own: 200 at most,
        /// and 20 at most of those that make no progress for 2 s or take all that memory.
        pub fn isolated(mut self, patience: Duration) -> Self {
            self.options.patience = Some(patience);
            self
        }

        /// Observes each access of the code through [`Memory::pointer`] by itself, in order, as if it came
        /// by the accessor: for code that holds raw pointers. Linux on x86-64, feature `store-trap`.
        ///
        /// Not under AddressSanitizer, which `cargo fuzz` uses unless told `-s none`. Nobody tells it of the stack on
        /// which the code runs, whose frames may be left without unwinding, and it has no shadow of addresses
        /// that lead somewhere in this memory alone: it reports what is no error.
        ///
        /// Where an entry leads a pointer out of the window, which any bytes of tables may do to a walker,
        /// the process ends as it would without us, after a line that says which physical address it was: run
        /// such code [`isolated`](Self::isolated), which makes a finding of it.
        ///
        /// # Panics
        ///
        /// At the run, when a debugger is attached, when somebody has replaced the handlers of SIGSEGV, SIGTRAP
        /// or SIGILL by the next call, or when the host has no addresses left. Code that replaces them and then
        /// follows a pointer within the same call ends the process by that signal, and nobody of ours hears of it:
        /// run it [`isolated`](Self::isolated).
        #[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
        pub fn trapping(mut self, observed: Observed) -> Self {
            self.options.hosting.observed = Some(observed);
            self
        }

        /// Gives memory the addresses in this process that are its physical addresses, from 4 GiB on: for
        /// code that takes a physical address for a pointer, as firmware does. Stores are trapped too, at
        /// least. One such memory exists at a time; a test in another thread waits for it.
        ///
        /// # Panics
        ///
        /// As [`trapping`](Self::trapping), and when something else of this process lies between 4 GiB and
        /// 1 TiB.
        #[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
        pub fn identity_mapped(mut self) -> Self {
            self.options.hosting.observed.get_or_insert(Observed::Stores);
            self.options.hosting.is_identity = true;
            self
        }

        /// Emulates the privileged instructions of the code and takes what they invalidate as reported: for
        /// kernel code that runs as it is. Linux on x86-64, feature `privileged-shim`.
        ///
        /// # Panics
        ///
        /// At the run, when a debugger is attached, or when somebody has replaced the handlers of SIGSEGV, SIGTRAP
        /// or SIGILL by the next call. A privileged instruction behind that in the same call ends the process by the
        /// signal.
        #[cfg(all(feature = "privileged-shim", target_os = "linux", target_arch = "x86_64"))]
        pub fn privileged(mut self) -> Self {
            self.options.hosting.is_privileged = true;
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

        /// Runs the suite. A case that does not come to its end for 300 s, or as many as
        /// `RINGFENCE_PATIENCE` says, ends the process with the reason, since nothing else can end it;
        /// [`isolated`](Self::isolated) makes a finding of it.
        ///
        /// Code under test that calls `exit`, be it with 0, aborts the process with the reason where the host's
        /// `exit` destroys what is local to a thread: with glibc. Elsewhere, and when it calls `_exit` or does so
        /// from a thread of its own, the test just ends and may pass: only [`isolated`](Self::isolated) notices.
        /// Code that aborts, overflows its stack or has its process killed ends it; which case and call it was, and
        /// how to see that again, a shell says on Unix that is started once a process and outlives it. With one of
        /// the features `store-trap` and `privileged-shim`, on Linux on x86-64, a handler of SIGABRT says the case.
        ///
        /// # Panics
        ///
        /// When `RINGFENCE_SEED`, `RINGFENCE_CASES` or `RINGFENCE_PATIENCE` is set and no number.
        #[must_use]
        pub fn run(self) -> Report {
            let (first, cases) = (self.options.seed(), self.options.cases());
            self.search().run(first, cases)
        }

        /// Runs one case drawn from a fuzzer's bytes: the body of a `fuzz_target!`. What [`run`](Self::run) does
        /// about code that does not return or that calls `exit`, this does too. A fuzzer isolates by itself: in
        /// the main thread, where it runs targets, [`isolated`](Self::isolated) changes nothing.
        ///
        /// # Panics
        ///
        /// With the report, when there is a finding.
        #[track_caller]
        pub fn fuzz(self, bytes: &[u8]) {
            let report = self.search().fuzz(bytes);
            assert!(report.findings.is_empty(), "\n{report}");
        }
    };
}
pub(super) use builder;
