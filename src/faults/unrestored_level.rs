//! The request level is not lowered again.
//!
//! A way out that forgets it: what runs on is more urgent than it should be, must not wait and must
//! not touch what may be paged out.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (interrupt faults); Microsoft, "Bug Check 0xA: IRQL_NOT_LESS_OR_EQUAL".
//!
//! Injection point: `level`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// The request level is not lowered again.
pub(super) const KIND: Kind = Kind {
    name: "unrestored-level",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Level]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "the request level is not lowered again",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (interrupt faults); Microsoft, \"Bug Check 0xA: IRQL_NOT_LESS_OR_EQUAL\"",
    build: |_, _| {
        fault(&KIND, |operation, _| (operation.value < operation.virt).then_some(Verdict::Skip))
    },
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_level_stays_where_it_is() {
        let mut lower = operation(PointKind::Level, 2, 0);
        let verdict = strike("unrestored-level", "", &mut lower, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn a_level_that_rises_does_so() {
        let mut raise = operation(PointKind::Level, 0, 2);
        assert_eq!(strike("unrestored-level", "", &mut raise, &mut FakeScene::new()), None);
    }
}
