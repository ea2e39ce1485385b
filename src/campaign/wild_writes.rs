//! Wild writes by operator: whether they hit, and what came of those that did.
//!
//! A pointer that went wrong by a few bytes hits far more often than one with a high bit flipped, and
//! other things. So the two questions are kept apart, for each operator by itself: pooled they would
//! say how often this crate draws which operator.

use std::collections::BTreeMap;

use crate::faults::Operator;
use crate::outcome::Class;

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
    /// Of which operator a case is, when a wild write was planned and nothing else: of several faults nobody
    /// knows which one hit.
    #[must_use]
    pub fn operator_of(case: &Case) -> Option<Operator> {
        (case.plan.kind == "wild-write" && case.further.is_empty())
            .then(|| case.plan.parameters.operator_or_usual())
    }

    /// Takes in one case.
    pub fn add(&mut self, case: &Case) {
        self.planned += 1;
        let outcome = &case.outcome;
        if outcome.activation.strikes == 0 {
            return;
        }
        self.struck += 1;
        // A disk that is left other is no sign of it: who faults leaves it so too.
        if outcome.sleep.is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Origin;
    use crate::faults::{At, Parameters, PlannedFault};
    use crate::injection::{PointKind, Recurrence};
    use crate::outcome::{Activation, Integrity, Outcome, Sleep, SleepEnd};

    fn case(strikes: u64, integrity: Integrity, sleep: Option<Sleep>) -> Case {
        let plan = PlannedFault {
            kind: "wild-write".to_owned(),
            who: "nic".to_owned(),
            at: At { point: PointKind::Store, routine: None, caller: None, nth: 1 },
            recurrence: Recurrence::Once,
            parameters: Parameters::default(),
        };
        let activation = Activation { strikes, ..Activation::default() };
        let outcome = Outcome { activation, integrity, sleep, ..Outcome::default() };
        Case { number: 0, plan, further: Vec::new(), origin: Origin::KernelModeDriver, outcome }
    }

    #[test]
    fn who_left_the_disk_other_and_damaged_nothing_has_not_hit() {
        let read = Some(Sleep { steps: 3, end: SleepEnd::Read });
        let mut writes = WildWrites::default();

        writes.add(&case(0, Integrity::Untouched, None));
        writes.add(&case(1, Integrity::Durable, None));
        writes.add(&case(1, Integrity::Consumed, read));

        assert_eq!((writes.planned, writes.struck, writes.hit), (3, 2, 1));
        assert_eq!(
            WildWrites::operator_of(&case(1, Integrity::Dormant, None)),
            Some(Operator::Offset)
        );
    }
}
