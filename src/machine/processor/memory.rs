//! Loads and stores: single words, bytes, and runs of them.

use crate::base::{Access, Event, EventKind, Field, PhysAddr, Ring, Structure, bits_of};
use crate::injection::{Operation, PointKind, Verdict};

use super::{Processor, WHOLE, WORDS_MAX, mix};
use crate::machine::copying::Source;
use crate::machine::trap::Trap;

impl Processor<'_> {
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
                Verdict::Raise(vector) => return Err(Trap::injected(vector, &operation)),
                _ => virt = operation.virt,
            }
        }
        let result = if virt.is_multiple_of(8) {
            self.load_word(virt, structure, WHOLE)
        } else {
            self.load_unaligned(virt, structure)
        };
        self.machine.struck = step_is_struck;
        self.machine.run_behind(self.number);
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
        if structure.is_table() && !struck {
            self.machine.entry_is_meant(at);
        }
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
        self.say_store(event);
        Ok(())
    }

    #[inline(always)]
    fn say_store(&mut self, event: Event) {
        if event.struck && self.ring() == Ring::Kernel {
            return self.say_struck_store(event);
        }
        self.say(event);
    }

    #[cold]
    #[inline(never)]
    fn say_struck_store(&mut self, event: Event) {
        let subject = self.machine.frame_owner(self.number, &event);
        self.say(Event { subject, ..event });
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
                Verdict::Raise(vector) => return Err(Trap::injected(vector, &operation)),
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
        if structure.is_table() && !struck {
            self.machine.entry_is_meant(at);
        }
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
        self.say_store(event);
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

    /// Changes a field to `new` where it is `expected`, in one piece (`lock cmpxchg`). Returns what was there.
    ///
    /// # Errors
    ///
    /// What the translation raises, or an injected exception.
    pub fn compare_exchange(
        &mut self,
        base: u64,
        field: Field,
        expected: u64,
        new: u64,
    ) -> Result<u64, Trap> {
        let found = self.load(base, field)?;
        if found == expected {
            self.machine.locked = true;
            self.store(base, field, new)?;
        }
        Ok(found)
    }

    /// Passes the point of a copy or fill.
    fn pass_copy(
        &mut self,
        source: Source,
        target: u64,
        bytes: u64,
    ) -> Result<(Operation, Verdict), Trap> {
        self.machine.copying = Some(source);
        let passed = self.pass_point(PointKind::Copy, target, bytes);
        self.machine.copying = None;
        passed
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
        // In bytes, as of every copy; a fill ends with a whole word.
        let bytes = words.saturating_mul(8);
        let was_struck = self.machine.struck;
        let (operation, verdict) = self.pass_copy(Source::Fill(value), virt, bytes)?;
        if verdict == Verdict::Skip {
            return Ok(());
        }
        let is_struck = self.machine.struck;
        let mut meant = meant_of(&operation, virt, bytes) / 8;
        let (mut at, mut left) = (operation.virt & !7, (operation.value / 8).min(WORDS_MAX));
        while left > 0 {
            let mut here = left.min((4096 - at % 4096) / 8);
            if meant > 0 {
                here = here.min(meant);
            }
            self.machine.struck = if meant > 0 { was_struck } else { is_struck };
            meant -= meant.min(here);
            let phys = self.translate(at, Access::Write)?.raw();
            let mut changed = false;
            for word in 0..here {
                let at = PhysAddr::truncated(phys + word * 8);
                changed |= self.machine.write_physical(at, value) != value;
                if structure.is_table() && !self.machine.struck {
                    self.machine.entry_is_meant(at);
                }
            }
            let struck = self.machine.struck;
            let event = Event {
                structure,
                mask: if changed { WHOLE } else { 0 },
                phys,
                virt: at,
                value: here,
                old: value,
                struck,
                ..self.blank(EventKind::StoreRun)
            };
            self.say(event);
            at = at.wrapping_add(here * 8);
            left -= here;
        }
        self.machine.struck = is_struck;
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
        let was_struck = self.machine.struck;
        let (operation, verdict) = self.pass_copy(Source::Copy(source), target, bytes)?;
        if verdict == Verdict::Skip {
            return Ok(0);
        }
        let is_struck = self.machine.struck;
        let meant = meant_of(&operation, target, bytes);
        let bytes = operation.value.min(1 << 16);
        let mut hash = 0;
        let mut done = 0;
        while done < bytes {
            let here = (bytes - done).min(8);
            self.machine.struck = if done + here <= meant { was_struck } else { is_struck };
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
        self.machine.struck = is_struck;
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
}

/// How many bytes of a copy or fill go where they are meant to, although its length was altered: those within
/// both lengths, if it goes to where it should. What else it writes is the fault's doing.
#[inline(always)]
const fn meant_of(operation: &Operation, target: u64, bytes: u64) -> u64 {
    if operation.virt != target {
        0
    } else if operation.value < bytes {
        operation.value
    } else {
        bytes
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
