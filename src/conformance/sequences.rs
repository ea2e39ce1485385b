//! The search over sequences of calls, for whichever code maps pages.

use std::collections::BTreeSet;

use super::breach::{Breach, Check, INTERFACE, Key};
use super::case::{Case, edges, generate};
use super::declared::Declared;
use super::draw::Draw;
use super::factory::Factory;
use super::fault::{Fault, FaultKind};
use super::finding::{self, Finding, Reproduction};
use super::format::index;
use super::guard::{self, Guard};
use super::memory::Memory;
use super::options::{Options, test_name};
use super::report::Report;
use super::run::{Record, Setting, Trial, occasion};
use super::search::{self, Ran, Search, TRIALS_MAX, vanished};
use super::standalone::{Plot, Spelled, Step};
use super::stop::Ended;
use super::subject::Capabilities;
use crate::base::VirtAddr;
use crate::minimise::{Budget, Cut, Extent, Minimal, Minimiser};

/// Cases after which code that has mapped nothing is not going to: a single one may be of other calls.
const CASES_TO_MAP: u64 = 30;
/// A run of fewer than that, as where accesses are trapped, is judged at its end, unless it is as short as one that
/// replays a finding.
const CASES_TO_MAP_LEAST: u64 = 15;

/// A suite for mappers under way.
pub(super) struct Sequences<'f> {
    pub(super) factory: &'f dyn Factory<'f>,
    pub(super) options: &'f Options,
}

impl<'f> Sequences<'f> {
    pub(super) fn setting<'a>(&'a self, known: &'a BTreeSet<Key>, tells: bool) -> Setting<'a, 'f> {
        let Options { format, hosting, accesses_max, .. } = *self.options;
        let (factory, reserved) = (self.factory, self.options.reserved.as_slice());
        let knows_all = false;
        Setting { format, factory, known, knows_all, tells, hosting, accesses_max, reserved }
    }

    /// The suite, from this seed on.
    pub(super) fn run(&self, first: u64, cases: u64) -> Report {
        search::run(self, self.options, first, cases)
    }

    /// The case that these bytes are.
    pub(super) fn fuzz(&self, bytes: &[u8]) -> Report {
        search::fuzz(self, self.options, bytes)
    }

    /// One case, and what is told of it as it is, if there is a finding.
    pub(super) fn replay(&self, case: &Case) -> Result<(), String> {
        let options = self.options;
        if let Some(report) = search::isolated(self, options, 0, |_, _| case.clone()) {
            return Err(report.to_string());
        }
        let _guard = Guard::begin(options);
        let known = options.tolerated();
        let mut report = Report::empty(0);
        if let Err(ended) = self.begin(&mut report) {
            return Err(search::unmakeable(options, &ended).to_string());
        }
        guard::begins(None);
        match self.run_case(case, &known, &report).breach {
            Some(breach) => {
                let told = self.finding((case.clone(), None), &breach.key(), &known, &report);
                Err(told.to_string())
            }
            None => Ok(()),
        }
    }

    /// What the implementation declares; asked on an instance of its own.
    ///
    /// # Panics
    ///
    /// When what is reserved leaves nothing to such an implementation.
    pub(super) fn declaration(&self) -> Result<Declared, Ended> {
        let declared = self.setting(&BTreeSet::new(), false).declared()?;
        let Options { format, reserved, .. } = self.options;
        let places = edges(*format, declared.capabilities)
            .map(|edge| index(*format, format.levels(), VirtAddr(edge)));
        let places: BTreeSet<u64> = places.collect();
        assert!(
            places.iter().any(|place| !reserved.contains(place)),
            "everything is reserved: the suite maps near entries {places:?} of the root; leave one of them"
        );
        Ok(declared)
    }

    /// A case with its fault at an occasion that comes, as far as that is known: which allocations the calls ask for
    /// is seen in a run without the fault.
    fn drawn(&self, draw: &mut Draw<'_>, capabilities: Capabilities) -> Case {
        let case = self.unrun(draw, capabilities);
        let is_chosen = |fault: &Fault| fault.kind == FaultKind::AllocationFails;
        let Some(fault) = case.fault.filter(is_chosen) else {
            return case;
        };
        let known = BTreeSet::new();
        let setting = Setting { knows_all: true, ..self.setting(&known, false) };
        let allocations = setting.allocations(&case, capabilities);
        let Some(nth) = occasion(draw, &allocations) else { return case };
        guard::strikes_at(nth);
        Case { fault: Some(Fault { nth, ..fault }), ..case }
    }

    /// A case that nobody has run.
    pub(super) fn unrun(&self, draw: &mut Draw<'_>, capabilities: Capabilities) -> Case {
        let Options { format, reserved, hosting, .. } = self.options;
        generate(draw, *format, capabilities, reserved, hosting.physical_bits())
    }

    fn run_case(&self, case: &Case, known: &BTreeSet<Key>, report: &Report) -> Ran {
        let trial = self.setting(known, false).run(case, report.declared.capabilities);
        let (breach, tally, digest) = (trial.breach, trial.tally, trial.digest);
        Ran { breach, tally, digest, steps: trial.calls }
    }

    /// What the adapter spells of a run, if it spells every call of it.
    fn spelled(&self, steps: &[Step]) -> Option<Spelled> {
        let memory = Memory::hosted(self.options.format, None, self.options.hosting);
        super::memory::enter(&memory);
        memory.begin(self.options.accesses_max);
        let spelled = memory.attempt(|| {
            let mapper = self.factory.make(memory.clone());
            Spelled::of(mapper.spell_setup(), steps, |call| mapper.spell(call))
        });
        super::memory::leave();
        memory.retire();
        spelled.ok().flatten()
    }

    /// How somebody else makes a finding again.
    fn reproduction(&self, told: Trial, breach: &Breach, fault: Option<Fault>) -> Reproduction {
        let Trial { record: Record { root, must, tables }, story, .. } = told;
        let Some(spelled) = self.spelled(&story.steps) else {
            return Reproduction { tables, ..Reproduction::default() };
        };
        let (format, steps) = (self.options.format, story.steps.as_slice());
        let plot = must.map(|must| Plot { format, breach, fault, root, words: &[], steps, must });
        let test = plot.and_then(|plot| plot.test(&spelled));
        Reproduction { test, calls: spelled.calls, tables }
    }

    /// A finding as it is told, of a case that was minimised or is told as it is.
    fn finding(
        &self,
        (case, minimised): (Case, Option<(Extent, u32)>),
        key: &Key,
        known: &BTreeSet<Key>,
        report: &Report,
    ) -> Finding {
        let (extent, trials) = minimised.unwrap_or((Extent::BudgetHit, 1));
        let capabilities = report.declared.capabilities;
        let mut told = self.setting(known, true).run(&case, capabilities);
        let breach = told.breach.take().unwrap_or_else(|| vanished(key));
        let story = core::mem::take(&mut told.story.lines);
        Finding {
            reproduction: self.reproduction(told, &breach, case.fault),
            breach,
            case,
            seed: None,
            format: self.options.format.name(),
            counted: None,
            extent,
            trials,
            is_given: minimised.is_none(),
            story,
            test: test_name(),
        }
    }
}

