//! A lock is not taken.
//!
//! Whoever should wait goes on, whether somebody else is inside or not: what two change at once is
//! changed by halves. The call that takes the lock isn't there, so it is missing each time this code runs.
//! It strikes where somebody has the lock: who finds it free is alone inside, with it or without. Whoever has
//! it then stands still in the midst of a step of its own, the `index`th from 0 that writes what others may read:
//! it has read, the other comes in, and what it writes follows from what it has read. Of steps that run whole
//! no schedule shows that, and few critical sections leave anything half done between two steps. It stands still for
//! so many `steps` of all processors, 128 unless it is said. Without `index` it runs on.
//!
//! Source: Chen et al., "The Rio File Cache: Surviving Operating System Crashes", ASPLOS 1996
//! (synchronisation faults); Swift, Bershad and Levy, "Improving the Reliability of Commodity
//! Operating Systems", SOSP 2003.
//!
//! Injection point: `lock`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::base::VirtAddr;
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// How long who has the lock stands still unless it is said, in steps of all processors: about as long as a service
/// takes.
const STEPS: u16 = 128;
/// At most: a run has other things to do.
const STEPS_MAX: u16 = 4_096;
/// In how many steps at most.
const INDEX_BOUND: u16 = 6;

/// A lock is not taken.
pub(super) const KIND: Kind = Kind {
    name: "missing-lock",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Lock]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &["index", "steps"],
    about: "a lock is not taken",
    source: "Chen et al., \"The Rio File Cache: Surviving Operating System Crashes\", ASPLOS 1996 (synchronisation faults); Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003",
    build: |parameters, _| {
        let nth = parameters.index.map(u64::from);
        let steps = parameters.steps_up_to(STEPS_MAX, STEPS)?;
        fault(&KIND, move |operation, scene| {
            let lock = scene.translate(VirtAddr(operation.virt))?;
            let holder = scene.peek(lock).checked_sub(1)?;
            if let Some(nth) = nth {
                scene.stall(holder, nth, steps);
            }
            Some(Verdict::Skip)
        })
    },
    draw: |stream, _, _| Parameters {
        index: Some(index(stream, INDEX_BOUND)),
        ..Parameters::default()
    },
    every: |_, _| indices(0..=INDEX_BOUND - 1),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn nobody_waits_for_who_has_it() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1000, 2);
        let mut lock = operation(PointKind::Lock, 0x1000, 0);

        let verdict = strike("missing-lock", "index = 3", &mut lock, &mut scene);
        let other = strike("missing-lock", "index = 2\nsteps = 4096", &mut lock, &mut scene);

        assert_eq!([verdict, other], [Some(Verdict::Skip); 2]);
        assert_eq!(scene.stalled, [(1, 3, 128), (1, 2, 4_096)], "who has it stands still");
    }

    #[test]
    fn who_has_it_stands_still_for_some_time_and_not_too_long() {
        for steps in [0, 4_097] {
            let told = Parameters { steps: Some(steps), ..Parameters::default() };
            let refused = Registry::default().build("missing-lock", &told, &directory());

            let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("expected 1 to 4096"), "{steps}: {refused}");
        }
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
