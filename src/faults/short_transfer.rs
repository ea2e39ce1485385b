//! A device transfers less than it was told to, and says that it is done.
//!
//! A sector that is written by halves when power goes, or a receive that ends early: the rest of
//! the buffer, or of the sector, is what was there before. Where that is what was to be transferred, nothing is
//! amiss.
//!
//! Source: Prabhakaran et al., "IRON File Systems", SOSP 2005; MINIX, "fbd" (torn writes).
//!
//! Injection point: `dma`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A device transfers less than it was told to, and says that it is done.
pub(super) const KIND: Kind = Kind {
    name: "short-transfer",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Dma]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index"],
    about: "a device transfers a part and says it is done",
    source: "Prabhakaran et al., \"IRON File Systems\", SOSP 2005; MINIX, \"fbd\" (torn writes)",
    build: |parameters, _| {
        let shift = parameters.index_below(8)?.unwrap_or(1);
        if shift == 0 {
            return Err("a transfer of all is not short; expected an index of 1 to 7".to_owned());
        }
        fault(&KIND, move |operation, scene| {
            let transferred = operation.value >> shift;
            if !scene.transfer_matters(operation, transferred) {
                return None;
            }
            operation.value = transferred;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(1 + index(stream, 7)), ..Parameters::default() },
    every: |_, _| indices(1..=7),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn half_of_it_is_transferred() {
        let mut transfer = operation(PointKind::Dma, 0x3000, 64);

        let verdict = strike("short-transfer", "", &mut transfer, &mut FakeScene::new());

        assert_eq!((verdict, transfer.value), (Some(Verdict::Proceed), 32));
    }

    #[test]
    fn where_the_rest_is_there_already_nothing_is_short() {
        let mut scene = FakeScene::new();
        let mut short = |same_from| {
            scene.same_from = same_from;
            let mut transfer = operation(PointKind::Dma, 0x3000, 64);
            (strike("short-transfer", "", &mut transfer, &mut scene), transfer.value)
        };
        assert_eq!(short(32), (None, 64));
        assert_eq!(short(33), (Some(Verdict::Proceed), 32));
    }

    #[test]
    fn a_transfer_of_nothing_is_not_short() {
        let mut transfer = operation(PointKind::Dma, 0x3000, 0);
        assert_eq!(strike("short-transfer", "", &mut transfer, &mut FakeScene::new()), None);
    }
}
