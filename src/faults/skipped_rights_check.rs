//! The rights of a handle are not compared.
//!
//! The look-up takes whatever the handle was opened for as enough: a check that is missing, or a
//! service that asks for fewer rights than it goes on to use.
//!
//! Source: Microsoft, "Failure to Validate Object Handles"; MITRE, "CWE-862: Missing
//! Authorization".
//!
//! Injection point: `handle-lookup`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// The rights of a handle are not compared.
pub(super) const KIND: Kind = Kind {
    name: "skipped-rights-check",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::HandleLookup]),
    fits: anywhere,
    recurrence: Recurrence::Always,
    parameters: &[],
    about: "the rights of a handle are not compared",
    source: "Microsoft, \"Failure to Validate Object Handles\"; MITRE, \"CWE-862: Missing Authorization\"",
    build: |_, _| {
        fault(&KIND, |operation, _| {
            if operation.value == 0 {
                return None;
            }
            operation.value = 0;
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

    #[test]
    fn no_right_is_asked_for() {
        let mut look_up = operation(PointKind::HandleLookup, 8, 3);

        let verdict = strike("skipped-rights-check", "", &mut look_up, &mut FakeScene::new());

        assert_eq!((verdict, look_up.value), (Some(Verdict::Proceed), 0));
    }

    #[test]
    fn a_look_up_that_wants_no_right_is_left_alone() {
        let mut look_up = operation(PointKind::HandleLookup, 8, 0);
        assert_eq!(strike("skipped-rights-check", "", &mut look_up, &mut FakeScene::new()), None);
    }
}
