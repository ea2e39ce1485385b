//! A request packet is completed twice.
//!
//! Two parts of a driver, or two drivers, each believe that the packet is theirs to complete. The
//! second time it is complete, or somebody else's by then.
//!
//! Source: Microsoft, "Bug Check 0x44: MULTIPLE_IRP_COMPLETE_REQUESTS".
//!
//! Injection point: `complete`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A request packet is completed twice.
pub(super) const KIND: Kind = Kind {
    name: "repeated-completion",
    family: Family::Defect,
    model: Model::Llfi,
    points: PointKinds::of(&[PointKind::Complete]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a request packet is completed twice",
    source: "Microsoft, \"Bug Check 0x44: MULTIPLE_IRP_COMPLETE_REQUESTS\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Repeat)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn it_is_completed_once_more() {
        let mut operation = operation(PointKind::Complete, 0x1000, 8);
        let verdict = strike("repeated-completion", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Repeat));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Handover, 0x1000, 8);
        let before = other;
        assert_eq!(strike("repeated-completion", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
