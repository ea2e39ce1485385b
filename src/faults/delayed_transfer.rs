//! A transfer takes longer.
//!
//! By its usual time once more, for as many times as it strikes: a device is done when it is done.
//!
//! Source: PCI-SIG, "PCI Express Base Specification", "Completion Timeout Mechanism".
//!
//! Injection point: `dma`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A transfer takes longer.
pub(super) const KIND: Kind = Kind {
    name: "delayed-transfer",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Dma]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &["index"],
    about: "a transfer takes longer",
    source: "PCI-SIG, \"PCI Express Base Specification\", \"Completion Timeout Mechanism\"",
    build: |parameters, _| {
        let mut left = parameters.index.unwrap_or(1);
        fault(&KIND, move |_, _| {
            if left == 0 {
                return None;
            }
            left -= 1;
            Some(Verdict::Hang)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(1 + index(stream, 6)), ..Parameters::default() },
    every: |_, _| indices(1..=6),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_transfer_is_put_off() {
        let mut operation = operation(PointKind::Dma, 0x1000, 8);
        let verdict = strike("delayed-transfer", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Hang));
    }

    #[test]
    fn it_is_done_in_the_end() {
        let mut fault = Registry::default()
            .build("delayed-transfer", &Parameters::default(), &directory())
            .expect("a fault");
        let mut scene = FakeScene::new();
        let mut once = || fault.strike(&mut operation(PointKind::Dma, 0x3000, 8), &mut scene);

        assert_eq!([once(), once()], [Some(Verdict::Hang), None]);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Step, 0x1000, 8);
        let before = other;
        assert_eq!(strike("delayed-transfer", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
