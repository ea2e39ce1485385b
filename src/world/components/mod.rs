//! The components of the picture: what runs in user mode, and the drivers that run in kernel mode.

pub mod application;
pub mod windows_api;

use crate::base::Principal;
use crate::kernel::loader::{Loader, Placed};

use super::driver::{Drivers, HostDefinition};

/// The drivers this crate brings.
#[must_use]
pub fn drivers() -> Drivers {
    Drivers::default()
}

/// stub
pub fn register_host(
    _: &mut Loader<'_>,
    _: &Placed,
    _: &HostDefinition,
    _: u64,
    _: Principal,
    _: &[(u64, u64)],
) {
}
