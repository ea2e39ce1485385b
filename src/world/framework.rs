//! The driver framework with shared hosts and a driver manager, as it is at boot.
//!
//! One host is shared by all components at home `shared-driver`, the second failure of one of which
//! gives it the process of its own name. Version 1.11 of the framework and later; a world without
//! any of this has the framework of before ([`crate::kernel::host`]).

use std::borrow::Cow;

use crate::base::{Principal, Seed, VirtAddr};
use crate::kernel::event_log;
use crate::kernel::host_pool::{self, shared};
use crate::kernel::host_record;
use crate::kernel::host_time_out::{self, FORGOTTEN_AFTER, critical};
use crate::kernel::layout::{address, kernel_data};
use crate::kernel::loader::{FirstProcess, Loader};
use crate::machine::{Image, Substitute};

use super::build::{BuildError, wrong};
use super::components::{self, driver_manager, reflector, reflector_timed};
use super::configuration::{Component, Configuration, Home};
use super::driver::{DriverDefinition, HostDefinition, Placement};
use super::repool::{Member, Repool};

/// The number of a manager that there is not: no process has it.
const NO_MANAGER: u64 = 63;

/// What the framework is made from.
pub(super) struct Framework<'a> {
    /// The configuration.
    pub(super) configuration: &'a Configuration,
    /// The names of the drivers' components, by device number.
    pub(super) devices: &'a [String],
    /// Their device objects.
    pub(super) objects: &'a [u64],
}

/// Whether failures are kept on the disk: there is a manager to be told of them.
pub(super) fn has_record(configuration: &Configuration) -> bool {
    let mut homes = configuration.components.iter().map(|component| component.home);
    configuration.machine.host_record && homes.any(|home| home == Home::DriverManager)
}

fn is_used(configuration: &Configuration) -> bool {
    let mut homes = configuration.components.iter().map(|component| component.home);
    homes.any(|home| matches!(home, Home::SharedHost | Home::SharedDriver | Home::DriverManager))
}

/// What takes the place of the framework of before.
pub(super) fn substitutes(configuration: &Configuration) -> Vec<Substitute> {
    let mut all = Vec::new();
    let is_timed = configuration.machine.host_time_out > 0;
    if is_timed {
        all.extend(host_time_out::SUBSTITUTES);
        all.extend(reflector_timed::SUBSTITUTES);
    }
    match (is_used(configuration), is_timed) {
        (true, false) => all.push((&reflector::REFLECT, &reflector::REFLECT_SHARED)),
        (true, true) => all.push(reflector_timed::SHARED_QUEUE),
        (false, true) => all.push(reflector_timed::OWN_QUEUE),
        (false, false) => {}
    }
    if has_record(configuration) {
        all.extend(host_record::SUBSTITUTES);
    }
    if configuration.machine.event_log {
        all.extend(event_log::substitutes(is_used(configuration)));
    }
    if is_used(configuration) {
        all.extend(host_pool::substitutes());
    }
    all
}

/// A driver where hosts have time-outs or not: a reflector says that its host is to start.
pub(super) fn timed<'a>(
    configuration: &Configuration,
    definition: &'a DriverDefinition,
) -> Cow<'a, DriverDefinition> {
    if configuration.machine.host_time_out == 0 || !reflector::is_in(definition.routines) {
        return Cow::Borrowed(definition);
    }
    let (routines, dispatch) = (reflector_timed::CODE, reflector_timed::DISPATCH);
    Cow::Owned(DriverDefinition { routines, dispatch, ..definition.clone() })
}

/// The image of the driver manager, where there is one.
pub(super) fn image(configuration: &Configuration) -> Option<Image> {
    let mut homes = configuration.components.iter().map(|component| component.home);
    homes.find(|&home| home == Home::DriverManager)?;
    let routines = match configuration.machine.host_time_out {
        0 => driver_manager::ROUTINES,
        _ => driver_manager::TIMED_ROUTINES,
    };
    Some(Image {
        name: driver_manager::IMAGE.to_owned(),
        owner: None,
        base: VirtAddr(address::USER_CODE),
        routines: routines.to_vec(),
    })
}

/// The index of the component whose process hosts the driver behind this reflector, if it is shared.
pub(super) fn host_of(configuration: &Configuration, reflector: &str) -> Option<usize> {
    let components = &configuration.components;
    let is_behind =
        |c: &Component| c.home == Home::SharedDriver && c.above.as_deref() == Some(reflector);
    components.iter().find(|c| is_behind(c))?;
    components.iter().position(|c| c.home == Home::SharedHost)
}

impl Framework<'_> {
    /// The device number of the reflector that a component is behind.
    fn number(&self, component: &Component) -> Option<usize> {
        let above = component.above.as_deref()?;
        self.devices.iter().position(|known| known == above)
    }

    /// The device numbers of the drivers that share the host.
    fn members(&self) -> Vec<usize> {
        let components = self.configuration.components.iter();
        components.filter(|c| c.home == Home::SharedDriver).filter_map(|c| self.number(c)).collect()
    }

    /// What a boot does where the disk says which devices failed in a host of their own.
    pub(super) fn repool(&self) -> Repool {
        if !has_record(self.configuration) {
            return Repool::default();
        }
        let components = &self.configuration.components;
        let host = components.iter().position(|component| component.home == Home::SharedHost);
        let member = |number: usize| Member { number, object: self.objects[number] };
        Repool {
            host: host.map(|index| index + 2),
            members: self.members().into_iter().map(member).collect(),
        }
    }

    /// The device numbers of all reflectors.
    fn reflectors(&self) -> Vec<usize> {
        let is_reflector = |name: &String| {
            let mut components = self.configuration.components.iter();
            components.any(|c| c.name == *name && c.driver.as_deref() == Some("reflector"))
        };
        (0..self.devices.len()).filter(|&number| is_reflector(&self.devices[number])).collect()
    }
}

