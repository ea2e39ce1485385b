//! The clock interrupts now.
//!
//! The running thread may have to give way between any two steps that let interrupts in.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Local APIC Timer".
//!
//! Injection point: `step`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::machine::Trap;

/// The clock interrupts now.
pub(super) const KIND: Kind = Kind {
    name: "preemption",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "the clock interrupts now",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Local APIC Timer\"",
    build: |_, _| {
        fault(&KIND, |_, scene| {
            scene.pend(Trap::CLOCK);
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

        assert_eq!(strike("preemption", "", &mut step, &mut scene), Some(Verdict::Proceed));

        assert_eq!(scene.pended, [0x20]);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Load, 0x1000, 8);
        let before = other;
        assert_eq!(strike("preemption", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
