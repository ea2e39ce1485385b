//! A lock is not taken.
//!
//! Whoever should wait goes on, whether somebody else is inside or not: what two change at once is
//! changed by halves. The call that takes the lock isn't there, so it is missing each time this code runs.
//! It strikes where somebody has the lock: who finds it free is alone inside, with it or without.
//!
//! Source: Chen et al., "The Rio File Cache: Surviving Operating System Crashes", ASPLOS 1996
//! (synchronisation faults); Swift, Bershad and Levy, "Improving the Reliability of Commodity
//! Operating Systems", SOSP 2003.
//!
//! Injection point: `lock`.

use super::common::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::base::VirtAddr;
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A lock is not taken.
pub(super) const KIND: Kind = Kind {
    name: "missing-lock",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Lock]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &[],
    about: "a lock is not taken",
    source: "Chen et al., \"The Rio File Cache: Surviving Operating System Crashes\", ASPLOS 1996 (synchronisation faults); Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003",
    build: |_, _| {
        fault(&KIND, |operation, scene| {
            let lock = scene.translate(VirtAddr(operation.virt))?;
            (scene.peek(lock) != 0).then_some(Verdict::Skip)
        })
    },
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::common::testing::*;

    #[test]
    fn nobody_waits_for_who_has_it() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1000, 2);
        let mut lock = operation(PointKind::Lock, 0x1000, 0);

        let verdict = strike("missing-lock", "", &mut lock, &mut scene);

        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn who_finds_it_free_is_alone_with_it_or_without() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1);
        let mut lock = operation(PointKind::Lock, 0x1000, 0);

        assert_eq!(strike("missing-lock", "", &mut lock, &mut scene), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Unlock, 0x1000, 8);
        let before = other;
        assert_eq!(strike("missing-lock", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
