//! A store is written in part.
//!
//! Some of its bytes are new, the others old: a store that is not atomic and is cut short, or that
//! another overtakes. Where memory holds already what the bytes left out were to be, nothing is torn.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Guaranteed Atomic Operations".
//!
//! Injection points: `store`, `table-store`.

use super::elements::{anywhere, fault, holds_already, index};
use super::{Family, Kind, Model, Parameters};
use crate::base::VirtAddr;
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
        fault(&KIND, move |operation, scene| {
            let left_out = operation.mask & !mask;
            if left_out == 0
                // What is refused is made again, as a whole.
                || !scene.may_store(VirtAddr(operation.virt))
                || holds_already(operation, left_out, scene)
            {
                return None;
            }
            operation.mask &= mask;
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
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1);
        let mut store = operation(PointKind::Store, 0x1000, 0x1_0000_0001);

        let verdict = strike("torn-store", "bytes = 4", &mut store, &mut scene);

        assert_eq!((verdict, store.mask), (Some(Verdict::Proceed), 0x0f));
    }

    #[test]
    fn where_the_bytes_left_out_hold_what_they_should_nothing_is_torn() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 2).put(0x1000, 0x7_0000_0008).put(0x1008, 0x55);
        let mut torn = |virt, value| {
            let mut store = operation(PointKind::Store, virt, value);
            (strike("torn-store", "bytes = 4", &mut store, &mut scene), store.mask)
        };

        assert_eq!(torn(0x1000, 0x7_0000_0009), (None, 0xff));
        assert_eq!(torn(0x1000, 0x8_0000_0008), (Some(Verdict::Proceed), 0x0f));
        // Its last four bytes are the low half of the next word.
        assert_eq!(torn(0x1004, 0x55_0000_0001), (None, 0xff));
        assert_eq!(torn(0x1004, 0x56_0000_0001), (Some(Verdict::Proceed), 0x0f));
    }

    #[test]
    fn a_store_that_is_refused_is_not_torn() {
        let mut store = operation(PointKind::Store, 0x1000, 0x1_0000_0001);
        let mut scene = FakeScene::new();
        assert_eq!(strike("torn-store", "bytes = 4", &mut store, &mut scene), None);
        scene.map(0x1000, 1).read_only.push(1);
        assert_eq!(strike("torn-store", "bytes = 4", &mut store, &mut scene), None);
    }

    #[test]
    fn a_store_of_fewer_bytes_is_not_torn() {
        let mut store = Operation { mask: 0x03, ..operation(PointKind::Store, 0x1000, 1) };
        assert_eq!(strike("torn-store", "bytes = 4", &mut store, &mut FakeScene::new()), None);
    }
}
