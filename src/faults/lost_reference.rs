//! A reference to an object is not counted.
//!
//! Whoever took it believes that the object is there for as long as it needs it, and drops the
//! reference afterwards: the object is freed while somebody else still has it.
//!
//! Source: Microsoft, "Life Cycle of an Object"; Linux, "lkdtm" (REFCOUNT).
//!
//! Injection point: `reference`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A reference to an object is not counted.
pub(super) const KIND: Kind = Kind {
    name: "lost-reference",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::Reference]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a reference to an object is not counted",
    source: "Microsoft, \"Life Cycle of an Object\"; Linux, \"lkdtm\" (REFCOUNT)",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn nothing_is_counted() {
        let mut operation = operation(PointKind::Reference, 0x1000, 8);
        let verdict = strike("lost-reference", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Dereference, 0x1000, 8);
        let before = other;
        assert_eq!(strike("lost-reference", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
