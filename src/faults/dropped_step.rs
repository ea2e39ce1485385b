//! A step is left out.
//!
//! The instruction is not there: a missing statement, call or assignment, the most frequent class
//! of field defects; as the deleted instruction of the injectors.
//!
//! Source: Durães and Madeira, "Emulation of Software Faults: A Field Data Study and a Practical
//! Approach", IEEE TSE 2006; Swift, Bershad and Levy, "Improving the Reliability of Commodity
//! Operating Systems", SOSP 2003.
//!
//! Injection point: `step`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A step is left out.
pub(super) const KIND: Kind = Kind {
    name: "dropped-step",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a step is left out",
    source: "Durães and Madeira, \"Emulation of Software Faults: A Field Data Study and a Practical Approach\", IEEE TSE 2006; Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_step_is_left_out() {
        let mut operation = operation(PointKind::Step, 0x1000, 8);
        let verdict = strike("dropped-step", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("dropped-step", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
