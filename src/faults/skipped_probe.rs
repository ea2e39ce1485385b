//! A user buffer is not probed.
//!
//! The kernel takes the caller's word for it that the buffer is the caller's. With a wrong
//! argument the kernel writes where the caller says; a probe that would have passed is not missed.
//!
//! Source: Linux 96ca579a1ecc, "waitid(): Add missing access_ok() checks" (CVE-2017-5123).
//!
//! Injection point: `probe`.

use super::elements::{fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A user buffer is not probed.
pub(super) const KIND: Kind = Kind {
    name: "skipped-probe",
    family: Family::Defect,
    model: Model::Vulnerability,
    points: PointKinds::of(&[PointKind::Probe]),
    fits: |record, _| record.is_missed,
    recurrence: Recurrence::Always,
    parameters: &[],
    about: "a user buffer is not probed",
    source: "Linux 96ca579a1ecc, \"waitid(): Add missing access_ok() checks\" (CVE-2017-5123)",
    build: |_, _| fault(&KIND, |_, scene| scene.is_missed().then_some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_probe_is_left_out() {
        let mut operation = operation(PointKind::Probe, 0x1000, 8);
        let verdict = strike("skipped-probe", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn a_probe_that_finds_nothing_wrong_is_not_missed() {
        let mut scene = FakeScene::new();
        scene.is_missed = false;
        let mut operation = operation(PointKind::Probe, 0x1000, 8);
        assert_eq!(strike("skipped-probe", "", &mut operation, &mut scene), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("skipped-probe", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
