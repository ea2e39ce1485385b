//! A step is run twice.
//!
//! A loop that runs once too often, a call made twice, a retry that was not idempotent.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (loop faults).
//!
//! Injection point: `step`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A step is run twice.
pub(super) const KIND: Kind = Kind {
    name: "repeated-step",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a step is run twice",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (loop faults)",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Repeat)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_step_is_run_twice() {
        let mut operation = operation(PointKind::Step, 0x1000, 8);
        let verdict = strike("repeated-step", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Repeat));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("repeated-step", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
