//! Whose stack frame is at an address? Any code of kernel mode runs on the stack of whatever thread
//! calls it; what it keeps there while it runs is its own all the same.
//!
//! A routine's frame reaches from below the frame pointer that it saved down to the frame pointer that its
//! callee saved for it: its locals, and what it pushes to call. The frame chain is followed from
//! the registers of a processor, through return addresses, as a debugger's stack trace is.
//!
//! Source: "x64 stack usage" and "x64 prolog and epilog" (Microsoft Learn).

use crate::base::{Event, PhysAddr, Principal, VirtAddr};

use super::Machine;
use super::code::{LinkedStep, STEP_BYTES};
use super::registers::Reg;

/// Frames that are followed.
const FRAMES_MAX: usize = 32;

/// Bytes below the stack pointer that a call pushes before it is taken: return address and frame pointer.
const PUSHED: u64 = 16;

impl Machine {
    /// Whose frame a store of kernel mode hit, on the stack that its processor is on; the kernel, which keeps
    /// stacks, where it is in no frame there.
    #[cold]
    pub(super) fn frame_owner(&self, number: usize, store: &Event) -> Principal {
        let registers = &self.processors[number].registers;
        let at = store.virt & !7;
        let mut frame = registers.get(Reg::Rbp);
        let mut owner = Some(registers.actor);
        let first = registers.get(Reg::Rsp).wrapping_sub(PUSHED);
        if at < first || !VirtAddr(at).is_system() {
            return Principal::KERNEL;
        }
        for _ in 0..FRAMES_MAX {
            let Some(running) = owner else { break };
            if at < frame {
                return running;
            }
            let (Some(saved), Some(back)) = (
                self.word_before(number, frame, store),
                self.word_before(number, frame.wrapping_add(8), store),
            ) else {
                break;
            };
            if saved <= frame {
                break;
            }
            owner = self.code_owner(number, back.wrapping_sub(STEP_BYTES));
            frame = saved;
        }
        Principal::KERNEL
    }

    /// Where the return address of the running routine is. `None` where no call left one: at the base of a
    /// stack, and where a gate leads, whose frame pointer is still that of whatever was interrupted or asks
    /// for a service ("x64 prolog and epilog": a frame is what the callee's prolog sets up).
    #[cold]
    pub(super) fn return_address_at(&self, number: usize) -> Option<VirtAddr> {
        let registers = &self.processors[number].registers;
        let frame = registers.get(Reg::Rbp);
        // A call leaves the callee's locals between the two; a gate pushes far below the frame pointer.
        let locals = self.step_at(number, registers.rip).map(|running| {
            u64::from(self.program.routines()[usize::from(running.routine)].routine.frame)
        })?;
        if registers.get(Reg::Rsp) != frame.wrapping_sub(8 * locals) {
            return None;
        }
        let at = VirtAddr(frame.wrapping_add(8));
        let back = self.memory.read(PhysAddr::truncated(self.locate(number, at)?));
        // Calls don't cross the mode line; `syscall` does, before the kernel has changed the stack.
        if VirtAddr(back).is_system() != VirtAddr(registers.rip).is_system() {
            return None;
        }
        // A new thread's first frame leads to the entry of a routine, behind no call.
        let call = self.step_at(number, back.wrapping_sub(STEP_BYTES))?;
        (self.step_at(number, back)?.routine == call.routine).then_some(at)
    }

    /// What was at an address before the store.
    fn word_before(&self, number: usize, at: u64, store: &Event) -> Option<u64> {
        if at == store.virt & !7 {
            return Some(store.old);
        }
        let phys = self.locate(number, VirtAddr(at))?;
        Some(self.memory.read(PhysAddr::truncated(phys)))
    }

    /// Whose code of kernel mode is at an address.
    fn code_owner(&self, number: usize, at: u64) -> Option<Principal> {
        self.step_at(number, at)?.owner
    }

    /// The step at an address, from the code in memory.
    pub(super) fn step_at(&self, number: usize, at: u64) -> Option<&LinkedStep> {
        let phys = self.locate(number, VirtAddr(at))?;
        self.program.decode(self.memory.read(PhysAddr::truncated(phys)))
    }
}
