//! A store is lost.
//!
//! What was to be written never arrives: a missing assignment, a write dropped on its way.
//!
//! Source: Durães and Madeira, "Emulation of Software Faults: A Field Data Study and a Practical
//! Approach", IEEE TSE 2006.
//!
//! Injection points: `store`, `table-store`.

use super::elements::{anywhere, fault, holds_already, nothing, once};
use super::{Family, Kind, Model};
use crate::base::VirtAddr;
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
    build: |_, _| {
        fault(&KIND, |operation, scene| {
            // What is there anyway can't be lost; where it is refused, the refusal is.
            let is_needless = scene.may_store(VirtAddr(operation.virt))
                && holds_already(operation, operation.mask, scene);
            (!is_needless).then_some(Verdict::Skip)
        })
    },
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
    fn what_memory_holds_anyway_is_not_lost() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1010, 0x1_0000_0008);
        let lost = |mask, value, scene: &mut FakeScene| {
            let store = operation(PointKind::Store, 0x1010, value);
            strike("lost-store", "", &mut Operation { mask, ..store }, scene)
        };

        assert_eq!(lost(0xff, 0x1_0000_0008, &mut scene), None);
        assert_eq!(lost(0x0f, 8, &mut scene), None, "the low half is there");
        assert_eq!(lost(0xff, 8, &mut scene), Some(Verdict::Skip));
        scene.read_only.push(1);
        let refused = lost(0xff, 0x1_0000_0008, &mut scene);
        assert_eq!(refused, Some(Verdict::Skip), "the page fault is lost");
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Load, 0x1000, 8);
        let before = other;
        assert_eq!(strike("lost-store", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
