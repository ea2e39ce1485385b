//! User-mode code that loads its stack segment: a few instructions that compilers never make, linked into
//! a world only where an application's action asks for them.

use crate::base::Rule;
use crate::kernel::layout::address;
use crate::kernel::service;
use crate::machine::code::STEP_BYTES;
use crate::machine::{Flow, Reg, Routine, routine};
use crate::world::action::place;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[Rule::documented(
    "mov-ss-defers",
    "A debug exception of a stack-segment load waits for the next instruction's end.",
    "Intel SDM volume 3, Masking Exceptions and Interrupts When Switching Stacks; CVE-2018-8897",
)];

/// The routines of the image.
pub const ROUTINES: &[&Routine] = &[&LOAD_AND_ASK, &LOAD_AND_GO_ON];

/// The word that the segment is loaded from: the process's first private word.
pub const SELECTOR: u64 = address::USER_BUFFERS + place::PRIVATE;

routine! {
    /// `mov ss`, then `syscall`.
    pub static LOAD_AND_ASK = "LoadStackSegmentAndAsk", frame 0;
    load => |p| {
        p.put(Reg::Rax, service::YIELD);
        p.load_stack_segment(SELECTOR)?;
        Ok(Flow::Next)
    },
    ask => |_| Ok(Flow::Syscall),
    done => |_| Ok(Flow::Return),
}

routine! {
    /// `mov ss`, then an instruction of no consequence.
    pub static LOAD_AND_GO_ON = "LoadStackSegmentAndGoOn", frame 0;
    load => |p| {
        p.load_stack_segment(SELECTOR)?;
        Ok(Flow::Next)
    },
    go_on => |_| Ok(Flow::Next),
    done => |_| Ok(Flow::Return),
}

/// Where the code begins that has a system call behind the load, or hasn't.
#[must_use]
pub const fn entry(system_call: bool) -> u64 {
    let bytes = if system_call { 0 } else { LOAD_AND_ASK.steps.len() as u64 * STEP_BYTES };
    address::USER_SEGMENT + bytes
}
