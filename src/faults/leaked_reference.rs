//! A reference to an object is never dropped.
//!
//! The object, and for a process all that belongs to it, stays for ever; a count that is raised
//! often enough wraps.
//!
//! Source: Microsoft, "Life Cycle of an Object"; MITRE, "CWE-911: Improper Update of Reference
//! Count".
//!
//! Injection point: `dereference`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A reference to an object is never dropped.
pub(super) const KIND: Kind = Kind {
    name: "leaked-reference",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::Dereference]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a reference to an object is never dropped",
    source: "Microsoft, \"Life Cycle of an Object\"; MITRE, \"CWE-911: Improper Update of Reference Count\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn nothing_is_dropped() {
        let mut operation = operation(PointKind::Dereference, 0x1000, 8);
        let verdict = strike("leaked-reference", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Reference, 0x1000, 8);
        let before = other;
        assert_eq!(strike("leaked-reference", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
