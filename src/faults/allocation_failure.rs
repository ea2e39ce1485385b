//! An allocation fails.
//!
//! The allocator has nothing to give, for once: whoever asked must notice and say so to whoever
//! asked them.
//!
//! Source: Microsoft, "Driver Verifier: Low Resources Simulation"; Linux, "Fault injection
//! capabilities infrastructure" (failslab).
//!
//! Injection point: `allocate`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// An allocation fails.
pub(super) const KIND: Kind = Kind {
    name: "allocation-failure",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Allocate]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "an allocation fails",
    source: "Microsoft, \"Driver Verifier: Low Resources Simulation\"; Linux, \"Fault injection capabilities infrastructure\" (failslab)",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn there_is_nothing_to_give() {
        let mut operation = operation(PointKind::Allocate, 0x1000, 8);
        let verdict = strike("allocation-failure", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Free, 0x1000, 8);
        let before = other;
        assert_eq!(strike("allocation-failure", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
