//! Walkers with a planted bug each, to show that the comparison can fail.

use ringfence::base::VirtAddr;
use ringfence::machine::paging::x86_64::{Entry, PageFaultCode};
use ringfence::oracles::recorded::{
    CaseAccess, CaseAnswer, CaseOutcome, LevelMask, Mode, RecordedMachine, TranslationCase, Walker,
};

use crate::agreement::Judged;

/// The machine's walk with each of the bugs.
pub(crate) const ALL: [(&str, Judged); 21] = [
    ("CR0.WP is ignored", |machine, case| without_mode(machine, case, 1)),
    ("CR4.SMEP is ignored", |machine, case| without_mode(machine, case, 1 << 1)),
    ("CR4.SMAP is ignored", |machine, case| without_mode(machine, case, 1 << 2)),
    ("EFLAGS.AC is ignored", |machine, case| without_mode(machine, case, 1 << 3)),
    ("XD is reserved with NXE too", |machine, case| without_mode(machine, case, 1 << 4)),
    ("U/S of the PML4E is ignored", |machine, case| with_entry(machine, case, 3, Entry::US, 0)),
    ("U/S of the PTE is ignored", |machine, case| with_entry(machine, case, 0, Entry::US, 0)),
    ("R/W of the PDPTE is ignored", |machine, case| with_entry(machine, case, 2, Entry::RW, 0)),
    ("XD of the PDE is ignored", |machine, case| with_entry(machine, case, 1, 0, Entry::XD)),
    ("P of the PDPTE is ignored", |machine, case| with_entry(machine, case, 2, Entry::P, 0)),
    ("a PDE never maps a page", |machine, case| with_entry(machine, case, 1, 0, Entry::PS)),
    ("reserved address bits are ignored", |machine, case| {
        with_entry(machine, case, 0, 0, 0x000f_ff00_0000_0000)
    }),
    ("bit 7 of a PML4E is ignored", |machine, case| with_entry(machine, case, 3, 0, Entry::PS)),
    ("every address is canonical", |machine, case| {
        let low = (case.virt.0 << 16).cast_signed() >> 16;
        answer(machine, &TranslationCase { virt: VirtAddr(low.cast_unsigned()), ..*case })
    }),
    ("an exchange is checked as a read", |machine, case| {
        let is_exchange = case.access == CaseAccess::ReadModifyWrite;
        let access = if is_exchange { CaseAccess::Read } else { case.access };
        answer(machine, &TranslationCase { access, ..*case })
    }),
    ("no dirty bit is set", |machine, case| CaseAnswer {
        dirtied: LevelMask::NONE,
        ..answer(machine, case)
    }),
    ("the PML4E's accessed bit is not set", |machine, case| {
        let right = answer(machine, case);
        let accessed = LevelMask::new(right.accessed.bits() & !8).expect("levels");
        CaseAnswer { accessed, ..right }
    }),
    ("W/R is not told", |machine, case| without_code(machine, case, PageFaultCode::WR)),
    ("U/S is not told", |machine, case| without_code(machine, case, PageFaultCode::US)),
    ("RSVD is not told", |machine, case| without_code(machine, case, PageFaultCode::RSVD)),
    ("I/D is not told", |machine, case| without_code(machine, case, PageFaultCode::ID)),
];

fn answer(machine: &RecordedMachine, case: &TranslationCase) -> CaseAnswer {
    machine.answer_of(Walker::Machine, case)
}

fn without_mode(machine: &RecordedMachine, case: &TranslationCase, bits: u16) -> CaseAnswer {
    let mode = Mode::new(case.mode.bits() & !bits).expect("bits of a mode");
    answer(machine, &TranslationCase { mode, ..*case })
}

/// The answer if bits of an entry that is used were set, or clear.
fn with_entry(
    machine: &RecordedMachine,
    case: &TranslationCase,
    slot: usize,
    set: u64,
    clear: u64,
) -> CaseAnswer {
    let mut case = *case;
    if case.entries[slot] != 0 {
        case.entries[slot] = (case.entries[slot] | set) & !clear;
    }
    answer(machine, &case)
}

fn without_code(machine: &RecordedMachine, case: &TranslationCase, bits: u32) -> CaseAnswer {
    let mut answer = answer(machine, case);
    if let CaseOutcome::PageFault { code, .. } = &mut answer.outcome {
        *code &= !bits;
    }
    answer
}
