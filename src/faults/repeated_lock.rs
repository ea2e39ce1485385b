//! A lock is taken by who has it already.
//!
//! A routine that is called with the lock held and takes it itself: its processor waits for itself for
//! ever, and so does whoever wants the lock next. Where there is one lock, two that are taken in the wrong
//! order come to the same.
//!
//! Source: Microsoft, "Driver Verifier: Deadlock Detection" (a lock that is acquired recursively); MITRE,
//! "CWE-764: Multiple Locks of a Critical Resource".
//!
//! Injection point: `lock`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A lock is taken by who has it already.
pub(super) const KIND: Kind = Kind {
    name: "repeated-lock",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Lock]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a lock is taken by who has it already",
    source: "Microsoft, \"Driver Verifier: Deadlock Detection\"; MITRE, \"CWE-764: Multiple Locks of a Critical Resource\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Repeat)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn it_is_taken_twice() {
        let mut operation = operation(PointKind::Lock, 0x1000, 8);

        let verdict = strike("repeated-lock", "", &mut operation, &mut FakeScene::new());

        assert_eq!(verdict, Some(Verdict::Repeat));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Unlock, 0x1000, 8);
        let before = other;
        assert_eq!(strike("repeated-lock", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
