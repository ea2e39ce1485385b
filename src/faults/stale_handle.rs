//! A handle is used after it was closed.
//!
//! The look-up is made with a value whose entry is free, or was given to another object meanwhile:
//! the value a neighbouring entry, counted from the right one.
//!
//! Source: Microsoft, "Failure to Validate Object Handles"; MITRE, "CWE-910: Use of Expired File
//! Descriptor".
//!
//! Injection points: `handle-lookup`, `mode-switch`.

use super::elements::{fault, index, is_call_with_handle, where_handles_are_passed};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::layout::HANDLES_MAX;
use crate::machine::registers::ARGUMENTS;

/// A handle is used after it was closed.
pub(super) const KIND: Kind = Kind {
    name: "stale-handle",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::HandleLookup, PointKind::ModeSwitch]),
    fits: where_handles_are_passed,
    recurrence: Recurrence::Once,
    parameters: &["offset"],
    about: "a handle is used after it was closed",
    source: "Microsoft, \"Failure to Validate Object Handles\"; MITRE, \"CWE-910: Use of Expired File Descriptor\"",
    build: |parameters, _| {
        let distance = parameters.offset.unwrap_or(4);
        if distance == 0 {
            return Err("the right handle is not stale; expected an offset other than 0".to_owned());
        }
        fault(&KIND, move |operation, scene| {
            if operation.kind == PointKind::HandleLookup {
                operation.virt = operation.virt.wrapping_add_signed(distance);
                return Some(Verdict::Proceed);
            }
            let handle = scene.register(ARGUMENTS[0] as usize);
            // Entering the kernel with what can be a handle: handles are small multiples of four.
            if !is_call_with_handle(operation, scene)
                || handle == 0
                || handle % 4 != 0
                || handle > 4 * HANDLES_MAX
            {
                return None;
            }
            scene.set_register(ARGUMENTS[0] as usize, handle.wrapping_add_signed(distance));
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        let distance = 4 * (1 + i64::from(index(stream, 3)));
        let distance = if stream.word() & 1 == 0 { distance } else { -distance };
        Parameters { offset: Some(distance), ..Parameters::default() }
    },
    every: |_, _| {
        let distances = [4, -4, 8, -8, 12, -12];
        let with = |distance| Parameters { offset: Some(distance), ..Parameters::default() };
        distances.map(with).to_vec()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_look_up_is_made_with_a_neighbour() {
        let mut look_up = operation(PointKind::HandleLookup, 8, 1);

        let verdict =
            strike("stale-handle", "offset = '-0x4'", &mut look_up, &mut FakeScene::new());

        assert_eq!((verdict, look_up.virt), (Some(Verdict::Proceed), 4));
    }

    #[test]
    fn a_system_call_that_takes_no_handle_is_left_alone() {
        let mut scene = FakeScene::new();
        scene.registers[7] = 0x50_1000;
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 15);
        assert_eq!(strike("stale-handle", "", &mut switch, &mut scene), None);

        scene.registers[7] = 8;
        assert_eq!(strike("stale-handle", "", &mut switch, &mut scene), Some(Verdict::Proceed));
        assert_eq!(scene.registers[7], 12);

        // The status of an exit is what could be a handle.
        let mut exit = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 0);
        assert_eq!(strike("stale-handle", "", &mut exit, &mut scene), None);
    }
}
