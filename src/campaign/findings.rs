//! What a campaign found: counts, the first cases of each sort, what worlds do by themselves.

use std::collections::BTreeMap;

use crate::base::Digest;
use crate::invariants::Violation;
use crate::outcome::Class;
use crate::scenario::Scenario;
use crate::world::Rest;

use super::series::Case;
use super::tally::{Origin, Tally};

/// Cases kept as examples, each with the seed of its world.
pub(super) const EXAMPLES_MAX: usize = 32;

/// A case with the seed of its world.
#[derive(Clone, Debug)]
pub struct Example {
    /// The seed.
    pub seed: u64,
    /// The world.
    pub scenario: Scenario,
    /// The case.
    pub case: Case,
}

/// What a world violates by itself, in its golden run.
#[derive(Clone, Debug)]
pub struct GoldenViolation {
    /// The first seed whose world it is.
    pub seed: u64,
    /// The world.
    pub scenario: Scenario,
    /// What was found, never nothing; alike findings once.
    pub violations: Vec<Violation>,
}

/// A world that stops by itself, or never comes to rest, in its golden run.
#[derive(Clone, Debug)]
pub struct GoldenStop {
    /// The first seed whose world it is.
    pub seed: u64,
    /// The world.
    pub scenario: Scenario,
    /// How it ended.
    pub rest: Rest,
}

impl GoldenStop {
    /// How a world's golden run stops its machine, or that it never comes to rest; `None` for one that comes
    /// to rest.
    pub(super) fn of(seed: u64, scenario: &Scenario, rest: Rest) -> Option<Self> {
        let stops = rest != Rest::Quiescent;
        stops.then(|| Self { seed, scenario: scenario.clone(), rest })
    }

    /// Puts it with the others there is room for: a fixed world, which every seed shares, once.
    pub(super) fn join(self, known: &mut Vec<Self>) {
        if known.len() < EXAMPLES_MAX && known.iter().all(|known| known.scenario != self.scenario) {
            known.push(self);
        }
    }
}

/// A world that an interrupted campaign did not finish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Its seed.
    pub seed: u64,
    /// The first number of an experiment that was not run: all before it were.
    pub next: u32,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All outcomes together.
    pub total: Tally,
    /// The outcomes of each world, in order; with a [`cut`](Self::cut) the last is not whole.
    pub worlds: Vec<Tally>,
    /// The first cases that violated a guarantee.
    pub violations: Vec<Example>,
    /// The first case of each origin and class.
    pub examples: BTreeMap<(Origin, Class), (u64, u32)>,
    /// The first worlds whose golden run violated an invariant by itself. It is the world's own doing
    /// and nothing that an experiment is charged with.
    pub golden_violations: Vec<GoldenViolation>,
    /// How many worlds those are.
    pub golden_violations_total: u64,
    /// The first worlds whose machine stops without a fault, so that faults have no part in what its
    /// experiments come to.
    pub golden_stops: Vec<GoldenStop>,
    /// The fingerprint of every case in order.
    pub digest: Digest,
    /// Whether it was interrupted: the report is of the first experiments only.
    pub is_partial: bool,
    /// Where an interrupted campaign ends within a world.
    pub cut: Option<Cut>,
}

impl Report {
    /// Experiments that violated a guarantee, and worlds that do so by themselves.
    #[must_use]
    pub fn violations_total(&self) -> u64 {
        self.total.violations + self.golden_violations_total
    }
}
