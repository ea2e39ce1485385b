//! A component runs for ever.
//!
//! The step it has reached is run again and again and never ends, on the processor that reached
//! it; interrupts still come in where they are allowed. Strikes once for each time round.
//!
//! Source: Chen et al., "The Rio File Cache: Surviving Operating System Crashes", ASPLOS 1996;
//! Microsoft, "Bug Check 0x133: DPC_WATCHDOG_VIOLATION".
//!
//! Injection point: `step`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A component runs for ever.
pub(super) const KIND: Kind = Kind {
    name: "hang",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &[],
    about: "a component runs for ever",
    source: "Chen et al., \"The Rio File Cache: Surviving Operating System Crashes\", ASPLOS 1996; Microsoft, \"Bug Check 0x133: DPC_WATCHDOG_VIOLATION\"",
    build: |_, _| {
        let mut stuck = None;
        fault(&KIND, move |operation, _| {
            // The step stays the same one; others of the same principal go on elsewhere.
            let here = *stuck.get_or_insert(operation.virt);
            (here == operation.virt).then_some(Verdict::Hang)
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
    fn the_step_is_never_finished_and_others_are() {
        let mut fault = Registry::default()
            .build("hang", &Parameters::default(), &directory())
            .expect("a fault");
        let mut scene = FakeScene::new();
        let mut at = |virt| fault.strike(&mut operation(PointKind::Step, virt, 0), &mut scene);

        assert_eq!(at(0x1000), Some(Verdict::Hang));
        assert_eq!(at(0x1000), Some(Verdict::Hang));
        assert_eq!(at(0x2000), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("hang", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
