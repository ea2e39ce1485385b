//! A handle is made up.
//!
//! Any value at all: one that was never given out, a kernel address, a pseudo-handle. A table that
//! is private to its process makes it nobody's.
//!
//! Source: Microsoft, "Failure to Validate Object Handles"; Koopman and DeVale, "The Exception
//! Handling Effectiveness of POSIX Operating Systems", IEEE TSE 2000.
//!
//! Injection points: `handle-lookup`, `mode-switch`.

use super::elements::{fault, is_call_with_handle, where_handles_are_passed};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::machine::registers::ARGUMENTS;

/// A handle is made up.
pub(super) const KIND: Kind = Kind {
    name: "forged-handle",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::HandleLookup, PointKind::ModeSwitch]),
    fits: where_handles_are_passed,
    recurrence: Recurrence::Once,
    parameters: &["value"],
    about: "a handle is made up",
    source: "Microsoft, \"Failure to Validate Object Handles\"; Koopman and DeVale, \"The Exception Handling Effectiveness of POSIX Operating Systems\", IEEE TSE 2000",
    build: |parameters, _| {
        let value = parameters.value.unwrap_or(u64::MAX);
        fault(&KIND, move |operation, scene| {
            if operation.kind == PointKind::HandleLookup {
                // The low two bits of a handle say nothing, but for those that stand for oneself.
                let (asked, made_up) = (operation.virt, value);
                if asked == made_up || asked >> 2 == made_up >> 2 && asked >> 63 == 0 {
                    return None;
                }
                operation.virt = value;
                return Some(Verdict::Proceed);
            }
            let handle = scene.register(ARGUMENTS[0] as usize);
            if !is_call_with_handle(operation, scene) || handle == value {
                return None;
            }
            scene.set_register(ARGUMENTS[0] as usize, value);
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        let value = match stream.below(4) {
            0 => 4 * (1 + stream.below(16)),
            1 => u64::MAX - stream.below(8),
            2 => crate::kernel::layout::address::POOL + stream.below(4096),
            _ => stream.word(),
        };
        Parameters { value: Some(value), ..Parameters::default() }
    },
    every: |_, _| {
        let small = (1..=16).map(|entry| 4 * entry);
        let pseudo = (0..8).map(|below| u64::MAX - below);
        let pointers = [0, crate::kernel::layout::address::POOL, 1 << 63, 0x4141_4141_4141_4141];
        let values = small.chain(pseudo).chain(pointers);
        values.map(|value| Parameters { value: Some(value), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_look_up_is_made_with_what_was_made_up() {
        let mut look_up = operation(PointKind::HandleLookup, 8, 1);

        strike("forged-handle", "value = '0xdeadbeef'", &mut look_up, &mut FakeScene::new());

        assert_eq!(look_up.virt, 0xdead_beef);
    }

    #[test]
    fn the_handle_that_was_asked_for_is_not_made_up() {
        let strikes = |asked, value: &str| {
            let mut look_up = operation(PointKind::HandleLookup, asked, 1);
            strike("forged-handle", value, &mut look_up, &mut FakeScene::new()).is_some()
        };

        assert!(!strikes(8, "value = '0x8'"));
        assert!(!strikes(8, "value = '0xa'"), "entry 2 again");
        assert!(strikes(8, "value = '0xc'"));
        assert!(strikes(u64::MAX, "value = '0xfffffffffffffffe'"), "process and thread");
        let mut scene = FakeScene::new();
        scene.registers[7] = 8;
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 15);
        assert_eq!(strike("forged-handle", "value = '0x8'", &mut switch, &mut scene), None);
    }

    #[test]
    fn a_system_call_that_takes_no_handle_is_left_alone() {
        let strikes = |service| {
            let mut scene = FakeScene::new();
            scene.registers[7] = 8;
            let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, service);
            let struck = strike("forged-handle", "value = '0xc'", &mut switch, &mut scene).is_some();
            assert_eq!(scene.registers[7], if struck { 12 } else { 8 });
            struck
        };

        // As the services' table says of each first argument: an exit status, a wanted address, an event's
        // attributes, a number; the handle of an event, of what is closed, of a file.
        assert_eq!([0, 2, 7, 14].map(strikes), [false; 4]);
        assert_eq!([8, 10, 15].map(strikes), [true; 3]);
    }

    #[test]
    fn the_way_out_of_the_kernel_has_no_arguments() {
        let mut switch = operation(PointKind::ModeSwitch, 0x40_0000, 0);
        assert_eq!(strike("forged-handle", "", &mut switch, &mut FakeScene::new()), None);
    }
}
