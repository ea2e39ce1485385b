//! A processor forgets every cached translation.
//!
//! It may at any time, as it does when another address space is loaded.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Caching Translation Information".
//!
//! Injection point: `step`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A processor forgets every cached translation.
pub(super) const KIND: Kind = Kind {
    name: "evicted-translations",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &[],
    about: "a processor forgets every cached translation",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Caching Translation Information\"",
    build: |_, _| {
        fault(&KIND, |_, scene| {
            scene.evict_all();
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
    fn everything_is_forgotten() {
        let mut scene = FakeScene::new();
        let mut step = operation(PointKind::Step, 0x1000, 0);

        assert_eq!(
            strike("evicted-translations", "", &mut step, &mut scene),
            Some(Verdict::Proceed)
        );

        assert_eq!(scene.evicted, [u64::MAX]);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Load, 0x1000, 8);
        let before = other;
        assert_eq!(strike("evicted-translations", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
