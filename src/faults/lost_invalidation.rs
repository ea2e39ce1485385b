//! A processor keeps a translation that it was told to drop.
//!
//! A missed shootdown: the tables are right, the cache is not, and a page that was taken away
//! stays reachable. Where the processor may hold nothing but what the tables grant, nothing is kept.
//!
//! Source: Linux eb66ae030829, "mremap: properly flush TLB before releasing the page"
//! (CVE-2018-18281).
//!
//! Injection point: `invalidate`.

use super::elements::{fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A processor keeps a translation that it was told to drop.
pub(super) const KIND: Kind = Kind {
    name: "lost-invalidation",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Invalidate]),
    fits: |record, _| record.is_missed,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a processor keeps a translation that it was told to drop",
    source: "Linux eb66ae030829, \"mremap: properly flush TLB before releasing the page\" (CVE-2018-18281)",
    build: |_, _| fault(&KIND, |_, scene| scene.is_missed().then_some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_translation_is_kept() {
        let mut operation = operation(PointKind::Invalidate, 0x1000, 8);
        let verdict = strike("lost-invalidation", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn where_nothing_was_taken_away_nothing_is_kept() {
        let mut scene = FakeScene::new();
        scene.is_missed = false;
        let mut operation = operation(PointKind::Invalidate, 0x1000, 8);
        assert_eq!(strike("lost-invalidation", "", &mut operation, &mut scene), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("lost-invalidation", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
