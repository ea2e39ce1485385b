//! Driver Verifier's kernel synchronization delay fuzzing: some calls take longer, so that what runs elsewhere comes in between.
//!
//! "Kernel synchronization delay fuzzing": random delays in various routines randomise the schedules of threads. Here
//! they are in whatever takes a routine's place for Driver Verifier, but for the hardware abstraction layer's, to which
//! the kernel's data is closed: spin locks and levels, requests handed over and completed, pages locked and unlocked, and
//! with other options what those look at. Whether a routine waits one more step is drawn before each, from a sequence
//! that begins with the world's seed. This kernel has one lock and its services run with interrupts off, so what comes in
//! between is user mode on other processors, and interrupts where they are on.

use crate::base::Rule;
use crate::machine::{Processor, Trap};

use super::layout::verifier as options;
use super::verifier::{draws, is_on};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "delay-fuzzing",
        "Random delays in the kernel's routines randomise the schedules of threads.",
        "Kernel synchronization delay fuzzing",
    ),
    Rule::chosen(
        "delay-fuzzing-lengths",
        "A call waits one more step in seven of eight cases, seven steps in the mean.",
        "this model: the page tells neither the routines nor how long",
    ),
];

/// Of so many drawings …
const OUT_OF: u64 = 8;
/// … so many say that the call waits one more step.
const DELAYED: u64 = 7;

/// Whether the running routine waits one more step.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn delays(p: &mut Processor<'_>) -> Result<bool, Trap> {
    Ok(is_on(p, options::DELAY_FUZZING)? && draws(p, DELAYED, OUT_OF)?)
}