impl Search for Sequences<'_> {
    type Case = Case;

    const STREAM: &'static str = "conformance";

    fn begin(&self, report: &mut Report) -> Result<(), Ended> {
        report.declared = self.declaration()?;
        Ok(())
    }

    fn draw(&self, draw: &mut Draw<'_>, report: &Report) -> Case {
        self.drawn(draw, report.declared.capabilities)
    }

    fn planned(&self, draw: &mut Draw<'_>, nth: Option<u32>, report: &Report) -> Case {
        let mut case = self.unrun(draw, report.declared.capabilities);
        let is_chosen = |fault: &Fault| fault.kind == FaultKind::AllocationFails;
        if let Some(fault) = case.fault.filter(is_chosen) {
            case.fault = nth.map(|nth| Fault { nth, ..fault });
        }
        case
    }

    fn run(&self, case: &Case, known: &BTreeSet<Key>, report: &Report) -> Ran {
        self.run_case(case, known, report)
    }

    fn idle(&self, report: &Report) -> Option<Breach> {
        let is_mapped = ["map", "map_range"].iter().any(|name| report.tally.done.contains(name));
        let enough = CASES_TO_MAP.min(self.options.cases().max(CASES_TO_MAP_LEAST));
        if is_mapped || report.cases < enough || !report.is_asked {
            return None;
        }
        let what =
            format!("mapped no page in {} cases, so that nothing was exercised", report.cases);
        Some(Breach {
            check: Check::Request,
            kind: "nothing is ever mapped".to_owned(),
            what,
            virt: None,
            rule: INTERFACE,
        })
    }

    fn minimised(
        &self,
        case: Case,
        calls: usize,
        key: &Key,
        known: &BTreeSet<Key>,
        report: &Report,
    ) -> Finding {
        let capabilities = report.declared.capabilities;
        let fails = |case: &Case| {
            if !case.is_of_pages(capabilities) {
                return None;
            }
            let breach = self.setting(known, false).run(case, capabilities).breach;
            breach.filter(|breach| breach.key() == *key)
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
        self.finding((case, Some((extent, trials))), key, known, report)
    }

    fn least<E>(
        &self,
        (case, calls): (Case, usize),
        budget: Budget,
        report: &Report,
        mut fails: impl FnMut(&Case) -> Option<E>,
    ) -> Option<Minimal<Case, E>> {
        let capabilities = report.declared.capabilities;
        let cut = Cut { sequence: 0, kept: if calls > 0 { calls } else { case.calls.len() } };
        Minimiser::within(budget)
            .cut(cut)
            .minimise(case, |case| if case.is_of_pages(capabilities) { fails(case) } else { None })
    }

    fn exercise(&self, case: &Case, report: &Report) {
        let known = BTreeSet::new();
        let setting = Setting { knows_all: true, ..self.setting(&known, false) };
        setting.run(case, report.declared.capabilities);
    }

    fn until(&self, case: &mut Case, calls: usize) {
        case.calls.truncate(calls);
    }

    fn told(&self, case: &Case) -> (Vec<String>, Case, String) {
        let lines = case.calls.iter().map(ToString::to_string).collect();
        (lines, case.clone(), finding::counted(case))
    }
}
