//! Whose driver is it? Its driver object says by its place where the loader put the driver's code.
//!
//! No kernel has a word for whom the books call the driver, so none is in memory.

use crate::base::Principal;
use crate::machine::Processor;

use super::layout::address;

/// Whose code the driver with this driver object has; the kernel's where no driver object is.
pub(super) fn whose_driver(p: &Processor<'_>, driver: u64) -> Principal {
    let offset = driver.wrapping_sub(address::IO_OBJECTS);
    let number = offset / address::DRIVER_OBJECT_STRIDE;
    if !offset.is_multiple_of(address::DRIVER_OBJECT_STRIDE) || number >= address::DRIVERS_MAX {
        return Principal::KERNEL;
    }
    p.linked_owner(address::DRIVER_CODE + number * address::DRIVER_STRIDE)
}
