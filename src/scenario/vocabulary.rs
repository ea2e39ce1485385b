//! The names a scenario may use.

use crate::faults::Registry;
use crate::world::driver::Drivers;
use crate::world::{WEAKNESSES, components};

/// The names a scenario may use. Passed by value: bring the faults and drivers of your own.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Kinds of fault.
    pub faults: Registry,
    /// Kernel-mode drivers, file systems among them.
    pub kernel_drivers: Vec<String>,
    /// User-mode drivers.
    pub hosted_drivers: Vec<String>,
    /// Weaknesses.
    pub weaknesses: Vec<String>,
    /// Classes of outcome that may be expected; none: whichever, for this layer doesn't know them.
    pub classes: Vec<String>,
    /// Guarantees that may be expected to be violated; none: whichever.
    pub guarantees: Vec<String>,
    /// Names on the axis of integrity that may be expected; none: whichever.
    pub integrities: Vec<String>,
    /// Names on the axis of availability that may be expected; none: whichever.
    pub availabilities: Vec<String>,
    /// Routines, each with the driver whose code it is in, if any.
    pub routines: Vec<(Option<String>, String)>,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::new(Registry::default(), &components::drivers())
    }
}

impl Vocabulary {
    /// The names of these faults and drivers, of every weakness and of every routine.
    #[must_use]
    pub fn new(faults: Registry, drivers: &Drivers) -> Self {
        Self {
            faults,
            kernel_drivers: drivers.kernel.iter().map(|driver| driver.name.to_owned()).collect(),
            hosted_drivers: drivers.hosted.iter().map(|driver| driver.name.to_owned()).collect(),
            weaknesses: WEAKNESSES.iter().map(|weakness| weakness.name.to_owned()).collect(),
            classes: Vec::new(),
            guarantees: Vec::new(),
            integrities: Vec::new(),
            availabilities: Vec::new(),
            routines: drivers
                .routines()
                .into_iter()
                .map(|(driver, routine)| (driver.map(str::to_owned), routine.to_owned()))
                .collect(),
        }
    }

    /// With the names that an expectation may use.
    #[must_use]
    pub fn expecting<'a>(
        mut self,
        classes: impl IntoIterator<Item = &'a str>,
        guarantees: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.classes = classes.into_iter().map(str::to_owned).collect();
        self.guarantees = guarantees.into_iter().map(str::to_owned).collect();
        self
    }

    /// With the names on the two axes that an expectation may use.
    #[must_use]
    pub fn expecting_axes<'a>(
        mut self,
        integrities: impl IntoIterator<Item = &'a str>,
        availabilities: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.integrities = integrities.into_iter().map(str::to_owned).collect();
        self.availabilities = availabilities.into_iter().map(str::to_owned).collect();
        self
    }
}
