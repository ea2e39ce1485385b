//! Drivers a world can be built from.

use crate::base::{Principal, PrincipalKind, Structure};
use crate::kernel;
use crate::kernel::layout::address;
use crate::kernel::loader::{Dispatch, Loader};
use crate::machine::Routine;

use super::components::{
    application, driver_manager, reflector, reflector_timed, stack_segment, windows_api,
};

/// What a driver's data page is prepared with.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// The driver's data page.
    pub data: u64,
    /// Its device object.
    pub device: u64,
    /// The device object below it or, for a reflector, nothing: 0.
    pub lower: u64,
    /// The principal number of the host behind it, for a reflector; 0 for others.
    pub host: u64,
    /// What the configuration's `content` says, 0 when it says nothing.
    pub content: u64,
}

/// A kernel-mode driver: its code and what its data page starts with.
#[derive(Clone)]
pub struct DriverDefinition {
    /// Its name in configurations.
    pub name: &'static str,
    /// What it counts as.
    pub kind: PrincipalKind,
    /// Its code.
    pub routines: &'static [&'static Routine],
    /// Its pageable code, which lies apart and may be away.
    pub pageable: &'static [&'static Routine],
    /// Its entry points.
    pub dispatch: Dispatch,
    /// The first words of its data page: byte offset and value.
    pub prepare: fn(&Placement) -> Vec<(u64, u64)>,
    /// System pages that are its own besides its data page: address, words, what they hold.
    pub owns: &'static [(u64, u64, Structure)],
    /// A section of its image that is set up once and nobody writes to after that, by byte offset and value;
    /// empty: it has none. The page tables leave it writable; `protected-data` closes it from below, as a driver
    /// asks for it once it is initialised ("MmProtectDriverSection function").
    pub section: &'static [(u64, u64)],
}

impl DriverDefinition {
    /// Fills a driver's data page and announces what else is its own.
    pub(super) fn lay_out(&self, loader: &mut Loader<'_>, placement: &Placement, owner: Principal) {
        for (offset, value) in (self.prepare)(placement) {
            loader.write(placement.data.wrapping_add(offset), value);
        }
        let section = address::section_of(placement.data);
        for &(offset, value) in self.section {
            loader.write(section.wrapping_add(offset), value);
        }
        for &(at, words, structure) in self.owns {
            loader.claim(at, words, structure, owner);
        }
    }
}

/// A user-mode driver: a host process's code and what its buffer page starts with.
#[derive(Clone)]
pub struct HostDefinition {
    /// Its name in configurations.
    pub name: &'static str,
    /// The code of the host with this driver.
    pub routines: &'static [&'static Routine],
    /// The first words of its buffer page: byte offset and value.
    pub prepare: fn(&Placement) -> Vec<(u64, u64)>,
}

/// The drivers that configurations can name. Passed by value: add your own.
#[derive(Clone, Default)]
pub struct Drivers {
    /// Kernel-mode drivers.
    pub kernel: Vec<DriverDefinition>,
    /// User-mode drivers.
    pub hosted: Vec<HostDefinition>,
}

impl Drivers {
    /// Every routine there can be in a world: its name, and the driver whose code it is in, if any. A
    /// world has those of the drivers it names.
    #[must_use]
    pub fn routines(&self) -> Vec<(Option<&'static str>, &'static str)> {
        let kernel = self
            .kernel
            .iter()
            .flat_map(|driver| [(driver.name, driver.routines), (driver.name, driver.pageable)]);
        let hosted = self.hosted.iter().map(|driver| (driver.name, driver.routines));
        let drivers: Vec<_> = kernel.chain(hosted).collect();
        let mut elsewhere = windows_api::ROUTINES.to_vec();
        elsewhere.extend(application::routines(true));
        elsewhere.extend(kernel::hal::ROUTINES);
        elsewhere.extend(drivers.iter().flat_map(|(_, routines)| *routines));
        let of_some = [kernel::image::GATES_OF_SOME, kernel::thread_create::ROOTS].concat();
        let mut system = kernel::image::routines(&elsewhere, &[], &of_some);
        system.extend(kernel::pools::routines());
        system.extend(kernel::host_pool::ROUTINES);
        system.extend(driver_manager::ROUTINES);
        system.extend(driver_manager::TIMED_ROUTINES);
        system.push(&reflector::REFLECT_SHARED);
        system.extend(reflector_timed::ROUTINES);
        system.extend(kernel::hal::TIMER_ROUTINES);
        system.extend(kernel::host_time_out::ROUTINES);
        system.extend(kernel::event_log::ROUTINES);
        system.extend(kernel::host_record::ROUTINES);
        system.extend(kernel::hal::RECORD_ROUTINES);
        system.extend(windows_api::ROUTINES);
        system.extend(application::routines(true));
        system.extend(stack_segment::ROUTINES);
        system.extend(kernel::hal::ROUTINES);
        let system = system.into_iter().map(|routine| (None, routine.name));
        let of_drivers = drivers.iter().flat_map(|&(name, routines)| {
            routines.iter().map(move |routine| (Some(name), routine.name))
        });
        system.chain(of_drivers).collect()
    }
}
