//! Margins asked for by the suite's builder.

use std::collections::BTreeSet;

use super::{CaseMargins, Margins, of_case};
use crate::base::Seed;
use crate::conformance::case::Case;
use crate::conformance::draw::Draw;
use crate::conformance::memory::Memory;
use crate::conformance::operation::Call;
use crate::conformance::options::from_environment;
use crate::conformance::subject::{Capabilities, Mapper};
use crate::conformance::suite::{CASES, Suite};

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
    /// ranges of more than 64 pages.
    ///
    /// # Panics
    ///
    /// When `RINGFENCE_SEED` or `RINGFENCE_CASES` is set and no number, or an instance can't be made.
    #[must_use]
    pub fn margins(self) -> Margins {
        let own = if self.options.cases == CASES { MARGIN_CASES } else { self.options.cases };
        let cases = from_environment("RINGFENCE_CASES").unwrap_or(own);
        let seed = self.options.seed();
        let capabilities = self.declared();
        let is_short = |call: &Call| !call.is_range() || call.region().pages <= MARGIN_PAGES_MAX;
        let is_plain = |call: &Call| !matches!(call, Call::Disturb { .. } | Call::Query { .. });
        let drawn = (0..cases).map(|number| {
            let seed = seed.wrapping_add(number);
            let mut draw = Draw::Stream(Box::new(Seed(seed).stream("conformance", 0)));
            let case = self.drawn(&mut draw, capabilities);
            let calls = case.calls.into_iter().filter(|call| is_short(call) && is_plain(call));
            (seed.to_string(), Case { calls: calls.collect(), fault: None })
        });
        self.margins_over(drawn, capabilities)
    }

    /// As [`margins`](Self::margins), for the calls of one case.
    ///
    /// # Panics
    ///
    /// When an instance can't be made.
    #[must_use]
    pub fn margins_of(self, case: &Case) -> Margins {
        let capabilities = self.declared();
        let given = core::iter::once(("given".to_owned(), case.clone()));
        self.margins_over(given, capabilities)
    }

    fn margins_over(
        &self,
        cases: impl Iterator<Item = (String, Case)>,
        capabilities: Capabilities,
    ) -> Margins {
        let none = BTreeSet::new();
        let setting = self.setting(&none, false);
        let of = |(name, case): (String, Case)| {
            let calls = of_case(&setting, &case, capabilities);
            CaseMargins { name, calls }
        };
        Margins { format: self.options.format.name().to_owned(), cases: cases.map(of).collect() }
    }

    /// What the implementation declares.
    ///
    /// # Panics
    ///
    /// When no instance can be made.
    fn declared(&self) -> Capabilities {
        match self.declaration().map(|declared| declared.capabilities) {
            Ok(capabilities) => capabilities,
            Err(stop) => panic!("no instance can be made: {stop:?}"),
        }
    }
}
