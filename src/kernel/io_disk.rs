//! The way of file systems to the disk.
//!
//! In the picture of "User mode and kernel mode" file-system drivers have no link to the hardware
//! abstraction layer, only to the exported driver support routines; this is the one they use.

use crate::base::Rule;
use crate::machine::{Flow, Routine, routine};

use super::hal::HAL_DISK_TRANSFER;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "file-systems-have-no-hal",
    "File-system drivers reach hardware through the driver support routines only.",
    "User mode and kernel mode",
)];

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[&IO_DISK_TRANSFER];

routine! {
    /// Moves a sector between the disk and the disk's DMA page. Arguments: sector, command as for
    /// [`HAL_DISK_TRANSFER`]. Result: the status.
    pub static IO_DISK_TRANSFER = "IoSynchronousPageTransfer", frame 0;
    forward, call HAL_DISK_TRANSFER => |_| Ok(Flow::Call),
    done => |_| Ok(Flow::Return),
}
