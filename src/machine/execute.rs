//! The inner loop: accept an interrupt, fetch, decode, run, follow.

use crate::base::{Access, Event, EventKind, Structure};
use crate::injection::{Operation, PointKind, Verdict};

use super::Machine;
use super::code::{Flow, STEP_BYTES};
use super::processor::Processor;
use super::registers::{INTERRUPT_FLAG, Reg};
use super::trap::Trap;

impl Machine {
    /// Runs one step on a processor. What happened is in [`events`](Machine::events) afterwards.
    pub fn step(&mut self, number: usize) {
        self.clock += 1;
        let registers = &self.processors[number].registers;
        if registers.pending != 0 {
            if registers.halted && registers.flags & INTERRUPT_FLAG == 0 {
                return;
            }
            Processor { machine: self, number }.accept_interrupt();
        }
        if self.stopped || self.processors[number].registers.halted {
            return;
        }
        let mut processor = Processor { machine: self, number };
        if let Err(trap) = processor.fetch_and_run() {
            // What the processor pushes to deliver the exception is no longer the struck operation.
            processor.machine.struck = false;
            processor.raise(trap);
        }
        self.struck = false;
    }
}

impl Processor<'_> {
    #[inline]
    fn fetch_and_run(&mut self) -> Result<(), Trap> {
        let rip = self.registers().rip;
        let phys = self.translate(rip, Access::Execute)?;
        if !rip.is_multiple_of(8) || rip % 4096 > 4096 - STEP_BYTES {
            return Err(Trap::plain(Trap::INVALID_OPCODE));
        }
        let word = self.machine.memory.read(phys);
        let operand = self.machine.memory.read(phys.plus(8));
        let Some(step) = self.machine.program.decode(word) else {
            return Err(Trap::plain(Trap::INVALID_OPCODE));
        };
        let registers = self.registers_mut();
        registers.actor = step.owner.unwrap_or(registers.context);
        let event = Event {
            structure: Structure::Code,
            mask: 0xff,
            phys: phys.raw(),
            virt: rip,
            value: word,
            old: operand,
            ..self.blank(EventKind::Step)
        };
        self.say(event);

        if self.machine.points.reach(PointKind::Step) {
            let mut operation = Operation {
                kind: PointKind::Step,
                principal: self.registers().actor,
                virt: rip,
                value: word,
                mask: 0xff,
            };
            match self.machine.strike_if_due(Some(self.number), &mut operation) {
                Verdict::Proceed => {}
                Verdict::Skip => return self.follow(Flow::Next, rip, step.index, operand),
                Verdict::Repeat => {
                    (step.run)(self)?;
                }
                Verdict::Raise(vector) => return Err(Trap::plain(vector)),
                Verdict::Jump(target) => {
                    self.registers_mut().rip = target;
                    return Ok(());
                }
                Verdict::Hang => return Ok(()),
            }
        }
        let flow = (step.run)(self)?;
        self.follow(flow, rip, step.index, operand)
    }

    #[inline]
    fn follow(&mut self, flow: Flow, rip: u64, index: u8, operand: u64) -> Result<(), Trap> {
        let next = rip.wrapping_add(STEP_BYTES);
        match flow {
            Flow::Next => self.registers_mut().rip = next,
            Flow::To(to) => {
                let start = rip.wrapping_sub(u64::from(index) * STEP_BYTES);
                self.registers_mut().rip = start.wrapping_add(u64::from(to) * STEP_BYTES);
            }
            Flow::Call => self.call(operand, next)?,
            Flow::CallAt(target) => self.call(target, next)?,
            Flow::Return => self.return_to_caller()?,
            Flow::Syscall => self.enter_kernel()?,
            Flow::SysReturn => self.leave_kernel()?,
            Flow::InterruptReturn => self.interrupt_return()?,
            Flow::Halt => {
                self.registers_mut().rip = next;
                self.registers_mut().halted = true;
            }
            Flow::Stay => {}
        }
        Ok(())
    }

    /// Pushes the return address and the caller's frame pointer and makes room for the callee's
    /// locals, whose number the callee's first code word implies.
    fn call(&mut self, target: u64, back: u64) -> Result<(), Trap> {
        let phys = self.translate(target, Access::Execute)?;
        let word = self.machine.memory.read(phys);
        // A target that is no code is found out when it is fetched, with the call already made.
        let frame = self.machine.program.decode(word).map_or(0, |step| {
            self.machine.program.routines()[usize::from(step.routine)].routine.frame
        });
        let stack = self.get(Reg::Rsp);
        self.push(back)?;
        if let Err(trap) = self.shadow(self.get(Reg::Rsp), back) {
            self.put(Reg::Rsp, stack);
            return Err(trap);
        }
        if let Err(trap) = self.push(self.get(Reg::Rbp)) {
            self.put(Reg::Rsp, stack);
            return Err(trap);
        }
        let frame_pointer = self.get(Reg::Rsp);
        self.put(Reg::Rbp, frame_pointer);
        self.put(Reg::Rsp, frame_pointer.wrapping_sub(u64::from(frame) * 8));
        self.registers_mut().rip = target;
        Ok(())
    }

    /// Drops the frame, pops the caller's frame pointer and the return address.
    fn return_to_caller(&mut self) -> Result<(), Trap> {
        let frame_pointer = self.get(Reg::Rbp);
        let structure = self.stack_structure();
        let caller_frame = self.load_at(frame_pointer, structure)?;
        let back = self.load_at(frame_pointer.wrapping_add(8), structure)?;
        self.compare_with_shadow(frame_pointer.wrapping_add(8), back)?;
        let registers = self.registers_mut();
        registers.put(Reg::Rsp, frame_pointer.wrapping_add(16));
        registers.put(Reg::Rbp, caller_frame);
        registers.rip = back;
        Ok(())
    }
}
