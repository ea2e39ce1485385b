//! A system call is handed a value from the bounds of what there is.
//!
//! Null, one, the ends of the user half, of the hole and of the system half, the largest numbers;
//! or, with `bytes`, the caller's own buffer moved so that only so much of its page is left: it
//! crosses into the next, or is not aligned.
//!
//! Source: Koopman and DeVale, "The Exception Handling Effectiveness of POSIX Operating Systems",
//! IEEE TSE 2000; Linux, "lkdtm".
//!
//! Injection point: `mode-switch`.

use super::elements::{anywhere, fault, index, is_system_call};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::layout::address;
use crate::machine::registers::ARGUMENTS;

/// Bounds, lowest first.
const BOUNDS: [u64; 11] = [
    0,
    1,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    address::USER_LIMIT - 1,
    address::USER_LIMIT,
    0x0000_8000_0000_0000,
    0xffff_7fff_ffff_ffff,
    0xffff_8000_0000_0000,
    u64::MAX,
];
/// What is left of a page behind a buffer that was moved to its end.
const LEFT: [u16; 3] = [1, 8, 15];

/// A system call is handed a value from the bounds of what there is.
pub(super) const KIND: Kind = Kind {
    name: "boundary-value-as-argument",
    family: Family::Defect,
    model: Model::Boundary,
    points: PointKinds::of(&[PointKind::ModeSwitch]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index", "value", "bytes"],
    about: "a system call is handed a value from the bounds",
    source: "Koopman and DeVale, \"The Exception Handling Effectiveness of POSIX Operating Systems\", IEEE TSE 2000; Linux, \"lkdtm\"",
    build: |parameters, _| {
        let argument = ARGUMENTS[parameters.index_below(6)?.unwrap_or(0)] as usize;
        let (value, left) = (parameters.value.unwrap_or(0), parameters.bytes);
        if left.is_some_and(|left| !(1..4096).contains(&left)) {
            return Err("a page has more bytes than that; expected 1 to 4095".to_owned());
        }
        fault(&KIND, move |operation, scene| {
            if !is_system_call(operation, scene) {
                return None;
            }
            let old = scene.register(argument);
            let new = match left {
                Some(_) if !(0x1_0000..address::USER_LIMIT).contains(&old) => return None,
                Some(left) => (old | 0xfff) + 1 - u64::from(left),
                None => value,
            };
            if new == old {
                return None;
            }
            scene.set_register(argument, new);
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        let index = Some(index(stream, 6));
        if stream.below(4) == 0 {
            return Parameters { index, bytes: stream.pick(&LEFT).copied(), ..Parameters::default() };
        }
        Parameters { index, value: stream.pick(&BOUNDS).copied(), ..Parameters::default() }
    },
    every: |_, _| {
        let values = BOUNDS.map(|value| Parameters { value: Some(value), ..Parameters::default() });
        let moved = LEFT.map(|left| Parameters { bytes: Some(left), ..Parameters::default() });
        let all: Vec<Parameters> = values.into_iter().chain(moved).collect();
        let at = |index| all.iter().map(move |one| Parameters { index: Some(index), ..one.clone() });
        (0..6).flat_map(at).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn an_argument_is_a_bound() {
        let mut scene = FakeScene::new();
        scene.registers[6] = 7;
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 9);
        let parameters = "index = 1\nvalue = '0xffff7fffffffffff'";

        let verdict = strike("boundary-value-as-argument", parameters, &mut switch, &mut scene);

        assert_eq!((verdict, scene.registers[6]), (Some(Verdict::Proceed), 0xffff_7fff_ffff_ffff));
    }

    #[test]
    fn a_buffer_is_moved_to_the_end_of_its_page() {
        let mut scene = FakeScene::new();
        scene.registers[8] = 0x50_1200;
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 9);
        let parameters = "index = 4\nbytes = 8";

        let verdict = strike("boundary-value-as-argument", parameters, &mut switch, &mut scene);

        assert_eq!((verdict, scene.registers[8]), (Some(Verdict::Proceed), 0x50_1ff8));
    }

    #[test]
    fn the_way_out_of_the_kernel_has_no_arguments() {
        let mut switch = operation(PointKind::ModeSwitch, 0x40_0000, 0);
        let mut scene = FakeScene::new();
        scene.registers[7] = 7;
        assert_eq!(strike("boundary-value-as-argument", "", &mut switch, &mut scene), None);
    }
}
