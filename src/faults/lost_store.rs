//! A store is lost.
//!
//! What was to be written never arrives: a missing assignment, a write dropped on its way.
//!
//! Source: Durães and Madeira, "Emulation of Software Faults: A Field Data Study and a Practical
//! Approach", IEEE TSE 2006.
//!
//! Injection points: `store`, `table-store`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A store is lost.
pub(super) const KIND: Kind = Kind {
    name: "lost-store",
    family: Family::Defect,
    model: Model::Edfi,
    points: PointKinds::of(&[PointKind::Store, PointKind::TableStore]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a store is lost",
    source: "Durães and Madeira, \"Emulation of Software Faults: A Field Data Study and a Practical Approach\", IEEE TSE 2006",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_store_is_left_out() {
        let mut operation = operation(PointKind::Store, 0x1000, 8);
        let verdict = strike("lost-store", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Load, 0x1000, 8);
        let before = other;
        assert_eq!(strike("lost-store", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
