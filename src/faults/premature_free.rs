//! Something is freed that is still in use.
//!
//! Another block of the pool in place of the right one: a reference that was not counted, or the
//! wrong pointer. Whoever still uses it shares it with whoever gets it next.
//!
//! Source: HackSys Extreme Vulnerable Driver, "UseAfterFreeNonPagedPool"; MITRE, "CWE-416: Use
//! After Free".
//!
//! Injection point: `free`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::layout::POOL_HEADER_BYTES;
use crate::world::directory::pool_blocks;

/// Something is freed that is still in use.
pub(super) const KIND: Kind = Kind {
    name: "premature-free",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Free]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index"],
    about: "something is freed that is still in use",
    source: "HackSys Extreme Vulnerable Driver, \"UseAfterFreeNonPagedPool\"; MITRE, \"CWE-416: Use After Free\"",
    build: |parameters, _| {
        let index = parameters.index_below(256)?.unwrap_or(0);
        fault(&KIND, move |operation, scene| {
            if operation.virt >> 63 == 0 {
                return None;
            }
            let others: Vec<u64> = pool_blocks(scene)
                .into_iter()
                .filter(|block| block.in_use)
                .map(|block| block.header + POOL_HEADER_BYTES)
                .filter(|&body| body != operation.virt)
                .collect();
            operation.virt = *others.get(index % others.len().max(1))?;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(index(stream, 64)), ..Parameters::default() },
    every: |_, _| indices(0..=63),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn a_block_in_use_is_freed() {
        let mut scene = FakeScene::new();
        scene.map(address::POOL, 3);
        scene.put(address::POOL, 64 | 1 << 32).put(address::POOL + 64, 128 | 1 << 32);
        let mut free = operation(PointKind::Free, address::POOL + 16, 0);

        let verdict = strike("premature-free", "", &mut free, &mut scene);

        assert_eq!((verdict, free.virt), (Some(Verdict::Proceed), address::POOL + 80));
    }

    #[test]
    fn with_nothing_else_in_use_the_right_block_is_freed() {
        let mut scene = FakeScene::new();
        scene.map(address::POOL, 3).put(address::POOL, 64 | 1 << 32);
        let mut free = operation(PointKind::Free, address::POOL + 16, 0);
        assert_eq!(strike("premature-free", "", &mut free, &mut scene), None);
    }
}
