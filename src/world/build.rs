//! From a configuration to a world ready to boot.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::{Principal, Roster};
use crate::kernel::layout::{address, kernel_data};
use crate::kernel::loader::{FirstProcess, Loader, PoolSetup, draw_residency};
use crate::machine::device::{Device, DeviceKind};
use crate::machine::paging::x86_64::{ControlFlags, Controls};
use crate::machine::{Machine, Program, Trap};

use super::action::{Action, Encoded, Names};
use super::components;
use super::configuration::{Component, Configuration, Home};
use super::driver::{Drivers, Placement};
use super::framework::{self, Framework};
use super::link::{link, pageable_image};
use super::protection::{SHADOWS, second_level};
use super::schedule::Schedule;
use super::weakness::planted;
use super::{World, driver, verifier};

/// Sectors of the disk.
const SECTORS: usize = 64;
/// The sector that holds a parser's content.
pub const CONTENT_SECTOR: u64 = 4;

/// Why a world can't be built from a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildError {
    /// The component it is about, when it is about one.
    pub component: Option<String>,
    /// What is wrong and what was expected.
    pub what: String,
}

impl core::fmt::Display for BuildError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.component {
            Some(component) => write!(f, "component {component}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl core::error::Error for BuildError {}

pub(super) fn wrong(component: &Component, what: impl Into<String>) -> BuildError {
    BuildError { component: Some(component.name.clone()), what: what.into() }
}

/// Names in actions, as this world's numbers.
struct Numbers<'a> {
    roster: &'a Roster,
    devices: &'a [String],
}

impl Names for Numbers<'_> {
    fn device(&self, name: &str) -> Option<u64> {
        self.devices.iter().position(|known| known == name).map(|number| number as u64)
    }

    fn process(&self, name: &str) -> Option<u64> {
        let principal = self.roster.named(name)?;
        self.roster.kind(principal).is_process().then_some(u64::from(principal.0))
    }
}

/// A driver of the configuration with its place in the system.
pub(super) struct Placed<'a> {
    pub(super) component: &'a Component,
    pub(super) definition: Cow<'a, driver::DriverDefinition>,
    pub(super) principal: Principal,
}

impl World {
    /// Builds the world of a configuration with the drivers this crate brings.
    ///
    /// # Errors
    ///
    /// When the configuration names something that is not there or does not fit.
    pub fn build(configuration: &Configuration) -> Result<Self, BuildError> {
        Self::build_with(configuration, &components::drivers())
    }

