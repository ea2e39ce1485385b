//! The ways in and out of the kernel where user mode runs on shadow roots.
//!
//! Entries begin on the shadow root and end on the full one, exits the other way round. So their code
//! is in both, in an image of its own, and what they touch before or after is too: the interrupt
//! table, the task-state segments, the stacks of the interrupt stack table, and for each processor a
//! page with its roots and a stack for the gates ("KVA Shadow: Mitigating Meltdown on Windows").
//! Each entry goes on where its gate would lead without shadow roots, and
//! finds there what it would.
//!
//! An entry takes ring 0 in the frame to mean that the full root is loaded. Where that is wrong,
//! which takes an exception in the entry itself, the next fetch fails on the shadow root, until the
//! stack ends and a double fault finds its own way to the full root.

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::registers::USER_CODE;
use crate::machine::{Flow, Processor, Reg, Routine, Trap, routine};

use super::exception::{self, KI_DEBUG_TRAP_CHECKED, KI_DOUBLE_FAULT, frame};
use super::layout::{address, processor_block, switches, transition_block};
use super::paging::load_tagged_root;
use super::system_call::KI_SYSTEM_SERVICE_USER;
use super::watchdog::KI_WATCHDOG_TICK_SHADOWED;
use super::{host_time_out, interrupt};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "entries-load-the-kernel-s-root",
        "Each entry from user mode loads the full root, each exit the shadow root.",
        "KVA Shadow: Mitigating Meltdown on Windows",
    ),
    Rule::inferred(
        "gates-enter-on-a-transition-stack",
        "Gates from user mode use a stack of the processor that both roots map; the frame is moved on.",
        "Linux documentation, Page Table Isolation (PTI)",
    ),
    Rule::chosen(
        "own-stacks-name-their-processor",
        "The word above a stack of the interrupt stack table says where its processor's block is.",
        "this model: GS can't be trusted there",
    ),
];

/// The name of the image.
pub const IMAGE: &str = "nt KVASCODE";

/// Bytes from a processor's block to its transition block.
const BLOCK_OFFSET: u64 = address::TRANSITION_BLOCKS - address::PROCESSOR_BLOCKS;
/// Bytes of the frame that a gate pushes.
const FRAME_BYTES: u64 = 48;
/// Bytes from the frame on a stack of the interrupt stack table to the word that names its processor.
const OWN_BLOCK: u64 = FRAME_BYTES + 8;

/// The running processor's transition block, while GS is the kernel's.
pub(super) fn block_of(p: &Processor<'_>) -> u64 {
    p.gs().wrapping_add(BLOCK_OFFSET)
}

/// Whether the frame that a gate pushed is of user mode.
fn is_from_user(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let stack = p.get(Reg::Rsp);
    Ok(p.load_at(stack.wrapping_add(frame::CS), Structure::KernelStack)? == USER_CODE)
}

/// Copies the frame at the stack pointer below `top`, and goes on there.
fn move_frame(p: &mut Processor<'_>, top: u64) -> Result<(), Trap> {
    let (from, to) = (p.get(Reg::Rsp), top.wrapping_sub(FRAME_BYTES));
    for offset in (0..FRAME_BYTES).step_by(8) {
        let word = p.load_at(from.wrapping_add(offset), Structure::KernelStack)?;
        p.store_at(to.wrapping_add(offset), Structure::KernelStack, word)?;
    }
    p.set_stack(to);
    Ok(())
}

/// Loads the full root, if the frame is of user mode; goes on with the handler otherwise.
fn enter(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    if !is_from_user(p)? {
        return Ok(Flow::Jump);
    }
    p.swap_gs()?;
    let root = p.load(block_of(p), transition_block::KERNEL_ROOT)?;
    load_tagged_root(p, root)?;
    Ok(Flow::Next)
}

/// Moves the frame to the thread's stack, as the gate would have pushed it there.
fn go_on(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let top = p.load(p.gs(), processor_block::KERNEL_STACK)?;
    move_frame(p, top)?;
    p.swap_gs()?;
    Ok(Flow::Jump)
}

