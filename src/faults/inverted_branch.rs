//! A branch goes the other way.
//!
//! A check whose condition is inverted, or whose conditional jump is gone: what it should refuse passes, or
//! what is right is refused. The step does what it does, and goes on with the other step that it names: where
//! it names one only, it is that one or what it would do without, a call among them with whatever the argument
//! registers hold. Only where a step's own text shows two ways to go on is there a branch.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (branch faults); Giuffrida, Kuijsten and Tanenbaum, "EDFI", PRDC 2013 (flipped branches).
//!
//! Injection point: `step`.

use super::elements::{fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A branch goes the other way.
pub(super) const KIND: Kind = Kind {
    name: "inverted-branch",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: |record, _| record.branches,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a branch goes the other way",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (branch faults); Giuffrida, Kuijsten and Tanenbaum, \"EDFI\", PRDC 2013 (flipped branches)",
    build: |_, _| fault(&KIND, |_, scene| scene.branches().then_some(Verdict::OtherArm)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn a_step_that_branches_goes_on_with_its_other_arm() {
        let mut scene = FakeScene::new();
        scene.branches = true;
        let mut step = operation(PointKind::Step, 0x1000, 0);
        let verdict = strike("inverted-branch", "", &mut step, &mut scene);
        assert_eq!(verdict, Some(Verdict::OtherArm));
    }

    #[test]
    fn a_step_that_goes_one_way_only_is_left_alone() {
        let mut step = operation(PointKind::Step, 0x1000, 0);
        assert_eq!(strike("inverted-branch", "", &mut step, &mut FakeScene::new()), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("inverted-branch", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
