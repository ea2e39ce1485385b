//! An interrupt is delivered later.
//!
//! It stays pending for one more step, for as many times as it strikes: interrupts arrive when
//! they arrive.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Interrupt Acceptance for Fixed
//! Interrupts".
//!
//! Injection point: `interrupt`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// An interrupt is delivered later.
pub(super) const KIND: Kind = Kind {
    name: "delayed-interrupt",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Interrupt]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &["index"],
    about: "an interrupt is delivered later",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Interrupt Acceptance for Fixed Interrupts\"",
    build: |parameters, _| {
        let mut left = parameters.index.unwrap_or(8);
        fault(&KIND, move |operation, scene| {
            if left == 0 {
                return None;
            }
            left -= 1;
            scene.pend(u8::try_from(operation.virt).ok()?);
            Some(Verdict::Skip)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(1 + index(stream, 40)), ..Parameters::default() },
    every: |_, _| indices(1..=40),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_interrupt_stays_pending() {
        let mut scene = FakeScene::new();
        let mut interrupt = operation(PointKind::Interrupt, 0x21, 0);

        let verdict = strike("delayed-interrupt", "", &mut interrupt, &mut scene);

        assert_eq!((verdict, scene.pended), (Some(Verdict::Skip), vec![0x21]));
    }

    #[test]
    fn it_is_delivered_in_the_end() {
        let parameters = Parameters { index: Some(2), ..Parameters::default() };
        let mut fault = Registry::default()
            .build("delayed-interrupt", &parameters, &directory())
            .expect("a fault");
        let mut scene = FakeScene::new();
        let mut once = || fault.strike(&mut operation(PointKind::Interrupt, 0x21, 0), &mut scene);

        assert_eq!([once(), once(), once()], [Some(Verdict::Skip), Some(Verdict::Skip), None]);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Step, 0x1000, 8);
        let before = other;
        assert_eq!(strike("delayed-interrupt", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