/// Steps without a failure after which failures are forgotten; 0: never.
fn forgotten_after(configuration: &Configuration) -> u64 {
    u64::from(configuration.machine.host_time_out) * FORGOTTEN_AFTER
}

/// Tells the reflectors of their hosts' time-outs, and the kernel of the reflectors.
fn time(loader: &mut Loader<'_>, framework: &Framework<'_>) {
    let machine = &framework.configuration.machine;
    let time_out = machine.host_time_out;
    if time_out == 0 && !machine.event_log {
        return;
    }
    let mut reflectors = 0;
    for number in framework.reflectors() {
        let data = components::reflector_data(number as u64);
        loader.put(data, critical::TIME_OUT, u64::from(time_out));
        loader.put(data, critical::FORGOTTEN_AFTER, forgotten_after(framework.configuration));
        reflectors |= 1 << number;
    }
    loader.put(address::KERNEL_DATA, kernel_data::REFLECTORS, reflectors);
}

/// Makes the process of a component of the framework, or what it may be made from later.
pub(super) fn make(
    loader: &mut Loader<'_>,
    framework: &Framework<'_>,
    component: &Component,
    principal: Principal,
    definition: Option<&HostDefinition>,
) -> Result<(), BuildError> {
    let members = framework.members();
    let Some(definition) = definition else {
        let forgotten_after = forgotten_after(framework.configuration);
        let buffers = [(driver_manager::FORGOTTEN_AFTER, forgotten_after)];
        let is_timed = forgotten_after > 0;
        let home = framework.reflectors().first().map_or(0, |&number| framework.objects[number]);
        loader.make_process(&FirstProcess {
            principal,
            image: driver_manager::IMAGE,
            critical: component.critical,
            hosted_device: home,
            actions: &[],
            buffers: if is_timed { &buffers } else { &[] },
        });
        return Ok(());
    };
    let number = match component.home {
        Home::SharedHost => members.first().copied(),
        _ => framework.number(component),
    };
    let Some(number) = number else {
        return Err(wrong(component, "hosts the driver of no reflector"));
    };
    let device = framework.objects[number];
    let placement = Placement {
        data: address::USER_BUFFERS,
        device,
        lower: 0,
        host: u64::from(principal.0),
        content: component.content.unwrap_or(0),
    };
    let buffers = (definition.prepare)(&placement);
    let image = components::host_image(definition);
    let host = FirstProcess {
        principal,
        image: &image,
        critical: false,
        hosted_device: device,
        actions: &[],
        buffers: &buffers,
    };
    let pattern = loader.make_pattern(&host);
    if component.home == Home::SharedHost {
        loader.make_process(&host);
        for number in members {
            let image = &framework.devices[number];
            components::register_pattern(loader, number as u64, image, pattern);
        }
    } else {
        let data = components::reflector_data(number as u64);
        loader.put(data, shared::OWN_HOST, u64::from(principal.0));
        loader.put(data, shared::OWN_PATTERN, pattern);
    }
    Ok(())
}

/// Connects the framework's devices: those that share the host, and all of them for the manager.
pub(super) fn connect(loader: &mut Loader<'_>, framework: &Framework<'_>) {
    time(loader, framework);
    if has_record(framework.configuration) {
        loader.make_host_record();
    }
    let (members, all) = (framework.members(), framework.reflectors());
    let mut orders = Seed(framework.configuration.schedule).stream("recovery-order", 0);
    for &number in &all {
        let data = components::reflector_data(number as u64);
        loader.put(data, shared::ORDER, orders.word());
    }
    if !is_used(framework.configuration) {
        return;
    }
    let components = &framework.configuration.components;
    let manager = components
        .iter()
        .position(|c| c.home == Home::DriverManager)
        .map_or(NO_MANAGER, |index| index as u64 + 2);
    let object = |numbers: &[usize], place: usize| {
        numbers.get(place).map_or(0, |&number| framework.objects[number])
    };
    for (place, &number) in all.iter().enumerate() {
        let data = components::reflector_data(number as u64);
        let shares = members.iter().position(|&member| member == number);
        let (first, next) = match shares {
            Some(place) => (object(&members, 0), object(&members, place + 1)),
            None => (framework.objects[number], 0),
        };
        for (field, value) in [
            (shared::NEXT, next),
            (shared::FIRST, first),
            (shared::MANAGER, manager),
            (shared::HOME, object(&all, 0)),
            (shared::NEXT_OF_ALL, object(&all, place + 1)),
            (shared::IS_SHARED, u64::from(shares.is_some())),
        ] {
            loader.put(data, field, value);
        }
    }
}
