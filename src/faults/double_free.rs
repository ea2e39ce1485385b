//! Something is freed that is free already.
//!
//! The block or frame at the head of a free list is freed once more in place of the right one, as
//! by a pointer that was not cleared after the first time.
//!
//! Source: Microsoft, "Bug Check 0xC2: BAD_POOL_CALLER"; MITRE, "CWE-415: Double Free".
//!
//! Injection point: `free`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::world::directory::{first_free_frame, free_pool_blocks};

/// Something is freed that is free already.
pub(super) const KIND: Kind = Kind {
    name: "double-free",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Free]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index"],
    about: "something is freed that is free already",
    source: "Microsoft, \"Bug Check 0xC2: BAD_POOL_CALLER\"; MITRE, \"CWE-415: Double Free\"",
    build: |parameters, _| {
        let class = parameters.index_below(4)?.unwrap_or(0);
        fault(&KIND, move |operation, scene| {
            operation.virt = if operation.virt >> 63 == 1 {
                let blocks = free_pool_blocks(scene);
                *blocks.get(class % blocks.len().max(1))?
            } else {
                first_free_frame(scene)?
            };
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(index(stream, 4)), ..Parameters::default() },
    every: |_, _| indices(0..=3),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn a_free_block_is_freed_and_so_is_a_free_frame() {
        let mut scene = FakeScene::new();
        let data = address::KERNEL_DATA;
        scene.map(data, 1);
        scene.put(data + pool_lists::FREE_64.offset, address::POOL + 16);
        scene.put(data + kernel_data::FREE_FRAMES.offset, 77);
        let mut free = operation(PointKind::Free, address::POOL + 80, 0);
        let mut frame = operation(PointKind::Free, 12, 4096);

        assert_eq!(strike("double-free", "", &mut free, &mut scene), Some(Verdict::Proceed));
        assert_eq!(strike("double-free", "", &mut frame, &mut scene), Some(Verdict::Proceed));

        assert_eq!([free.virt, frame.virt], [address::POOL + 16, 77]);
    }

    #[test]
    fn while_nothing_is_free_nothing_is_freed_twice() {
        let mut free = operation(PointKind::Free, address::POOL + 80, 0);
        assert_eq!(strike("double-free", "", &mut free, &mut FakeScene::new()), None);
    }
}
