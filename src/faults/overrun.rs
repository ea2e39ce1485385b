//! More is written than there is room for.
//!
//! A copy or fill with a length that is too large, or a store that spills over what lies behind it.
//! The length of a copy grows, as in the "bcopy" faults of the Rio and Nooks injectors; behind a
//! single store the following bytes of the page take its pattern.
//!
//! Source: HackSys Extreme Vulnerable Driver, "BufferOverflowNonPagedPool"; Chen et al., "The Rio
//! File Cache: Surviving Operating System Crashes", ASPLOS 1996 (copy overrun).
//!
//! Injection points: `copy`, `store`.

use super::elements::{anywhere, change, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// More is written than there is room for.
pub(super) const KIND: Kind = Kind {
    name: "overrun",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Copy, PointKind::Store]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["bytes"],
    about: "a copy, fill or store runs past its end",
    source: "HackSys Extreme Vulnerable Driver, \"BufferOverflowNonPagedPool\"",
    build: |parameters, _| {
        let bytes = u64::from(parameters.bytes.unwrap_or(8));
        if bytes == 0 {
            return Err("an overrun of 0 bytes is none; expected 1 to 65535".to_owned());
        }
        fault(&KIND, move |operation, scene| {
            if operation.kind == PointKind::Copy {
                operation.value = operation.value.wrapping_add(bytes);
                return Some(Verdict::Proceed);
            }
            // Rights are those of the page the store itself goes to: it may be refused, and then so
            // would the rest have been. Only what the page still holds is spilled over.
            let next = (operation.virt & !7) + 8;
            let end =
                next.saturating_add(bytes.next_multiple_of(8)).min((operation.virt | 0xfff) + 1);
            let mut spilled = None;
            for virt in (next..end).step_by(8) {
                spilled = change(scene, virt, |_| operation.value).or(spilled);
            }
            spilled.map(|()| Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        let doublings = stream.word().trailing_zeros().min(9);
        Parameters { bytes: Some(index(stream, 8 << doublings) + 1), ..Parameters::default() }
    },
    every: |_, _| {
        let few = 1..=8;
        let blocks = (4..=12).map(|doublings| 1 << doublings);
        few.chain(blocks).map(|bytes| Parameters { bytes: Some(bytes), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn a_copy_grows() {
        let mut copy = operation(PointKind::Copy, 0x1000, 64);

        let verdict = strike("overrun", "bytes = 24", &mut copy, &mut FakeScene::new());

        assert_eq!((verdict, copy.value), (Some(Verdict::Proceed), 88));
    }

    #[test]
    fn a_store_spills_over_what_lies_behind_it() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1);
        let mut store = operation(PointKind::Store, 0x1000, 7);

        assert_eq!(strike("overrun", "bytes = 16", &mut store, &mut scene), Some(Verdict::Proceed));

        assert_eq!(scene.pokes, [(0x1008, 7), (0x1010, 7)]);
    }

    #[test]
    fn at_the_end_of_its_page_there_is_nothing_to_spill_over() {
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1);
        let mut store = operation(PointKind::Store, 0x1ff8, 7);
        assert_eq!(strike("overrun", "bytes = 16", &mut store, &mut scene), None);
    }
}
