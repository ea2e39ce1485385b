//! Which structures a driver works on at its home, when the same code runs in kernel mode and in a host.
//!
//! In kernel mode they are the kernel's and the driver's own; in a host all of them are the host's private data.
//! The mode says which. An argument that did would be a word for faults to hit that no driver has.

use crate::base::{Ring, Structure};
use crate::kernel::request::{control_code, function};
use crate::machine::Processor;

fn at_home(p: &Processor<'_>, in_kernel_mode: Structure) -> Structure {
    if p.ring() == Ring::Kernel { in_kernel_mode } else { Structure::UserData }
}

/// The data of a buffered request.
pub(super) fn request(p: &Processor<'_>) -> Structure {
    at_home(p, Structure::SystemBuffer)
}

/// The driver's page.
pub(super) fn page(p: &Processor<'_>) -> Structure {
    at_home(p, Structure::DriverData)
}

/// A block that the driver asked for.
pub(super) fn block(p: &Processor<'_>) -> Structure {
    at_home(p, Structure::PoolBlock)
}

/// Whether it is a control code with a function beyond the first `functions`, and no offset in a file.
pub(super) const fn is_beyond(code: u64, functions: u64) -> bool {
    code >> 16 == control_code(0, 0, 0) >> 16 && function(code) >= functions
}

/// Functions of device control that drivers have which do the same for each.
const FUNCTIONS: u64 = 4;

/// Whether a driver that does the same for each of its functions lacks the one of this control code.
pub(super) const fn lacks(code: u64) -> bool {
    is_beyond(code, FUNCTIONS)
}
