//! The inner loop: accept an interrupt, fetch, decode, run, follow.

use crate::base::{Access, Event, EventKind, PhysAddr, Ring, Structure, VirtAddr};
use crate::injection::{Operation, PointKind, Verdict};

use super::Machine;
use super::code::{Flow, LinkedStep, STEP_BYTES, StepFn};
use super::debug::DEBUG_PENDING;
use super::processor::Processor;
use super::registers::{INTERRUPT_FLAG, NON_MASKABLE_PENDING, Reg};
use super::trap::Trap;

impl Machine {
    /// Runs one step on a processor. What happened is in [`events`](Machine::events) afterwards.
    pub fn step(&mut self, number: usize) {
        self.clock += 1;
        if self.stalls && self.stands(number) {
            return;
        }
        if self.processors[number].registers.pending != 0 {
            self.attend(number);
        }
        if self.stopped || self.processors[number].registers.halted {
            return;
        }
        let first = self.events.len();
        let mut processor = Processor { machine: self, number };
        if let Err(trap) = processor.fetch_and_run() {
            processor.fail(trap);
        }
        self.struck = false;
        if self.stalls {
            self.stall_after(number, first);
        }
        self.locked = false;
    }

    /// Accepts an interrupt that waits, unless interrupts are off and it is maskable.
    #[inline]
    fn attend(&mut self, number: usize) {
        let registers = &self.processors[number].registers;
        if registers.pending & DEBUG_PENDING != 0 {
            return self.attend_breakpoint(number);
        }
        if registers.flags & INTERRUPT_FLAG != 0 || registers.pending & NON_MASKABLE_PENDING != 0 {
            self.accept(number);
        }
    }

    #[cold]
    #[inline(never)]
    fn accept(&mut self, number: usize) {
        Processor { machine: self, number }.accept_interrupt();
    }
}

