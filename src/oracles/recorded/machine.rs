//! The machine on which cases are run: where tables lie and what the rest of memory holds.

use core::ops::Range;

use super::case::TranslationCase;
use super::expectation::AccessedRange;
use super::outcome::{CaseAnswer, CaseOutcome, LevelMask};
use crate::base::{Access, PhysAddr};
use crate::machine::paging::x86_64::{
    Controls, Entry, Exception, Level, Request, Vendor, path, walk,
};
use crate::machine::paging::{MarkMemory, TableMemory};
use crate::oracles::by_the_book::{self, Answer};

/// Bits of an entry's address field that say which frame of the pool it names. Whoever recorded the
/// cases had 40 bits of physical address and placed each lower entry by them.
pub const PLACED_BY_BITS: u8 = 40;

/// Which accessed bits a fault leaves set. The manual leaves it open (Intel SDM volume 3A, "Accessed
/// and Dirty Flags": a processor may set them whenever it uses an entry).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum AccessedOnFault {
    /// None, as Bochs and KVM do.
    #[default]
    Unset,
    /// Those of the entries above the leaf that were passed, each of which named a table. QEMU 7.2 and
    /// Unicorn set these too, and further ones that are not set here: of a PDPTE that is a 1-GiB page, and
    /// of the leaf of a read-modify-write whose read succeeded, as they read first.
    Passed,
}

/// What all cases of a file have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedMachine {
    /// CR3 with 4 levels.
    pub cr3: u64,
    /// CR3 with 5 levels.
    pub cr3_la57: u64,
    /// Where lower tables may lie. A lower entry is in memory only where the entry above names a
    /// frame in here by bits 39:12: none of 2^40 or above, unless memory decodes no such bit.
    pub tables: Range<u64>,
    /// Where data lie: the 8 bytes at P are `mov eax, P; jmp rsi; nop`.
    pub data: Vec<Range<u64>>,
    /// MAXPHYADDR of cases without one of their own.
    pub maxphyaddr: u8,
    /// Whose processor it is.
    pub vendor: Vendor,
    /// How many low bits of a physical address memory decodes: 52 for all.
    pub decode_bits: u8,
    /// What a fault leaves behind.
    pub accessed_on_fault: AccessedOnFault,
}

impl Default for RecordedMachine {
    /// The machine of `tests/fixtures/PROVENANCE.md`.
    fn default() -> Self {
        Self {
            cr3: 0x60_0000,
            cr3_la57: 0x61_0000,
            tables: 0x60_1000..0x61_0000,
            data: vec![0x100_0000..0x180_0000, 0x4100_0000..0x4180_0000],
            maxphyaddr: 40,
            vendor: Vendor::Intel,
            decode_bits: 52,
            accessed_on_fault: AccessedOnFault::Unset,
        }
    }
}

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walker {
    /// The machine's own walk.
    Machine,
    /// The walk [by the book](crate::oracles::by_the_book).
    Book,
}

impl RecordedMachine {
    /// The registers of a case.
    #[must_use]
    #[inline(always)]
    pub fn controls(&self, case: &TranslationCase) -> Controls {
        Controls {
            cr3: if case.mode.has_five_levels() { self.cr3_la57 } else { self.cr3 },
            flags: case.mode.flags(),
            maxphyaddr: case.maxphyaddr.unwrap_or(self.maxphyaddr),
            vendor: self.vendor,
            pkru: case.pkru,
            pkrs: case.pkrs,
        }
    }

    /// Physical memory before a case.
    #[must_use]
    #[inline(always)]
    pub fn memory(&self, case: &TranslationCase) -> CaseMemory<'_> {
        let controls = self.controls(case);
        let mut memory = CaseMemory { machine: self, places: [NOWHERE; 5], entries: case.entries };
        let placed_by = low_bits(PLACED_BY_BITS);
        let mut level = Level::top(&controls);
        let mut table = controls.root().raw();
        loop {
            let slot = level as usize - 1;
            memory.places[slot] = self.decoded(table + 8 * level.index(case.virt));
            table = case.entries[slot] & Entry::ADDRESS & placed_by;
            if level == Level::Pt || self.offset_in(&self.tables, table).is_none() {
                return memory;
            }
            level = level.below();
        }
    }

    /// Physical memory as this access of a case finds it: with what those before it set.
    #[must_use]
    pub fn memory_at(&self, case: &TranslationCase, access: Access) -> CaseMemory<'_> {
        let (controls, mut memory) = (self.controls(case), self.memory(case));
        for &earlier in case.access.checked().iter().take_while(|&&earlier| earlier != access) {
            if let Ok(walk) = walk(&memory, &controls, &request(case, earlier)) {
                for &(at, bits) in walk.marks.items() {
                    memory.set_bits(at, bits);
                }
            }
        }
        memory
    }

    /// What becomes of a case.
    #[must_use]
    #[inline]
    pub fn answer(&self, case: &TranslationCase) -> CaseAnswer {
        self.answer_of(Walker::Machine, case)
    }

    /// What becomes of a case, by the walker's word.
    #[must_use]
    #[inline(always)]
    pub fn answer_of(&self, walker: Walker, case: &TranslationCase) -> CaseAnswer {
        self.run(walker, case, self.accessed_on_fault)
    }

    /// Which accessed bits may be set after a case that faults.
    #[must_use]
    pub fn accessed_range(&self, case: &TranslationCase) -> AccessedRange {
        let after = |left| self.run(Walker::Machine, case, left).accessed;
        AccessedRange { least: after(AccessedOnFault::Unset), most: after(AccessedOnFault::Passed) }
    }

    #[inline(always)]
    fn run(&self, walker: Walker, case: &TranslationCase, left: AccessedOnFault) -> CaseAnswer {
        let controls = self.controls(case);
        let mut memory = self.memory(case);
        let mut answer = CaseAnswer::default();
        for &access in case.access.checked() {
            let request = request(case, access);
            answer.access = access;
            answer.outcome = match walker {
                Walker::Machine => by_machine(&mut memory, &controls, &request, &mut answer),
                Walker::Book => by_book(&mut memory, &controls, &request, &mut answer),
            };
            if matches!(answer.outcome, CaseOutcome::Translated(_)) {
                continue;
            }
            if left == AccessedOnFault::Passed {
                // All entries read but the one that ended the walk.
                let path = path(&memory, &controls, case.virt);
                let passed = path.steps().split_last().map_or(&[][..], |(_, passed)| passed);
                for step in passed {
                    answer.mark(&mut memory, step.at, Entry::A);
                }
            }
            break;
        }
        answer
    }

    #[inline(always)]
    const fn decoded(&self, at: u64) -> u64 {
        at & low_bits(self.decode_bits)
    }

    /// How far into a range of memory an address leads, as far as memory tells addresses apart.
    #[inline(always)]
    fn offset_in(&self, range: &Range<u64>, at: u64) -> Option<u64> {
        let offset = self.decoded(at.wrapping_sub(range.start));
        (offset < range.end - range.start).then_some(offset)
    }
}

