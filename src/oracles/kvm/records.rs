//! What the host writes for the guest of a case, and what it makes of the guest's record.

use super::abstention::Abstention;
use super::agent::{Agent, access_offset};
use super::answer::Answer;
use super::layout::{
    CODE, KERNEL_CODE_SELECTOR, KERNEL_DATA_SELECTOR, SCRATCH, STACK_TOP, USER_CODE,
    USER_CODE_SELECTOR, USER_DATA_SELECTOR, said, told,
};
use crate::base::{PhysAddr, Ring};
use crate::machine::paging::TableMemory as _;
use crate::machine::paging::x86_64::{ControlFlags, Entry, Level};
use crate::oracles::recorded::{
    CaseAccess, Expectation, LevelMask, RecordedMachine, TranslationCase,
};

/// What an access writes: no address, and as a table entry not present.
const MARKER: u64 = 0xa5c3_5a3c_96f0_6918;

/// EFLAGS.AC.
const AC: u64 = 1 << 18;

const LEVELS: [Level; 5] = [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4, Level::Pml5];

/// What the 8 bytes of data memory at a multiple of 8 hold: `mov eax, address` and `jmp rsi`; as a
/// table entry it is not present.
pub(super) const fn data_word(at: u64) -> u64 {
    (at & 0xffff_ffff) << 8 | 0x90e6_ff00_0000_00b8
}

/// A case that can be asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) machine: &'a RecordedMachine,
    pub(super) case: &'a TranslationCase,
    /// Where its tables lead, if nothing forbids it.
    pub(super) reach: Option<PhysAddr>,
}

impl Asked<'_> {
    /// The record for the guest.
    pub(super) fn told(&self, agent: &Agent) -> [u64; told::WORDS] {
        let case = self.case;
        let memory = self.machine.memory(case);
        let mut words = [0; told::WORDS];
        for (slot, level) in LEVELS.into_iter().enumerate() {
            let scratch = SCRATCH + 8 * slot as u64;
            words[told::PLACES + slot] = memory.place(level).map_or(scratch, PhysAddr::raw);
            words[told::ENTRIES + slot] = case.entries[slot];
        }
        words[told::VIRT] = case.virt.0;
        words[told::MARKER] = MARKER;
        let access = access_offset(case.access);
        let (end, ss, cs, rip) = match case.ring {
            Ring::Kernel => (agent.end, KERNEL_DATA_SELECTOR, KERNEL_CODE_SELECTOR, CODE + access),
            Ring::User => {
                (agent.user_end, USER_DATA_SELECTOR, USER_CODE_SELECTOR, USER_CODE + access)
            }
        };
        words[told::END] = end;
        words[told::SS] = ss.into();
        words[told::RSP] = STACK_TOP;
        words[told::RFLAGS] = 2 | if case.mode.ac() { AC } else { 0 };
        words[told::CS] = cs.into();
        words[told::RIP] = rip;
        let scratch = SCRATCH + 8 * 5;
        words[told::WORD_PLACE] = self.reach.map_or(scratch, PhysAddr::raw);
        words[told::WORD] = self.expected_word();
        words[told::LOADS_PKRU] = case.mode.flags().has(ControlFlags::PKE).into();
        words[told::PKRU] = case.pkru.into();
        words
    }

    /// What the word of data memory holds before the access.
    fn expected_word(&self) -> u64 {
        self.reach.map_or(0, |at| data_word(at.raw()))
    }

    /// What the guest's record means.
    pub(super) fn understood(&self, agent: &Agent, record: &[u64]) -> Answer {
        let (vector, code, rip) =
            (record[said::VECTOR], record[said::ERROR_CODE], record[said::RIP]);
        let code = u32::try_from(code).ok();
        let (out, code, address) = match (vector, self.case.ring) {
            (said::NO_EXCEPTION, Ring::Kernel) => ("ok", None, self.carried_out(record)),
            (13, Ring::User) if self.is_users(record) && rip == agent.user_end => {
                ("ok", None, self.carried_out(record))
            }
            (13, _) if self.is_at_access(record) => ("gp", code, Ok(None)),
            (14, _) if self.is_at_access(record) => ("pf", code, Ok(Some(record[said::CR2]))),
            (vector, _) => {
                let what = format!("exception {vector} outside the access");
                return Answer::Abstained(Abstention::Astray(what));
            }
        };
        let observed = address.and_then(|address| {
            let (accessed, dirtied) = self.marks(record)?;
            Ok(Expectation { out, code, address, accessed, dirtied })
        });
        observed.map_or_else(Answer::Impossible, Answer::Observed)
    }

    fn is_users(&self, record: &[u64]) -> bool {
        record[said::CS] == u64::from(USER_CODE_SELECTOR)
    }

    /// Whether an exception was raised by the access itself, or by the first byte that it fetches.
    fn is_at_access(&self, record: &[u64]) -> bool {
        let copy = match self.case.ring {
            Ring::Kernel => CODE,
            Ring::User => USER_CODE,
        };
        let rip = record[said::RIP];
        let first = copy + access_offset(self.case.access);
        // The longest is two instructions of three bytes.
        let is_own = (first..first + 6).contains(&rip);
        let is_fetched = self.case.access == CaseAccess::Fetch && rip == self.case.virt.0;
        self.is_users(record) == (self.case.ring == Ring::User) && (is_own || is_fetched)
    }

    /// Where an access was carried out, by what it brought and by what is in data memory afterwards.
    fn carried_out(&self, record: &[u64]) -> Result<Option<u64>, String> {
        let (rax, word) = (record[said::RAX], record[said::WORD]);
        // What data memory held, by its own account.
        let read = || Some(rax >> 8 & 0xffff_ffff).filter(|at| data_word(*at) == rax);
        let (from, writes) = match self.case.access {
            CaseAccess::Read => (read(), false),
            CaseAccess::Fetch => (Some(rax), false),
            CaseAccess::ReadModifyWrite | CaseAccess::ReadThenWrite => (read(), true),
            // A write brings nothing: it is where its marker is.
            CaseAccess::Write => (self.reach.map(PhysAddr::raw), true),
        };
        let expected = if writes { MARKER } else { self.expected_word() };
        if from.is_some() && word == expected {
            Ok(from)
        } else {
            let reach = self.reach;
            Err(format!("brought {rax:x}; the tables lead to {reach:?}, which holds {word:x}"))
        }
    }

    /// The levels whose accessed bit, and whose dirty bit, was set.
    fn marks(&self, record: &[u64]) -> Result<(LevelMask, LevelMask), String> {
        let memory = self.machine.memory(self.case);
        let (mut accessed, mut dirtied) = (0, 0);
        for (slot, level) in LEVELS.into_iter().enumerate() {
            let Some(place) = memory.place(level) else { continue };
            let (before, after) = (memory.entry(place), record[said::ENTRIES + slot]);
            let set = before ^ after;
            if set & !(Entry::A | Entry::D) != 0 || after & before != before {
                return Err(format!("entry {before:x} of {level:?} became {after:x}"));
            }
            accessed |= u8::from(set & Entry::A != 0) << slot;
            dirtied |= u8::from(set & Entry::D != 0) << slot;
        }
        let mask = |bits| LevelMask::new(bits).expect("five levels");
        Ok((mask(accessed), mask(dirtied)))
    }
}
