//! A reference to an object is dropped twice.
//!
//! The object is freed while somebody refers to it, or a reference is dropped that is none.
//!
//! Source: Microsoft, "Bug Check 0x18: REFERENCE_BY_POINTER"; Linux, "lkdtm" (REFCOUNT).
//!
//! Injection point: `dereference`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A reference to an object is dropped twice.
pub(super) const KIND: Kind = Kind {
    name: "repeated-dereference",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::Dereference]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a reference to an object is dropped twice",
    source: "Microsoft, \"Bug Check 0x18: REFERENCE_BY_POINTER\"; Linux, \"lkdtm\" (REFCOUNT)",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Repeat)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn it_is_dropped_once_more() {
        let mut operation = operation(PointKind::Dereference, 0x1000, 8);
        let verdict = strike("repeated-dereference", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Repeat));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Reference, 0x1000, 8);
        let before = other;
        assert_eq!(strike("repeated-dereference", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