impl Processor<'_> {
    #[cold]
    #[inline(never)]
    fn fail(&mut self, trap: Trap) {
        // What the processor pushes to deliver the exception is no longer the struck operation.
        self.machine.struck = false;
        self.fetches_in_vain();
        self.raise(trap);
    }

    #[inline(always)]
    fn fetch_and_run(&mut self) -> Result<(), Trap> {
        let rip = self.registers().rip;
        let phys = self.translate(rip, Access::Execute)?;
        if !rip.is_multiple_of(8) || rip % 4096 > 4096 - STEP_BYTES {
            return Err(Trap::plain(Trap::INVALID_OPCODE));
        }
        // The processor is looked up once for all of this.
        let Machine { memory, processors, points, events, program, .. } = &mut *self.machine;
        let [word, operand] = memory.read_two(phys);
        let Some(&LinkedStep { run, routine, index, owner, .. }) = program.decode(word) else {
            return Err(self.undecodable(rip, phys));
        };
        let registers = &mut processors[self.number].registers;
        let context = registers.context;
        // Whatever code user mode runs, it is the process that runs it.
        let actor = owner.filter(|_| registers.ring == Ring::Kernel).unwrap_or(context);
        registers.actor = actor;
        events.push(Event {
            kind: EventKind::Step,
            actor,
            context,
            subject: actor,
            structure: Structure::Code,
            mask: 0xff,
            #[allow(clippy::cast_possible_truncation, reason = "few processors")]
            processor: self.number as u8,
            struck: false,
            phys: phys.raw(),
            virt: rip,
            value: word,
            old: operand,
        });

        if points.reach(PointKind::Step) {
            return self.run_watched(run, (routine, index), rip, word, operand);
        }
        let flow = run(self)?;
        self.follow(flow, rip, index, operand)
    }

    /// What was fetched is no code: its bytes were read all the same.
    #[cold]
    #[inline(never)]
    fn undecodable(&mut self, rip: u64, phys: PhysAddr) -> Trap {
        self.fetches_in_vain();
        let blank = self.blank(EventKind::LoadRun);
        let (phys, words) = (phys.raw(), STEP_BYTES / 8);
        let event = Event { structure: Structure::Code, phys, virt: rip, value: words, ..blank };
        self.machine.events.push(event);
        Trap::plain(Trap::INVALID_OPCODE)
    }

    /// No step runs where a fetch fails; whatever user mode fetches, the process does.
    fn fetches_in_vain(&mut self) {
        let registers = self.registers_mut();
        if registers.ring == Ring::User {
            registers.actor = registers.context;
        }
    }

    /// Runs a step that a fault may wait for.
    #[inline(never)]
    fn run_watched(
        &mut self,
        run: StepFn,
        place: (u16, u8),
        rip: u64,
        word: u64,
        operand: u64,
    ) -> Result<(), Trap> {
        let index = place.1;
        let mut operation = Operation {
            kind: PointKind::Step,
            principal: self.registers().actor,
            virt: rip,
            value: word,
            mask: 0xff,
        };
        match self.machine.strike_if_due(Some(self.number), Some(place), &mut operation) {
            Verdict::Proceed => {}
            Verdict::Skip => return self.follow(Flow::Next, rip, index, operand),
            Verdict::Repeat => {
                run(self)?;
                // Nothing runs once the machine has stopped, nor the same again.
                if self.machine.stopped {
                    return Ok(());
                }
            }
            Verdict::Raise(vector) => return Err(Trap::plain(vector)),
            Verdict::Jump(target) => {
                self.registers_mut().rip = target;
                return Ok(());
            }
            Verdict::Hang => return Ok(()),
            Verdict::OtherArm => {
                let flow = run(self)?;
                let arms = self.machine.program.decode(word).and_then(|step| step.arms);
                let other = arms.map_or(flow, |arms| arms.other_than(flow, index, operand != 0));
                return self.follow(other, rip, index, operand);
            }
        }
        let flow = run(self)?;
        self.follow(flow, rip, index, operand)
    }

    #[inline(always)]
    fn follow(&mut self, flow: Flow, rip: u64, index: u8, operand: u64) -> Result<(), Trap> {
        match flow {
            Flow::Next => self.registers_mut().rip = rip.wrapping_add(STEP_BYTES),
            Flow::To(to) => {
                let start = rip.wrapping_sub(u64::from(index) * STEP_BYTES);
                self.registers_mut().rip = start.wrapping_add(u64::from(to) * STEP_BYTES);
            }
            _ => return self.follow_far(flow, rip.wrapping_add(STEP_BYTES), operand),
        }
        Ok(())
    }

    #[inline(never)]
    fn follow_far(&mut self, flow: Flow, next: u64, operand: u64) -> Result<(), Trap> {
        match flow {
            Flow::Call => self.call(operand, next)?,
            Flow::CallAt(target) => self.call(target, next)?,
            Flow::Jump => {
                self.refuse_non_canonical(operand)?;
                self.registers_mut().rip = operand;
            }
            Flow::Return => self.return_to_caller()?,
            Flow::Syscall => self.enter_kernel()?,
            Flow::SysReturn => self.leave_kernel()?,
            Flow::InterruptReturn => self.interrupt_return()?,
            Flow::Halt => {
                self.registers_mut().rip = next;
                self.registers_mut().halted = true;
            }
            Flow::Next | Flow::To(_) | Flow::Stay => {}
        }
        Ok(())
    }

    /// Pushes the return address and the caller's frame pointer and makes room for the callee's
    /// locals, whose number the callee's first code word implies.
    fn call(&mut self, target: u64, back: u64) -> Result<(), Trap> {
        let target = self.pass_in_registers(PointKind::Call, target, back)?.virt;
        // A target that is no code, or nowhere, is found out when it is fetched, with the call already made;
        // only one that is not canonical is refused at the call (Intel SDM volume 2A, "CALL").
        let routine = match self.translate(target, Access::Execute) {
            Ok(phys) => {
                let word = self.machine.memory.read(phys);
                self.machine.program.decode(word).map(|step| step.routine)
            }
            Err(trap) if trap.vector == Trap::GENERAL_PROTECTION => return Err(trap),
            // What is only away for now is that routine's once it is back.
            Err(_) => self.machine.program.routine_at(VirtAddr(target)),
        };
        let frame = routine
            .map_or(0, |number| self.machine.program.routines()[usize::from(number)].routine.frame);
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

    /// Passes the point of a call or return, where only registers can be altered: what is pushed or popped
    /// then is as it should be.
    #[inline(always)]
    fn pass_in_registers(
        &mut self,
        kind: PointKind,
        virt: u64,
        value: u64,
    ) -> Result<Operation, Trap> {
        let principal = self.registers().actor;
        let mut operation = Operation { kind, principal, virt, value, mask: 0xff };
        let step_is_struck = self.machine.struck;
        let verdict = self.point(kind, &mut operation);
        self.machine.struck = step_is_struck;
        match verdict {
            Verdict::Raise(vector) => Err(Trap::plain(vector)),
            _ => Ok(operation),
        }
    }

    /// General protection at the instruction that would go to an address that is not canonical, before anything
    /// of it is done (Intel SDM volume 2, "64-Bit Mode Exceptions" of JMP, RET and IRET).
    #[inline(always)]
    pub(super) fn refuse_non_canonical(&self, target: u64) -> Result<(), Trap> {
        if self.machine.processors[self.number].controls.is_canonical(VirtAddr(target)) {
            Ok(())
        } else {
            Err(Trap::non_canonical(target))
        }
    }

    /// Drops the frame, pops the caller's frame pointer and the return address.
    fn return_to_caller(&mut self) -> Result<(), Trap> {
        let frame_pointer = self.get(Reg::Rbp);
        let structure = self.stack_structure();
        let caller_frame = self.load_at(frame_pointer, structure)?;
        let back = self.load_at(frame_pointer.wrapping_add(8), structure)?;
        self.compare_with_shadow(frame_pointer.wrapping_add(8), back)?;
        self.refuse_non_canonical(back)?;
        let result = self.get(Reg::Rax);
        let result = self.pass_in_registers(PointKind::Return, back, result)?.value;
        let registers = self.registers_mut();
        registers.put(Reg::Rax, result);
        registers.put(Reg::Rsp, frame_pointer.wrapping_add(16));
        registers.put(Reg::Rbp, caller_frame);
        registers.rip = back;
        Ok(())
    }
}
