//! An interrupt is lost.
//!
//! The device is done and nobody hears of it.
//!
//! Source: Microsoft, "Bug Check 0x133: DPC_WATCHDOG_VIOLATION"; Intel, "Software Developer's
//! Manual", volume 3A, "Interrupt Acceptance for Fixed Interrupts".
//!
//! Injection point: `interrupt`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// An interrupt is lost.
pub(super) const KIND: Kind = Kind {
    name: "lost-interrupt",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Interrupt]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "an interrupt is lost",
    source: "Microsoft, \"Bug Check 0x133: DPC_WATCHDOG_VIOLATION\"; Intel, \"Software Developer's Manual\", volume 3A, \"Interrupt Acceptance for Fixed Interrupts\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_interrupt_is_not_delivered() {
        let mut operation = operation(PointKind::Interrupt, 0x21, 8);
        let verdict = strike("lost-interrupt", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Step, 0x1000, 8);
        let before = other;
        assert_eq!(strike("lost-interrupt", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
