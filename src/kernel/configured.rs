//! What is this kernel configured to do, and what is wrong in its code?
//!
//! Both are bits of one kernel variable, and what a wild write can reach it can change: a protection is
//! switched off, a watchdog stops. But what is wrong in code is there or is not: a write to a variable can't
//! make an instruction forget to probe. So a defect counts only in a kernel whose code has it.

use super::layout::{address, kernel_data, switches};
use crate::machine::{Processor, Trap};

/// The switches of [`switches`] that are on, defects of this kernel's code among them.
///
/// # Errors
///
/// What the access to the kernel variable raises.
pub fn configured(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let defects = p.defects();
    Ok(p.load(address::KERNEL_DATA, kernel_data::SWITCHES)? & (!switches::DEFECTS | defects))
}
