//! A handle is protected from closing in place of being used.
//!
//! Some other part of the program did so and forgot it: who closes the handle then is refused or, where
//! handles are checked strictly, meets an exception, and the object lives on.
//!
//! Source: Microsoft, "SetHandleInformation function" (`HANDLE_FLAG_PROTECT_FROM_CLOSE`); Microsoft,
//! "CloseHandle function".
//!
//! Injection point: `mode-switch`.

use super::elements::{fault, is_call_with_handle, nothing, once, where_handles_are_passed};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::handle_information::PROTECT_FROM_CLOSE;
use crate::kernel::layout::HANDLES_MAX;
use crate::kernel::service::{CLOSE, SET_HANDLE};
use crate::machine::registers::ARGUMENTS;

/// A handle is protected from closing in place of being used.
pub(super) const KIND: Kind = Kind {
    name: "protected-handle",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::ModeSwitch]),
    fits: |record, who| {
        let is_its_own = matches!(record.service.into(), CLOSE | SET_HANDLE);
        where_handles_are_passed(record, who) && !is_its_own
    },
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a handle is protected from closing in place of being used",
    source: "Microsoft, \"SetHandleInformation function\"; Microsoft, \"CloseHandle function\"",
    build: |_, _| {
        fault(&KIND, move |operation, scene| {
            let handle = scene.register(ARGUMENTS[0] as usize);
            // Entering the kernel with what can be a handle: handles are small multiples of four.
            let is_handle = handle != 0 && handle % 4 == 0 && handle <= 4 * HANDLES_MAX;
            let is_call = is_call_with_handle(operation, scene);
            if !is_call || !is_handle || matches!(operation.value, CLOSE | SET_HANDLE) {
                return None;
            }
            operation.value = SET_HANDLE;
            for register in [ARGUMENTS[1], ARGUMENTS[2]] {
                scene.set_register(register as usize, PROTECT_FROM_CLOSE);
            }
            Some(Verdict::Proceed)
        })
    },
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;
    use super::*;

    #[test]
    fn the_handle_is_protected_and_not_used() {
        let mut scene = FakeScene::new();
        scene.registers[ARGUMENTS[0] as usize] = 8;
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 8);

        let verdict = strike("protected-handle", "", &mut switch, &mut scene);

        assert_eq!((verdict, switch.value), (Some(Verdict::Proceed), SET_HANDLE));
        assert_eq!(scene.registers[ARGUMENTS[0] as usize], 8);
        assert_eq!(scene.registers[ARGUMENTS[2] as usize], PROTECT_FROM_CLOSE);
    }

    #[test]
    fn a_close_and_a_call_without_a_handle_are_left_alone() {
        let mut scene = FakeScene::new();
        scene.registers[ARGUMENTS[0] as usize] = 8;
        let mut close = operation(PointKind::ModeSwitch, address::KERNEL_CODE, CLOSE);
        assert_eq!(strike("protected-handle", "", &mut close, &mut scene), None);

        scene.registers[ARGUMENTS[0] as usize] = 0x50_1000;
        let mut other = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 15);
        assert_eq!(strike("protected-handle", "", &mut other, &mut scene), None);
    }
}
