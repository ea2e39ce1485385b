//! What stands below the kernel of a world: the second level of permissions, which frames it closes and
//! to what; and where shadow stacks lie.
//!
//! Set when the world is built, by whoever stands below the kernel; nothing in a world changes it.

use crate::base::{Frame, Rule, VirtAddr};
use crate::kernel::layout::address;
use crate::machine::code::STEP_BYTES;
use crate::machine::second_level::SecondLevel;
use crate::machine::shadow_stack::{SHADOW_OFFSET, ShadowStacks};
use crate::machine::trap::second_level::{EXECUTE, WRITE};
use crate::machine::{Machine, Program};

use super::configuration::MachineConfiguration;

/// A shadow above each kernel stack.
pub(super) const SHADOWS: ShadowStacks = ShadowStacks {
    first: address::KERNEL_STACKS + SHADOW_OFFSET,
    stride: address::KERNEL_STACK_STRIDE,
    count: address::KERNEL_STACKS_MAX,
};

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "protected-sections",
        "A driver has a section of its image made read-only from below: for all, and for good.",
        "MmProtectDriverSection function; Introducing Kernel Data Protection",
    ),
    Rule::inferred(
        "protected-sections-by-bug-check",
        "A write there is bug check 0x18D with 4, whatever the page tables say of the page.",
        "Bug Check 0x18D: SECURE_FAULT_UNHANDLED (names no mechanism)",
    ),
    Rule::chosen(
        "protected-tables",
        "The service table and the interrupt table are protected with the drivers' sections.",
        "this model: kernel tables that nobody writes once they are made",
    ),
];

/// Pages of the kernel whose data is protected: what the loader writes and nobody after it. The page tables close
/// the first and leave the second writable, as they leave a driver's section.
const PROTECTED: [u64; 2] = [address::SERVICE_TABLE, address::INTERRUPT_TABLE];

/// The frame that a system address lies in.
fn frame_of(machine: &Machine, virt: u64) -> Option<Frame> {
    machine.locate(0, VirtAddr(virt)).map(|phys| Frame(phys >> 12))
}

/// The frames of kernel-mode code.
fn code_frames(machine: &Machine, program: &Program) -> Vec<Frame> {
    let mut frames = Vec::new();
    for linked in program.routines().iter().filter(|linked| linked.owner.is_some()) {
        let bytes = STEP_BYTES * linked.routine.steps.len() as u64;
        let (first, last) = (linked.entry.0 >> 12, (linked.entry.0 + bytes - 1) >> 12);
        frames.extend((first..=last).filter_map(|page| frame_of(machine, page << 12)));
    }
    frames
}

/// What a world's switches close. `sections` are those of drivers' images that are set up once.
pub(super) fn second_level(
    machine: &Machine,
    program: &Program,
    options: &MachineConfiguration,
    sections: &[u64],
) -> SecondLevel {
    if !options.code_integrity && !options.protected_data {
        return SecondLevel::default();
    }
    let count = machine.memory.frame_count();
    let mut level = SecondLevel::new(usize::try_from(count).expect("a small machine"));
    if options.code_integrity {
        for frame in 0..count {
            level.refuse(Frame(frame), EXECUTE);
        }
        for frame in code_frames(machine, program) {
            level.refuse_only(frame, WRITE);
        }
    }
    if options.protected_data {
        let pages = PROTECTED.iter().chain(sections);
        for frame in pages.filter_map(|&virt| frame_of(machine, virt)) {
            level.refuse(frame, WRITE);
        }
    }
    level
}
