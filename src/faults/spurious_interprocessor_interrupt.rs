//! Another processor interrupts for no reason.
//!
//! A processor that is told to look finds nothing to do, and goes on.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Issuing Interprocessor Interrupts".
//!
//! Injection point: `step`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::machine::Trap;

/// Another processor interrupts for no reason.
pub(super) const KIND: Kind = Kind {
    name: "spurious-interprocessor-interrupt",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "another processor interrupts for no reason",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Issuing Interprocessor Interrupts\"",
    build: |_, _| {
        fault(&KIND, |_, scene| {
            scene.pend(Trap::INTERPROCESSOR);
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
    fn the_interrupt_is_pending_and_the_step_goes_on() {
        let mut scene = FakeScene::new();
        let mut step = operation(PointKind::Step, 0x1000, 0);

        assert_eq!(
            strike("spurious-interprocessor-interrupt", "", &mut step, &mut scene),
            Some(Verdict::Proceed)
        );

        assert_eq!(scene.pended, [0x23]);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Load, 0x1000, 8);
        let before = other;
        assert_eq!(
            strike("spurious-interprocessor-interrupt", "", &mut other, &mut FakeScene::new()),
            None
        );
        assert_eq!(other, before);
    }
}
