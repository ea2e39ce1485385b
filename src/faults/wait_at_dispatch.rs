//! Code that may not wait touches memory that is away.
//!
//! A flag that lets an allocation sleep where it may not, data in pageable memory that a deferred routine uses:
//! at dispatch level or above nothing can bring a page in, so the access is a page fault that nobody mends. It
//! strikes at an access made at such a level, of memory that is there: as if that memory were pageable, and its
//! page away. One that is resident makes no difference, and is no strike.
//!
//! Source: The injector of the sego project, fault-model.c (BLOCKING: an atomic allocation that may sleep);
//! Microsoft, "Managing Hardware Priorities"; "Bug Check 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL".
//!
//! Injection points: `load`, `store`.

use super::elements::{fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::exception::resolve::DISPATCH_LEVEL;
use crate::machine::Trap;

/// Code that may not wait touches memory that is away.
pub(super) const KIND: Kind = Kind {
    name: "wait-at-dispatch",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Load, PointKind::Store]),
    fits: |record, _| u64::from(record.level) >= DISPATCH_LEVEL,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "code that may not wait touches memory that is away",
    source: "The injector of the sego project, fault-model.c (BLOCKING); Microsoft, \"Managing Hardware Priorities\"; \"Bug Check 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL\"",
    build: |_, _| {
        fault(&KIND, |_, scene| {
            // User-mode code never sees a level.
            let is_kernel_mode = scene.instruction_pointer() >> 63 == 1;
            (is_kernel_mode && scene.level() >= DISPATCH_LEVEL)
                .then_some(Verdict::Raise(Trap::PAGE_FAULT))
        })
    },
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    const KERNEL: u64 = 0xffff_f800_0000_0000;

    fn at(level: u64, rip: u64) -> Option<Verdict> {
        let mut scene = FakeScene::new();
        (scene.level, scene.rip) = (level, rip);
        strike("wait-at-dispatch", "", &mut operation(PointKind::Load, KERNEL, 0), &mut scene)
    }

    #[test]
    fn at_dispatch_level_the_access_is_a_page_fault() {
        assert_eq!(at(2, KERNEL), Some(Verdict::Raise(14)));
        assert_eq!(at(5, KERNEL), Some(Verdict::Raise(14)));
    }

    #[test]
    fn below_it_and_in_user_mode_who_waits_does_nothing_wrong() {
        assert_eq!(at(1, KERNEL), None);
        assert_eq!(at(2, 0x40_0000), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut scene = FakeScene::new();
        (scene.level, scene.rip) = (2, KERNEL);
        let mut other = operation(PointKind::Step, KERNEL, 8);
        assert_eq!(strike("wait-at-dispatch", "", &mut other, &mut scene), None);
    }
}
