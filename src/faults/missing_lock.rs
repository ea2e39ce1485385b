//! A lock is not taken.
//!
//! Whoever should wait goes on, whether somebody else is inside or not: what two change at once is
//! changed by halves.
//!
//! Source: Chen et al., "The Rio File Cache: Surviving Operating System Crashes", ASPLOS 1996
//! (synchronisation faults); Swift, Bershad and Levy, "Improving the Reliability of Commodity
//! Operating Systems", SOSP 2003.
//!
//! Injection point: `lock`.

use super::common::{fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A lock is not taken.
pub(super) const KIND: Kind = Kind {
    name: "missing-lock",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Lock]),
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a lock is not taken",
    source: "Chen et al., \"The Rio File Cache: Surviving Operating System Crashes\", ASPLOS 1996 (synchronisation faults); Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::common::testing::*;

    #[test]
    fn nobody_waits() {
        let mut operation = operation(PointKind::Lock, 0x1000, 8);
        let verdict = strike("missing-lock", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Unlock, 0x1000, 8);
        let before = other;
        assert_eq!(strike("missing-lock", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