    /// Builds the world of a configuration with these drivers.
    ///
    /// # Errors
    ///
    /// When the configuration names something that is not there or does not fit.
    pub fn build_with(
        configuration: &Configuration,
        drivers: &Drivers,
    ) -> Result<Self, BuildError> {
        let plain = |what: String| BuildError { component: None, what };
        let options = &configuration.machine;
        if !(1..=4).contains(&options.processors) {
            return Err(plain(format!("{} processors; expected 1 to 4", options.processors)));
        }
        if !(384..=1024).contains(&options.frames) {
            return Err(plain(format!("{} frames; expected 384 to 1024", options.frames)));
        }
        if !(256..512).contains(&options.self_map_slot)
            || matches!(options.self_map_slot, 0x1f0 | 0x1f5)
        {
            return Err(plain(format!(
                "self-map slot {:#x}; expected 0x100 to 0x1ff except 0x1f0 and 0x1f5, which the system uses",
                options.self_map_slot
            )));
        }
        if configuration.makes_threads() && options.host_time_out > 0 {
            return Err(plain("threads of an application where hosts have a time-out".to_owned()));
        }
        let roster = configuration.roster();
        let placed = place_drivers(configuration, drivers, &roster)?;
        let (switches, flaws) = planted(configuration)?;
        let program = Arc::new(link(configuration, drivers, &placed, switches)?);
        let mut machine = machine(configuration, &roster, Arc::clone(&program));
        let verified = verifier::bits_of(&options.verifier)?;
        machine.flaws = flaws;
        let slot = u64::from(configuration.self_map_slot());

        let pool = PoolSetup::of(verifier::pool_of(options), configuration.schedule);
        let mut loader = Loader::new(&mut machine, &program, slot, switches, pool);
        loader.load_kernel_image("nt", address::KERNEL_CODE);
        loader.load_kernel_image("hal", address::HAL_CODE);
        loader.make_transitions();
        loader.make_sections();
        let devices: Vec<String> =
            placed.iter().map(|driver| driver.component.name.clone()).collect();
        let mut device_objects = Vec::new();
        let mut sections = Vec::new();
        for (number, driver) in placed.iter().enumerate() {
            let lower = driver.component.above.as_ref().map_or(Ok(0), |below| {
                let index = devices[..number].iter().position(|known| known == below);
                index.map(|index| device_objects[index]).ok_or_else(|| {
                    wrong(
                        driver.component,
                        format!("stands above `{below}`, which is no driver listed before it"),
                    )
                })
            })?;
            let device = loader.load_driver(
                number as u64,
                driver.principal,
                &driver.component.name,
                &driver.definition.dispatch,
                lower,
            );
            device_objects.push(device);
            if !driver.definition.pageable.is_empty() {
                let image = pageable_image(&driver.component.name);
                loader.load_pageable_image(number as u64, &image);
            }
            if !driver.definition.section.is_empty() {
                loader.load_section(number as u64, driver.principal);
                sections.push(address::section_of(components::reflector_data(number as u64)));
            }
            let host = configuration
                .components
                .iter()
                .position(|c| {
                    c.home == Home::DriverHost && c.above.as_deref() == Some(&driver.component.name)
                })
                .or_else(|| framework::host_of(configuration, &driver.component.name))
                .map_or(0, |index| index as u64 + 2);
            let data = address::DRIVER_CODE
                + number as u64 * address::DRIVER_STRIDE
                + address::DRIVER_DATA_OFFSET;
            let placement = Placement {
                data,
                device,
                lower,
                host,
                content: driver.component.content.unwrap_or(0),
            };
            driver.definition.lay_out(&mut loader, &placement, driver.principal);
        }
        let names = Numbers { roster: &roster, devices: &devices };
        let mut programs = Vec::new();
        for (index, component) in configuration.components.iter().enumerate() {
            let principal = Principal(u8::try_from(index + 2).expect("few components"));
            match component.home {
                Home::Application if !component.spawned => {
                    let actions = encode(component, &names)?;
                    let made = loader.make_process(&FirstProcess {
                        principal,
                        image: "application",
                        critical: component.critical,
                        hosted_device: 0,
                        actions: &actions,
                        buffers: &[],
                    });
                    programs.push((component, made.root));
                }
                Home::DriverHost => {
                    let above = component.above.as_deref().unwrap_or_default();
                    let number =
                        devices.iter().position(|known| known == above).ok_or_else(|| {
                            wrong(
                                component,
                                format!("is handed requests by `{above}`, which is no driver"),
                            )
                        })?;
                    let definition = hosted(component, drivers)?;
                    let placement = Placement {
                        data: address::USER_BUFFERS,
                        device: device_objects[number],
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
                        hosted_device: device_objects[number],
                        actions: &[],
                        buffers: &buffers,
                    };
                    if !components::reflector::is_in(placed[number].definition.routines) {
                        return Err(wrong(
                            component,
                            format!("is handed requests by `{above}`, which is no reflector"),
                        ));
                    }
                    loader.make_process(&host);
                    components::register_host(&mut loader, &host, number as u64, &devices[number]);
                }
                Home::SharedHost | Home::SharedDriver | Home::DriverManager => {
                    let definition = match component.home {
                        Home::DriverManager => None,
                        _ => Some(hosted(component, drivers)?),
                    };
                    framework::make(
                        &mut loader,
                        &Framework { configuration, devices: &devices, objects: &device_objects },
                        component,
                        principal,
                        definition,
                    )?;
                }
                _ => {}
            }
        }
        for (component, root) in programs {
            tell_addresses(&mut loader, component, root, &roster)?;
        }
        let framework = Framework { configuration, devices: &devices, objects: &device_objects };
        framework::connect(&mut loader, &framework);
        let repool = framework.repool();
        let spawned =
            configuration.components.iter().enumerate().filter(|(_, component)| component.spawned);
        let numbers = spawned.fold(0, |bits, (index, _)| bits | 1 << (index + 2));
        loader.put(address::KERNEL_DATA, kernel_data::SPAWNABLE, numbers);
        let limits = [options.dpc_timeout, options.dpc_watchdog_period, options.clock_watchdog];
        loader.set_watchdogs(limits);
        loader.watch_regions(u64::from(options.integrity_checks));
        loader.put(address::KERNEL_DATA, kernel_data::VERIFIER, verified);
        loader.put(address::KERNEL_DATA, kernel_data::VERIFIER_RANDOM, configuration.schedule);
        loader.finish();

        for component in configuration.components.iter().filter(|c| c.content.is_some()) {
            machine.disk.write(CONTENT_SECTOR, 0, component.content.unwrap_or(0));
        }
        machine.second_level = second_level(&machine, &program, options, &sections);
        if options.pageable {
            draw_residency(&mut machine, configuration.schedule);
        }
        let claims = core::mem::take(&mut machine.events);
        machine.settle();
        let fresh = machine.checkpoint();
        let schedule = Schedule::new(configuration.schedule, machine.processors.len());
        Ok(Self {
            machine,
            roster,
            configuration: configuration.clone(),
            schedule,
            fresh,
            claims,
            boots: 1,
            rest: None,
            started: false,
            repool,
            next_tick: u64::MAX,
        })
    }
}

