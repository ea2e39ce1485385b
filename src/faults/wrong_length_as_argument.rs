//! A system call is handed a wrong length.
//!
//! Zero, one too many, or far more than the buffer holds: sizes that wrap, or that were taken from
//! the wrong place.
//!
//! Source: Koopman and DeVale, "The Exception Handling Effectiveness of POSIX Operating Systems",
//! IEEE TSE 2000; HackSys Extreme Vulnerable Driver, "IntegerOverflow".
//!
//! Injection point: `mode-switch`.

use super::elements::{anywhere, each_value, fault, is_system_call, one_value};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::layout::address;
use crate::machine::Reg;

/// Lengths at and beyond the bounds of what a service takes.
const LENGTHS: [u64; 8] = [0, 1, 257, 0xe01, 0x1000, 0x7fff_ffff, u64::MAX, u64::MAX - 7];

/// A system call is handed a wrong length.
pub(super) const KIND: Kind = Kind {
    name: "wrong-length-as-argument",
    family: Family::Defect,
    model: Model::Boundary,
    points: PointKinds::of(&[PointKind::ModeSwitch]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["value"],
    about: "a system call is handed a wrong length",
    source: "Koopman and DeVale, \"The Exception Handling Effectiveness of POSIX Operating Systems\", IEEE TSE 2000; HackSys Extreme Vulnerable Driver, \"IntegerOverflow\"",
    build: |parameters, _| {
        let value = parameters.value.unwrap_or(0x1000);
        fault(&KIND, move |operation, scene| {
            if !is_system_call(operation, scene) {
                return None;
            }
            let is_buffer = |buffer: Reg| {
                (0x1_0000..address::USER_LIMIT).contains(&scene.register(buffer as usize))
            };
            let length = [(Reg::R8, Reg::R9), (Reg::Rdx, Reg::R10)]
                .into_iter()
                .find_map(|(buffer, length)| is_buffer(buffer).then_some(length))?;
            if scene.register(length as usize) == value {
                return None;
            }
            scene.set_register(length as usize, value);
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| one_value(stream, &LENGTHS),
    every: |_, _| each_value(&LENGTHS),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_length_of_the_buffer_is_wrong() {
        let mut scene = FakeScene::new();
        scene.registers[8] = 0x50_1200;
        scene.registers[9] = 16;
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 9);

        let verdict =
            strike("wrong-length-as-argument", "value = '0x7ff0'", &mut switch, &mut scene);

        assert_eq!((verdict, scene.registers[9]), (Some(Verdict::Proceed), 0x7ff0));
    }

    #[test]
    fn without_a_buffer_there_is_no_length() {
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 9);
        assert_eq!(
            strike("wrong-length-as-argument", "", &mut switch, &mut FakeScene::new()),
            None
        );
    }
}
