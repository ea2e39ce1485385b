//! An invalidation drops more than it must.
//!
//! Everything, in place of one page: always allowed, as a processor may keep a large page in
//! pieces or drop neighbours.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Operations that Invalidate TLBs and
//! Paging-Structure Caches".
//!
//! Injection point: `invalidate`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// An invalidation drops more than it must.
pub(super) const KIND: Kind = Kind {
    name: "excess-invalidation",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Invalidate]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &[],
    about: "an invalidation drops more than it must",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Operations that Invalidate TLBs and Paging-Structure Caches\"",
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
    fn everything_is_dropped_and_the_page_as_well() {
        let mut scene = FakeScene::new();
        let mut invalidate = operation(PointKind::Invalidate, 0x1000, 0);

        let verdict = strike("excess-invalidation", "", &mut invalidate, &mut scene);

        assert_eq!((verdict, scene.evicted), (Some(Verdict::Proceed), vec![u64::MAX]));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Step, 0x1000, 8);
        let before = other;
        assert_eq!(strike("excess-invalidation", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