fn place_drivers<'a>(
    configuration: &'a Configuration,
    drivers: &'a Drivers,
    roster: &Roster,
) -> Result<Vec<Placed<'a>>, BuildError> {
    let mut placed: Vec<Placed<'_>> = Vec::new();
    for component in &configuration.components {
        if !matches!(component.home, Home::KernelDriver | Home::FileSystem) {
            continue;
        }
        let name = component.driver.as_deref().unwrap_or_default();
        let definition =
            drivers.kernel.iter().find(|known| known.name == name).ok_or_else(|| {
                let known: Vec<_> = drivers.kernel.iter().map(|known| known.name).collect();
                wrong(
                    component,
                    format!(
                        "there is no kernel-mode driver `{name}`; there are {}",
                        known.join(", ")
                    ),
                )
            })?;
        let definition = framework::timed(configuration, definition);
        let has_deferred = |one: &Placed<'_>| one.definition.dispatch.deferred.is_some();
        if definition.dispatch.deferred.is_some()
            && let Some(other) = placed.iter().find(|one| has_deferred(one))
        {
            let other = &other.component.name;
            return Err(wrong(
                component,
                format!("the one transfer device interrupts for `{other}` already"),
            ));
        }
        let principal = roster.named(&component.name).expect("every component is in the roster");
        placed.push(Placed { component, definition, principal });
    }
    if placed.len() as u64 > address::DRIVERS_MAX {
        return Err(BuildError {
            component: None,
            what: format!(
                "{} kernel-mode drivers; expected at most {}",
                placed.len(),
                address::DRIVERS_MAX
            ),
        });
    }
    Ok(placed)
}

pub(super) fn hosted<'a>(
    component: &Component,
    drivers: &'a Drivers,
) -> Result<&'a driver::HostDefinition, BuildError> {
    let name = component.driver.as_deref().unwrap_or_default();
    drivers.hosted.iter().find(|known| known.name == name).ok_or_else(|| {
        let known: Vec<_> = drivers.hosted.iter().map(|known| known.name).collect();
        wrong(
            component,
            format!("there is no user-mode driver `{name}`; there are {}", known.join(", ")),
        )
    })
}

fn machine(configuration: &Configuration, roster: &Roster, program: Arc<Program>) -> Machine {
    let options = &configuration.machine;
    let mut flags = ControlFlags::NXE.with(ControlFlags::PGE);
    for (on, flag) in [
        (options.write_protect, ControlFlags::WP),
        (options.smep, ControlFlags::SMEP),
        (options.smap, ControlFlags::SMAP),
        (options.pcid, ControlFlags::PCIDE),
        (options.protection_keys, ControlFlags::PKS),
    ] {
        if on {
            flags = flags.with(flag);
        }
    }
    let controls = Controls { flags, ..Controls::default() };
    let mut machine = Machine::new(
        usize::from(options.frames),
        usize::from(options.processors),
        SECTORS,
        controls,
        program,
    );
    let device = |name: &str| roster.named(name).expect("every world has it");
    machine.devices = vec![
        Device::new(DeviceKind::Transfer, device("transfer-device"), Trap::TRANSFER),
        Device::new(DeviceKind::DiskController, device("disk-controller"), Trap::DISK),
    ];
    if options.host_time_out > 0 {
        machine.devices.push(Device::new(DeviceKind::Timer, Principal::HAL, Trap::TIMER));
    }
    // The transfer device, then the disk controller, which nobody plugs in while the machine runs.
    let is_internal = [options.transfer_device_internal, true];
    let is_bound = is_internal.map(|it| if it { options.iommu_internal } else { options.iommu });
    machine.iommu.enabled = is_bound.contains(&true);
    machine.iommu.passed_by = u8::from(!is_bound[0]) | u8::from(!is_bound[1]) << 1;
    machine.shadow_stacks = options.shadow_stacks.then_some(SHADOWS);
    machine.transfer_delay = u64::from(options.transfer_delay);
    machine.sysret_faults_in_kernel = options.sysret_faults_in_kernel;
    machine
}

/// Puts into a program's actions where processes' objects are, which they ask for.
fn tell_addresses(
    loader: &mut Loader<'_>,
    component: &Component,
    root: u64,
    roster: &Roster,
) -> Result<(), BuildError> {
    for (index, action) in component.actions.iter().enumerate() {
        let Action::StoreProcessAddress { process, field, .. } = action else { continue };
        let number = roster.named(process).map_or(0, |one| u64::from(one.0));
        let object = loader.get(address::KERNEL_DATA + number * 8, kernel_data::PROCESSES);
        if object == 0 {
            let what = format!("action {index} asks for `{process}`, which is not there at boot");
            return Err(wrong(component, what));
        }
        loader.put_action_value(root, index, object + u64::from(*field) * 8);
    }
    Ok(())
}

fn encode(component: &Component, names: &Numbers<'_>) -> Result<Vec<Encoded>, BuildError> {
    if component.actions.len() as u64 > crate::kernel::layout::ACTIONS_MAX {
        return Err(wrong(
            component,
            format!(
                "{} actions; expected at most {}",
                component.actions.len(),
                crate::kernel::layout::ACTIONS_MAX
            ),
        ));
    }
    component
        .actions
        .iter()
        .enumerate()
        .map(|(index, action)| {
            action.encode(names).ok_or_else(|| {
                wrong(
                    component,
                    format!("action {index} names a device or process that is not there"),
                )
            })
        })
        .collect()
}
