//! Cases one after the other until there are enough findings: what both suites do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::breach::{Breach, Check, INTERFACE, Key};
use super::case::Case;
use super::checks::totality;
use super::deaths;
use super::draw::Draw;
use super::finding::{Finding, Reproduction};
use super::guard::{self, Guard, Place};
use super::isolate::{self, Death, Limits};
use super::options::{Options, test_name};
use super::report::Report;
use super::run::Tally;
use super::stop::Ended;
use crate::base::{Digest, Seed, TraceHash};
use crate::minimise::{Budget, Extent, Minimal};

/// Runs that minimising one finding may take.
pub(super) const TRIALS_MAX: u32 = 600;

/// What one case came to.
pub(super) struct Ran {
    pub(super) breach: Option<Breach>,
    pub(super) tally: Tally,
    pub(super) digest: Digest,
    /// Steps made until then.
    pub(super) steps: usize,
}

/// One of the suites, as far as they differ.
pub(super) trait Search {
    type Case: Clone;

    /// Which stream cases are drawn from.
    const STREAM: &'static str;

    /// An instance is made, and the report says what it declares.
    fn begin(&self, report: &mut Report) -> Result<(), Ended>;

    fn draw(&self, draw: &mut Draw<'_>, report: &Report) -> Self::Case;

    /// The case that `draw` gave in a process that died in it. No code under test is run; which allocation was to
    /// fail, if that was known by then, is said.
    fn planned(&self, draw: &mut Draw<'_>, nth: Option<u32>, report: &Report) -> Self::Case;

    fn run(&self, case: &Self::Case, known: &BTreeSet<Key>, report: &Report) -> Ran;

    /// What is said of a whole run without a finding in which nothing was exercised.
    fn idle(&self, report: &Report) -> Option<Breach> {
        let _ = report;
        None
    }

    /// The least that still shows the breach with this key.
    fn minimised(
        &self,
        case: Self::Case,
        steps: usize,
        key: &Key,
        known: &BTreeSet<Key>,
        report: &Report,
    ) -> Finding;

    /// The least of a case for which `fails` gives evidence; `None` when it gives none of all of it. What comes after
    /// so many of its steps, unless that is 0, is likely to be of no matter.
    fn least<E>(
        &self,
        case: (Self::Case, usize),
        budget: Budget,
        report: &Report,
        fails: impl FnMut(&Self::Case) -> Option<E>,
    ) -> Option<Minimal<Self::Case, E>>;

    /// Runs a case to see whether that ends the process: whatever it breaches is nobody's question.
    fn exercise(&self, case: &Self::Case, report: &Report);

    /// The first so many steps of a case.
    fn until(&self, case: &mut Self::Case, steps: usize);

    /// The case as lines, as calls where it is some, and how much there is of it: it is not run.
    fn told(&self, case: &Self::Case) -> (Vec<String>, Case, String);
}

pub(super) fn stream<S: Search>(seed: u64) -> Draw<'static> {
    Draw::Stream(Box::new(Seed(seed).stream(S::STREAM, 0)))
}

/// A whole run: in a child first, if that is asked for.
pub(super) fn run<S: Search>(search: &S, options: &Options, first: u64, cases: u64) -> Report {
    let given = |report: &Report, nth| search.planned(&mut stream::<S>(first), nth, report);
    isolated(search, options, first, given).unwrap_or_else(|| seeds(search, options, first, cases))
}

/// The case that a fuzzer's bytes are.
pub(super) fn fuzz<S: Search>(search: &S, options: &Options, bytes: &[u8]) -> Report {
    if test_name().is_some() {
        let given = |report: &Report, nth| search.planned(&mut Draw::Bytes(bytes), nth, report);
        if let Some(died) = isolated(search, options, 0, given) {
            return died;
        }
    }
    let draws = core::iter::once((None, Draw::Bytes(bytes)));
    over(search, options, draws, 0)
}

/// So many seeds from `first` on.
fn seeds<S: Search>(search: &S, options: &Options, first: u64, cases: u64) -> Report {
    let draws = (0..cases).map(|number| {
        let seed = first.wrapping_add(number);
        (Some(seed), stream::<S>(seed))
    });
    let mut report = over(search, options, draws, first);
    report.usual = options.usual();
    let idle = search.idle(&report).filter(|_| report.findings.is_empty());
    let is_told = |breach: &Breach| !options.tolerated().contains(&breach.key());
    report.findings.extend(idle.filter(is_told).map(|breach| untold(options, breach)));
    report
}

fn over<'a, S: Search>(
    search: &S,
    options: &Options,
    draws: impl Iterator<Item = (Option<u64>, Draw<'a>)>,
    first: u64,
) -> Report {
    let _guard = Guard::begin(options);
    let mut known = options.tolerated();
    let mut report = Report::empty(first);
    report.has_barriers = options.format.has_barriers();
    report.reserved.clone_from(&options.reserved);
    let mut hash = TraceHash::default();
    if let Err(ended) = search.begin(&mut report) {
        report.findings.push(unmakeable(options, &ended));
        return report;
    }
    report.is_asked = true;
    for (seed, mut draw) in draws {
        guard::begins(seed);
        let case = search.draw(&mut draw, &report);
        report.cases += 1;
        let ran = search.run(&case, &known, &report);
        let [high, low] = ran.digest.words();
        hash.absorb(high, low);
        report.tally.add(&ran.tally);
        let Some(breach) = ran.breach else { continue };
        let key = breach.key();
        guard::departs();
        let finding = search.minimised(case, ran.steps, &key, &known, &report);
        let finding = Finding { seed, ..finding };
        if let Some(observer) = &options.observer {
            observer(&finding);
        }
        report.findings.push(finding);
        known.insert(key);
        if report.findings.len() >= options.findings_max {
            break;
        }
    }
    report.digest = hash.digest();
    report
}

/// The whole run in a child process first; `None` when it ended by itself, or this is the child. `given` is the
/// case that has no seed.
pub(super) fn isolated<S: Search>(
    search: &S,
    options: &Options,
    first: u64,
    given: impl FnOnce(&Report, Option<u32>) -> S::Case,
) -> Option<Report> {
    let patience = options.patience?;
    let given = deaths::attempt(search, options, given);
    if isolate::is_child() {
        return None;
    }
    let death = isolate::trial(Limits::told(patience), None)?;
    Some(dead(search, options, (first, patience), death, given))
}

/// The child process died: its case is minimised in other children and told, and not run here.
fn dead<S: Search>(
    search: &S,
    options: &Options,
    (first, patience): (u64, Duration),
    mut death: Death,
    given: impl FnOnce(&Report, Option<u32>) -> S::Case,
) -> Report {
    let mut report = Report::empty(first);
    let breach = Breach {
        check: Check::Totality,
        kind: "the process dies".to_owned(),
        what: String::new(),
        virt: None,
        rule: INTERFACE,
    };
    let mut finding = untold(options, breach);
    finding.seed = death.place.seed();
    report.is_lost = true;
    report.cases = match death.place {
        Place::Start => 0,
        Place::Seed(seed) => seed.wrapping_sub(first).wrapping_add(1),
        Place::Given => 1,
    };
    // Making an instance was survived if there was a case.
    if death.place != Place::Start && search.begin(&mut report).is_ok() {
        report.is_asked = true;
        let case = deaths::case(search, (death.place, death.nth), &report, given);
        let mut until = case.clone();
        if death.call > 0 {
            search.until(&mut until, death.call);
        }
        let least = deaths::least(search, case, &death, patience, &report);
        let is_cut = least.is_none() && death.call > 0;
        if let Some(least) = least {
            (finding.extent, finding.trials) = (least.extent, least.children);
            (until, death) = (least.case, least.death);
        } else {
            (finding.extent, finding.trials) = (Extent::BudgetHit, 0);
        }
        let (story, calls, counted) = search.told(&until);
        (finding.story, finding.case) = (story, calls);
        let last = if is_cut { ", the last one under way" } else { "" };
        finding.counted = Some(format!("{counted}{last}"));
    }
    finding.breach.what = death.how;
    report.findings.push(finding);
    report
}

pub(super) fn unmakeable(options: &Options, ended: &Ended) -> Finding {
    let breach = totality::stopped(&ended.stop, ended.during, options.accesses_max);
    untold(
        options,
        breach.unwrap_or_else(|| Breach {
            check: Check::Totality,
            kind: "making it ended".to_owned(),
            what: "can't be made".to_owned(),
            virt: None,
            rule: INTERFACE,
        }),
    )
}

/// A finding without a story: nothing can be run again in this process.
pub(super) fn untold(options: &Options, breach: Breach) -> Finding {
    Finding {
        breach,
        case: Case::default(),
        seed: None,
        format: options.format.name(),
        counted: None,
        extent: Extent::OneMinimal,
        trials: 1,
        is_given: false,
        story: Vec::new(),
        reproduction: Reproduction::default(),
        test: test_name(),
    }
}

/// What is told of a breach that is not there again.
pub(super) fn vanished(key: &Key) -> Breach {
    Breach {
        check: key.0,
        kind: key.1.clone(),
        what: "did so once and not again for the same calls: it depends on something else"
            .to_owned(),
        virt: None,
        rule: INTERFACE,
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
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
        self.told.add(other.told);
        for (why, count) in &other.declined {
            *self.declined.entry(why).or_default() += count;
        }
    }
}
