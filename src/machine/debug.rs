//! Debug exceptions: a data breakpoint on the word that a stack segment is loaded from.
//!
//! `mov ss` and `pop ss` keep debug exceptions out until the instruction behind them is done, so that a
//! stack pointer can be loaded undisturbed; a breakpoint that they meet themselves is delivered only then.
//! When that instruction is `syscall`, it is delivered at ring 0, before the kernel's first instruction,
//! with the stack that user mode had (Intel SDM volume 3A, "Masking Exceptions and Interrupts When
//! Switching Stacks"; Peterson and Nemes, "POP SS/MOV SS Vulnerability", 2018).
//!
//! One breakpoint a processor, and only this instruction meets it: what else debug registers do decides
//! nothing of isolation.

use crate::base::{Rule, Structure};

use super::Machine;
use super::processor::Processor;
use super::trap::Trap;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "stack-segment-delays-breakpoint",
        "A breakpoint met by a load of SS is delivered after the next instruction, `syscall` included.",
        "Intel SDM volume 3A, Masking Exceptions and Interrupts When Switching Stacks",
    ),
    Rule::chosen(
        "breakpoint-for-stack-segment-only",
        "One data breakpoint a processor, met by loads of SS alone, until the address space changes.",
        "this model: stands for DR0 to DR3 and DR7",
    ),
];

/// Of what waits with the interrupts: a breakpoint that was met, kept out until the next step is done.
pub(super) const KEPT_OUT: u32 = 1 << 30;
/// The same, now due.
pub(super) const DUE: u32 = 1 << 29;
/// Both.
pub(super) const DEBUG_PENDING: u32 = KEPT_OUT | DUE;

impl Processor<'_> {
    /// Sets the data breakpoint, 0 for none (`mov dr0` with DR7).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn set_breakpoint(&mut self, virt: u64) -> Result<(), Trap> {
        self.require_ring_0()?;
        self.registers_mut().breakpoint = virt;
        Ok(())
    }

    /// Loads the stack segment from memory (`mov ss`, `pop ss`). Which selector is there does not matter
    /// here: segments have no bases.
    ///
    /// # Errors
    ///
    /// What the load raises.
    pub fn load_stack_segment(&mut self, virt: u64) -> Result<(), Trap> {
        self.load_at(virt, Structure::UserData)?;
        let registers = self.registers_mut();
        if virt != 0 && registers.breakpoint == virt {
            registers.pending |= KEPT_OUT;
        }
        Ok(())
    }
}

impl Machine {
    /// Between two steps: a breakpoint that was kept out becomes due, one that is due is delivered.
    #[cold]
    #[inline(never)]
    pub(super) fn attend_breakpoint(&mut self, number: usize) {
        let pending = &mut self.processors[number].registers.pending;
        if *pending & DUE == 0 {
            *pending ^= DEBUG_PENDING;
            return;
        }
        *pending &= !DUE;
        Processor { machine: self, number }.raise(Trap::plain(Trap::DEBUG));
    }
}
