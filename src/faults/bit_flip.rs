//! A bit of memory flips.
//!
//! By a particle, by rows that disturb each other, or by a cell that fails; in page tables, too,
//! where one bit makes another process's memory one's own.
//!
//! Source: Kim et al., "Flipping Bits in Memory Without Accessing Them", ISCA 2014; Seaborn and
//! Dullien, "Exploiting the DRAM rowhammer bug to gain kernel privileges", 2015.
//!
//! Injection point: `step`.

use super::elements::{anywhere, bit, change_physical, each_bit_of, fault};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A bit of memory flips.
pub(super) const KIND: Kind = Kind {
    name: "bit-flip",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["target", "bit"],
    about: "a bit of memory flips",
    source: "Kim et al., \"Flipping Bits in Memory Without Accessing Them\", ISCA 2014; Seaborn and Dullien, \"Exploiting the DRAM rowhammer bug to gain kernel privileges\", 2015",
    build: |parameters, directory| {
        let target = parameters.target.clone().ok_or("a bit flip needs the parameter `target`")?;
        let bit = parameters.bit_or(0)?;
        let directory = directory.clone();
        fault(&KIND, move |_, scene| {
            let place = directory.locate(&target, scene)?;
            change_physical(scene, place.phys, |word| word ^ 1 << bit)?;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, directory| Parameters {
        target: stream.pick(&directory.targets()).cloned(),
        bit: Some(bit(stream)),
        ..Parameters::default()
    },
    every: |_, directory| each_bit_of(directory.targets()),
    flips_target: true,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_bit_flips() {
        let mut scene = FakeScene::new();
        let mut step = operation(PointKind::Step, 0, 0);

        let verdict =
            strike("bit-flip", "target = 'physical:0x18'\nbit = 5", &mut step, &mut scene);

        assert_eq!(verdict, Some(Verdict::Proceed));
        assert_eq!(scene.pokes, [(0x18, 0x20)]);
    }

    #[test]
    fn what_is_nowhere_does_not_flip() {
        let mut step = operation(PointKind::Step, 0, 0);
        let parameters = "target = 'process:editor/root'";
        assert_eq!(strike("bit-flip", parameters, &mut step, &mut FakeScene::new()), None);
    }
}
