//! What faults are put together from: how one is made, where it strikes, what is drawn.

use core::ops::RangeInclusive;

use super::{Kind, Parameters};
use crate::base::{PrincipalKind, Stream, VirtAddr, bits_of};
use crate::injection::{Fault, Operation, PointKind, PointRecord, Scene, Verdict};
use crate::kernel::service::takes_handle;
use crate::world::directory::{Directory, Place, Target};

struct Struck<F> {
    kind: &'static Kind,
    strike: F,
}

impl<F> Fault for Struck<F>
where
    F: FnMut(&mut Operation, &mut dyn Scene) -> Option<Verdict> + Send,
{
    fn name(&self) -> &'static str {
        self.kind.name
    }

    fn strike(&mut self, operation: &mut Operation, scene: &mut dyn Scene) -> Option<Verdict> {
        if !self.kind.points.contains(operation.kind) {
            return None;
        }
        (self.strike)(operation, scene)
    }
}

/// A fault of this kind that strikes so, at the kind's points only.
pub(super) fn fault<F>(kind: &'static Kind, strike: F) -> Result<Box<dyn Fault>, String>
where
    F: FnMut(&mut Operation, &mut dyn Scene) -> Option<Verdict> + Send + 'static,
{
    Ok(Box::new(Struck { kind, strike }))
}

/// Wherever its points are.
pub(super) fn anywhere(_: &PointRecord, _: PrincipalKind) -> bool {
    true
}

/// Whether what passes a mode switch is a call of a system service: from user mode into kernel mode. The
/// return of an interrupt may lead into kernel mode too, and carries no arguments.
pub(super) fn is_system_call(operation: &Operation, scene: &dyn Scene) -> bool {
    operation.virt >> 63 == 1 && scene.instruction_pointer() >> 63 == 0
}

/// Whether what passes a mode switch is a call of a system service whose first argument is a handle.
pub(super) fn is_call_with_handle(operation: &Operation, scene: &dyn Scene) -> bool {
    is_system_call(operation, scene) && takes_handle(operation.value)
}

/// Where a call of a system service passes a handle; at other points wherever they are.
pub(super) fn where_handles_are_passed(record: &PointRecord, _: PrincipalKind) -> bool {
    record.kind != PointKind::ModeSwitch || takes_handle(record.service.into())
}

/// Whether memory holds already what a store will write there, as far as `mask` covers it.
pub(super) fn holds_already(operation: &Operation, mask: u8, scene: &dyn Scene) -> bool {
    scene.held(operation.virt, mask) == Some(operation.value & bits_of(mask))
}

/// Nothing to draw.
pub(super) fn nothing(_: &mut Stream, _: &PointRecord, _: &Directory) -> Parameters {
    Parameters::default()
}

/// A bit, each as likely.
pub(super) fn any_bit(stream: &mut Stream, _: &PointRecord, _: &Directory) -> Parameters {
    Parameters { bit: Some(bit(stream)), ..Parameters::default() }
}

/// No parameter: there is one way only.
pub(super) fn once(_: PointKind, _: &Directory) -> Vec<Parameters> {
    vec![Parameters::default()]
}

/// Each bit of a word.
pub(super) fn every_bit() -> Vec<Parameters> {
    (0..64).map(|bit| Parameters { bit: Some(bit), ..Parameters::default() }).collect()
}

/// Each bit of each of these places.
pub(super) fn each_bit_of(targets: Vec<Target>) -> Vec<Parameters> {
    let with = |target: Target| {
        every_bit().into_iter().map(move |bit| Parameters { target: Some(target.clone()), ..bit })
    };
    targets.into_iter().flat_map(with).collect()
}

/// One of these values, each as likely.
pub(super) fn one_value(stream: &mut Stream, values: &[u64]) -> Parameters {
    Parameters { value: stream.pick(values).copied(), ..Parameters::default() }
}

/// Each of these values.
pub(super) fn each_value(values: &[u64]) -> Vec<Parameters> {
    let with = |&value: &u64| Parameters { value: Some(value), ..Parameters::default() };
    values.iter().map(with).collect()
}

/// Each of these numbers of something.
pub(super) fn indices(numbers: RangeInclusive<u16>) -> Vec<Parameters> {
    numbers.map(|index| Parameters { index: Some(index), ..Parameters::default() }).collect()
}

/// A bit number.
pub(super) fn bit(stream: &mut Stream) -> u8 {
    u8::try_from(stream.below(64)).expect("below 64")
}

/// A number below a small bound.
pub(super) fn index(stream: &mut Stream, bound: u16) -> u16 {
    u16::try_from(stream.below(u64::from(bound))).expect("below a u16")
}

/// Changes the word at a linear address as code of the principal's own does; `None` when nothing is mapped there or nothing changes.
pub(super) fn change(scene: &mut dyn Scene, virt: u64, new: impl FnOnce(u64) -> u64) -> Option<()> {
    let phys = scene.translate(VirtAddr(virt))? & !7;
    let (old, virt) = (scene.peek(phys), virt & !7);
    let new = new(old);
    (new != old).then(|| scene.store(virt, phys, new))
}

/// Changes the word at a place as code of the principal's own does; `None` when nothing changes.
pub(super) fn change_place(
    scene: &mut dyn Scene,
    place: Place,
    new: impl FnOnce(u64) -> u64,
) -> Option<()> {
    let old = scene.peek(place.phys);
    let new = new(old);
    (new != old).then(|| scene.store(place.virt.or(place.within).unwrap_or(0), place.phys, new))
}

/// Changes a physical word behind everybody's back; `None` when nothing changes.
pub(super) fn change_physical(
    scene: &mut dyn Scene,
    phys: u64,
    new: impl FnOnce(u64) -> u64,
) -> Option<()> {
    let old = scene.peek(phys);
    let new = new(old);
    if new == old {
        return None;
    }
    scene.poke(phys, new);
    Some(())
}

/// What tests of faults need.
#[cfg(test)]
pub(super) mod testing {
    pub(in crate::faults) use crate::faults::{Parameters, Registry};
    pub(in crate::faults) use crate::injection::fake::{FakeScene, operation};
    pub(in crate::faults) use crate::injection::{Operation, PointKind, Verdict};
    pub(in crate::faults) use crate::kernel::layout::{address, kernel_data, pool_lists};
    use crate::world::configuration::{Component, Configuration, Home};
    use crate::world::directory::Directory;

    /// A world of two applications, `editor` (2) and `shell` (3), and the driver `nic` (4).
    pub(in crate::faults) fn directory() -> Directory {
        let component = |name: &str, home| Component::new(name, home);
        Directory::of(&Configuration {
            components: vec![
                component("editor", Home::Application),
                component("shell", Home::Application),
                component("nic", Home::KernelDriver),
            ],
            ..Configuration::default()
        })
    }

    /// Lets the fault of this name, with parameters as TOML, strike.
    pub(in crate::faults) fn strike(
        name: &str,
        parameters: &str,
        operation: &mut Operation,
        scene: &mut FakeScene,
    ) -> Option<Verdict> {
        let parameters: Parameters = toml::from_str(parameters).expect("parameters");
        let mut fault =
            Registry::default().build(name, &parameters, &directory()).expect("a fault");
        assert_eq!(fault.name(), name);
        fault.strike(operation, scene)
    }
}
