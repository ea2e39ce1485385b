//! Wild writes by operator: whether they hit, and what came of those that did.
//!
//! A pointer that went wrong by a few bytes hits far more often than one with a high bit flipped, and
//! other things. So the two questions are kept apart, for each operator by itself: pooled they would
//! say how often this crate draws which operator.

use std::collections::BTreeMap;

use crate::faults::Operator;
use crate::outcome::{Class, Integrity};

use super::series::Case;

/// The wild writes of one operator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WildWrites {
    /// Experiments in which one was planned.
    pub planned: u64,
    /// Of these, those in which the pointer went wrong.
    pub struck: u64,
    /// Of these, those in which memory changed that nobody meant to change. The others led nowhere that
    /// could be written, or wrote what was there.
    pub hit: u64,
    /// What came of those that hit.
    pub came_of_hits: BTreeMap<Class, u64>,
}

impl WildWrites {
    /// Of which operator a case is, when a wild write was planned.
    #[must_use]
    pub fn operator_of(case: &Case) -> Option<Operator> {
        (case.plan.kind == "wild-write").then(|| case.plan.parameters.operator_or_usual())
    }

    /// Takes in one case.
    pub fn add(&mut self, case: &Case) {
        self.planned += 1;
        let outcome = &case.outcome;
        if outcome.activation.strikes == 0 {
            return;
        }
        self.struck += 1;
        if outcome.integrity > Integrity::Untouched {
            self.hit += 1;
            *self.came_of_hits.entry(case.class()).or_default() += 1;
        }
    }

    /// Takes in others.
    pub fn merge(&mut self, other: &Self) {
        self.planned += other.planned;
        self.struck += other.struck;
        self.hit += other.hit;
        for (&class, count) in &other.came_of_hits {
            *self.came_of_hits.entry(class).or_default() += count;
        }
    }
}
