//! INVLPG and INVPCID: what makes this processor, or by a shootdown another one, forget translations.
//!
//! What each forgets is said by [`Invalidation`]; here is what the instructions take and refuse.

use crate::base::{Event, EventKind, Rule, VirtAddr};
use crate::injection::Verdict;

use super::ProcessorState;
use super::flaws::Flaws;
use super::paging::x86_64::{ControlFlags, Controls};
use super::processor::Processor;
use super::tlb::Invalidation;
use super::trap::Trap;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "invpcid-descriptors-are-checked",
    "INVPCID takes types 0 to 3, a canonical address, and no identifier while CR4.PCIDE is clear.",
    "Intel SDM volume 2A, INVPCID—Invalidate Process-Context Identifier",
)];

/// Types of INVPCID.
const ADDRESS_OF_CONTEXT: u64 = 0;
const CONTEXT: u64 = 1;
const EVERYTHING: u64 = 2;
const CONTEXTS: u64 = 3;

/// What INVPCID forgets; `None` where it raises general protection.
fn by_descriptor(
    controls: &Controls,
    kind: u64,
    pcid: u64,
    virt: VirtAddr,
) -> Option<Invalidation> {
    let names_one = matches!(kind, ADDRESS_OF_CONTEXT | CONTEXT);
    let has_identifiers = controls.flags.has(ControlFlags::PCIDE);
    if pcid > 0xfff || names_one && pcid != 0 && !has_identifiers {
        return None;
    }
    match kind {
        ADDRESS_OF_CONTEXT => {
            controls.is_canonical(virt).then_some(Invalidation::PageOfPcid { virt, pcid })
        }
        CONTEXT => Some(Invalidation::Pcid { pcid }),
        EVERYTHING => Some(Invalidation::All),
        CONTEXTS => Some(Invalidation::AllExceptGlobal),
        _ => None,
    }
}

impl ProcessorState {
    /// What of a page under an identifier is to be dropped: all that an interprocessor request asks for,
    /// whatever runs here. Of the system's half it drops what `invlpg` does, with what is global: `invpcid`
    /// for an identifier leaves that (Intel SDM volume 3A, "Operations that Invalidate TLBs and
    /// Paging-Structure Caches").
    fn page_of(&self, virt: VirtAddr, pcid: u64) -> Invalidation {
        if self.controls.pcid() == pcid || virt.is_system() {
            Invalidation::page(&self.controls, virt)
        } else {
            Invalidation::PageOfPcid { virt, pcid }
        }
    }

    /// Drops what is remembered of a page under an identifier, as `invlpg` does of the one that is loaded.
    fn forget_page_of(&mut self, virt: VirtAddr, pcid: u64, flaws: Flaws) {
        let invalidation = self.page_of(virt, pcid);
        if !flaws.keeps_invalidated {
            self.tlb.invalidate(invalidation);
        }
        self.may_hold.invalidate(invalidation);
    }
}