macro_rules! entries {
    ($($(#[$meta:meta])* $NAME:ident = $text:literal, $handler:path;)*) => {
        $(routine! {
            $(#[$meta])*
            pub static $NAME = $text, frame 0;
            enter, call $handler => enter,
            go_on, call $handler => go_on,
        })*
    };
}

entries! {
    /// Where the gate of vector 0 leads.
    KI_DIVIDE_ERROR_SHADOW = "KiDivideErrorFaultShadow", exception::KI_DIVIDE_ERROR;
    /// Where the gate of vector 1 led until May 2018.
    KI_DEBUG_TRAP_SHADOW = "KiDebugTrapOrFaultShadow", exception::KI_DEBUG_TRAP;
    /// Where the gate of vector 3 leads.
    KI_BREAKPOINT_SHADOW = "KiBreakpointTrapShadow", exception::KI_BREAKPOINT;
    /// Where the gate of vector 6 leads.
    KI_INVALID_OPCODE_SHADOW = "KiInvalidOpcodeFaultShadow", exception::KI_INVALID_OPCODE;
    /// Where the gates of vectors 11 and 13 lead.
    KI_GENERAL_PROTECTION_SHADOW = "KiGeneralProtectionFaultShadow", exception::KI_GENERAL_PROTECTION;
    /// Where the gate of vector 14 leads.
    KI_PAGE_FAULT_SHADOW = "KiPageFaultShadow", exception::KI_PAGE_FAULT;
    /// The same where pageable memory may be away.
    KI_PAGE_FAULT_PAGED_SHADOW = "KiPageFaultPagedShadow", exception::KI_PAGE_FAULT_PAGED;
    /// Where the gate of vector 20 leads.
    KI_SECURE_FAULT_SHADOW = "KiSecureFaultShadow", exception::KI_SECURE_FAULT;
    /// Where the gate of vector 21 leads.
    KI_CONTROL_PROTECTION_SHADOW = "KiControlProtectionFaultShadow", exception::KI_CONTROL_PROTECTION;
    /// Where the gate of vector 29h leads.
    KI_FAST_FAIL_SHADOW = "KiRaiseSecurityCheckFailureShadow", exception::KI_FAST_FAIL;
    /// Where the clock's gate leads.
    KI_CLOCK_INTERRUPT_SHADOW = "KiClockInterruptShadow", interrupt::KI_CLOCK_INTERRUPT_SHADOWED;
    /// The same where late integrity checks are on.
    KI_CLOCK_INTERRUPT_CHECKING_SHADOW = "KiClockInterruptCheckingShadow",
        interrupt::KI_CLOCK_INTERRUPT_CHECKING_SHADOWED;
    /// The same where pageable memory may be away.
    KI_CLOCK_INTERRUPT_TRIMMING_SHADOW = "KiClockInterruptTrimmingShadow",
        interrupt::KI_CLOCK_INTERRUPT_TRIMMING_SHADOWED;
    /// Where the transfer device's gate leads.
    KI_TRANSFER_INTERRUPT_SHADOW = "KiTransferInterruptShadow", interrupt::KI_TRANSFER_INTERRUPT_SHADOWED;
    /// The same where the watchdogs tick.
    KI_TRANSFER_INTERRUPT_WATCHED_SHADOW = "KiTransferInterruptWatchedShadow",
        interrupt::KI_TRANSFER_INTERRUPT_WATCHED_SHADOWED;
    /// Where the disk's gate leads.
    KI_DISK_INTERRUPT_SHADOW = "KiDiskInterruptShadow", interrupt::KI_DISK_INTERRUPT_SHADOWED;
    /// Where the timer's gate leads.
    KI_TIMER_INTERRUPT_SHADOW = "KiTimerInterruptShadow", host_time_out::KI_TIMER_INTERRUPT_SHADOWED;
    /// Where the gate of interprocessor interrupts leads.
    KI_INTERPROCESSOR_INTERRUPT_SHADOW = "KiIpiInterruptShadow",
        interrupt::KI_INTERPROCESSOR_INTERRUPT_SHADOWED;
}

/// The root of the system, on a stack of the interrupt stack table: the frame's processor may have any
/// root loaded, and any GS.
fn system_root(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let at = p.get(Reg::Rsp).wrapping_add(OWN_BLOCK);
    let block = p.load_at(at, Structure::KernelStack)?;
    p.load(block, transition_block::SYSTEM_ROOT)
}

routine! {
    /// Where the gate of vector 8 leads.
    pub static KI_DOUBLE_FAULT_SHADOW = "KiDoubleFaultAbortShadow", frame 0;
    enter, call KI_DOUBLE_FAULT => |p| {
        let root = system_root(p)?;
        load_tagged_root(p, root)?;
        Ok(Flow::Jump)
    },
}

routine! {
    /// Where the gate of vector 2 leads where the watchdogs tick. The root that was loaded waits on the
    /// stack.
    pub static KI_WATCHDOG_TICK_SHADOW = "KiWatchdogTickShadow", frame 0;
    enter, call KI_WATCHDOG_TICK_SHADOWED => |p| {
        let root = system_root(p)?;
        let before = p.root()?;
        p.push(before)?;
        load_tagged_root(p, root)?;
        Ok(Flow::Jump)
    },
}

routine! {
    /// The way back from there: loads the root that waits on the stack.
    pub static KI_WATCHDOG_EXIT = "KiWatchdogExit", frame 0;
    load => |p| {
        let root = p.pop()?;
        load_tagged_root(p, root)?;
        Ok(Flow::Next)
    },
    leave => |_| Ok(Flow::InterruptReturn),
}

routine! {
    /// Where the gate of vector 1 leads since May 2018. User mode's breakpoint at the first step of
    /// `syscall`'s entry is passed over on whatever root is there.
    pub static KI_DEBUG_TRAP_CHECKED_SHADOW = "KiDebugTrapOrFaultCheckedShadow", frame 0;
    enter, call KI_DEBUG_TRAP_CHECKED => |p| {
        if !is_from_user(p)? {
            return Ok(Flow::InterruptReturn);
        }
        p.swap_gs()?;
        let root = p.load(block_of(p), transition_block::KERNEL_ROOT)?;
        load_tagged_root(p, root)?;
        p.swap_gs()?;
        Ok(Flow::Jump)
    },
}

routine! {
    /// Where `syscall` leads.
    pub static KI_SYSTEM_CALL_SHADOW = "KiSystemCall64Shadow", frame 0;
    enter => |p| {
        p.swap_gs()?;
        let root = p.load(block_of(p), transition_block::KERNEL_ROOT)?;
        load_tagged_root(p, root)?;
        Ok(Flow::Next)
    },
    go_on, call KI_SYSTEM_SERVICE_USER => |_| Ok(Flow::Jump),
}

routine! {
    /// The way back from a system service, and to a thread's first step in user mode: the stack pointer
    /// is in the processor's block, all else in its register.
    pub static KI_SERVICE_EXIT = "KiKernelSysretExit", frame 0;
    change_stack => |p| {
        let user_stack = p.load(p.gs(), processor_block::USER_STACK)?;
        p.set_stack(user_stack);
        let switches = configured(p)?;
        let is_weak = switches & switches::RETURN_ON_FULL_ROOT != 0;
        Ok(if is_weak { Flow::To(At::leave as u8) } else { Flow::Next })
    },
    load => |p| {
        let root = p.load(block_of(p), transition_block::USER_ROOT)?;
        load_tagged_root(p, root)?;
        Ok(Flow::Next)
    },
    leave => |p| {
        p.swap_gs()?;
        Ok(Flow::SysReturn)
    },
}

routine! {
    /// The way back to user mode from an interrupt: the frame is on the thread's stack, all else in its
    /// register.
    pub static KI_INTERRUPT_EXIT = "KiKernelExit", frame 0;
    move_frame => |p| {
        let top = block_of(p).wrapping_add(4096);
        move_frame(p, top)?;
        Ok(Flow::Next)
    },
    load => |p| {
        let root = p.load(block_of(p), transition_block::USER_ROOT)?;
        load_tagged_root(p, root)?;
        Ok(Flow::Next)
    },
    leave => |p| {
        p.swap_gs()?;
        Ok(Flow::InterruptReturn)
    },
}

/// Entries, each with the handler whose gate leads there instead.
const ENTRIES: &[(&Routine, &Routine)] = &[
    (&exception::KI_DIVIDE_ERROR, &KI_DIVIDE_ERROR_SHADOW),
    (&exception::KI_DEBUG_TRAP, &KI_DEBUG_TRAP_SHADOW),
    (&exception::KI_DEBUG_TRAP_CHECKED, &KI_DEBUG_TRAP_CHECKED_SHADOW),
    (&exception::KI_BREAKPOINT, &KI_BREAKPOINT_SHADOW),
    (&exception::KI_INVALID_OPCODE, &KI_INVALID_OPCODE_SHADOW),
    (&exception::KI_DOUBLE_FAULT, &KI_DOUBLE_FAULT_SHADOW),
    (&exception::KI_GENERAL_PROTECTION, &KI_GENERAL_PROTECTION_SHADOW),
    (&exception::KI_PAGE_FAULT, &KI_PAGE_FAULT_SHADOW),
    (&exception::KI_PAGE_FAULT_PAGED, &KI_PAGE_FAULT_PAGED_SHADOW),
    (&exception::KI_SECURE_FAULT, &KI_SECURE_FAULT_SHADOW),
    (&exception::KI_CONTROL_PROTECTION, &KI_CONTROL_PROTECTION_SHADOW),
    (&exception::KI_FAST_FAIL, &KI_FAST_FAIL_SHADOW),
    (&interrupt::KI_CLOCK_INTERRUPT, &KI_CLOCK_INTERRUPT_SHADOW),
    (&interrupt::KI_CLOCK_INTERRUPT_CHECKING, &KI_CLOCK_INTERRUPT_CHECKING_SHADOW),
    (&interrupt::KI_CLOCK_INTERRUPT_TRIMMING, &KI_CLOCK_INTERRUPT_TRIMMING_SHADOW),
    (&interrupt::KI_TRANSFER_INTERRUPT, &KI_TRANSFER_INTERRUPT_SHADOW),
    (&interrupt::KI_TRANSFER_INTERRUPT_WATCHED, &KI_TRANSFER_INTERRUPT_WATCHED_SHADOW),
    (&interrupt::KI_DISK_INTERRUPT, &KI_DISK_INTERRUPT_SHADOW),
    (&interrupt::KI_INTERPROCESSOR_INTERRUPT, &KI_INTERPROCESSOR_INTERRUPT_SHADOW),
    (&host_time_out::KI_TIMER_INTERRUPT, &KI_TIMER_INTERRUPT_SHADOW),
    (&super::watchdog::KI_WATCHDOG_TICK, &KI_WATCHDOG_TICK_SHADOW),
];

/// Where a gate leads in a kernel with these [`switches`], that of `handler` otherwise.
pub(super) fn entry_for(switches: u64, handler: &'static Routine) -> &'static Routine {
    if switches & switches::KVA_SHADOW == 0 {
        return handler;
    }
    let entry = ENTRIES.iter().find(|(of, _)| core::ptr::eq(*of, handler));
    entry.map_or(handler, |&(_, entry)| entry)
}

/// The routines of the image, for gates that lead to these handlers.
#[must_use]
pub fn routines(handlers: &[&'static Routine]) -> Vec<&'static Routine> {
    let mut found: Vec<&'static Routine> =
        vec![&KI_SYSTEM_CALL_SHADOW, &KI_SERVICE_EXIT, &KI_INTERRUPT_EXIT, &KI_WATCHDOG_EXIT];
    for handler in handlers {
        let entry = entry_for(switches::KVA_SHADOW, handler);
        let is_new = !found.iter().any(|known| core::ptr::eq(*known, entry));
        if is_new && !core::ptr::eq(entry, *handler) {
            found.push(entry);
        }
    }
    found
}
