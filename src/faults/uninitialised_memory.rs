//! Memory is used without the fill or copy that sets it up.
//!
//! A block, a page or a buffer keeps what its last owner left there: it is believed, or handed to
//! somebody who may not see it. Where that is what the fill or copy would have brought, it is set up.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (initialisation faults); HackSys Extreme Vulnerable Driver,
//! "UninitializedMemoryPagedPool".
//!
//! Injection point: `copy`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// Memory is used without the fill or copy that sets it up.
pub(super) const KIND: Kind = Kind {
    name: "uninitialised-memory",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Copy]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a fill or copy that sets memory up is left out",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (initialisation faults); HackSys Extreme Vulnerable Driver, \"UninitializedMemoryPagedPool\"",
    build: |_, _| {
        fault(&KIND, |operation, scene| {
            scene.copy_matters(operation, 0).then_some(Verdict::Skip)
        })
    },
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_fill_is_left_out() {
        let mut copy = operation(PointKind::Copy, 0x1000, 6);
        let verdict = strike("uninitialised-memory", "", &mut copy, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn a_fill_with_what_is_there_is_not_missed() {
        let mut scene = FakeScene::new();
        scene.same_from = 0;
        let mut fill = operation(PointKind::Copy, 0x1000, 6);
        assert_eq!(strike("uninitialised-memory", "", &mut fill, &mut scene), None);
    }

    #[test]
    fn a_copy_of_nothing_is_not_missed() {
        let mut copy = operation(PointKind::Copy, 0x1000, 0);
        assert_eq!(strike("uninitialised-memory", "", &mut copy, &mut FakeScene::new()), None);
    }
}
