//! An argument of a call is never loaded.
//!
//! The callee finds in its place what an earlier callee left in that slot: the word below the stack
//! pointer, where the frame of the last call lay. It is the "interface" fault of the injectors,
//! which were written for arguments on the stack.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (interface faults).
//!
//! Injection point: `call`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::base::VirtAddr;
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::machine::Reg;
use crate::machine::registers::ARGUMENTS;

/// Return address and frame pointer of the last call, below which its locals lay.
const LINKAGE_BYTES: u64 = 16;

/// An argument of a call is never loaded.
pub(super) const KIND: Kind = Kind {
    name: "dropped-argument",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Call]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index"],
    about: "an argument of a call is never loaded",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (interface faults)",
    build: |parameters, _| {
        let number = parameters.index_below(6)?.unwrap_or(0);
        fault(&KIND, move |_, scene| {
            let below = LINKAGE_BYTES + 8 * (1 + number as u64);
            let slot = scene.register(Reg::Rsp as usize).wrapping_sub(below);
            let left = scene.peek(scene.translate(VirtAddr(slot))? & !7);
            let argument = ARGUMENTS[number] as usize;
            if scene.register(argument) == left {
                return None;
            }
            scene.set_register(argument, left);
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(index(stream, 6)), ..Parameters::default() },
    every: |_, _| indices(0..=5),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_callee_finds_what_an_earlier_one_left() {
        let mut scene = FakeScene::new();
        scene.map(0x5f_f000, 1).put(0x5f_f0e0, 0x77);
        scene.registers[4] = 0x5f_f100;
        scene.registers[6] = 9;
        let mut call = operation(PointKind::Call, address::KERNEL_CODE, 0);

        let verdict = strike("dropped-argument", "index = 1", &mut call, &mut scene);

        assert_eq!((verdict, scene.registers[6]), (Some(Verdict::Proceed), 0x77));
    }

    #[test]
    fn what_was_left_there_may_be_the_right_argument() {
        let mut scene = FakeScene::new();
        scene.map(0x5f_f000, 1).put(0x5f_f0e8, 9);
        scene.registers[4] = 0x5f_f100;
        scene.registers[7] = 9;
        let mut call = operation(PointKind::Call, address::KERNEL_CODE, 0);
        assert_eq!(strike("dropped-argument", "index = 0", &mut call, &mut scene), None);
    }
}
