//! A system call is handed a kernel address.
//!
//! Where the service expects a buffer of the caller's. Whoever checks the range refuses; whoever
//! forgets writes, or reads, the kernel's own memory.
//!
//! Source: Linux 96ca579a1ecc, "waitid(): Add missing access_ok() checks" (CVE-2017-5123).
//!
//! Injection point: `mode-switch`.

use super::elements::{anywhere, fault, is_system_call};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::kernel::layout::address;
use crate::machine::Reg;
use crate::machine::registers::ARGUMENTS;
use crate::world::directory::{Area, Directory, Part, Target};

/// A system call is handed a kernel address.
pub(super) const KIND: Kind = Kind {
    name: "kernel-address-as-argument",
    family: Family::Defect,
    model: Model::Boundary,
    points: PointKinds::of(&[PointKind::ModeSwitch]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index", "value", "target"],
    about: "a system call is handed a kernel address",
    source: "Linux 96ca579a1ecc, \"waitid(): Add missing access_ok() checks\" (CVE-2017-5123)",
    build: |parameters, directory| {
        let argument = parameters.index_below(6)?;
        let value = parameters.value;
        let target = parameters.target.clone().unwrap_or(Target::kernel(Part::KernelVariable, 0));
        let directory = directory.clone();
        fault(&KIND, move |operation, scene| {
            if !is_system_call(operation, scene) {
                return None;
            }
            let place = match value {
                Some(value) => value,
                None => directory.locate(&target, scene)?.virt?,
            };
            let is_user = |argument: &&Reg| {
                (0x1_0000..address::USER_LIMIT).contains(&scene.register(**argument as usize))
            };
            let argument = match argument {
                Some(number) => ARGUMENTS[number],
                // The output buffer rather than the input buffer rather than anything else.
                None => *[Reg::R8, Reg::Rdx, Reg::Rdi, Reg::Rsi].iter().find(is_user)?,
            };
            if scene.register(argument as usize) == place {
                return None;
            }
            scene.set_register(argument as usize, place);
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, directory| {
        Parameters { target: stream.pick(&targets(directory)).cloned(), ..Parameters::default() }
    },
    every: |_, directory| {
        let targets = targets(directory).into_iter();
        targets
            .map(|target| Parameters { target: Some(target), ..Parameters::default() })
            .collect()
    },
    flips_target: false,
};

/// Places of kernel mode.
fn targets(directory: &Directory) -> Vec<Target> {
    let is_kernel = |target: &Target| {
        matches!(target, Target::Named { part, .. } if part.area() != Area::Process)
    };
    directory.targets().into_iter().filter(is_kernel).collect()
}

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_output_buffer_becomes_a_kernel_address() {
        let mut scene = FakeScene::new();
        scene.map(address::KERNEL_DATA, 1);
        scene.registers[8] = 0x50_1200;
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 9);
        let parameters = "target = 'kernel/ready-queue'";

        let verdict = strike("kernel-address-as-argument", parameters, &mut switch, &mut scene);

        assert_eq!(verdict, Some(Verdict::Proceed));
        assert_eq!(scene.registers[8], address::KERNEL_DATA + 0x400);
    }

    #[test]
    fn a_call_without_a_buffer_is_left_alone() {
        let mut scene = FakeScene::new();
        scene.map(address::KERNEL_DATA, 1);
        let mut switch = operation(PointKind::ModeSwitch, address::KERNEL_CODE, 1);
        assert_eq!(strike("kernel-address-as-argument", "", &mut switch, &mut scene), None);
    }
}
