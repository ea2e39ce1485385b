//! A request packet is lost on its way.
//!
//! It is never handed to the driver below and nobody completes it: whoever waits, waits.
//!
//! Source: Microsoft, "Driver Verifier: I/O Verification"; Microsoft, "Bug Check 0x9F:
//! DRIVER_POWER_STATE_FAILURE".
//!
//! Injection point: `handover`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A request packet is lost on its way.
pub(super) const KIND: Kind = Kind {
    name: "lost-request",
    family: Family::Defect,
    model: Model::Llfi,
    points: PointKinds::of(&[PointKind::Handover]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a request packet is lost on its way",
    source: "Microsoft, \"Driver Verifier: I/O Verification\"; Microsoft, \"Bug Check 0x9F: DRIVER_POWER_STATE_FAILURE\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_packet_is_not_handed_over() {
        let mut operation = operation(PointKind::Handover, 0x1000, 8);
        let verdict = strike("lost-request", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("lost-request", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
