//! Memory is used after it was freed.
//!
//! In kernel mode the access goes to the first block of a free list of the pool, which is what a pointer kept
//! too long leads to until the block is handed out again; there, to the link that the next allocation follows.
//! User mode has no pool: there it goes to a page that the process freed, by an address that it kept.
//!
//! Source: HackSys Extreme Vulnerable Driver, "UseAfterFreeNonPagedPool"; Microsoft, "Bug Check
//! 0xD5: DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL".
//!
//! Injection points: `load`, `store`.

use super::elements::{anywhere, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::world::directory::freed;

/// Memory is used after it was freed.
pub(super) const KIND: Kind = Kind {
    name: "use-after-free",
    family: Family::Defect,
    model: Model::Vulnerability,
    points: PointKinds::of(&[PointKind::Load, PointKind::Store]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index", "offset"],
    about: "an access goes to memory that was freed",
    source: "HackSys Extreme Vulnerable Driver, \"UseAfterFreeNonPagedPool\"",
    build: |parameters, _| {
        let class = parameters.index_below(4)?.unwrap_or(0);
        let offset = parameters.offset.unwrap_or(0);
        fault(&KIND, move |operation, scene| {
            let blocks = freed(scene);
            let block = blocks.get(class % blocks.len().max(1))?;
            let to = block.wrapping_add_signed(offset);
            if operation.virt == to {
                return None;
            }
            operation.virt = to;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters {
        index: Some(index(stream, 4)),
        offset: Some(i64::from(index(stream, 6)) * 8),
        ..Parameters::default()
    },
    every: |_, _| {
        let places = (0..4).flat_map(|block| (0..6i64).map(move |word| (block, word)));
        let with = |(block, word)| Parameters {
            index: Some(block),
            offset: Some(word * 8),
            ..Parameters::default()
        };
        places.map(with).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_access_goes_to_a_free_block() {
        let mut scene = FakeScene::new();
        scene.rip = address::KERNEL_CODE;
        scene
            .map(address::KERNEL_DATA, 1)
            .put(address::KERNEL_DATA + pool_lists::FREE_128.offset, 0x8010);
        let mut store = operation(PointKind::Store, 0x1000, 1);

        let verdict = strike("use-after-free", "offset = '0x8'", &mut store, &mut scene);

        assert_eq!((verdict, store.virt), (Some(Verdict::Proceed), 0x8018));
    }

    #[test]
    fn in_user_mode_no_access_goes_to_the_pool() {
        let mut scene = FakeScene::new();
        scene.rip = address::USER_CODE;
        scene
            .map(address::KERNEL_DATA, 1)
            .put(address::KERNEL_DATA + pool_lists::FREE_128.offset, 0x8010)
            .map(address::USER_BUFFERS, 2);
        let mut load = operation(PointKind::Load, address::USER_BUFFERS, 0);
        assert_eq!(strike("use-after-free", "", &mut load, &mut scene), None, "it freed nothing");

        scene.put(address::USER_BUFFERS + 8, address::USER_HEAP);
        let verdict = strike("use-after-free", "offset = '0x8'", &mut load, &mut scene);
        assert_eq!((verdict, load.virt), (Some(Verdict::Proceed), address::USER_HEAP + 8));
    }

    #[test]
    fn while_nothing_is_free_nothing_is_used_after_free() {
        let mut scene = FakeScene::new();
        scene.rip = address::KERNEL_CODE;
        scene.map(address::KERNEL_DATA, 1);
        let mut store = operation(PointKind::Store, 0x1000, 1);
        assert_eq!(strike("use-after-free", "", &mut store, &mut scene), None);
    }
}
