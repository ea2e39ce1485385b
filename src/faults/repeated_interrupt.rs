//! An interrupt arrives twice.
//!
//! For one event; the second time there is nothing to be done, and the driver must find that out.
//!
//! Source: Linux, "kernel/irq/spurious.c"; Intel, "Software Developer's Manual", volume 3A,
//! "Spurious Interrupt".
//!
//! Injection point: `interrupt`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// An interrupt arrives twice.
pub(super) const KIND: Kind = Kind {
    name: "repeated-interrupt",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Interrupt]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "an interrupt arrives twice",
    source: "Linux, \"kernel/irq/spurious.c\"; Intel, \"Software Developer's Manual\", volume 3A, \"Spurious Interrupt\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Repeat)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_interrupt_comes_again() {
        let mut operation = operation(PointKind::Interrupt, 0x21, 8);
        let verdict = strike("repeated-interrupt", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Repeat));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Step, 0x1000, 8);
        let before = other;
        assert_eq!(strike("repeated-interrupt", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
