//! Less is allocated than was asked for.
//!
//! A size computed too small, by a shift as in the injectors: everything works until the last
//! bytes are used.
//!
//! Source: HackSys Extreme Vulnerable Driver, "IntegerOverflow"; Swift, Bershad and Levy,
//! "Improving the Reliability of Commodity Operating Systems", SOSP 2003.
//!
//! Injection point: `allocate`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// Less is allocated than was asked for.
pub(super) const KIND: Kind = Kind {
    name: "under-allocation",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Allocate]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index"],
    about: "less is allocated than was asked for",
    source: "HackSys Extreme Vulnerable Driver, \"IntegerOverflow\"; Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003",
    build: |parameters, _| {
        let shift = parameters.index_below(16)?.unwrap_or(1);
        fault(&KIND, move |operation, _| {
            // Frames have one size.
            if operation.value >> shift == operation.value || operation.value == 4096 {
                return None;
            }
            operation.value >>= shift;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(1 + index(stream, 3)), ..Parameters::default() },
    every: |_, _| indices(1..=3),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_block_is_smaller() {
        let mut allocate = operation(PointKind::Allocate, 0, 200);

        let verdict = strike("under-allocation", "index = 2", &mut allocate, &mut FakeScene::new());

        assert_eq!((verdict, allocate.value), (Some(Verdict::Proceed), 50));
    }

    #[test]
    fn a_frame_has_one_size() {
        let mut allocate = operation(PointKind::Allocate, 0, 4096);
        assert_eq!(strike("under-allocation", "", &mut allocate, &mut FakeScene::new()), None);
    }
}
