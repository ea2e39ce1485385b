//! Letting a due fault strike: the machine as its scene.

use crate::base::{Event, EventKind, PhysAddr, Principal, Ring, Structure, VirtAddr};
use crate::injection::{Hung, Operation, PointKind, PointRecord, Scene, Verdict};

use super::Machine;
use super::code::NO_ROUTINE;
use super::registers::Reg;
use super::tlb::Invalidation;

/// The number that stands for a device where a processor's is expected.
pub(super) const DEVICE_PROCESSOR: u8 = 0xff;

struct Stage<'m> {
    machine: &'m mut Machine,
    processor: usize,
    principal: Principal,
    /// Whether it is a device's point: then the processor is any.
    is_device: bool,
    /// Whether a register was changed: what the step does is then no longer its own doing. Memory that
    /// was changed is told by itself, and whoever reads it reads what is corrupt.
    changed: bool,
}

impl Stage<'_> {
    fn write(&mut self, processor: u8, virt: u64, phys: u64, value: u64) {
        let at = PhysAddr::truncated(phys & !7);
        let old = self.machine.write_physical(at, value);
        let differing = old ^ value;
        let mask = (0..8u8)
            .fold(0, |mask, byte| mask | u8::from(differing >> (8 * byte) & 0xff != 0) << byte);
        let context = self.machine.processors[self.processor].registers.context;
        let mut event = Event {
            kind: EventKind::Store,
            actor: self.principal,
            context,
            subject: self.principal,
            structure: Structure::Free,
            mask,
            processor,
            struck: true,
            phys: at.raw(),
            virt,
            value,
            old,
        };
        if processor != DEVICE_PROCESSOR {
            event.subject = self.machine.frame_owner(self.processor, &event);
        }
        self.machine.events.push(event);
    }
}

impl Scene for Stage<'_> {
    fn peek(&self, phys: u64) -> u64 {
        self.machine.memory.read(PhysAddr::truncated(phys))
    }

    fn poke(&mut self, phys: u64, value: u64) {
        self.write(DEVICE_PROCESSOR, 0, phys, value);
    }

    // Kernel mode can load another root or map what is mapped nowhere; user mode can't.
    #[allow(clippy::cast_possible_truncation, reason = "few processors")]
    fn store(&mut self, virt: u64, phys: u64, value: u64) {
        let ring = self.machine.processors[self.processor].registers.ring;
        let is_kernel_mode = !self.is_device && ring == Ring::Kernel;
        let by = if is_kernel_mode { self.processor as u8 } else { DEVICE_PROCESSOR };
        self.write(by, virt, phys, value);
    }

    fn store_behind(&mut self, virt: VirtAddr, value: u64) -> bool {
        !self.is_device && self.machine.store_behind(self.processor, virt, value)
    }

    fn translate(&self, virt: VirtAddr) -> Option<u64> {
        self.machine.locate(self.processor, virt)
    }

    fn may_store(&self, virt: VirtAddr) -> bool {
        !self.is_device && self.machine.may_store(self.processor, virt)
    }

    fn transfer_matters(&self, operation: &Operation, first: u64) -> bool {
        self.machine.transfer_matters(operation, first)
    }

    fn copy_matters(&self, operation: &Operation, first: u64) -> bool {
        self.machine.copy_matters(self.processor, self, operation, first)
    }

    fn is_missed(&self) -> bool {
        self.machine.is_missed()
    }

    fn register(&self, number: usize) -> u64 {
        self.machine.processors[self.processor].registers.general.get(number).copied().unwrap_or(0)
    }

    fn set_register(&mut self, number: usize, value: u64) {
        self.changed = true;
        if let Some(register) =
            self.machine.processors[self.processor].registers.general.get_mut(number)
        {
            *register = value;
        }
    }

    fn instruction_pointer(&self) -> u64 {
        self.machine.processors[self.processor].registers.rip
    }

    fn branches(&self) -> bool {
        !self.is_device && self.machine.branches(self.processor)
    }

    fn level(&self) -> u64 {
        if self.is_device { 0 } else { self.machine.processors[self.processor].registers.cr8 }
    }

    fn return_address_at(&self) -> Option<VirtAddr> {
        if self.is_device { None } else { self.machine.return_address_at(self.processor) }
    }

    fn memory_bytes(&self) -> u64 {
        self.machine.memory.bytes()
    }

    fn root(&self) -> u64 {
        // On a shadow root, as for names.
        self.machine.full_root(self.machine.processors[self.processor].controls.cr3)
    }

    // What the processor *may* hold is not narrowed by an eviction that nobody can rely on.
    fn evict(&mut self, virt: VirtAddr) {
        let state = &mut self.machine.processors[self.processor];
        state.tlb.invalidate(Invalidation::page(&state.controls, virt));
    }

    fn evict_all(&mut self) {
        self.machine.processors[self.processor].tlb.flush_all();
    }

    fn hold(&mut self, page: Option<VirtAddr>, drawn: u64) -> Option<VirtAddr> {
        self.machine.hold(self.processor, page, drawn)
    }

    fn prefetch(&mut self, virt: VirtAddr) -> bool {
        self.machine.prefetch(self.processor, virt)
    }

    fn stall(&mut self, processor: u64, nth: u64, steps: u64) -> bool {
        usize::try_from(processor).is_ok_and(|number| self.machine.stall(number, nth, steps))
    }

    fn pend(&mut self, vector: u8) {
        self.machine.raise_interrupt(self.processor, vector);
    }
}

/// Routine and step of whatever is in no code that is known.
const NOWHERE: (u16, u8) = (NO_ROUTINE, u8::MAX);

