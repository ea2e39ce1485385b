//! A routine gives back a wrong result.
//!
//! It reports success for what failed, a failure that there was not, or no object where there is
//! one: a missing or wrong statement in front of the return, or an error that whoever calls has
//! never met.
//!
//! Source: Durães and Madeira, "Emulation of Software Faults: A Field Data Study and a Practical
//! Approach", IEEE TSE 2006; Linux, "Fault injection capabilities infrastructure" (fail_function).
//!
//! Injection point: `return`.

use super::elements::{anywhere, each_value, fault, one_value};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::status;

/// No object or success, the least that is something, what says that it is not yet done, failures, and all ones.
const RESULTS: [u64; 6] = [
    status::SUCCESS,
    1,
    status::PENDING,
    status::INVALID_PARAMETER,
    status::INSUFFICIENT_RESOURCES,
    u64::MAX,
];

/// A routine gives back a wrong result.
pub(super) const KIND: Kind = Kind {
    name: "wrong-result",
    family: Family::Defect,
    model: Model::Edfi,
    points: PointKinds::of(&[PointKind::Return]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["value"],
    about: "a routine gives back a wrong result",
    source: "Durães and Madeira, \"Emulation of Software Faults: A Field Data Study and a Practical Approach\", IEEE TSE 2006; Linux, \"Fault injection capabilities infrastructure\" (fail_function)",
    build: |parameters, _| {
        let value = parameters.value.unwrap_or(status::SUCCESS);
        fault(&KIND, move |operation, _| {
            if operation.value == value {
                return None;
            }
            operation.value = value;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| one_value(stream, &RESULTS),
    every: |_, _| each_value(&RESULTS),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn another_result_is_given_back() {
        let mut back = operation(PointKind::Return, address::KERNEL_CODE, 0x1234);

        let verdict = strike("wrong-result", "value = '0x0'", &mut back, &mut FakeScene::new());

        assert_eq!((verdict, back.value), (Some(Verdict::Proceed), 0));
    }

    #[test]
    fn the_right_result_is_not_wrong() {
        let mut back = operation(PointKind::Return, address::KERNEL_CODE, 1);
        assert_eq!(strike("wrong-result", "value = '0x1'", &mut back, &mut FakeScene::new()), None);
    }
}
