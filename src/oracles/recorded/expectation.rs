//! What somebody saw become of a case, beside what the machine makes of it.

use super::case::TranslationCase;
use super::machine::RecordedMachine;
use super::outcome::{CaseAnswer, CaseOutcome, LevelMask};

/// What somebody saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// `ok`, `pf` or `gp`.
    pub out: &'static str,
    /// The error code; none for `ok`.
    pub code: Option<u32>,
    /// The physical address or CR2; none for `gp`.
    pub address: Option<u64>,
    /// The levels whose accessed bit went from 0 to 1.
    pub accessed: LevelMask,
    /// The levels whose dirty bit did.
    pub dirtied: LevelMask,
}

/// What may differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Aspect {
    /// Column `out`.
    Outcome,
    /// Column `err`.
    Code,
    /// Column `addr`.
    Address,
    /// Column `aset`.
    Accessed,
    /// Column `dset`.
    Dirtied,
}

impl Aspect {
    /// All, in the order of the columns.
    pub const ALL: [Self; 5] =
        [Self::Outcome, Self::Code, Self::Address, Self::Accessed, Self::Dirtied];

    /// The column's name.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::Outcome => "out",
            Self::Code => "err",
            Self::Address => "addr",
            Self::Accessed => "aset",
            Self::Dirtied => "dset",
        }
    }
}

impl Expectation {
    /// Whether the answer is one that this allows.
    #[must_use]
    #[inline]
    pub fn allows(
        &self,
        machine: &RecordedMachine,
        case: &TranslationCase,
        answer: &CaseAnswer,
    ) -> bool {
        Aspect::ALL.into_iter().all(|aspect| self.agrees(aspect, machine, case, answer))
    }

    /// Whether the answer agrees in one aspect. Everything is exact but one thing: which accessed
    /// bits a fault leaves set differs between implementations, so after a fault any of the entries
    /// that named a table on the way may have its bit set.
    #[must_use]
    #[inline]
    pub fn agrees(
        &self,
        aspect: Aspect,
        machine: &RecordedMachine,
        case: &TranslationCase,
        answer: &CaseAnswer,
    ) -> bool {
        match aspect {
            Aspect::Outcome => self.out == answer.outcome.name(),
            Aspect::Code => self.code == answer.outcome.error_code(),
            Aspect::Address => self.address == answer.outcome.address(),
            Aspect::Dirtied => self.dirtied == answer.dirtied,
            Aspect::Accessed => {
                self.accessed == answer.accessed
                    || !matches!(answer.outcome, CaseOutcome::Translated(_))
                        && machine.accessed_range(case).contains(self.accessed)
            }
        }
    }
}

/// Which levels must have their accessed bit set by a case that faults, and which may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessedRange {
    /// Those a read that succeeded before the fault set.
    pub least: LevelMask,
    /// And those of entries that named a table on the way.
    pub most: LevelMask,
}

impl AccessedRange {
    /// Whether these levels are allowed.
    #[must_use]
    pub const fn contains(self, accessed: LevelMask) -> bool {
        accessed.has(self.least) && self.most.has(accessed)
    }
}
