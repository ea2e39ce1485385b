//! Shadow stacks of ring 0: a return address is kept a second time, where stores don't reach.
//!
//! A call pushes the return address on both stacks and a return compares them; a difference raises
//! control protection (Intel SDM volume 1, "Control-flow Enforcement Technology"). The shadow stack pointer
//! is a register of its own, and what is done to RSP doesn't move it. Here it follows the kernel stacks that have
//! shadows, each word's [`SHADOW_OFFSET`] above it, so that no switch of stacks need load it; where RSP has
//! left them it stays where it was, and calls push there and returns compare there. Shadow pages are read-only to
//! stores. Off unless a world switches it on; returns from interrupts are not compared.

use crate::base::{Access, Event, EventKind, PhysAddr, Ring, Rule, Structure};

use super::processor::Processor;
use super::registers::Reg;
use super::trap::Trap;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "shadow-stacks",
        "A return whose address differs from the shadow stack's raises control protection.",
        "Intel SDM volume 1, Control-flow Enforcement Technology",
    ),
    Rule::chosen(
        "shadow-stacks-are-parallel",
        "The shadow pointer follows kernel stacks at a distance; returns from interrupts aren't compared.",
        "this model: no switch of stacks loads the shadow stack pointer",
    ),
    Rule::documented(
        "shadow-pointer-of-its-own",
        "Where RSP lies on no kernel stack the shadow stack pointer stays: calls and returns go on there.",
        "Intel SDM volume 1, Control-flow Enforcement Technology",
    ),
];

/// Bytes from a word of a kernel stack to its shadow.
pub const SHADOW_OFFSET: u64 = 0x1000;

/// Where shadow stacks lie: a page each, at equal distances. What hardware knows by the rights and the
/// dirty bit of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShadowStacks {
    /// The linear address of the first.
    pub first: u64,
    /// Bytes from one to the next.
    pub stride: u64,
    /// How many there are.
    pub count: u64,
}

impl ShadowStacks {
    /// Whether an address lies in one of them.
    const fn covers(self, virt: u64) -> bool {
        let within = virt.wrapping_sub(self.first);
        within / self.stride < self.count && within % self.stride < 4096
    }
}

impl Processor<'_> {
    /// Keeps the shadow of a return address at `stack`, as a call does (and WRSSQ, for a thread that is
    /// new). Nothing where there are no shadow stacks.
    ///
    /// # Errors
    ///
    /// Control protection when there is no room on a shadow stack.
    #[inline]
    pub fn shadow(&mut self, stack: u64, back: u64) -> Result<(), Trap> {
        if self.machine.shadow_stacks.is_none() || self.ring() == Ring::User {
            return Ok(());
        }
        let (at, virt) = self.shadow_of(stack, 8)?;
        let old = self.machine.write_physical(at, back);
        // That of a thread that is new is loaded when it runs.
        if stack == self.get(Reg::Rsp) {
            self.registers_mut().shadow_pointer = virt;
        }
        let event = Event {
            structure: Structure::KernelStack,
            mask: 0xff,
            phys: at.raw(),
            virt,
            value: back,
            old,
            ..self.blank(EventKind::Store)
        };
        self.say(event);
        Ok(())
    }

    /// Compares a return address from `stack` with its shadow.
    ///
    /// # Errors
    ///
    /// Control protection when they differ.
    #[inline]
    pub(super) fn compare_with_shadow(&mut self, stack: u64, back: u64) -> Result<(), Trap> {
        if self.machine.shadow_stacks.is_none() || self.ring() == Ring::User {
            return Ok(());
        }
        let (at, virt) = self.shadow_of(stack, 0)?;
        let value = self.machine.memory.read(at);
        self.registers_mut().shadow_pointer = virt.wrapping_add(8);
        let event = Event {
            structure: Structure::KernelStack,
            mask: 0xff,
            phys: at.raw(),
            virt,
            value,
            ..self.blank(EventKind::Load)
        };
        self.say(event);
        if value == back { Ok(()) } else { Err(Trap::plain(Trap::CONTROL_PROTECTION)) }
    }

    /// Where a return address that is pushed to or popped from `stack` has its shadow: beside a kernel stack, else
    /// where the pointer is, less `pushed` bytes.
    fn shadow_of(&mut self, stack: u64, pushed: u64) -> Result<(PhysAddr, u64), Trap> {
        let none = || Trap::plain(Trap::CONTROL_PROTECTION);
        let shadows = self.machine.shadow_stacks.ok_or_else(none)?;
        let beside = stack.wrapping_add(SHADOW_OFFSET) & !7;
        let own = self.registers().shadow_pointer.wrapping_sub(pushed);
        let virt = if shadows.covers(beside) { beside } else { own };
        // Nothing makes a call write where no shadow lies.
        if !shadows.covers(virt) {
            return Err(none());
        }
        let at = self.translate(virt, Access::Read).map_err(|_| none())?;
        Ok((at, virt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_lies_in_the_pages_at_equal_distances_and_nowhere_else() {
        let shadows = ShadowStacks { first: 0xffff_f800_0018_1000, stride: 0x3000, count: 2 };
        let covered = |offset: i64| shadows.covers(shadows.first.wrapping_add_signed(offset));

        let inside = [0, 0xff8, 0x3000, 0x3ff8].map(covered);
        let outside = [-8, 0x1000, 0x2ff8, 0x4000, 0x6000, i64::MIN].map(covered);

        assert_eq!((inside, outside), ([true; 4], [false; 6]));
    }
}
