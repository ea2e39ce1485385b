//! The kernel's lock: a word in memory, taken and given back in single steps.

use crate::base::Rule;
use crate::injection::{PointKind, Verdict};
use crate::machine::{Flow, Processor, Trap};

use super::layout::{address, kernel_data};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::chosen(
    "one-kernel-lock",
    "One lock guards the kernel; services run with interrupts off.",
    "this model: one processor in the kernel at a time",
)];

/// Where the lock is.
const LOCK: u64 = address::KERNEL_DATA + kernel_data::LOCK.offset;

/// Takes the lock, or runs the same step again while another processor has it.
///
/// # Errors
///
/// What the access to the lock's word raises.
pub(super) fn acquire(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (_, verdict) = p.pass_point(PointKind::Lock, LOCK, p.number() as u64)?;
    if verdict == Verdict::Skip {
        return Ok(Flow::Next);
    }
    let own = (p.number() as u64).wrapping_add(1);
    if p.compare_exchange(address::KERNEL_DATA, kernel_data::LOCK, 0, own)? != 0 {
        return Ok(Flow::Stay);
    }
    // Who takes it once more waits for itself.
    Ok(if verdict == Verdict::Repeat { Flow::Stay } else { Flow::Next })
}

/// Gives the lock back.
///
/// # Errors
///
/// What the access to the lock's word raises.
pub(super) fn release(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (_, verdict) = p.pass_point(PointKind::Unlock, LOCK, p.number() as u64)?;
    if verdict == Verdict::Skip {
        return Ok(Flow::Next);
    }
    p.store(address::KERNEL_DATA, kernel_data::LOCK, 0)?;
    Ok(Flow::Next)
}
