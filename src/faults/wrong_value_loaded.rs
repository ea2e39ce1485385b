//! A load yields another value than memory holds.
//!
//! Zero, one, all ones or a pattern in place of what lies there: a pointer that is null, a count or
//! a flag that is wrong. The address is right, and memory is not read. EDFI's loads yield 0, or 32 bits each as
//! likely: its fault load (`--mix edfi`) fixes that.
//!
//! Source: Giuffrida, Kuijsten and Tanenbaum, "EDFI: A Dependable Fault Injection Tool for
//! Dependability Benchmarking Experiments", PRDC 2013 (loads that yield zero or anything).
//!
//! Injection point: `load`.

use super::elements::{anywhere, each_value, fault, one_value};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// Nothing, one, what a sign or a length may not be, and a pattern that leads nowhere.
const VALUES: [u64; 6] =
    [0, 1, 1 << 31, 1 << 63, u64::MAX, 0x4141_4141_4141_4141];

/// A load yields another value than memory holds.
pub(super) const KIND: Kind = Kind {
    name: "wrong-value-loaded",
    family: Family::Defect,
    model: Model::Edfi,
    points: PointKinds::of(&[PointKind::Load]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["value"],
    about: "a load yields another value than memory holds",
    source: "Giuffrida, Kuijsten and Tanenbaum, \"EDFI: A Dependable Fault Injection Tool for Dependability Benchmarking Experiments\", PRDC 2013 (loads that yield zero or anything)",
    build: |parameters, _| {
        let value = parameters.value.unwrap_or(0);
        fault(&KIND, move |operation, scene| {
            // Where nothing is mapped the load yields nothing, and what is there anyway is not wrong.
            if scene.held(operation.virt, operation.mask)? == value {
                return None;
            }
            operation.value = value;
            Some(Verdict::Skip)
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
    fn the_load_yields_what_the_fault_says() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1010, 7);
        let mut load = operation(PointKind::Load, 0x1010, 0);

        let verdict = strike("wrong-value-loaded", "value = '0x80000000'", &mut load, &mut scene);

        assert_eq!((verdict, load.value), (Some(Verdict::Skip), 1 << 31));
    }

    #[test]
    fn what_memory_holds_anyway_is_not_wrong() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1010, 7);
        let mut load = operation(PointKind::Load, 0x1010, 0);

        assert_eq!(strike("wrong-value-loaded", "value = '0x7'", &mut load, &mut scene), None);
        // Across two words.
        scene.put(0x1018, 0x5);
        let mut load = operation(PointKind::Load, 0x1014, 0);
        let there = "value = '0x500000000'";
        assert_eq!(strike("wrong-value-loaded", there, &mut load, &mut scene), None);
    }

    #[test]
    fn where_nothing_is_mapped_nothing_is_loaded() {
        let mut load = operation(PointKind::Load, 0x1010, 0);

        assert_eq!(strike("wrong-value-loaded", "", &mut load, &mut FakeScene::new()), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("wrong-value-loaded", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
