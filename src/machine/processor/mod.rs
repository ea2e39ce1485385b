//! One processor at work: what a step can ask of it.
//!
//! Every access is translated, passes its injection point and leaves an event. Nothing else reads
//! or writes simulated memory on behalf of software.

use crate::base::{Access, Event, EventKind, PhysAddr, Principal, Ring, Structure, VirtAddr};
use crate::injection::{Operation, PointKind, Verdict};

use super::Machine;
use super::code::Flow;
use super::paging::x86_64::Request;
use super::registers::{ALIGNMENT_CHECK, ARGUMENTS, Reg, Registers};
use super::trap::Trap;

mod memory;

/// A processor of a machine, for the length of one step.
pub struct Processor<'m> {
    pub(super) machine: &'m mut Machine,
    pub(super) number: usize,
}

/// The mask of all eight bytes.
const WHOLE: u8 = 0xff;

/// Words that one operation fills or claims at most, whatever was read back for their number.
const WORDS_MAX: u64 = 1 << 16;

impl Processor<'_> {
    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// What is wrong in the code that it runs: [`Program::with_defects`](crate::machine::code::Program::with_defects).
    #[inline]
    #[must_use]
    pub fn defects(&self) -> u64 {
        self.machine.program.defects()
    }

    /// Its registers.
    #[inline(always)]
    #[must_use]
    pub fn registers(&self) -> &Registers {
        &self.machine.processors[self.number].registers
    }

    #[inline(always)]
    pub(super) fn registers_mut(&mut self) -> &mut Registers {
        &mut self.machine.processors[self.number].registers
    }

    /// A general register.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, reg: Reg) -> u64 {
        self.registers().get(reg)
    }

    /// Changes a general register.
    #[inline(always)]
    pub fn put(&mut self, reg: Reg, value: u64) {
        self.registers_mut().put(reg, value);
    }

    /// An argument of the running routine, in its register, as long as nothing overwrote it.
    ///
    /// # Panics
    ///
    /// When there is no such argument register (0 to 5).
    #[inline(always)]
    #[must_use]
    pub fn argument(&self, number: usize) -> u64 {
        self.get(ARGUMENTS[number])
    }

    /// Puts arguments into their registers, before a call.
    #[inline(always)]
    pub fn pass<const N: usize>(&mut self, arguments: [u64; N]) {
        for (reg, value) in ARGUMENTS.into_iter().zip(arguments) {
            self.put(reg, value);
        }
    }

    /// What the routine called last gave back.
    #[inline(always)]
    #[must_use]
    pub fn result(&self) -> u64 {
        self.get(Reg::Rax)
    }

    /// Returns from the routine with this result.
    #[inline(always)]
    pub fn give_back(&mut self, result: u64) -> Flow {
        self.put(Reg::Rax, result);
        Flow::Return
    }

    /// The privilege it runs at.
    #[inline(always)]
    #[must_use]
    pub fn ring(&self) -> Ring {
        self.registers().ring
    }

    /// Whose address space is loaded (an observer's note: for events, not for decisions).
    #[must_use]
    pub fn context(&self) -> Principal {
        self.registers().context
    }

    // ---- events -------------------------------------------------------------------------------

    #[inline(always)]
    pub(super) fn blank(&self, kind: EventKind) -> Event {
        let registers = self.registers();
        #[allow(clippy::cast_possible_truncation, reason = "few processors")]
        let processor = self.number as u8;
        Event {
            kind,
            actor: registers.actor,
            context: registers.context,
            subject: registers.actor,
            structure: Structure::Free,
            mask: 0,
            processor,
            struck: false,
            phys: 0,
            virt: 0,
            value: 0,
            old: 0,
        }
    }

    #[inline(always)]
    pub(super) fn say(&mut self, event: Event) {
        self.machine.events.push(event);
    }

    /// Announces what the kernel believes to have happened; see [`EventKind`] for the fields of a
    /// claim. At ring 3 nothing: a process whose code became a step of the kernel's speaks for nobody.
    pub fn announce(
        &mut self,
        kind: EventKind,
        subject: Principal,
        structure: Structure,
        fields: [u64; 4],
    ) {
        if self.ring() != Ring::Kernel {
            return;
        }
        let [phys, virt, value, old] = fields;
        let event = Event { subject, structure, phys, virt, value, old, ..self.blank(kind) };
        self.say(event);
    }

    /// Announces a claim about `words` words from a linear address on, page by page; about no more than
    /// [`fill`](Self::fill) fills, whatever was read back for their number.
    pub fn announce_range(
        &mut self,
        kind: EventKind,
        subject: Principal,
        structure: Structure,
        virt: u64,
        words: u64,
    ) {
        let mut at = virt;
        let end = virt.saturating_add(words.min(WORDS_MAX) * 8);
        while at < end {
            let stop = end.min((at | 0xfff).saturating_add(1));
            if let Some(phys) = self.locate(at) {
                self.announce(kind, subject, structure, [phys, at, (stop - at) / 8, 0]);
            }
            at = stop;
        }
    }

    /// Announces a claim about what lies at a linear address, with a value of its own; of an address that leads
    /// nowhere as one about address 0.
    pub fn announce_at(
        &mut self,
        kind: EventKind,
        subject: Principal,
        structure: Structure,
        virt: u64,
        value: u64,
    ) {
        let phys = self.locate(virt).unwrap_or(0);
        self.announce(kind, subject, structure, [phys, virt, value, 0]);
    }

    /// Says what the acting principal can see of a finished operation: the operation's number, its
    /// status, and a hash of the bytes it got.
    pub fn observe(&mut self, operation: u64, status: u64, bytes: u64) {
        let event =
            Event { value: operation, old: status, virt: bytes, ..self.blank(EventKind::Observe) };
        self.say(event);
    }

    /// Says what the loaded address space's process asks for, from its registers.
    pub fn request(&mut self) {
        let [_, second, third, _, old, virt] = ARGUMENTS.map(|argument| self.get(argument));
        let (value, phys) = (self.get(Reg::Rax), second & 0xffff_ffff | third << 32);
        let event = Event { value, old, virt, phys, ..self.blank(EventKind::Request) };
        self.say(event);
    }

    // ---- injection points ---------------------------------------------------------------------

    /// Passes an injection point. `operation` may come back altered.
    #[inline(always)]
    pub(super) fn point(&mut self, kind: PointKind, operation: &mut Operation) -> Verdict {
        if !self.machine.points.reach(kind) {
            return Verdict::Proceed;
        }
        self.point_watched(operation)
    }

    #[cold]
    fn point_watched(&mut self, operation: &mut Operation) -> Verdict {
        self.machine.strike_if_due(Some(self.number), None, operation)
    }

    #[inline(always)]
    fn operation(&self, kind: PointKind, virt: u64, value: u64, mask: u8) -> Operation {
        Operation { kind, principal: self.registers().actor, virt, value, mask }
    }

    /// Passes an injection point of a kind that has no access of its own (allocation, free, handle
    /// look-up, probe, hand-over, copy). Returns the operation as it now stands and the verdict.
    ///
    /// # Errors
    ///
    /// An injected exception.
    pub fn pass_point(
        &mut self,
        kind: PointKind,
        virt: u64,
        value: u64,
    ) -> Result<(Operation, Verdict), Trap> {
        let mut operation = self.operation(kind, virt, value, WHOLE);
        let verdict = self.point(kind, &mut operation);
        if let Verdict::Raise(vector) = verdict {
            return Err(Trap::plain(vector));
        }
        Ok((operation, verdict))
    }

    /// As [`pass_point`](Self::pass_point), in the name of whoever called the running routine: what is
    /// wrong with the call is the caller's doing.
    ///
    /// # Errors
    ///
    /// An injected exception.
    pub fn pass_point_of_caller(
        &mut self,
        kind: PointKind,
        virt: u64,
        value: u64,
    ) -> Result<(Operation, Verdict), Trap> {
        let mut operation = self.operation(kind, virt, value, WHOLE);
        if !self.machine.points.reach(kind) {
            return Ok((operation, Verdict::Proceed));
        }
        operation.principal = self.machine.caller_principal(self.number);
        match self.point_watched(&mut operation) {
            Verdict::Raise(vector) => Err(Trap::plain(vector)),
            verdict => Ok((operation, verdict)),
        }
    }

    // ---- translation --------------------------------------------------------------------------

    /// Where the loaded tables and caches lead, with every right checked.
    ///
    /// # Errors
    ///
    /// The page fault or general protection that the access raises.
    #[inline(always)]
    pub fn translate(&mut self, virt: u64, access: Access) -> Result<PhysAddr, Trap> {
        if let Some(phys) = self.machine.processors[self.number].hit(virt, access) {
            return Ok(phys);
        }
        self.translate_slowly(virt, access)
    }

    #[cold]
    #[inline(never)]
    fn translate_slowly(&mut self, virt: u64, access: Access) -> Result<PhysAddr, Trap> {
        let state = &mut self.machine.processors[self.number];
        state.regrant();
        let request = Request {
            virt: VirtAddr(virt),
            access,
            ring: state.registers.ring,
            ac: state.registers.flags & ALIGNMENT_CHECK != 0,
            implicit: false,
            shadow_stack: false,
        };
        if let Some(phys) = state.tlb.lookup(&state.controls, &request) {
            return Ok(phys);
        }
        self.machine.walk_and_fill(self.number, &request)
    }

    /// Where the tables lead now, rights aside and without effect. For claims and names: what the kernel
    /// does follows from what it loads.
    #[must_use]
    pub(in crate::machine) fn locate(&self, virt: u64) -> Option<u64> {
        self.machine.locate(self.number, VirtAddr(virt))
    }

    // ---- the stack ----------------------------------------------------------------------------

    /// Which structure the current stack is meant to be.
    #[inline(always)]
    pub(super) fn stack_structure(&self) -> Structure {
        if self.ring() == Ring::Kernel { Structure::KernelStack } else { Structure::UserStack }
    }

    /// A local of the running routine.
    ///
    /// # Errors
    ///
    /// As [`load_at`](Self::load_at).
    #[inline]
    pub fn local(&mut self, number: u64) -> Result<u64, Trap> {
        let at = self.get(Reg::Rsp).wrapping_add(number.wrapping_mul(8));
        self.load_at(at, self.stack_structure())
    }

    /// Changes a local of the running routine.
    ///
    /// # Errors
    ///
    /// As [`store_at`](Self::store_at).
    #[inline]
    pub fn set_local(&mut self, number: u64, value: u64) -> Result<(), Trap> {
        let at = self.get(Reg::Rsp).wrapping_add(number.wrapping_mul(8));
        self.store_at(at, self.stack_structure(), value)
    }

    /// Changes a local to `value` where `meant` would be without the fault that may have struck at the last point
    /// of this step: what is as meant is no damage.
    ///
    /// # Errors
    ///
    /// As [`store_at`](Self::store_at).
    #[inline]
    pub fn set_local_for(&mut self, number: u64, value: u64, meant: u64) -> Result<(), Trap> {
        let is_struck = self.machine.struck;
        self.machine.struck = is_struck && (value != meant || self.machine.was_struck);
        let stored = self.set_local(number, value);
        self.machine.struck = is_struck;
        stored
    }

    /// Says whether the rest of this step is as it would be without the fault that may have struck at its last
    /// point.
    #[inline]
    pub fn goes_on_as_meant_if(&mut self, is_as_meant: bool) {
        self.machine.struck &= !is_as_meant || self.machine.was_struck;
    }

    /// The address of a local, to hand to a callee.
    #[must_use]
    pub fn local_address(&self, number: u64) -> u64 {
        self.get(Reg::Rsp).wrapping_add(number.wrapping_mul(8))
    }

    /// Pushes a word.
    ///
    /// # Errors
    ///
    /// As [`store_at`](Self::store_at); the stack pointer is unchanged then.
    pub fn push(&mut self, value: u64) -> Result<(), Trap> {
        let at = self.get(Reg::Rsp).wrapping_sub(8);
        self.store_at(at, self.stack_structure(), value)?;
        self.put(Reg::Rsp, at);
        if self.ring() == Ring::Kernel {
            let event = Event { virt: at, ..self.blank(EventKind::KernelPush) };
            self.say(event);
        }
        Ok(())
    }

    /// Pops a word.
    ///
    /// # Errors
    ///
    /// As [`load_at`](Self::load_at); the stack pointer is unchanged then.
    pub fn pop(&mut self) -> Result<u64, Trap> {
        let at = self.get(Reg::Rsp);
        let value = self.load_at(at, self.stack_structure())?;
        self.put(Reg::Rsp, at.wrapping_add(8));
        Ok(value)
    }
}

/// Takes a word into a running hash of bytes seen.
#[inline(always)]
#[must_use]
pub const fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ word
}