impl Processor<'_> {
    /// Drops what this processor remembers of a page (`invlpg`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn invalidate(&mut self, virt: u64) -> Result<(), Trap> {
        self.require_ring_0()?;
        let state = &self.machine.processors[self.number];
        let pcid = state.controls.pcid();
        let invalidation = state.page_of(VirtAddr(virt), pcid);
        let (operation, verdict) =
            self.pass_invalidation((self.number, Some(invalidation)), virt, 0)?;
        if verdict == Verdict::Skip {
            return Ok(());
        }
        let flaws = self.machine.flaws;
        let state = &mut self.machine.processors[self.number];
        state.forget_page_of(VirtAddr(operation.virt), pcid, flaws);
        let event = Event { virt: operation.virt, ..self.blank(EventKind::Invalidate) };
        self.say(event);
        Ok(())
    }

    /// Makes another processor drop a page of the address space that is loaded here: the sender's
    /// part of a shootdown, folded with the receiver's into one event, as if the interprocessor
    /// interrupt were answered at once. Where translations are tagged, the receiver drops those of
    /// this space, whichever it has loaded (INVPCID).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn invalidate_on(&mut self, processor: usize, virt: u64) -> Result<(), Trap> {
        self.require_ring_0()?;
        let pcid = self.machine.processors[self.number].controls.pcid();
        let state = self.machine.processors.get(processor);
        let invalidation = state.map(|state| state.page_of(VirtAddr(virt), pcid));
        let (operation, verdict) =
            self.pass_invalidation((processor, invalidation), virt, processor as u64)?;
        if verdict == Verdict::Skip {
            return Ok(());
        }
        let flaws = self.machine.flaws;
        let Some(state) = self.machine.processors.get_mut(processor) else { return Ok(()) };
        state.forget_page_of(VirtAddr(operation.virt), pcid, flaws);
        #[allow(clippy::cast_possible_truncation, reason = "few processors")]
        let event = Event {
            virt: operation.virt,
            processor: processor as u8,
            ..self.blank(EventKind::Invalidate)
        };
        self.say(event);
        Ok(())
    }

    /// Makes a processor, this one or another, drop all that it remembers under an identifier
    /// (INVPCID, single context).
    ///
    /// # Errors
    ///
    /// As [`invalidate_by_descriptor`](Self::invalidate_by_descriptor).
    pub fn invalidate_context_on(&mut self, processor: usize, pcid: u64) -> Result<(), Trap> {
        self.invalidate_by_descriptor(processor, CONTEXT, [pcid, 0])
    }

    /// Makes a processor, this one or another, drop what it remembers of a page under an identifier
    /// (INVPCID, individual address).
    ///
    /// # Errors
    ///
    /// As [`invalidate_by_descriptor`](Self::invalidate_by_descriptor).
    pub fn invalidate_of_context_on(
        &mut self,
        processor: usize,
        virt: u64,
        pcid: u64,
    ) -> Result<(), Trap> {
        self.invalidate_by_descriptor(processor, ADDRESS_OF_CONTEXT, [pcid, virt])
    }

    /// Makes a processor, this one or another, drop all that it remembers but global translations, under
    /// whatever identifier (INVPCID, all contexts).
    ///
    /// # Errors
    ///
    /// As [`invalidate_by_descriptor`](Self::invalidate_by_descriptor).
    pub fn invalidate_contexts_on(&mut self, processor: usize) -> Result<(), Trap> {
        self.invalidate_by_descriptor(processor, CONTEXTS, [0, 0])
    }

    /// INVPCID of this type with this descriptor, its low word first: an identifier, then an address,
    /// which only type 0 reads. On another processor it is a shootdown as
    /// [`invalidate_on`](Self::invalidate_on) is.
    ///
    /// # Errors
    ///
    /// General protection at ring 3; for a type above 3; where bits 63:12 of the low word are not zero;
    /// for types 0 and 1 where there is an identifier and CR4.PCIDE is 0; and for type 0 where the address
    /// is not canonical (Intel SDM volume 2A, "INVPCID—Invalidate Process-Context Identifier").
    pub fn invalidate_by_descriptor(
        &mut self,
        processor: usize,
        kind: u64,
        [pcid, virt]: [u64; 2],
    ) -> Result<(), Trap> {
        self.require_ring_0()?;
        let is_page = kind == ADDRESS_OF_CONTEXT;
        let virt = if is_page { virt } else { 0 };
        let state = self.machine.processors.get(processor);
        let invalidation =
            state.and_then(|state| by_descriptor(&state.controls, kind, pcid, VirtAddr(virt)));
        let (operation, verdict) =
            self.pass_invalidation((processor, invalidation), virt, processor as u64)?;
        if verdict == Verdict::Skip {
            return Ok(());
        }
        let virt = if is_page { operation.virt } else { 0 };
        let is_kept = self.machine.flaws.keeps_invalidated && is_page;
        let Some(state) = self.machine.processors.get_mut(processor) else { return Ok(()) };
        let Some(invalidation) = by_descriptor(&state.controls, kind, pcid, VirtAddr(virt)) else {
            return Err(Trap::general_protection());
        };
        if !is_kept {
            state.tlb.invalidate(invalidation);
        }
        state.may_hold.invalidate(invalidation);
        #[allow(clippy::cast_possible_truncation, reason = "few processors")]
        let processor = processor as u8;
        let value = match invalidation {
            Invalidation::PageOfPcid { .. } => 0,
            Invalidation::All => 2,
            _ => 1,
        };
        let event = Event { virt, value, processor, ..self.blank(EventKind::Invalidate) };
        self.say(event);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Machine;
    use super::super::held::testing::{PAGE, machine, pte};
    use super::*;
    use crate::base::{Access, Frame, Principal, Ring};
    use crate::injection::{Armed, Fault, Operation, PointKind, Recurrence, Scene, Trigger};
    use crate::machine::paging::x86_64::Entry;

    const TAGGED: ControlFlags = ControlFlags::PCIDE.with(ControlFlags::PGE);
    /// The identifier that is loaded.
    const LOADED: u64 = 5;
    /// Pages of frames 5, 6 and 7; the last is global.
    const PAGES: [VirtAddr; 3] = [PAGE, VirtAddr(PAGE.0 + 0x1000), VirtAddr(PAGE.0 + 0x2000)];

    /// A machine that remembers three pages, of which nothing is left in its tables.
    fn remembering(flags: ControlFlags) -> Machine {
        let mut machine = machine(flags);
        let loaded = if flags.has(ControlFlags::PCIDE) { LOADED } else { 0 };
        machine.preset_root(0, 0x1000 | loaded, Principal::KERNEL);
        for (page, frame) in PAGES.into_iter().zip(5..) {
            let global = if page == PAGES[2] { Entry::G } else { 0 };
            machine.write_physical(pte(page), frame << 12 | Entry::P | global);
            assert!(leads(&mut machine, page));
        }
        for page in PAGES {
            machine.write_physical(pte(page), 0);
        }
        machine
    }

    fn leads(machine: &mut Machine, page: VirtAddr) -> bool {
        Processor { machine, number: 0 }.translate(page.0, Access::Read).is_ok()
    }

    fn invalidate(machine: &mut Machine, kind: u64, descriptor: [u64; 2]) -> Result<(), Trap> {
        Processor { machine, number: 0 }.invalidate_by_descriptor(0, kind, descriptor)
    }

    /// Which pages it still remembers.
    fn remembered(mut machine: Machine) -> [bool; 3] {
        let held = PAGES.map(|page| leads(&mut machine, page));
        let may_hold = [5, 6, 7]
            .map(|frame| machine.processors[0].may_hold.permits(Frame(frame)).count() == 1);
        assert_eq!(held, may_hold);
        held
    }

    #[test]
    fn each_type_forgets_what_it_names() {
        for (kind, descriptor, wanted, told) in [
            (0, [LOADED, PAGES[1].0], [true, false, true], 0),
            (0, [LOADED, PAGES[2].0], [true, true, true], 0),
            (0, [LOADED + 1, PAGES[1].0], [true, true, true], 0),
            (0, [LOADED, 0], [true, true, true], 0),
            (1, [LOADED, PAGES[1].0], [false, false, true], 1),
            (1, [LOADED + 1, 1 << 63], [true, true, true], 1),
            (2, [0xfff, 1 << 63], [false, false, false], 2),
            (3, [0xfff, 1 << 63], [false, false, true], 1),
        ] {
            let mut machine = remembering(TAGGED);

            assert_eq!(invalidate(&mut machine, kind, descriptor), Ok(()));

            let event = machine.events.last().copied().expect("it is told");
            assert_eq!((event.kind, event.value), (EventKind::Invalidate, told), "type {kind}");
            let virt = if kind == 0 { descriptor[1] } else { 0 };
            assert_eq!(event.virt, virt);
            assert_eq!(remembered(machine), wanted, "type {kind}, {descriptor:x?}");
        }
    }

    #[test]
    fn what_the_manual_refuses_is_refused_and_nothing_is_forgotten() {
        let canonical = PAGES[0].0;
        let refused = |flags, kind, descriptor| {
            let mut machine = remembering(flags);
            let refused = invalidate(&mut machine, kind, descriptor);
            if refused.is_err() {
                assert_eq!(refused, Err(Trap::general_protection()));
                assert_eq!(remembered(machine), [true; 3]);
            }
            refused.is_err()
        };
        for kind in 0..4 {
            for bit in 12..64 {
                assert!(refused(TAGGED, kind, [1 << bit, canonical]), "type {kind}, bit {bit}");
            }
            assert!(!refused(TAGGED, kind, [0xfff, canonical]), "type {kind}");
            assert_eq!(refused(ControlFlags::PGE, kind, [1, canonical]), kind < 2, "type {kind}");
            assert!(!refused(ControlFlags::PGE, kind, [0, canonical]), "type {kind}");
            assert_eq!(refused(TAGGED, kind, [0, 1 << 47]), kind == 0, "type {kind}");
            assert!(!refused(TAGGED, kind, [0, 0xffff_8000_0000_0000]), "type {kind}");
        }
        for kind in [4, 5, 1 << 32, u64::MAX] {
            assert!(refused(TAGGED, kind, [0, canonical]), "type {kind}");
        }
        let mut machine = remembering(TAGGED);
        machine.processors[0].registers.ring = Ring::User;
        assert!(invalidate(&mut machine, 2, [0, 0]).is_err());
    }

    /// Tells whether the invalidation is missed where it strikes, and leaves it out then.
    struct Misses;

    impl Fault for Misses {
        fn name(&self) -> &'static str {
            "misses"
        }

        fn strike(&mut self, _: &mut Operation, scene: &mut dyn Scene) -> Option<Verdict> {
            scene.is_missed().then_some(Verdict::Skip)
        }
    }

    #[test]
    fn an_invalidation_is_missed_where_it_would_have_forgotten_something_or_is_refused() {
        for (kind, descriptor) in [
            (0, [LOADED, PAGES[1].0]),
            (0, [LOADED, PAGES[2].0]),
            (0, [LOADED + 1, PAGES[1].0]),
            (0, [LOADED, 0]),
            (1, [LOADED, 0]),
            (1, [LOADED + 1, 0]),
            (2, [0, 0]),
            (3, [0, 0]),
            (4, [0, 0]),
        ] {
            let mut machine = remembering(TAGGED);
            let done = invalidate(&mut machine, kind, descriptor);
            let forgets = done.is_err() || remembered(machine) != [true; 3];
            let mut machine = remembering(TAGGED);
            let trigger = Trigger {
                kind: PointKind::Invalidate,
                principal: machine.processors[0].registers.actor,
                routine: None,
                caller: None,
                nth: 1,
            };
            machine.points.arm(Armed::new(Box::new(Misses), trigger, Recurrence::Once));

            assert_eq!(invalidate(&mut machine, kind, descriptor), Ok(()), "type {kind}");

            let strikes = machine.points.armed()[0].strikes;
            assert_eq!(strikes == 1, forgets, "type {kind}, {descriptor:x?}");
            assert_eq!(remembered(machine), [true; 3]);
        }
    }

    /// Puts another address in the place of the operand's.
    struct Moves(u64);

    impl Fault for Moves {
        fn name(&self) -> &'static str {
            "moves"
        }

        fn strike(&mut self, operation: &mut Operation, _: &mut dyn Scene) -> Option<Verdict> {
            operation.virt = self.0;
            Some(Verdict::Proceed)
        }
    }

    #[test]
    fn an_address_that_a_fault_altered_is_the_one_that_counts() {
        let struck = |kind, to| {
            let mut machine = remembering(TAGGED);
            let trigger = Trigger {
                kind: PointKind::Invalidate,
                principal: machine.processors[0].registers.actor,
                routine: None,
                caller: None,
                nth: 1,
            };
            machine.points.arm(Armed::new(Box::new(Moves(to)), trigger, Recurrence::Once));
            let done = invalidate(&mut machine, kind, [LOADED, PAGES[0].0]);
            (done, remembered(machine))
        };

        assert_eq!(struck(0, PAGES[1].0), (Ok(()), [true, false, true]));
        assert_eq!(struck(0, 1 << 62), (Err(Trap::general_protection()), [true; 3]));
        assert_eq!(struck(1, PAGES[1].0), (Ok(()), [false, false, true]), "no type reads it but 0");
    }

    #[test]
    fn a_processor_that_keeps_what_it_should_drop_keeps_a_page_at_any_address() {
        let mut machine = machine(TAGGED);
        machine.preset_root(0, 0x1000 | LOADED, Principal::KERNEL);
        machine.flaws = Flaws { keeps_invalidated: true, ..Flaws::default() };
        let zero = VirtAddr(0);
        for (frame, shift) in [(1, 39), (2, 30), (3, 21)] {
            let at = super::super::held::testing::entry(frame, shift, zero);
            machine.write_physical(at, (frame + 1) << 12 | Entry::P | Entry::RW | Entry::US);
        }
        machine.write_physical(pte(zero), 0x5000 | Entry::P);
        assert!(leads(&mut machine, zero));
        machine.write_physical(pte(zero), 0);

        assert_eq!(invalidate(&mut machine, 0, [LOADED, 0]), Ok(()));

        assert!(leads(&mut machine, zero), "by the flaw");
        assert_eq!(invalidate(&mut machine, 1, [LOADED, 0]), Ok(()));
        assert!(!leads(&mut machine, zero), "which is of pages alone");
    }
}
