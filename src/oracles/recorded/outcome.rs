//! What became of a case.

use core::fmt;

use crate::base::{Access, VirtAddr};

/// A set of levels: bit 0 the page table, bit 4 the PML5 table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct LevelMask(u8);

impl LevelMask {
    /// No level.
    pub const NONE: Self = Self(0);

    /// Returns `None` when a bit is set for which there is no level.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if bits < 32 { Some(Self(bits)) } else { None }
    }

    #[inline(always)]
    pub(super) const fn of_slot(slot: usize) -> Self {
        Self(1 << slot)
    }

    /// As in the columns.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// These levels and those of `other`.
    #[must_use]
    #[inline(always)]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every level of `other` is in here.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How the last access of a case ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CaseOutcome {
    /// The physical address of the byte, as memory decodes it.
    Translated(u64),
    /// #PF.
    PageFault {
        /// The error code.
        code: u32,
        /// CR2.
        virt: VirtAddr,
    },
    /// #GP(0).
    GeneralProtection,
}

impl CaseOutcome {
    /// As in column `out`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Translated(_) => "ok",
            Self::PageFault { .. } => "pf",
            Self::GeneralProtection => "gp",
        }
    }

    /// As in column `err`: the error code, which a translation has not.
    #[must_use]
    pub const fn error_code(self) -> Option<u32> {
        match self {
            Self::Translated(_) => None,
            Self::PageFault { code, .. } => Some(code),
            Self::GeneralProtection => Some(0),
        }
    }

    /// As in column `addr`: the physical address, or CR2; a #GP has none.
    #[must_use]
    pub const fn address(self) -> Option<u64> {
        match self {
            Self::Translated(address) => Some(address),
            Self::PageFault { virt, .. } => Some(virt.0),
            Self::GeneralProtection => None,
        }
    }
}

/// What became of a case: the outcome, and which bits it changed in the entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct CaseAnswer {
    /// The access that was made last, and decided.
    pub access: Access,
    /// How it ended.
    pub outcome: CaseOutcome,
    /// The levels whose accessed bit went from 0 to 1 in memory.
    pub accessed: LevelMask,
    /// The levels whose dirty bit did.
    pub dirtied: LevelMask,
}

impl Default for CaseAnswer {
    fn default() -> Self {
        Self {
            access: Access::Read,
            outcome: CaseOutcome::GeneralProtection,
            accessed: LevelMask::NONE,
            dirtied: LevelMask::NONE,
        }
    }
}

/// An error code with the names of its bits: `7 (P W/R U/S)`.
#[derive(Clone, Copy, Debug)]
pub struct NamedCode(pub u32);

impl fmt::Display for NamedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["P", "W/R", "U/S", "RSVD", "I/D", "PK", "SS"];
        write!(f, "{:x}", self.0)?;
        let mut before = " (";
        for (number, name) in NAMES.iter().enumerate() {
            if self.0 >> number & 1 == 1 {
                write!(f, "{before}{name}")?;
                before = " ";
            }
        }
        f.write_str(if before == " " { ")" } else { "" })
    }
}
