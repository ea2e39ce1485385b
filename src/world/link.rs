//! Which code a world has, and where it lies.

use crate::base::{Principal, VirtAddr};
use crate::kernel;
use crate::kernel::layout::address;
use crate::kernel::layout::switches::DEFECTS;
use crate::kernel::loader::SEGMENT_IMAGE;
use crate::kernel::{shadow, thread_create, thread_end, transition, verified};
use crate::machine::code::substituted;
use crate::machine::{Image, Program};

use super::build::{BuildError, Placed, hosted};
use super::components;
use super::configuration::{Component, Configuration, Home};
use super::driver::Drivers;
use super::{framework, verifier};

/// The name of the image with a driver's pageable code: one that no component has.
pub(super) fn pageable_image(driver: &str) -> String {
    format!("{driver} PAGE")
}

/// Links the code of a configuration with these drivers, and what the kernel's switches ask for.
///
/// # Errors
///
/// When a host names a driver that is not there.
pub(super) fn link(
    configuration: &Configuration,
    drivers: &Drivers,
    placed: &[Placed<'_>],
    switches: u64,
) -> Result<Program, BuildError> {
    let mut substitutes = verifier::pool_of(&configuration.machine).substitutes();
    substitutes.extend(framework::substitutes(configuration));
    let is_shadowed = configuration.machine.kva_shadow;
    let makes_threads = configuration.makes_threads();
    if makes_threads {
        substitutes.extend(thread_end::SUBSTITUTES);
        substitutes.extend(match is_shadowed {
            true => thread_end::SUBSTITUTES_SHADOWED,
            false => thread_end::SUBSTITUTES_PLAIN,
        });
    }
    if is_shadowed {
        substitutes.extend(shadow::SUBSTITUTES);
    }
    if is_shadowed && (makes_threads || configuration.machine.host_time_out > 0) {
        substitutes.extend(shadow::SUBSTITUTES_IN_TIME);
    }
    verified::substitute(&mut substitutes, verifier::bits_of(&configuration.machine.verifier)?);
    let handlers = kernel::image::handlers(switches);
    let transitions = if is_shadowed { transition::routines(&handlers) } else { Vec::new() };
    let mut elsewhere = components::windows_api::ROUTINES.to_vec();
    let application = components::application::routines(makes_threads);
    elsewhere.extend(application);
    let has_timer = configuration.machine.host_time_out > 0;
    let timer = if has_timer { kernel::hal::TIMER_ROUTINES } else { &[] };
    let has_record = framework::has_record(configuration);
    let record = if has_record { kernel::hal::RECORD_ROUTINES } else { &[] };
    let hal = [kernel::hal::ROUTINES, timer, record].concat();
    let hal: Vec<_> = hal.iter().map(|routine| substituted(&substitutes, routine)).collect();
    elsewhere.extend(&hal);
    elsewhere.extend(&transitions);
    // Substitutes are where what they take the place of was.
    let own = placed
        .iter()
        .flat_map(|driver| driver.definition.routines.iter().chain(driver.definition.pageable));
    elsewhere.extend(own.map(|routine| substituted(&substitutes, routine)));
    elsewhere.extend(drivers.hosted.iter().flat_map(|hosted| hosted.routines));
    let mut roots = kernel::image::gates(switches);
    if makes_threads {
        roots.extend(thread_create::ROOTS);
    }
    let mut images = vec![
        Image {
            name: "nt".to_owned(),
            owner: Some(Principal::KERNEL),
            base: VirtAddr(address::KERNEL_CODE),
            routines: kernel::image::routines(&elsewhere, &substitutes, &roots),
        },
        Image {
            name: "hal".to_owned(),
            owner: Some(Principal::HAL),
            base: VirtAddr(address::HAL_CODE),
            routines: hal,
        },
        Image {
            name: "windows-api".to_owned(),
            owner: None,
            base: VirtAddr(address::USER_API),
            routines: components::windows_api::ROUTINES.to_vec(),
        },
        Image {
            name: "application".to_owned(),
            owner: None,
            base: VirtAddr(address::USER_CODE),
            routines: application.to_vec(),
        },
    ];
    for (number, driver) in placed.iter().enumerate() {
        images.push(Image {
            name: driver.component.name.clone(),
            owner: Some(driver.principal),
            base: VirtAddr(address::DRIVER_CODE + number as u64 * address::DRIVER_STRIDE),
            routines: driver
                .definition
                .routines
                .iter()
                .map(|routine| substituted(&substitutes, routine))
                .collect(),
        });
    }
    for (number, driver) in placed.iter().enumerate() {
        if !driver.definition.pageable.is_empty() {
            let base = address::DRIVER_CODE + number as u64 * address::DRIVER_STRIDE;
            images.push(Image {
                name: pageable_image(&driver.component.name),
                owner: Some(driver.principal),
                base: VirtAddr(base + address::DRIVER_PAGEABLE_OFFSET),
                routines: driver.definition.pageable.to_vec(),
            });
        }
    }
    images.extend(framework::image(configuration));
    if is_shadowed {
        images.push(Image {
            name: transition::IMAGE.to_owned(),
            owner: Some(Principal::KERNEL),
            base: VirtAddr(address::TRANSITION_CODE),
            routines: transitions,
        });
    }
    if configuration.loads_stack_segments() {
        images.push(Image {
            name: SEGMENT_IMAGE.to_owned(),
            owner: None,
            base: VirtAddr(address::USER_SEGMENT),
            routines: components::stack_segment::ROUTINES.to_vec(),
        });
    }
    let hosts = |c: &&Component| matches!(c.home, Home::DriverHost | Home::SharedHost);
    for component in configuration.components.iter().filter(hosts) {
        let definition = hosted(component, drivers)?;
        let name = components::host_image(definition);
        if !images.iter().any(|image| image.name == name) {
            images.push(Image {
                name,
                owner: None,
                base: VirtAddr(address::USER_CODE),
                routines: definition.routines.to_vec(),
            });
        }
    }
    Ok(Program::link_with(&images, &substitutes).with_defects(switches & DEFECTS))
}
