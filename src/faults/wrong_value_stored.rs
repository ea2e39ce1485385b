//! A store writes another value than it should.
//!
//! A wrong assignment: the right place takes zero, one, all ones or a pattern, whole and in time.
//!
//! Source: Giuffrida, Kuijsten and Tanenbaum, "EDFI: A Dependable Fault Injection Tool for
//! Dependability Benchmarking Experiments", PRDC 2013 (operands that change places, other operators); Durães
//! and Madeira, "Emulation of Software Faults: A Field Data Study and a Practical Approach", IEEE
//! TSE 2006 (wrong value assigned).
//!
//! Injection point: `store`.

use super::elements::{anywhere, each_value, fault, one_value};
use super::{Family, Kind, Model};
use crate::base::{VirtAddr, bits_of};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// Nothing, one, what a sign or a length may not be, and a pattern that leads nowhere.
const VALUES: [u64; 6] =
    [0, 1, 1 << 31, 1 << 63, u64::MAX, 0x4141_4141_4141_4141];

/// A store writes another value than it should.
pub(super) const KIND: Kind = Kind {
    name: "wrong-value-stored",
    family: Family::Defect,
    model: Model::Edfi,
    points: PointKinds::of(&[PointKind::Store]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["value"],
    about: "a store writes another value than it should",
    source: "Giuffrida, Kuijsten and Tanenbaum, \"EDFI: A Dependable Fault Injection Tool for Dependability Benchmarking Experiments\", PRDC 2013 (operands that change places, other operators); Durães and Madeira, \"Emulation of Software Faults: A Field Data Study and a Practical Approach\", IEEE TSE 2006 (wrong value assigned)",
    build: |parameters, _| {
        let value = parameters.value.unwrap_or(0);
        fault(&KIND, move |operation, scene| {
            let is_right = (operation.value ^ value) & bits_of(operation.mask) == 0;
            // What is refused is made again, and rightly then.
            if is_right || !scene.may_store(VirtAddr(operation.virt)) {
                return None;
            }
            operation.value = value;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| one_value(stream, &VALUES),
    every: |_, _| each_value(&VALUES),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_right_place_takes_a_wrong_value() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1);
        let mut store = operation(PointKind::Store, 0x1000, 5);

        let verdict = strike("wrong-value-stored", "value = '0x1'", &mut store, &mut scene);

        assert_eq!((verdict, store.virt, store.value), (Some(Verdict::Proceed), 0x1000, 1));
    }

    #[test]
    fn the_right_value_is_not_wrong() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1);
        let mut store = operation(PointKind::Store, 0x1000, 0);
        assert_eq!(strike("wrong-value-stored", "", &mut store, &mut scene), None);
        // Of the wrong value only what is right is stored.
        let mut byte = Operation { mask: 0x01, ..store };
        let wrong = "value = '0x80000000'";
        assert_eq!(strike("wrong-value-stored", wrong, &mut byte, &mut scene), None);
    }

    #[test]
    fn what_is_refused_is_stored_rightly_later() {
        let mut store = operation(PointKind::Store, 0x1000, 5);
        let verdict = strike("wrong-value-stored", "", &mut store, &mut FakeScene::new());
        assert_eq!((verdict, store.value), (None, 5));
    }
}
