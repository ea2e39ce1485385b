//! One processor at work: what a step can ask of it.
//!
//! Every access is translated, passes its injection point and leaves an event. Nothing else reads
//! or writes simulated memory on behalf of software.

use crate::base::{
    Access, Event, EventKind, Field, PhysAddr, Principal, Ring, Structure, VirtAddr,
};
use crate::injection::{Operation, PointKind, Verdict};

use super::Machine;
use super::code::Flow;
use super::paging::x86_64::Request;
use super::registers::{ALIGNMENT_CHECK, ARGUMENTS, Reg, Registers};
use super::trap::Trap;

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
    /// claim. Only ring 0 can.
    ///
    /// # Panics
    ///
    /// At ring 3: user-mode code has nobody to announce to, so this is our bug.
    pub fn announce(
        &mut self,
        kind: EventKind,
        subject: Principal,
        structure: Structure,
        fields: [u64; 4],
    ) {
        assert!(self.ring() == Ring::Kernel, "only the kernel makes claims");
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

    /// Says what the acting principal can see of a finished operation: the operation's number, its
    /// status, and a hash of the bytes it got.
    pub fn observe(&mut self, operation: u64, status: u64, bytes: u64) {
        let event =
            Event { value: operation, old: status, virt: bytes, ..self.blank(EventKind::Observe) };
        self.say(event);
    }

    /// Says that the loaded address space's process asks for service `number`.
    pub fn request(&mut self, number: u64, first: u64, second: u64) {
        let event =
            Event { value: number, old: first, virt: second, ..self.blank(EventKind::Request) };
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
        self.machine.strike_if_due(Some(self.number), operation)
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

    /// Where the tables lead now, rights aside and without effect. For claims and names, never for
    /// an access.
    #[must_use]
    pub fn locate(&self, virt: u64) -> Option<u64> {
        self.machine.locate(self.number, VirtAddr(virt))
    }

    // ---- memory -------------------------------------------------------------------------------

    /// Reads the 8 bytes at `virt`, meaning to find a `structure` there.
    ///
    /// # Errors
    ///
    /// What the translation raises, or an injected exception.
    #[inline(never)]
    pub fn load_at(&mut self, virt: u64, structure: Structure) -> Result<u64, Trap> {
        let Some(phys) = self.plainly(virt, PointKind::Load, Access::Read) else {
            return self.load_carefully(virt, structure);
        };
        let value = self.machine.memory.read(phys);
        let struck = self.machine.struck;
        let event = Event {
            structure,
            mask: WHOLE,
            phys: phys.raw(),
            virt,
            value,
            struck,
            ..self.blank(EventKind::Load)
        };
        self.say(event);
        Ok(value)
    }

    /// The way of most accesses: of a whole word, through a cached translation, past a point at which
    /// nobody waits. The point is counted. `None` leaves everything as it was.
    #[inline(always)]
    fn plainly(&mut self, virt: u64, kind: PointKind, access: Access) -> Option<PhysAddr> {
        let machine = &mut *self.machine;
        let state = machine.processors.get(self.number)?;
        // With room for the event there is no allocator to call on this way.
        let has_room = machine.events.len() < machine.events.capacity();
        if !virt.is_multiple_of(8) || machine.points.awaits_kind(kind) || !has_room {
            return None;
        }
        let phys = state.hit(virt, access)?;
        machine.points.reached += 1;
        Some(phys)
    }

    #[cold]
    #[inline(never)]
    fn load_carefully(&mut self, virt: u64, structure: Structure) -> Result<u64, Trap> {
        let mut virt = virt;
        // A strike at this access marks this access only; one at the step marks all of the step.
        let step_is_struck = self.machine.struck;
        if self.machine.points.reach(PointKind::Load) {
            let mut operation = self.operation(PointKind::Load, virt, 0, WHOLE);
            match self.point_watched(&mut operation) {
                Verdict::Skip => return Ok(operation.value),
                Verdict::Raise(vector) => return Err(Trap::plain(vector)),
                _ => virt = operation.virt,
            }
        }
        let result = if virt.is_multiple_of(8) {
            self.load_word(virt, structure, WHOLE)
        } else {
            self.load_unaligned(virt, structure)
        };
        self.machine.struck = step_is_struck;
        result
    }

    #[inline(always)]
    fn load_word(&mut self, virt: u64, structure: Structure, mask: u8) -> Result<u64, Trap> {
        let phys = self.translate(virt, Access::Read)?;
        let value = self.machine.memory.read(phys);
        let struck = self.machine.struck;
        let event = Event {
            structure,
            mask,
            phys: phys.raw() & !7,
            virt,
            value,
            struck,
            ..self.blank(EventKind::Load)
        };
        self.say(event);
        Ok(value)
    }

    #[cold]
    fn load_unaligned(&mut self, virt: u64, structure: Structure) -> Result<u64, Trap> {
        let shift = virt % 8;
        let low = self.load_word(virt & !7, structure, WHOLE << shift)?;
        let high = self.load_word((virt & !7).wrapping_add(8), structure, !(WHOLE << shift))?;
        Ok(low >> (8 * shift) | high << (64 - 8 * shift))
    }

    /// Writes the 8 bytes at `virt`, meaning to change a `structure` there.
    ///
    /// # Errors
    ///
    /// What the translation raises, or an injected exception.
    #[inline(never)]
    pub fn store_at(&mut self, virt: u64, structure: Structure, value: u64) -> Result<(), Trap> {
        let Some(at) = self.plainly(virt, store_point(structure), Access::Write) else {
            return self.store_masked(virt, structure, value, WHOLE);
        };
        let old = self.machine.write_physical(at, value);
        let struck = self.machine.struck;
        let event = Event {
            structure,
            mask: WHOLE,
            phys: at.raw(),
            virt,
            value,
            old,
            struck,
            ..self.blank(EventKind::Store)
        };
        self.say(event);
        Ok(())
    }

    /// Writes the low `bytes` (1 to 8) bytes of `value` at `virt`.
    ///
    /// # Errors
    ///
    /// What the translation raises, or an injected exception.
    pub fn store_bytes(
        &mut self,
        virt: u64,
        structure: Structure,
        value: u64,
        bytes: u64,
    ) -> Result<(), Trap> {
        self.store_masked(virt, structure, value, mask_of(bytes))
    }

    #[inline(never)]
    fn store_masked(
        &mut self,
        virt: u64,
        structure: Structure,
        value: u64,
        mask: u8,
    ) -> Result<(), Trap> {
        let kind = store_point(structure);
        let (mut virt, mut value, mut mask) = (virt, value, mask);
        let step_is_struck = self.machine.struck;
        if self.machine.points.reach(kind) {
            let mut operation = self.operation(kind, virt, value, mask);
            match self.point_watched(&mut operation) {
                Verdict::Skip => return Ok(()),
                Verdict::Raise(vector) => return Err(Trap::plain(vector)),
                _ => (virt, value, mask) = (operation.virt, operation.value, operation.mask),
            }
        }
        let result = self.store_at_any(virt, structure, value, mask);
        self.machine.struck = step_is_struck;
        result
    }

    #[inline(always)]
    fn store_at_any(
        &mut self,
        virt: u64,
        structure: Structure,
        value: u64,
        mask: u8,
    ) -> Result<(), Trap> {
        let shift = virt % 8;
        if shift == 0 {
            return self.store_word(virt, structure, value, mask);
        }
        self.store_word(virt & !7, structure, value << (8 * shift), mask << shift)?;
        #[allow(clippy::cast_possible_truncation, reason = "the part of the mask that spills over")]
        let spill = (u16::from(mask) << shift >> 8) as u8;
        if spill != 0 {
            self.store_word(
                (virt & !7).wrapping_add(8),
                structure,
                value >> (64 - 8 * shift),
                spill,
            )?;
        }
        Ok(())
    }

    #[inline(always)]
    fn store_word(
        &mut self,
        virt: u64,
        structure: Structure,
        value: u64,
        mask: u8,
    ) -> Result<(), Trap> {
        let phys = self.translate(virt, Access::Write)?;
        let at = PhysAddr::truncated(phys.raw() & !7);
        let new = if mask == WHOLE {
            value
        } else {
            let bits = bits_of(mask);
            self.machine.memory.read(at) & !bits | value & bits
        };
        let old = self.machine.write_physical(at, new);
        let struck = self.machine.struck;
        let event = Event {
            structure,
            mask,
            phys: at.raw(),
            virt,
            value: new,
            old,
            struck,
            ..self.blank(EventKind::Store)
        };
        self.say(event);
        Ok(())
    }

    /// Reads a field of the structure at `base`.
    ///
    /// # Errors
    ///
    /// What the translation raises, or an injected exception.
    #[inline]
    pub fn load(&mut self, base: u64, field: Field) -> Result<u64, Trap> {
        self.load_at(base.wrapping_add(field.offset), field.structure)
    }

    /// Changes a field of the structure at `base`.
    ///
    /// # Errors
    ///
    /// What the translation raises, or an injected exception.
    #[inline]
    pub fn store(&mut self, base: u64, field: Field, value: u64) -> Result<(), Trap> {
        self.store_at(base.wrapping_add(field.offset), field.structure, value)
    }

    /// Fills `words` words from an 8-byte aligned address on with `value`, as `rep stosq` does:
    /// one event a page.
    ///
    /// # Errors
    ///
    /// What the translation of a page raises; pages before it are filled.
    pub fn fill(
        &mut self,
        virt: u64,
        structure: Structure,
        value: u64,
        words: u64,
    ) -> Result<(), Trap> {
        let (operation, verdict) = self.pass_point(PointKind::Copy, virt, words)?;
        if verdict == Verdict::Skip {
            return Ok(());
        }
        let (mut at, mut left) = (operation.virt & !7, operation.value.min(WORDS_MAX));
        while left > 0 {
            let here = left.min((4096 - at % 4096) / 8);
            let phys = self.translate(at, Access::Write)?.raw();
            let mut changed = 0;
            for word in 0..here {
                let at = PhysAddr::truncated(phys + word * 8);
                changed += u64::from(self.machine.write_physical(at, value) != value);
            }
            let struck = self.machine.struck;
            let event = Event {
                structure,
                mask: WHOLE,
                phys,
                virt: at,
                value: here,
                old: changed,
                struck,
                ..self.blank(EventKind::StoreRun)
            };
            self.say(event);
            at = at.wrapping_add(here * 8);
            left -= here;
        }
        Ok(())
    }

    /// Copies `bytes` bytes, 8 at a time and then the rest, as `rep movs` does. Returns a hash of the
    /// bytes copied.
    ///
    /// # Errors
    ///
    /// What the translation of a word raises; words before it are copied.
    pub fn copy(
        &mut self,
        target: u64,
        into: Structure,
        source: u64,
        from: Structure,
        bytes: u64,
    ) -> Result<u64, Trap> {
        let (operation, verdict) = self.pass_point(PointKind::Copy, target, bytes)?;
        if verdict == Verdict::Skip {
            return Ok(0);
        }
        let bytes = operation.value.min(1 << 16);
        let mut hash = 0;
        let mut done = 0;
        while done < bytes {
            let here = (bytes - done).min(8);
            let word = self.load_at(source.wrapping_add(done), from)? & bits_of(mask_of(here));
            let to = operation.virt.wrapping_add(done);
            if here == 8 {
                self.store_at(to, into, word)?;
            } else {
                self.store_masked(to, into, word, mask_of(here))?;
            }
            hash = mix(hash, word);
            done += here;
        }
        Ok(hash)
    }

    /// Reads `bytes` bytes and returns a hash of them: what a principal sees of a buffer.
    ///
    /// # Errors
    ///
    /// What the translation of a word raises.
    pub fn inspect(&mut self, source: u64, from: Structure, bytes: u64) -> Result<u64, Trap> {
        let mut hash = 0;
        let mut done = 0;
        while done < bytes.min(1 << 16) {
            let here = (bytes - done).min(8);
            let word = self.load_at(source.wrapping_add(done), from)? & bits_of(mask_of(here));
            hash = mix(hash, word);
            done += here;
        }
        Ok(hash)
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

/// The point that a store with this meaning passes.
#[inline(always)]
const fn store_point(structure: Structure) -> PointKind {
    match structure {
        Structure::PageTable => PointKind::TableStore,
        _ => PointKind::Store,
    }
}

/// The mask of the low `bytes` bytes.
#[inline(always)]
const fn mask_of(bytes: u64) -> u8 {
    if bytes >= 8 { WHOLE } else { !(WHOLE << bytes) }
}

/// The bits of the bytes in a mask.
#[inline(always)]
pub(super) const fn bits_of(mask: u8) -> u64 {
    if mask == WHOLE {
        return u64::MAX;
    }
    let mut bits = 0;
    let mut byte = 0;
    while byte < 8 {
        if mask >> byte & 1 == 1 {
            bits |= 0xff << (8 * byte);
        }
        byte += 1;
    }
    bits
}

/// Takes a word into a running hash of bytes seen.
#[inline(always)]
#[must_use]
pub const fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ word
}
