//! Tables that the code under test reaches through themselves: an entry of the root names the root, so that
//! every table appears at a linear address of its own.
//!
//! Nothing is mapped at those addresses in this process. An access there faults, is translated by the walk by
//! the book, and becomes one to the window. An instruction that is not made in the code's stead is executed
//! with another base register, which is set back behind it.
//!
//! What a processor may still remember of those addresses is not modelled: each access is translated anew.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::super::Memory;
use super::context::Context;
use super::instruction::general;
use super::trap::Trap;
use crate::base::{PhysAddr, VirtAddr};
use crate::conformance::format::index;

/// A register that holds another value for one instruction.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    register: usize,
    by: u64,
    is_set_back: bool,
}

impl Moved {
    /// The instruction has been executed.
    pub(super) fn set_back(self, context: &mut Context<'_>) {
        if let (true, Some(value)) = (self.is_set_back, context.general(self.register)) {
            context.set_general(self.register, value.wrapping_sub(self.by));
        }
    }
}

impl Memory {
    /// Where the code's own tables say that one of their addresses leads. Where they say nothing, it is told as
    /// the last page of the window, which has no memory.
    pub(super) fn through_tables(&self, trap: &Trap, address: u64) -> Option<u64> {
        let wanted = trap.recursive()?;
        let (format, virt) = (self.0.format, VirtAddr(address));
        let is_canonical = format.first_of(1, VirtAddr(address & !0xfff), 0).0 == address & !0xfff;
        if !is_canonical || index(format, format.levels(), virt) != wanted {
            return None;
        }
        let entry_at = |at: PhysAddr| self.peek(at);
        let reached = format.translate(&entry_at, self.loaded_root()?, virt);
        let nowhere = (trap.window.reach().end - 0x1000) | address & 0xfff;
        Some(reached.map_or(nowhere, |reached| reached.address.raw()))
    }

    /// The root that a processor has loaded.
    fn loaded_root(&self) -> Option<PhysAddr> {
        #[cfg(feature = "privileged-shim")]
        if let Some(root) = self.loaded_control_3() {
            return Some(root);
        }
        self.0.books.borrow().root
    }
}

/// Lets the instruction find at `to` what it wants at `from`. `None` when it can't be made to.
pub(super) fn redirect(
    instruction: &Instruction,
    (from, to): (u64, u64),
    context: &mut Context<'_>,
) -> Option<Moved> {
    let is_stack = [Register::RSP, Register::None].contains(&instruction.memory_base());
    let operands = instruction.op_count();
    let memory = (0..operands).filter(|&operand| instruction.op_kind(operand) == OpKind::Memory);
    if is_stack || memory.count() != 1 {
        return None;
    }
    let (register, 64) = general(instruction.memory_base())? else { return None };
    if general(instruction.memory_index()).is_some_and(|(index, _)| index == register) {
        return None;
    }
    let mut is_set_back = true;
    for operand in 0..operands {
        if instruction.op_kind(operand) != OpKind::Register {
            continue;
        }
        // A part of a register counts as all of it.
        let used = instruction.op_register(operand);
        if whole(used) != Some(register) {
            continue;
        }
        let is_load = matches!(
            instruction.mnemonic(),
            Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd
        );
        // What is loaded to a part of it leaves the rest, which is moved, where it is.
        if !is_load || operand != 0 || general(used).is_none() {
            return None;
        }
        is_set_back = false;
    }
    let by = to.wrapping_sub(from);
    let moved = context.general(register)?.wrapping_add(by);
    context.set_general(register, moved);
    Some(Moved { register, by, is_set_back })
}

/// The number of the general register that it is, or a part of.
fn whole(register: Register) -> Option<usize> {
    let place = |first: Register| (register as usize).checked_sub(first as usize);
    if let Some((number, _)) = general(register) {
        return Some(number);
    }
    if let Some(number) = place(Register::AX).filter(|number| *number < 16) {
        return Some(number);
    }
    // AL to BL, AH to BH, then SPL and those that follow it.
    match place(Register::AL)? {
        number @ 0..4 => Some(number),
        number @ 4..20 => Some(number - 4),
        _ => None,
    }
}
