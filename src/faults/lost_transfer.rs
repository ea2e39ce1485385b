//! A device says it is done and has transferred nothing.
//!
//! The buffer, or the disk, keeps what it held before, and nobody is told. Where that is what was to be transferred,
//! nothing is lost.
//!
//! Source: Prabhakaran et al., "IRON File Systems", SOSP 2005; Bairavasundaram et al., "An
//! Analysis of Data Corruption in the Storage Stack", FAST 2008 (lost writes).
//!
//! Injection point: `dma`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A device says it is done and has transferred nothing.
pub(super) const KIND: Kind = Kind {
    name: "lost-transfer",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Dma]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a device says it is done and has transferred nothing",
    source: "Prabhakaran et al., \"IRON File Systems\", SOSP 2005; Bairavasundaram et al., \"An Analysis of Data Corruption in the Storage Stack\", FAST 2008 (lost writes)",
    build: |_, _| {
        fault(&KIND, |operation, scene| {
            scene.transfer_matters(operation, 0).then_some(Verdict::Skip)
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
    fn nothing_is_transferred() {
        let mut operation = operation(PointKind::Dma, 0x1000, 8);
        let verdict = strike("lost-transfer", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn what_is_there_already_is_not_lost() {
        let mut scene = FakeScene::new();
        let mut operation = operation(PointKind::Dma, 0x1000, 8);
        scene.same_from = 0;
        assert_eq!(strike("lost-transfer", "", &mut operation, &mut scene), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("lost-transfer", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
