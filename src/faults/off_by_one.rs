//! A bound, a count or an index is one too large or too small.
//!
//! A comparison with "less or equal" in place of "less": a loop runs once more or once less, and
//! the element beside the right one is used. It strikes at loads of small numbers.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (off-by-one and loop faults); Giuffrida, Kuijsten and Tanenbaum, "EDFI: A Dependable
//! Fault Injection Tool for Dependability Benchmarking Experiments", PRDC 2013 (indices and integers).
//!
//! Injection point: `load`.

use super::elements::{anywhere, fault};
use super::{Family, Kind, Model, Parameters};
use crate::base::VirtAddr;
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// What counts as a small number: bounds, counts and indices are below, addresses above.
const SMALL: u64 = 0x1_0000;

/// A bound, a count or an index is one too large or too small.
pub(super) const KIND: Kind = Kind {
    name: "off-by-one",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Load]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["offset"],
    about: "a bound, count or index is one too large or too small",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (off-by-one and loop faults); Giuffrida, Kuijsten and Tanenbaum, \"EDFI: A Dependable Fault Injection Tool for Dependability Benchmarking Experiments\", PRDC 2013 (indices and integers)",
    build: |parameters, _| {
        let by = parameters.offset.unwrap_or(1);
        if by == 0 {
            return Err("by 0 is not off; expected an offset other than 0".to_owned());
        }
        fault(&KIND, move |operation, scene| {
            let at = scene.translate(VirtAddr(operation.virt))?;
            let value = scene.peek(at & !7);
            if !at.is_multiple_of(8) || value >= SMALL {
                return None;
            }
            operation.value = value.wrapping_add_signed(by);
            Some(Verdict::Skip)
        })
    },
    draw: |stream, _, _| {
        let by = if stream.word() & 1 == 0 { 1 } else { -1 };
        Parameters { offset: Some(by), ..Parameters::default() }
    },
    every: |_, _| {
        [1, -1].map(|by| Parameters { offset: Some(by), ..Parameters::default() }).to_vec()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_bound_is_one_too_large() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1010, 48);
        let mut load = operation(PointKind::Load, 0x1010, 0);

        let verdict = strike("off-by-one", "", &mut load, &mut scene);

        assert_eq!((verdict, load.value), (Some(Verdict::Skip), 49));
    }

    #[test]
    fn an_address_is_no_bound() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1010, address::POOL);
        let mut load = operation(PointKind::Load, 0x1010, 0);
        assert_eq!(strike("off-by-one", "", &mut load, &mut scene), None);
    }
}
