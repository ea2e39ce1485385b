//! A lock is not given back.
//!
//! A way out that forgets it. Everybody who wants the lock waits for ever.
//!
//! Source: Chen et al., "The Rio File Cache: Surviving Operating System Crashes", ASPLOS 1996
//! (synchronisation faults); Microsoft, "Driver Verifier: Deadlock Detection".
//!
//! Injection point: `unlock`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A lock is not given back.
pub(super) const KIND: Kind = Kind {
    name: "unreleased-lock",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Unlock]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a lock is not given back",
    source: "Chen et al., \"The Rio File Cache: Surviving Operating System Crashes\", ASPLOS 1996 (synchronisation faults); Microsoft, \"Driver Verifier: Deadlock Detection\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn it_stays_taken() {
        let mut operation = operation(PointKind::Unlock, 0x1000, 8);
        let verdict = strike("unreleased-lock", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Lock, 0x1000, 8);
        let before = other;
        assert_eq!(strike("unreleased-lock", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
