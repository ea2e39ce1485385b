//! Margins asked for by the suite's builder.

use std::collections::BTreeSet;

use super::run::{Unmade, of_case};
use super::{CaseMargins, Margins};
use crate::conformance::case::Case;
use crate::conformance::finding::Finding;
use crate::conformance::guard::{self, Guard};
use crate::conformance::memory::Memory;
use crate::conformance::operation::Call;
use crate::conformance::options::from_environment;
use crate::conformance::report::Report;
use crate::conformance::search::{self, stream};
use crate::conformance::sequences::Sequences;
use crate::conformance::subject::{Capabilities, Mapper};
use crate::conformance::suite::Suite;

/// Cases whose margins are told when nobody sized them.
const MARGIN_CASES: u64 = 8;

/// Pages of a range at most whose margins are told: each of its stores is a line, each invalidation is lost
/// once.
const MARGIN_PAGES_MAX: u64 = 64;

impl<M: Mapper, F: Fn(Memory) -> M> Suite<F> {
    /// Says for each operation of some cases how many single faults stand between the machine and a breach
    /// after every store; [`margin`](super) defines it. Print it before and after a commit, and
    /// compare with `ringfence margin compare`.
    ///
    /// The cases are those of [`run`](Self::run), 8 unless said otherwise, without faults, disturbances and
    /// ranges of more than 64 pages. What [`run`](Self::run) does about code that does not return or that calls
    /// `exit`, this does too.
    ///
    /// # Panics
    ///
    /// When `RINGFENCE_SEED`, `RINGFENCE_CASES` or `RINGFENCE_PATIENCE` is set and no number; with the report, when
    /// an instance can't be made, or an [isolated](Self::isolated) child dies.
    #[must_use]
    #[track_caller]
    pub fn margins(self) -> Margins {
        let own = self.options.cases.unwrap_or(MARGIN_CASES);
        let cases = from_environment("RINGFENCE_CASES").unwrap_or(own);
        let seed = self.options.seed();
        let search = self.search();
        let is_short = |call: &Call| !call.is_range() || call.region().pages <= MARGIN_PAGES_MAX;
        let is_plain = |call: &Call| !matches!(call, Call::Disturb { .. } | Call::Query { .. });
        let draw = |seed: u64, capabilities| {
            let case = search.unrun(&mut stream::<Sequences<'_>>(seed), capabilities);
            let calls = case.calls.into_iter().filter(|call| is_short(call) && is_plain(call));
            Case { calls: calls.collect(), fault: None }
        };
        search.isolated_margins(|report, _| draw(seed, report.declared.capabilities));
        let _guard = Guard::begin(&self.options);
        let capabilities = search.declared();
        let drawn = (0..cases).map(|number| {
            let seed = seed.wrapping_add(number);
            (Some(seed), draw(seed, capabilities))
        });
        search.margins_over(drawn, capabilities)
    }

    /// As [`margins`](Self::margins), for the calls of one case.
    ///
    /// # Panics
    ///
    /// As there.
    #[must_use]
    #[track_caller]
    pub fn margins_of(self, case: &Case) -> Margins {
        let search = self.search();
        search.isolated_margins(|_, _| case.clone());
        let _guard = Guard::begin(&self.options);
        let capabilities = search.declared();
        let given = core::iter::once((None, case.clone()));
        search.margins_over(given, capabilities)
    }
}

impl Sequences<'_> {
    #[track_caller]
    fn margins_over(
        &self,
        cases: impl Iterator<Item = (Option<u64>, Case)>,
        capabilities: Capabilities,
    ) -> Margins {
        let none = BTreeSet::new();
        let setting = self.setting(&none, false);
        let of = |(seed, case): (Option<u64>, Case)| {
            guard::begins(seed);
            let name = seed.map_or_else(|| "given".to_owned(), |seed| seed.to_string());
            match of_case(&setting, &case, capabilities) {
                Ok(calls) => CaseMargins { name, calls },
                Err(unmade) => panic!("\n{}", self.unmade(unmade)),
            }
        };
        Margins { format: self.options.format.name().to_owned(), cases: cases.map(of).collect() }
    }

    /// The whole of it in a child first, if that is asked for.
    #[track_caller]
    fn isolated_margins(&self, given: impl FnOnce(&Report, Option<u32>) -> Case) {
        let first = self.options.seed();
        if let Some(report) = search::isolated(self, self.options, first, given) {
            panic!("\n{report}");
        }
    }

    fn unmade(&self, unmade: Unmade) -> Finding {
        match unmade {
            Unmade::Stopped(ended) => search::unmakeable(self.options, &ended),
            Unmade::Outside(breach) => search::untold(self.options, breach),
        }
    }

    /// What the implementation declares.
    ///
    /// # Panics
    ///
    /// When no instance can be made.
    #[track_caller]
    fn declared(&self) -> Capabilities {
        match self.declaration().map(|declared| declared.capabilities) {
            Ok(capabilities) => capabilities,
            Err(ended) => panic!("\n{}", search::unmakeable(self.options, &ended)),
        }
    }
}
