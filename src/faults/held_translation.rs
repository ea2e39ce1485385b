//! A processor uses a translation that it may still hold.
//!
//! One that the tables no longer grant, or the way to a table that is no longer linked, as long as
//! nothing made the processor forget it; at an access one for its page, if there is any. Which of them
//! is drawn: hardware promises none. Where nothing was withdrawn, a translation is loaded before
//! anybody asks for it: that of a page near the access, or where a register leads. What comes of it is
//! the doing of whoever withdrew and did not invalidate.
//!
//! Source: Intel, "Software Developer's Manual", volume 3A, "Details of TLB Use" and "Delayed
//! Invalidation".
//!
//! Injection points: `step`, `load`, `store`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::base::{FRAME_BYTES, Seed, VirtAddr};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// Orders in which what may be held is used; each has a number.
const ORDERS: u16 = 64;

/// A processor uses a translation that it may still hold.
pub(super) const KIND: Kind = Kind {
    name: "held-translation",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Step, PointKind::Load, PointKind::Store]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &["index"],
    about: "a processor uses a translation that it may still hold",
    source: "Intel, \"Software Developer's Manual\", volume 3A, \"Details of TLB Use\" and \"Delayed Invalidation\"",
    build: |parameters, _| {
        let number = parameters.index.unwrap_or(0);
        let mut drawn = Seed(u64::from(number)).stream("held-translation", 0);
        fault(&KIND, move |operation, scene| {
            let is_access = operation.kind != PointKind::Step;
            let page = is_access.then_some(VirtAddr(operation.virt));
            if scene.hold(page, drawn.word()).is_some() {
                return Some(Verdict::Proceed);
            }
            let near = match page {
                Some(virt) => virt.0,
                None => scene.register(drawn.index(16)),
            };
            // The page before, the page itself, the page after.
            let before = near.wrapping_sub(FRAME_BYTES);
            let early = VirtAddr(before.wrapping_add(drawn.below(3) * FRAME_BYTES));
            scene.prefetch(early).then_some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(index(stream, ORDERS)), ..Parameters::default() },
    every: |_, _| indices(0..=ORDERS - 1),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;
    use crate::base::VirtAddr;

    fn scene(withdrawn: &[u64]) -> FakeScene {
        let mut scene = FakeScene::new();
        scene.withdrawn = withdrawn.to_vec();
        scene
    }

    #[test]
    fn an_access_meets_what_was_withdrawn_of_its_page() {
        let mut scene = scene(&[0x1000, 0x5000]);
        let mut load = operation(PointKind::Load, 0x5008, 0);
        let before = load;

        let verdict = strike("held-translation", "", &mut load, &mut scene);

        assert_eq!((verdict, load), (Some(Verdict::Proceed), before));
        assert_eq!((scene.held, scene.prefetched), (vec![0x5000], vec![]));
    }

    #[test]
    fn between_accesses_any_of_them_is_used_as_the_number_draws() {
        let pages: Vec<u64> = (1..=8).map(|page| page << 12).collect();
        let held = |number: u16| {
            let mut scene = scene(&pages);
            let parameters = format!("index = {number}");
            let mut step = operation(PointKind::Step, 0x9000, 0);
            strike("held-translation", &parameters, &mut step, &mut scene);
            scene.held[0]
        };

        let used: std::collections::BTreeSet<u64> = (0..64).map(held).collect();

        assert_eq!(used.into_iter().collect::<Vec<_>>(), pages);
        assert!((0..64).all(|number| held(number) == held(number)));
    }

    #[test]
    fn where_nothing_was_withdrawn_a_page_near_the_access_is_loaded_early() {
        let near: std::collections::BTreeSet<u64> = (0..32)
            .map(|number| {
                let mut scene = scene(&[]);
                for page in [4, 5, 6] {
                    scene.map(page << 12, page);
                }
                let mut load = operation(PointKind::Load, 0x5008, 0);
                let parameters = format!("index = {number}");
                let verdict = strike("held-translation", &parameters, &mut load, &mut scene);
                assert_eq!((verdict, scene.held.len()), (Some(Verdict::Proceed), 0));
                VirtAddr(scene.prefetched[0]).page().0
            })
            .collect();

        assert_eq!(near.into_iter().collect::<Vec<_>>(), [4, 5, 6]);
    }

    #[test]
    fn where_nothing_is_mapped_nothing_strikes() {
        let mut step = operation(PointKind::Step, 0x1000, 0);
        assert_eq!(strike("held-translation", "", &mut step, &mut scene(&[])), None);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Free, 0x1000, 8);
        let before = other;
        assert_eq!(strike("held-translation", "", &mut other, &mut scene(&[0x1000])), None);
        assert_eq!(other, before);
    }
}
