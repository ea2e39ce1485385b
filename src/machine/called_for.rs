//! What is a call for? The program's text says so at the call, and nothing in memory does.
//!
//! An allocator doesn't know what becomes of the memory that it is called for; the caller does, as a compiler
//! does of the types in a program's text. Claims and accesses name it. Passed as an argument it would be a word
//! that no kernel has, and a fault that hits it would change what is believed of memory, and memory not at all.
//! So the frame chain is followed to the call, as a debugger's stack trace is, and the step there has it. Who
//! changes a return address changes who gets the memory, and is told so.
//!
//! Source: "x64 stack usage" and "x64 prolog and epilog" (Microsoft Learn).

use crate::base::{PhysAddr, Principal, Structure, VirtAddr};

use super::Machine;
use super::code::{LinkedStep, STEP_BYTES};
use super::processor::Processor;
use super::registers::Reg;

/// Calls that are followed: a routine may hand its caller's order on to another.
const CALLS_MAX: usize = 3;

/// What a call is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CalledFor {
    /// What the memory is that is handed out.
    pub structure: Structure,
    /// Whose code asked for it.
    pub caller: Principal,
}

impl Machine {
    fn called_for(&self, number: usize) -> Option<CalledFor> {
        let registers = &self.processors[number].registers;
        let mut frame = registers.get(Reg::Rbp);
        for _ in 0..CALLS_MAX {
            let back = self.word_at(number, frame.wrapping_add(8))?;
            let call = self.call_before(back)?;
            if let Some(structure) = call.of {
                let caller = call.owner.unwrap_or(registers.context);
                return Some(CalledFor { structure, caller });
            }
            frame = self.word_at(number, frame)?;
        }
        None
    }

    /// The call that a return address is behind.
    fn call_before(&self, back: u64) -> Option<&LinkedStep> {
        self.program.linked_at(VirtAddr(back.wrapping_sub(STEP_BYTES)))
    }

    fn word_at(&self, number: usize, at: u64) -> Option<u64> {
        let phys = self.locate(number, VirtAddr(at))?;
        Some(self.memory.read(PhysAddr::truncated(phys)))
    }
}

impl Processor<'_> {
    /// What the running routine was called for, by the text of its caller, or of whose order that one hands on.
    /// `None` where nothing there says so: the frame chain is damaged. For claims and for the meaning of an
    /// access, never for a decision.
    #[must_use]
    pub fn called_for(&self) -> Option<CalledFor> {
        self.machine.called_for(self.number)
    }

    /// Whose code of kernel mode was linked at an address; the kernel's where none was. For claims, never for a
    /// decision.
    #[must_use]
    pub fn linked_owner(&self, at: u64) -> Principal {
        let step = self.machine.program.linked_at(VirtAddr(at));
        step.and_then(|step| step.owner).unwrap_or(Principal::KERNEL)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::code::{Flow, Image, Program, Routine};
    use super::super::held::testing::{PAGE, machine, pte};
    use super::*;
    use crate::machine::paging::x86_64::{ControlFlags, Entry};
    use crate::machine::routine;

    const DRIVER: Principal = Principal(2);
    const CODE: u64 = 0xffff_f800_0001_0000;

    routine! {
        static ALLOCATES = "allocates", frame 0;
        done => |_| Ok(Flow::Return),
    }
    routine! {
        static HANDS_ON = "hands on", frame 0;
        on, call ALLOCATES => |_| Ok(Flow::Call),
        done => |_| Ok(Flow::Return),
    }
    routine! {
        static ASKS = "asks", frame 0;
        first, call HANDS_ON, of Mdl => |_| Ok(Flow::Call),
        second, call ALLOCATES, of PoolBlock => |_| Ok(Flow::Call),
        nothing, call ALLOCATES => |_| Ok(Flow::Call),
        done => |_| Ok(Flow::Return),
    }

    /// What the running routine was called for with these return addresses in its frame chain. No code is in
    /// memory, and nothing else is on the stack.
    fn called_for<const N: usize>(owner: Option<Principal>, chain: [u64; N]) -> Option<CalledFor> {
        let routines: Vec<&'static Routine> = vec![&ALLOCATES, &HANDS_ON, &ASKS];
        let image = Image { name: "driver".into(), owner, base: VirtAddr(CODE), routines };
        let mut machine = machine(ControlFlags::NONE);
        machine.program = Arc::new(Program::link(&[image]));
        machine.write_physical(pte(PAGE), 8 << 12 | Entry::P | Entry::RW);
        for (number, back) in (0..).zip(chain) {
            let frame = PhysAddr::truncated(0x8000 + 32 * number);
            machine.write_physical(frame, PAGE.0 + 32 * (number + 1));
            machine.write_physical(PhysAddr::truncated(frame.raw() + 8), back);
        }
        machine.processors[0].registers.put(Reg::Rbp, PAGE.0);
        Processor { machine: &mut machine, number: 0 }.called_for()
    }

    /// The return address of a call: the step behind it.
    fn behind(routine: usize, step: u64) -> u64 {
        CODE + STEP_BYTES * ([0, 1, 3][routine] + step + 1)
    }

    #[test]
    fn the_text_of_the_caller_says_what_a_call_is_for_and_whose_code_it_is() {
        let told = |chain: &[u64]| match chain {
            [one] => called_for(Some(DRIVER), [*one]),
            [one, two] => called_for(Some(DRIVER), [*one, *two]),
            _ => None,
        };
        let is = |structure| Some(CalledFor { structure, caller: DRIVER });

        assert_eq!(told(&[behind(2, 1)]), is(Structure::PoolBlock));
        assert_eq!(told(&[behind(1, 0), behind(2, 0)]), is(Structure::Mdl), "it is handed on");
        assert_eq!(told(&[behind(2, 2)]), None, "that call is for nothing");
        assert_eq!(told(&[behind(2, 1) ^ 1 << 40]), None, "the return address is damaged");
        assert_eq!(told(&[behind(1, 0), 0]), None);
    }

    #[test]
    fn code_of_user_mode_asks_for_the_process_that_runs_it() {
        let told = called_for(None, [behind(2, 1)]);

        assert_eq!(told.map(|call| call.caller), Some(Principal::KERNEL), "whose root is loaded");
    }
}
