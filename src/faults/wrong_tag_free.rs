//! A block is freed with another tag than it was allocated with.
//!
//! By a routine that frees what belongs to another, or with the tag of another of its own blocks.
//!
//! Source: Microsoft, "Bug Check 0xC2: BAD_POOL_CALLER" and "ExFreePoolWithTag".
//!
//! Injection point: `free`.

use super::elements::{anywhere, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// Bits of a tag: four characters.
const TAG_BITS: u16 = 32;

/// A block is freed with another tag than it was allocated with.
pub(super) const KIND: Kind = Kind {
    name: "wrong-tag-free",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Free]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["bit"],
    about: "a block is freed with another tag than its own",
    source: "Microsoft, \"Bug Check 0xC2: BAD_POOL_CALLER\" and \"ExFreePoolWithTag\"",
    build: |parameters, _| {
        let bit = parameters.bit_or(0)?;
        if u16::from(bit) >= TAG_BITS {
            return Err(format!("bit {bit} is in no tag; expected 0 to {}", TAG_BITS - 1));
        }
        fault(&KIND, move |operation, _| {
            // Frames have no tag.
            if operation.virt >> 63 == 0 {
                return None;
            }
            operation.value ^= 1 << bit;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        #[allow(clippy::cast_possible_truncation, reason = "below 32")]
        let bit = index(stream, TAG_BITS) as u8;
        Parameters { bit: Some(bit), ..Parameters::default() }
    },
    every: |_, _| {
        (0..32).map(|bit| Parameters { bit: Some(bit), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_tag_is_another() {
        let mut free = operation(PointKind::Free, address::POOL + 16, 0x2070_7249);

        let verdict = strike("wrong-tag-free", "bit = 4", &mut free, &mut FakeScene::new());

        assert_eq!((verdict, free.value), (Some(Verdict::Proceed), 0x2070_7259));
    }

    #[test]
    fn a_frame_has_no_tag() {
        let mut free = operation(PointKind::Free, 12, 4096);
        assert_eq!(strike("wrong-tag-free", "", &mut free, &mut FakeScene::new()), None);
    }
}