/// The request that one access of a case makes.
#[must_use]
#[inline(always)]
pub const fn request(case: &TranslationCase, access: Access) -> Request {
    Request { ac: case.mode.ac(), ..Request::new(case.virt, access, case.ring) }
}

#[inline(always)]
fn by_machine(
    memory: &mut CaseMemory<'_>,
    controls: &Controls,
    request: &Request,
    answer: &mut CaseAnswer,
) -> CaseOutcome {
    match walk(memory, controls, request) {
        Ok(walk) => {
            for &(at, bits) in walk.marks.items() {
                answer.mark(memory, at, bits);
            }
            CaseOutcome::Translated(memory.machine.decoded(walk.address.raw()))
        }
        Err(Exception::PageFault { virt, code }) => CaseOutcome::PageFault { code: code.0, virt },
        Err(Exception::GeneralProtection) => CaseOutcome::GeneralProtection,
    }
}

fn by_book(
    memory: &mut CaseMemory<'_>,
    controls: &Controls,
    request: &Request,
    answer: &mut CaseAnswer,
) -> CaseOutcome {
    let word = by_the_book::translate(&|at| memory.entry(at), controls, request);
    match word {
        Answer::Translated(translated) => {
            for at in translated.accessed {
                answer.mark(memory, at, Entry::A);
            }
            if let Some(at) = translated.dirtied {
                answer.mark(memory, at, Entry::D);
            }
            CaseOutcome::Translated(memory.machine.decoded(translated.address.raw()))
        }
        Answer::PageFault(code) => CaseOutcome::PageFault { code, virt: request.virt },
        Answer::GeneralProtection => CaseOutcome::GeneralProtection,
    }
}

impl CaseAnswer {
    /// Sets bits in memory, and notes whose they are.
    #[inline(always)]
    fn mark(&mut self, memory: &mut CaseMemory<'_>, at: PhysAddr, bits: u64) {
        let missing = bits & !memory.entry(at);
        let slots = memory.slots_at(at);
        if missing & Entry::A != 0 {
            self.accessed = self.accessed.with(slots);
        }
        if missing & Entry::D != 0 {
            self.dirtied = self.dirtied.with(slots);
        }
        memory.set_bits(at, bits);
    }
}

const fn low_bits(count: u8) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// No address: all are multiples of 8.
const NOWHERE: u64 = u64::MAX;

/// The physical memory of one case: its entries, in front of data, in front of zeros.
#[derive(Clone, Copy, Debug)]
pub struct CaseMemory<'a> {
    machine: &'a RecordedMachine,
    /// Where e1 to e5 lie.
    places: [u64; 5],
    entries: [u64; 5],
}

impl CaseMemory<'_> {
    /// Where the entry of this level lies, if it is in memory.
    #[must_use]
    pub fn place(&self, level: Level) -> Option<PhysAddr> {
        let place = self.places[level as usize - 1];
        (place != NOWHERE).then(|| PhysAddr::truncated(place))
    }

    /// The levels whose entry was put at this address. Where there are several, the lowest was put
    /// there last and is what memory holds.
    #[inline(always)]
    fn slots_at(&self, at: PhysAddr) -> LevelMask {
        let at = self.machine.decoded(at.raw());
        let mut mask = LevelMask::NONE;
        for (slot, place) in self.places.iter().enumerate() {
            if *place == at {
                mask = mask.with(LevelMask::of_slot(slot));
            }
        }
        mask
    }
}

impl TableMemory for CaseMemory<'_> {
    #[inline(always)]
    fn entry(&self, at: PhysAddr) -> u64 {
        let at = self.machine.decoded(at.raw());
        for (place, entry) in self.places.iter().zip(&self.entries) {
            if *place == at {
                return *entry;
            }
        }
        for data in &self.machine.data {
            if let Some(offset) = self.machine.offset_in(data, at) {
                // b8 imm32: mov eax, imm32; ff e6: jmp rsi; 90: nop.
                return ((data.start + offset) & 0xffff_ffff) << 8 | 0x90e6_ff00_0000_00b8;
            }
        }
        0
    }
}

impl MarkMemory for CaseMemory<'_> {
    /// Only entries are kept: a walk marks what is present, and elsewhere bit 0 is clear.
    #[inline(always)]
    fn set_bits(&mut self, at: PhysAddr, bits: u64) {
        let at = self.machine.decoded(at.raw());
        if let Some(slot) = self.places.iter().position(|place| *place == at) {
            self.entries[slot] |= bits;
        }
    }
}