impl Machine {
    /// Lets a fault strike if one is due at this point. `processor` is `None` for a device; `place` is
    /// the routine and step that was fetched, of whoever has them at hand.
    #[cold]
    pub(super) fn strike_if_due(
        &mut self,
        processor: Option<usize>,
        place: Option<(u16, u8)>,
        operation: &mut Operation,
    ) -> Verdict {
        // Nobody waits for most points of a kind; finding out where in the code one is takes longest.
        let (kind, principal, all) =
            (operation.kind, operation.principal, self.points.is_recording());
        if !all && !self.points.awaits(kind, principal) {
            return Verdict::Proceed;
        }
        let place = place.or_else(|| Some(self.step_of(processor?)));
        let (routine, step) = place.unwrap_or(NOWHERE);
        if !all && !self.points.awaits_in(kind, principal, routine) {
            return Verdict::Proceed;
        }
        let at = processor.map(|number| {
            let registers = &self.processors[number].registers;
            (number, registers.rip, registers.get(Reg::Rbp))
        });
        let caller = at.map_or(NO_ROUTINE, |(number, instruction, frame)| {
            let known = self.points.caller_where_hung(number, instruction, frame);
            known.unwrap_or_else(|| self.caller_of(number))
        });
        // Nobody asks it of another point, nor who doesn't record.
        let has_return_address = all
            && kind == PointKind::Step
            && processor.is_some_and(|number| self.return_address_at(number).is_some());
        let branches =
            all && kind == PointKind::Step && processor.is_some_and(|number| self.branches(number));
        let is_missed =
            all && matches!(kind, PointKind::Invalidate | PointKind::Probe) && self.is_missed();
        let is_call = kind == PointKind::ModeSwitch
            && operation.virt >> 63 == 1
            && at.is_some_and(|(_, instruction, _)| instruction >> 63 == 0);
        let service = if is_call { u8::try_from(operation.value).unwrap_or(0xff) } else { 0xff };
        let level = processor.map_or(0, |number| self.processors[number].registers.cr8);
        let reached = PointRecord {
            kind: operation.kind,
            principal: operation.principal,
            routine,
            caller,
            has_return_address,
            branches,
            is_missed,
            service,
            #[allow(clippy::cast_possible_truncation, reason = "a level has four bits")]
            level: level as u8,
            step,
            number: self.points.reached - 1,
            clock: self.clock,
            argument: operation.virt,
        };
        let Some(index) = self.points.due(reached) else { return Verdict::Proceed };
        let mut fault = self.points.take(index);
        let (is_device, processor) = (processor.is_none(), processor.unwrap_or(0));
        let first = self.events.len();
        let mut stage = Stage { machine: self, processor, principal, is_device, changed: false };
        let before = *operation;
        let verdict = fault.strike(operation, &mut stage);
        let changed = stage.changed || *operation != before;
        self.points.put_back(
            index,
            fault,
            verdict.is_some(),
            at.map(|(_, instruction, _)| instruction),
        );
        let Some(verdict) = verdict else { return Verdict::Proceed };
        if let (Verdict::Hang, Some((processor, instruction, frame))) = (verdict, at) {
            self.points.hangs(Hung { processor, instruction, frame, caller });
        }
        // Legal disorder changes nothing of what is done; then the step's stores are its own.
        // What is done once more by later steps is done rightly each time.
        let is_later = matches!(operation.kind, PointKind::Dereference | PointKind::Complete);
        self.was_struck = self.struck;
        self.struck = changed
            || verdict == Verdict::Repeat && !is_later
            || verdict == Verdict::Skip && operation.kind == PointKind::Load;
        let context = self.processors[processor].registers.context;
        // What another thread of the process does behind an access is that process's doing.
        let actor = if self.behind.is_some() { context } else { principal };
        let event = Event {
            kind: EventKind::Strike,
            actor,
            context,
            subject: principal,
            structure: Structure::Free,
            mask: operation.mask,
            #[allow(clippy::cast_possible_truncation, reason = "few processors")]
            processor: processor as u8,
            struck: true,
            phys: 0,
            virt: before.virt,
            value: index as u64,
            old: operation.kind as u64,
        };
        // The strike is told before the stores it made itself.
        if first == self.events.len() {
            self.events.push(event);
        } else {
            self.events.insert(first, event);
        }
        verdict
    }

    /// The running routine and its step, from the code in memory.
    fn step_of(&self, number: usize) -> (u16, u8) {
        self.step_executed_at(number, self.processors[number].registers.rip)
    }

    /// Its caller, from the frame chain and the code in memory.
    fn caller_of(&self, number: usize) -> u16 {
        let frame = self.processors[number].registers.get(Reg::Rbp);
        self.locate(number, VirtAddr(frame.wrapping_add(8))).map_or(NO_ROUTINE, |phys| {
            let back = self.memory.read(PhysAddr::truncated(phys));
            self.step_executed_at(number, back.wrapping_sub(super::code::STEP_BYTES)).0
        })
    }

    /// Whose code called the running routine; the running routine's own where the frame chain doesn't say.
    pub(super) fn caller_principal(&self, number: usize) -> Principal {
        let registers = &self.processors[number].registers;
        let caller = self.program.routines().get(usize::from(self.caller_of(number)));
        caller.map_or(registers.actor, |caller| caller.owner.unwrap_or(registers.context))
    }

    fn step_executed_at(&self, number: usize, at: u64) -> (u16, u8) {
        self.step_at(number, at).map_or(NOWHERE, |step| (step.routine, step.index))
    }

    /// Whether the step at the instruction pointer branches.
    fn branches(&self, number: usize) -> bool {
        let step = self.step_at(number, self.processors[number].registers.rip);
        step.is_some_and(|step| step.arms.is_some())
    }
}
