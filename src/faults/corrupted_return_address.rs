//! The return address of the running routine is overwritten.
//!
//! By a bit, or with a value: a buffer on the stack that was written past its end, or a stale
//! pointer to a frame.
//!
//! Source: HackSys Extreme Vulnerable Driver, "BufferOverflowStack"; One, "Smashing the Stack for
//! Fun and Profit", Phrack 49, 1996.
//!
//! Injection point: `step`.

use super::elements::{any_bit, change, every_bit, fault};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// What an overrun with one letter leaves.
const FILLER: u64 = 0x4141_4141_4141_4141;

/// The return address of the running routine is overwritten.
pub(super) const KIND: Kind = Kind {
    name: "corrupted-return-address",
    family: Family::Defect,
    model: Model::Vulnerability,
    points: PointKinds::of(&[PointKind::Step]),
    // At the base of a stack nobody is returned to, nor where a gate leads.
    fits: |record, _| record.has_return_address,
    recurrence: Recurrence::Once,
    parameters: &["value", "bit"],
    about: "the return address of the running routine is overwritten",
    source: "HackSys Extreme Vulnerable Driver, \"BufferOverflowStack\"; One, \"Smashing the Stack for Fun and Profit\", Phrack 49, 1996",
    build: |parameters, _| {
        let bit = parameters.bit_or(4)?;
        let value = parameters.value;
        fault(&KIND, move |_, scene| {
            let at = scene.return_address_at()?.0;
            change(scene, at, |old| value.unwrap_or(old ^ 1 << bit))?;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, at, directory| {
        if stream.below(4) == 0 {
            return Parameters { value: Some(FILLER), ..Parameters::default() };
        }
        any_bit(stream, at, directory)
    },
    every: |_, _| {
        let filler = Parameters { value: Some(FILLER), ..Parameters::default() };
        every_bit().into_iter().chain([filler]).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_return_address_changes() {
        let mut scene = FakeScene::new();
        scene.map(0x5f_f000, 1).put(0x5f_f108, 0x40_0100);
        scene.return_address_at = Some(0x5f_f108);
        let mut step = operation(PointKind::Step, 0x40_0000, 0);

        let verdict =
            strike("corrupted-return-address", "value = '0x41414141'", &mut step, &mut scene);

        assert_eq!(verdict, Some(Verdict::Proceed));
        assert_eq!(scene.get(0x5f_f108), 0x4141_4141);
    }

    #[test]
    fn where_nobody_called_there_is_no_return_address() {
        let mut scene = FakeScene::new();
        scene.map(0x5f_f000, 1).registers[5] = 0x5f_f100;
        let mut step = operation(PointKind::Step, 0x40_0000, 0);
        assert_eq!(strike("corrupted-return-address", "", &mut step, &mut scene), None);
        assert_eq!(scene.pokes, []);
    }
}
