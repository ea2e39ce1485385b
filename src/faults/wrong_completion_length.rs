//! A completed request tells a wrong number of bytes.
//!
//! More than the driver wrote, more than the buffer holds, or none: whoever asked takes for data
//! what is none, or misses what came.
//!
//! Source: Microsoft, "Using Buffered I/O" and "Failure to Check the Size of Buffers";
//! DependableSystemsLab, LLFI, "default_failures.yaml" (IncorrectOutput).
//!
//! Injection point: `complete`.

use super::elements::{anywhere, each_value, fault, one_value};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::request::LENGTH_MAX;

/// None, one, the longest, one more, a page, and all ones.
const LENGTHS: [u64; 6] = [0, 1, LENGTH_MAX, LENGTH_MAX + 1, 0x1000, u64::MAX];

/// A completed request tells a wrong number of bytes.
pub(super) const KIND: Kind = Kind {
    name: "wrong-completion-length",
    family: Family::Defect,
    model: Model::Llfi,
    points: PointKinds::of(&[PointKind::Complete]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["value"],
    about: "a completed request tells a wrong number of bytes",
    source: "Microsoft, \"Using Buffered I/O\" and \"Failure to Check the Size of Buffers\"; DependableSystemsLab, LLFI, \"default_failures.yaml\" (IncorrectOutput)",
    build: |parameters, _| {
        let value = parameters.value.unwrap_or(LENGTH_MAX);
        fault(&KIND, move |operation, _| {
            if operation.value == value {
                return None;
            }
            operation.value = value;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| one_value(stream, &LENGTHS),
    every: |_, _| each_value(&LENGTHS),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn more_is_told_than_there_is() {
        let mut complete = operation(PointKind::Complete, address::POOL, 16);

        let verdict =
            strike("wrong-completion-length", "", &mut complete, &mut FakeScene::new());

        assert_eq!((verdict, complete.value), (Some(Verdict::Proceed), 256));
    }

    #[test]
    fn the_right_number_is_not_wrong() {
        let mut complete = operation(PointKind::Complete, address::POOL, 256);
        let struck = strike("wrong-completion-length", "", &mut complete, &mut FakeScene::new());
        assert_eq!(struck, None);
    }
}
