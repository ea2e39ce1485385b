//! An address within a block is freed in place of its start.
//!
//! A pointer that was moved on while the block was used, or to a member of a structure: what lies
//! before it is taken for a header.
//!
//! Source: Microsoft, "Bug Check 0x19: BAD_POOL_HEADER"; MITRE, "CWE-761: Free of Pointer not at
//! Start of Buffer".
//!
//! Injection point: `free`.

use super::elements::{anywhere, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::layout::POOL_HEADER_BYTES;
use crate::world::directory::pool_blocks;

/// An address within a block is freed in place of its start.
pub(super) const KIND: Kind = Kind {
    name: "interior-free",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Free]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["offset"],
    about: "an address within a block is freed",
    source: "Microsoft, \"Bug Check 0x19: BAD_POOL_HEADER\"; MITRE, \"CWE-761: Free of Pointer not at Start of Buffer\"",
    build: |parameters, _| {
        let offset = parameters.offset.unwrap_or(16);
        if offset <= 0 {
            return Err("that is not within a block; expected an offset above 0".to_owned());
        }
        let offset = offset.unsigned_abs();
        fault(&KIND, move |operation, scene| {
            // Frames are freed by number.
            if operation.virt >> 63 == 0 {
                return None;
            }
            // What is no block of the pool's pages has pages of its own.
            let header = operation.virt.wrapping_sub(POOL_HEADER_BYTES);
            let block = pool_blocks(scene).into_iter().find(|block| block.header == header);
            let room = block.map_or(4096 - operation.virt % 4096, |block| {
                block.bytes.saturating_sub(POOL_HEADER_BYTES)
            });
            if offset >= room {
                return None;
            }
            operation.virt += offset;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        let words = 1 + i64::from(index(stream, 5));
        Parameters { offset: Some(words * 8), ..Parameters::default() }
    },
    every: |_, _| {
        (1..=5).map(|words| Parameters { offset: Some(words * 8), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn a_member_of_the_block_is_freed() {
        let mut free = operation(PointKind::Free, address::POOL + 16, 0);

        let verdict = strike("interior-free", "offset = '0x10'", &mut free, &mut FakeScene::new());

        assert_eq!((verdict, free.virt), (Some(Verdict::Proceed), address::POOL + 32));
    }

    #[test]
    fn what_lies_behind_the_block_is_not_within() {
        let mut scene = FakeScene::new();
        scene.map(address::POOL, 3);
        scene.put(address::POOL, 64 | 1 << 32).put(address::POOL + 64, 128 | 1 << 32);
        let mut within = operation(PointKind::Free, address::POOL + 16, 0);
        let mut behind = within;

        let last = strike("interior-free", "offset = '0x28'", &mut within, &mut scene);
        let next = strike("interior-free", "offset = '0x30'", &mut behind, &mut scene);

        assert_eq!((last, within.virt), (Some(Verdict::Proceed), address::POOL + 56));
        assert_eq!((next, behind.virt), (None, address::POOL + 16));
    }

    #[test]
    fn a_frame_is_freed_by_number() {
        let mut free = operation(PointKind::Free, 12, 4096);
        assert_eq!(strike("interior-free", "", &mut free, &mut FakeScene::new()), None);
    }
}
