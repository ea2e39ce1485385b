//! A pointer to code that the kernel calls through is overwritten.
//!
//! An entry of a driver's dispatch table, the table of system services, or an interrupt gate: the
//! change stays until somebody calls through it.
//!
//! Source: Microsoft, "Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION"; HackSys Extreme Vulnerable
//! Driver, "TypeConfusion".
//!
//! Injection point: `step`.

use super::elements::{anywhere, bit, change_place, each_bit_of, fault};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::service::COUNT;
use crate::world::directory::{Directory, Part, Target};

/// A pointer to code that the kernel calls through is overwritten.
pub(super) const KIND: Kind = Kind {
    name: "corrupted-dispatch-entry",
    family: Family::Defect,
    model: Model::Vulnerability,
    points: PointKinds::of(&[PointKind::Step]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["target", "value", "bit"],
    about: "a pointer to code that the kernel calls through is overwritten",
    source: "Microsoft, \"Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION\"; HackSys Extreme Vulnerable Driver, \"TypeConfusion\"",
    build: |parameters, directory| {
        let target = parameters.target.clone().unwrap_or(Target::kernel(Part::ServiceTable, 0));
        let bit = parameters.bit_or(4)?;
        let value = parameters.value;
        let directory = directory.clone();
        fault(&KIND, move |_, scene| {
            let place = directory.locate(&target, scene)?;
            change_place(scene, place, |old| value.unwrap_or(old ^ 1 << bit))?;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, directory| {
        let targets: Vec<_> = directory.targets().into_iter().filter(is_code).collect();
        let target = stream.pick(&targets).cloned().map(|target| match target {
            Target::Named { owner, part: Part::ServiceTable, .. } => {
                Target::Named { owner, part: Part::ServiceTable, number: stream.below(COUNT) }
            }
            other => other,
        });
        Parameters { target, bit: Some(bit(stream)), ..Parameters::default() }
    },
    every: |_, directory| each_bit_of(entries(directory)),
    flips_target: true,
};

/// Whether what is there leads to code.
fn is_code(target: &Target) -> bool {
    use Part as P;
    matches!(
        target,
        Target::Named {
            part: P::ServiceTable
                | P::InterruptGate
                | P::ReadDispatch
                | P::WriteDispatch
                | P::ControlDispatch
                | P::DeferredRoutine,
            ..
        }
    )
}

/// Every entry: of the system services each one.
fn entries(directory: &Directory) -> Vec<Target> {
    let others = directory.targets().into_iter().filter(|target| {
        is_code(target) && !matches!(target, Target::Named { part: Part::ServiceTable, .. })
    });
    let services = (0..COUNT).map(|number| Target::kernel(Part::ServiceTable, number));
    services.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_entry_changes() {
        let mut scene = FakeScene::new();
        scene.map(address::SERVICE_TABLE, 2).put(address::SERVICE_TABLE + 16, 0x1230);
        let mut step = operation(PointKind::Step, 0x40_0000, 0);
        let parameters = "target = 'kernel/service-table:2'\nbit = 4";

        let verdict = strike("corrupted-dispatch-entry", parameters, &mut step, &mut scene);

        assert_eq!(verdict, Some(Verdict::Proceed));
        assert_eq!(scene.get(address::SERVICE_TABLE + 16), 0x1220);
    }

    #[test]
    fn a_driver_that_memory_does_not_lead_to_keeps_its_entries() {
        let mut step = operation(PointKind::Step, 0x40_0000, 0);
        let parameters = "target = 'driver:nic/read-dispatch'";
        assert_eq!(
            strike("corrupted-dispatch-entry", parameters, &mut step, &mut FakeScene::new()),
            None
        );
    }
}
