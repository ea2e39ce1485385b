//! An address within a block is freed in place of its start.
//!
//! A pointer that was moved on while the block was used, or to a member of a structure: what lies
//! before it is taken for a header.
//!
//! Source: Microsoft, "Bug Check 0x19: BAD_POOL_HEADER"; MITRE, "CWE-761: Free of Pointer not at
//! Start of Buffer".
//!
//! Injection point: `free`.

use super::common::{fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// An address within a block is freed in place of its start.
pub(super) const KIND: Kind = Kind {
    name: "interior-free",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Free]),
    recurrence: Recurrence::Once,
    parameters: &["offset"],
    about: "an address within a block is freed",
    source: "Microsoft, \"Bug Check 0x19: BAD_POOL_HEADER\"; MITRE, \"CWE-761: Free of Pointer not at Start of Buffer\"",
    build: |parameters, _| {
        let offset = parameters.offset.unwrap_or(16);
        if offset == 0 {
            return Err("the start of a block is not within; expected an offset other than 0".to_owned());
        }
        fault(&KIND, move |operation, _| {
            // Frames are freed by number.
            if operation.virt >> 63 == 0 {
                return None;
            }
            operation.virt = operation.virt.wrapping_add_signed(offset);
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        let words = 1 + i64::from(index(stream, 6));
        Parameters { offset: Some(words * 8), ..Parameters::default() }
    },
    every: |_, _| {
        (1..=6).map(|words| Parameters { offset: Some(words * 8), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::common::testing::*;

    #[test]
    fn a_member_of_the_block_is_freed() {
        let mut free = operation(PointKind::Free, address::POOL + 16, 0);

        let verdict = strike("interior-free", "offset = '0x10'", &mut free, &mut FakeScene::new());

        assert_eq!((verdict, free.virt), (Some(Verdict::Proceed), address::POOL + 32));
    }

    #[test]
    fn a_frame_is_freed_by_number() {
        let mut free = operation(PointKind::Free, 12, 4096);
        assert_eq!(strike("interior-free", "", &mut free, &mut FakeScene::new()), None);
    }
}
