//! Another system service is called than was meant.
//!
//! The arguments are right for the other one: a handle is closed in place of being used, a page is
//! freed in place of being mapped. One past the last service there is none.
//!
//! Source: DependableSystemsLab, LLFI, "default_failures.yaml" (WrongAPI, InappropriateClose).
//!
//! Injection point: `mode-switch`.

use super::elements::{anywhere, fault, index, indices, is_system_call};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::service::{CLOSE, COUNT};

/// One past the last service.
#[allow(clippy::cast_possible_truncation, reason = "few services")]
const NONE: u16 = COUNT as u16;

/// Another system service is called than was meant.
pub(super) const KIND: Kind = Kind {
    name: "wrong-service",
    family: Family::Defect,
    model: Model::Llfi,
    points: PointKinds::of(&[PointKind::ModeSwitch]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index"],
    about: "another system service is called than was meant",
    source: "DependableSystemsLab, LLFI, \"default_failures.yaml\" (WrongAPI, InappropriateClose)",
    build: |parameters, _| {
        let service = parameters.index_below(NONE + 1)?.map_or(CLOSE, |service| service as u64);
        fault(&KIND, move |operation, scene| {
            if !is_system_call(operation, scene) || operation.value == service {
                return None;
            }
            operation.value = service;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(index(stream, NONE + 1)), ..Parameters::default() },
    every: |_, _| indices(0..=NONE),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_handle_is_closed_instead() {
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 8);

        let verdict = strike("wrong-service", "", &mut switch, &mut FakeScene::new());

        assert_eq!((verdict, switch.value), (Some(Verdict::Proceed), 10));
    }

    #[test]
    fn the_right_service_is_not_another() {
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 8);
        assert_eq!(strike("wrong-service", "index = 8", &mut switch, &mut FakeScene::new()), None);
    }
}
