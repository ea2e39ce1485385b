//! A store is written in part.
//!
//! Some of its bytes are new, the others old: a store that is not atomic and is cut short, or that
//! another overtakes.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Guaranteed Atomic Operations".
//!
//! Injection points: `store`, `table-store`.

use super::elements::{anywhere, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A store is written in part.
pub(super) const KIND: Kind = Kind {
    name: "torn-store",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Store, PointKind::TableStore]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["bytes"],
    about: "a store is written in part",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Guaranteed Atomic Operations\"",
    build: |parameters, _| {
        let bytes = parameters.bytes.unwrap_or(4);
        if !(1..8).contains(&bytes) {
            return Err(format!("{bytes} bytes of 8 are no torn store; expected 1 to 7"));
        }
        let mask = (1u8 << bytes) - 1;
        fault(&KIND, move |operation, _| {
            let torn = operation.mask & mask;
            if torn == operation.mask {
                return None;
            }
            operation.mask = torn;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { bytes: Some(1 + index(stream, 7)), ..Parameters::default() },
    every: |_, _| {
        (1..=7).map(|bytes| Parameters { bytes: Some(bytes), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn only_some_bytes_are_written() {
        let mut store = operation(PointKind::Store, 0x1000, 1);

        let verdict = strike("torn-store", "bytes = 4", &mut store, &mut FakeScene::new());

        assert_eq!((verdict, store.mask), (Some(Verdict::Proceed), 0x0f));
    }

    #[test]
    fn a_store_of_fewer_bytes_is_not_torn() {
        let mut store = Operation { mask: 0x03, ..operation(PointKind::Store, 0x1000, 1) };
        assert_eq!(strike("torn-store", "bytes = 4", &mut store, &mut FakeScene::new()), None);
    }
}
