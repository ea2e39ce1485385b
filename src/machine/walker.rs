//! The hardware walker: a miss in the cache is a walk, its marks, and a fill.

use crate::base::{Access, Event, EventKind, PhysAddr, Ring, Structure, VirtAddr};

use super::Machine;
use super::paging::x86_64::{self, Controls, Exception, Request, Walker};
use super::registers::ALIGNMENT_CHECK;
use super::tlb::Invalidation;
use super::trap::Trap;

/// Bit of a page fault's error code: the page was there.
const PRESENT: u32 = 1;

impl Machine {
    /// Walks the tables, sets accessed and dirty bits, remembers the translation.
    #[cold]
    pub(super) fn walk_and_fill(
        &mut self,
        number: usize,
        request: &Request,
    ) -> Result<PhysAddr, Trap> {
        let controls = self.processors[number].controls;
        if !self.changed_entries.are_none() {
            self.say_what_is_read(number, &controls, request.virt);
        }
        // Mostly there is no more to say than where the address leads.
        if !self.second_level.is_on() {
            let state = &mut self.processors[number];
            let walker = Walker::new(&controls, request);
            let found = state.tlb.fetch_or_leave(&walker, &self.memory, request.virt);
            if let Some(address) = found {
                if state.grants.are_of(&controls) {
                    state.tlb.decide_at(request.virt, &state.grants);
                }
                return Ok(address);
            }
        }
        let walk = match x86_64::walk(&self.memory, &controls, request) {
            Ok(walk) => walk,
            Err(exception) => {
                if self.flaws.reads_supervisor && request.is_user_mode() {
                    let forwarded = self.read_despite_the_user_bit(&controls, request);
                    if let Some(address) = forwarded {
                        return Ok(address);
                    }
                }
                let state = &mut self.processors[number];
                let invalidation = Invalidation::page_fault(&controls, request.virt);
                state.tlb.invalidate(invalidation);
                state.may_hold.invalidate(invalidation);
                return Err(match exception {
                    Exception::PageFault { virt, code } => {
                        let mask = if self.flaws.denies_presence { !PRESENT } else { !0 };
                        Trap::page_fault(code.0 & mask, virt.0)
                    }
                    Exception::GeneralProtection => {
                        Trap::non_canonical_access(request.virt.0, request.access)
                    }
                });
            }
        };
        if self.second_level.is_on() {
            let ring = if request.is_user_mode() { Ring::User } else { Ring::Kernel };
            let refused = self.second_level.refused(walk.address.frame(), request.access, ring);
            if refused != 0 {
                #[allow(clippy::cast_possible_truncation, reason = "three bits")]
                return Err(Trap::virtualization(refused as u32, request.virt.0));
            }
        }
        for &(at, bits) in walk.marks.items() {
            self.mark(number, request.virt, at, bits);
        }
        let state = &mut self.processors[number];
        if !self.second_level.is_on() {
            state.tlb.fill(&controls, request, &walk);
        } else if let Some(narrowed) = self.second_level.narrowed(&walk) {
            state.tlb.fill(&controls, request, &narrowed);
        }
        if state.grants.are_of(&controls) {
            state.tlb.decide_at(request.virt, &state.grants);
        }
        Ok(walk.address)
    }

    /// What a load at ring 3 finds where a load at ring 0 would find something, on a processor with that
    /// flaw.
    #[cold]
    fn read_despite_the_user_bit(
        &self,
        controls: &Controls,
        request: &Request,
    ) -> Option<PhysAddr> {
        if request.access != Access::Read {
            return None;
        }
        let request = Request { ring: Ring::Kernel, ac: true, ..*request };
        x86_64::walk(&self.memory, controls, &request).ok().map(|walk| walk.address)
    }

    /// Tells of the entries that a walk for `virt` reads, of those that were changed since a fault struck.
    #[cold]
    fn say_what_is_read(&mut self, number: usize, controls: &Controls, virt: VirtAddr) {
        let read = self.changed_entries.read_on_the_way(&self.memory, controls, virt);
        for at in read.into_iter().flatten() {
            let entry = self.memory.read(at);
            let event = self.entry_event(EventKind::TableLoad, number, virt, at, entry);
            self.events.push(event);
        }
    }

    /// Sets bits of an entry that a processor used for `virt`.
    pub(super) fn mark(&mut self, number: usize, virt: VirtAddr, at: PhysAddr, bits: u64) {
        let old = self.memory.read(at);
        self.memory.write(at, old | bits);
        let event = self.entry_event(EventKind::TableMark, number, virt, at, old | bits);
        self.events.push(Event { old, ..event });
    }

    fn entry_event(
        &self,
        kind: EventKind,
        number: usize,
        virt: VirtAddr,
        at: PhysAddr,
        value: u64,
    ) -> Event {
        let registers = &self.processors[number].registers;
        #[allow(clippy::cast_possible_truncation, reason = "few processors")]
        let processor = number as u8;
        Event {
            kind,
            actor: registers.actor,
            context: registers.context,
            subject: registers.actor,
            structure: Structure::PageTable,
            mask: 0xff,
            processor,
            struck: false,
            phys: at.raw(),
            virt: virt.0,
            value,
            old: 0,
        }
    }

    /// Whether the loaded tables of a processor let what runs on it store there now, without effect.
    pub(super) fn may_store(&self, number: usize, virt: VirtAddr) -> bool {
        let state = &self.processors[number];
        let request = Request {
            ac: state.registers.flags & ALIGNMENT_CHECK != 0,
            ..Request::new(virt, Access::Write, state.registers.ring)
        };
        x86_64::walk(&self.memory, &state.controls, &request).is_ok()
    }

    /// Where the loaded tables of a processor lead, rights aside and without effect. On a shadow root:
    /// where the address space leads that it is the shadow of, so that what asks this for a name needs
    /// not know in which mode the processor is.
    #[must_use]
    pub fn locate(&self, number: usize, virt: VirtAddr) -> Option<u64> {
        let controls = &self.processors[number].controls;
        if !self.shadows().is_empty() {
            let full = Controls { cr3: self.full_root(controls.cr3), ..*controls };
            return self.located.find(&self.memory, &full, virt).map(PhysAddr::raw);
        }
        self.located.find(&self.memory, controls, virt).map(PhysAddr::raw)
    }
}
