//! A copy or fill ends too early.
//!
//! The last bytes of the target stay as they were: a length in the wrong unit, or that of another
//! buffer. The twin of the overrun. Where they are what they should be already, nothing is short.
//!
//! Source: DependableSystemsLab, LLFI, "default_failures.yaml" (BufferUnderflow).
//!
//! Injection point: `copy`.

use super::elements::{anywhere, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A copy or fill ends too early.
pub(super) const KIND: Kind = Kind {
    name: "short-copy",
    family: Family::Defect,
    model: Model::Llfi,
    points: PointKinds::of(&[PointKind::Copy]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["bytes"],
    about: "a copy or fill ends too early",
    source: "DependableSystemsLab, LLFI, \"default_failures.yaml\" (BufferUnderflow)",
    build: |parameters, _| {
        let bytes = u64::from(parameters.bytes.unwrap_or(8));
        if bytes == 0 {
            return Err("a copy that lacks 0 bytes is whole; expected 1 to 65535".to_owned());
        }
        fault(&KIND, move |operation, scene| {
            let copied = operation.value.saturating_sub(bytes);
            if !scene.copy_matters(operation, copied) {
                return None;
            }
            operation.value = copied;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        Parameters { bytes: Some(1 << index(stream, 9)), ..Parameters::default() }
    },
    every: |_, _| {
        let powers = (0..9).map(|doublings| 1 << doublings);
        powers.map(|bytes| Parameters { bytes: Some(bytes), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_last_bytes_are_not_copied() {
        let mut copy = operation(PointKind::Copy, 0x1000, 64);

        let verdict = strike("short-copy", "bytes = 16", &mut copy, &mut FakeScene::new());

        assert_eq!((verdict, copy.value), (Some(Verdict::Proceed), 48));
    }

    #[test]
    fn where_the_rest_is_there_already_nothing_is_short() {
        let mut scene = FakeScene::new();
        let mut short = |same_from| {
            scene.same_from = same_from;
            let mut copy = operation(PointKind::Copy, 0x1000, 64);
            (strike("short-copy", "bytes = 16", &mut copy, &mut scene), copy.value)
        };
        assert_eq!(short(48), (None, 64));
        assert_eq!(short(49), (Some(Verdict::Proceed), 48));
    }

    #[test]
    fn a_copy_of_nothing_is_not_short() {
        let mut copy = operation(PointKind::Copy, 0x1000, 0);
        assert_eq!(strike("short-copy", "", &mut copy, &mut FakeScene::new()), None);
    }
}
