//! A bit of a register is wrong.
//!
//! A wrong operand: a value computed wrongly, clobbered by a callee or by an interrupt that does
//! not restore it, or flipped in the processor itself.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (source and destination faults); Dixit et al., "Silent Data Corruptions at Scale",
//! arXiv 2021.
//!
//! Injection point: `step`.

use super::elements::{anywhere, bit, every_bit, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::machine::Reg;

/// A bit of a register is wrong.
pub(super) const KIND: Kind = Kind {
    name: "corrupted-register",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index", "bit"],
    about: "a bit of a register is wrong",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (source and destination faults); Dixit et al., \"Silent Data Corruptions at Scale\", arXiv 2021",
    build: |parameters, _| {
        let register = parameters.index_below(16)?.unwrap_or(Reg::Rdi as usize);
        let bit = parameters.bit_or(3)?;
        fault(&KIND, move |_, scene| {
            let value = scene.register(register);
            scene.set_register(register, value ^ 1 << bit);
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters {
        index: Some(index(stream, 16)),
        bit: Some(bit(stream)),
        ..Parameters::default()
    },
    every: |_, _| {
        let registers = 0..16;
        registers
            .flat_map(|register| {
                every_bit().into_iter().map(move |bit| Parameters { index: Some(register), ..bit })
            })
            .collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn one_bit_of_one_register_changes() {
        let mut scene = FakeScene::new();
        let mut step = operation(PointKind::Step, 0x1000, 0);

        strike("corrupted-register", "index = 7\nbit = 4", &mut step, &mut scene);

        assert_eq!(scene.registers[7], 0x10);
        assert_eq!(scene.registers.iter().filter(|&&value| value != 0).count(), 1);
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, 0x1000, 8);
        let before = other;
        assert_eq!(strike("corrupted-register", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
