//! Runs the conformance suite on one adapter that was built in.
//!
//!     ringfence-proof                       names the adapters
//!     ringfence-proof ADAPTER               findings and digest, a line each, for `matrix`
//!     ringfence-proof ADAPTER --tell        the report as the suite prints it
//!
//! `unsafe` is here only where an interface under test demands it.

#![allow(clippy::disallowed_methods, reason = "how long a bug takes to be found is printed")]

mod adapters;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringfence::base::PhysAddr;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use ringfence::conformance::Observed;
use ringfence::conformance::format::Format;
use ringfence::conformance::{self, Mapper, Memory, Report, Suite, Walker};

/// Cases of a mapper; `RINGFENCE_CASES` overrides it.
pub(crate) const MAPPER_CASES: u64 = 1500;
/// Cases of a mapper whose stores are trapped, where it finds what it has within so many, and where it does not;
/// `RINGFENCE_CASES` overrides it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const TRAPPED_CASES: u64 = 200;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) const TRAPPED_CASES_MORE: u64 = 600;
/// Sets of tables of a walker; `RINGFENCE_CASES` overrides it.
const WALKER_CASES: u64 = 6000;
/// Kinds of findings of one adapter at most.
const FINDINGS_MAX: usize = 40;
/// A case that makes no progress for so long is endless.
const PATIENCE: Duration = Duration::from_secs(60);

/// How every adapter is run: nothing here is particular to one, and no build uses all of it.
pub(crate) struct Plan;

#[allow(dead_code, reason = "an adapter uses one of them, and a row has few adapters")]
impl Plan {
    fn suite<M: Mapper, F: Fn(Memory) -> M>(
        &self,
        format: &'static dyn Format,
        cases: u64,
        factory: F,
    ) -> Suite<F> {
        conformance::mapper(factory)
            .format(format)
            .cases(cases)
            .findings_max(FINDINGS_MAX)
            .on_finding(announce())
    }

    /// Runs code that maps.
    pub(crate) fn mapper<M: Mapper, F: Fn(Memory) -> M>(
        &self,
        format: &'static dyn Format,
        factory: F,
    ) -> Report {
        self.suite(format, MAPPER_CASES, factory).run()
    }

    /// Runs code that maps and may end the process.
    pub(crate) fn isolated<M: Mapper, F: Fn(Memory) -> M>(
        &self,
        format: &'static dyn Format,
        factory: F,
    ) -> Report {
        self.suite(format, MAPPER_CASES, factory).isolated(PATIENCE).run()
    }

    /// Runs code that holds raw pointers with each of its stores observed: slower, so fewer cases.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn trapped<M: Mapper, F: Fn(Memory) -> M>(
        &self,
        format: &'static dyn Format,
        cases: u64,
        factory: F,
    ) -> Report {
        self.suite(format, cases, factory).trapping(Observed::Stores).run()
    }

    /// Runs code of a kernel as it is: each of its stores is observed, its instructions are emulated.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn kernel<M: Mapper, F: Fn(Memory) -> M>(
        &self,
        format: &'static dyn Format,
        factory: F,
    ) -> Report {
        self.suite(format, TRAPPED_CASES, factory).trapping(Observed::Stores).privileged().run()
    }

    /// Runs code of a kernel that reaches its tables through this entry of the root.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn recursive<M: Mapper, F: Fn(Memory) -> M>(
        &self,
        format: &'static dyn Format,
        entry: u64,
        factory: F,
    ) -> Report {
        self.suite(format, TRAPPED_CASES, factory).recursive(entry).privileged().run()
    }

    /// Runs code that takes a physical address for a pointer and keeps these entries of the root; with each of its
    /// stores observed, in so many cases.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn identity<M: Mapper, F: Fn(Memory) -> M>(
        &self,
        format: &'static dyn Format,
        (own, cases): (&[u64], u64),
        factory: F,
    ) -> Report {
        self.suite(format, cases, factory).identity_mapped().reserving(own).run()
    }

    /// Runs code that only translates.
    pub(crate) fn walker<W: Walker, F: Fn(Memory, PhysAddr) -> W>(
        &self,
        format: &'static dyn Format,
        factory: F,
    ) -> Report {
        conformance::walker(factory)
            .format(format)
            .cases(WALKER_CASES)
            .findings_max(FINDINGS_MAX)
            .on_finding(announce())
            .run()
    }
}

/// Prints a finding with the time it took, minimising included.
fn announce() -> impl Fn(&conformance::Finding) {
    let started = Instant::now();
    move |finding| {
        let cases = finding.seed().unwrap_or(0);
        let time = started.elapsed().as_millis();
        println!("finding\t{}\t{}\t{cases}\t{time}", finding.check(), finding.kind());
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(wanted) = arguments.next() else {
        for (name, _) in adapters::all() {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let Some((_, run)) = adapters::all().into_iter().find(|(name, _)| *name == wanted) else {
        eprintln!("no adapter {wanted:?} was built in; without arguments their names are printed");
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let report = run(&Plan);
    let time = started.elapsed().as_millis();
    if arguments.next().as_deref() == Some("--tell") {
        println!("{report}");
    }
    // A process that died in isolation is known only now.
    for finding in report.findings().iter().filter(|finding| finding.kind() == "the process dies") {
        let cases = finding.seed().unwrap_or(0);
        println!("finding\t{}\t{}\t{cases}\t{time}", finding.check(), finding.kind());
    }
    println!("run\t{}\t{time}\t{}", report.cases(), report.digest());
    ExitCode::SUCCESS
}
