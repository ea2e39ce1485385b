//! Another step is run in place of the right one.
//!
//! A branch that goes the wrong way, or a jump to a place nearby. The distance is counted in
//! steps; past the end of a routine another begins.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (branch faults).
//!
//! Injection point: `step`.

use super::elements::{anywhere, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::machine::code::STEP_BYTES;

/// Another step is run in place of the right one.
pub(super) const KIND: Kind = Kind {
    name: "replaced-step",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["offset"],
    about: "another step is run in place of the right one",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (branch faults)",
    build: |parameters, _| {
        let steps = parameters.offset.unwrap_or(2);
        if steps == 0 {
            return Err(
                "a step is not replaced by itself; expected an offset other than 0".to_owned()
            );
        }
        fault(&KIND, move |operation, _| {
            Some(Verdict::Jump(
                operation.virt.wrapping_add_signed(steps.wrapping_mul(STEP_BYTES as i64)),
            ))
        })
    },
    draw: |stream, _, _| {
        let steps = 1 + i64::from(index(stream, 6));
        let steps = if stream.word() & 1 == 0 { steps } else { -steps };
        Parameters { offset: Some(steps), ..Parameters::default() }
    },
    every: |_, _| {
        let steps = (1..=6).flat_map(|steps| [steps, -steps]);
        steps.map(|steps| Parameters { offset: Some(steps), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn execution_goes_on_elsewhere() {
        let mut step = operation(PointKind::Step, 0x1000, 0);
        let verdict = strike("replaced-step", "offset = '-0x2'", &mut step, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Jump(0xfe0)));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("replaced-step", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
