//! A bit of the code about to run is wrong.
//!
//! The change stays in memory: whoever runs the step next, in whatever process shares the page,
//! runs the changed one. It is another step, another handler, or no instruction.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (text faults).
//!
//! Injection point: `step`.

use super::elements::{anywhere, bit, change, every_bit, fault};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A bit of the code about to run is wrong.
pub(super) const KIND: Kind = Kind {
    name: "corrupted-code-byte",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["bit"],
    about: "a bit of the code about to run is wrong",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (text faults)",
    build: |parameters, _| {
        let bit = parameters.bit_or(0)?;
        fault(&KIND, move |operation, scene| {
            change(scene, operation.virt, |word| word ^ 1 << bit)?;
            // Fetched again, since what was decoded is no longer what is there.
            Some(Verdict::Jump(operation.virt))
        })
    },
    draw: |stream, _, _| {
        // Half of the changes name another step; the rest falls anywhere in the word.
        let bit = if stream.word() & 1 == 0 { bit(stream) } else { bit(stream) % 8 };
        Parameters { bit: Some(bit), ..Parameters::default() }
    },
    every: |_, _| every_bit(),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_code_in_memory_changes_and_is_fetched_again() {
        let mut scene = FakeScene::new();
        scene.map(0x40_0000, 2).put(0x40_0020, 0x9066_0f1f_0000_0007);
        let mut step = operation(PointKind::Step, 0x40_0020, 0);

        let verdict = strike("corrupted-code-byte", "bit = 1", &mut step, &mut scene);

        assert_eq!(verdict, Some(Verdict::Jump(0x40_0020)));
        assert_eq!(scene.get(0x40_0020), 0x9066_0f1f_0000_0005);
    }

    #[test]
    fn code_that_is_not_mapped_is_left_alone() {
        let mut step = operation(PointKind::Step, 0x40_0020, 0);
        assert_eq!(strike("corrupted-code-byte", "", &mut step, &mut FakeScene::new()), None);
    }
}
