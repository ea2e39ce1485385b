//! A page-table entry is written wrongly.
//!
//! With one bit other than it should be: a right too many or too few, another frame. The store
//! goes to the right place.
//!
//! Source: Frisk, "Total Meltdown?", 2018 (CVE-2018-1038: the user bit in the self-map entry).
//!
//! Injection point: `table-store`.

use super::elements::{anywhere, bit, every_bit, fault};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A page-table entry is written wrongly.
pub(super) const KIND: Kind = Kind {
    name: "wrong-table-entry",
    family: Family::Defect,
    model: Model::Edfi,
    points: PointKinds::of(&[PointKind::TableStore]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["bit"],
    about: "a page-table entry is written wrongly",
    source: "Frisk, \"Total Meltdown?\", 2018 (CVE-2018-1038: the user bit in the self-map entry)",
    build: |parameters, _| {
        let bit = parameters.bit_or(2)?;
        fault(&KIND, move |operation, _| {
            operation.value ^= 1 << bit;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        // The rights as often as all of the rest.
        let rights = [0, 1, 2, 63];
        let any = bit(stream);
        let bit = if stream.word() & 1 == 0 { rights[stream.index(4)] } else { any };
        Parameters { bit: Some(bit), ..Parameters::default() }
    },
    every: |_, _| every_bit(),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn one_bit_of_the_entry_is_wrong() {
        let mut store = operation(PointKind::TableStore, 0x1000, 0x3003);

        let verdict = strike("wrong-table-entry", "bit = 2", &mut store, &mut FakeScene::new());

        assert_eq!((verdict, store.value), (Some(Verdict::Proceed), 0x3007));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("wrong-table-entry", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
