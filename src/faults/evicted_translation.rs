//! A processor forgets one cached translation.
//!
//! That of the address it is about to use. It may at any time; whatever relied on a translation
//! being cached was wrong.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Caching Translation Information".
//!
//! Injection points: `step`, `load`, `store`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::base::VirtAddr;
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A processor forgets one cached translation.
pub(super) const KIND: Kind = Kind {
    name: "evicted-translation",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Step, PointKind::Load, PointKind::Store]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &[],
    about: "a processor forgets one cached translation",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Caching Translation Information\"",
    build: |_, _| {
        fault(&KIND, |operation, scene| {
            scene.evict(VirtAddr(operation.virt));
            Some(Verdict::Proceed)
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
    fn the_page_is_forgotten_and_the_access_goes_on() {
        let mut scene = FakeScene::new();
        let mut load = operation(PointKind::Load, 0x1008, 0);

        assert_eq!(
            strike("evicted-translation", "", &mut load, &mut scene),
            Some(Verdict::Proceed)
        );

        assert_eq!((load.virt, scene.evicted), (0x1008, vec![0x1008]));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Free, 0x1000, 8);
        let before = other;
        assert_eq!(strike("evicted-translation", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
