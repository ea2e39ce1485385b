//! One access, the registers it meets and the entries it walks.

use crate::base::{Access, Ring, VirtAddr};
use crate::machine::paging::x86_64::ControlFlags;

/// What is attempted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CaseAccess {
    /// A read.
    Read,
    /// A write.
    Write,
    /// An instruction fetch.
    Fetch,
    /// A locked read-modify-write: checked and reported as one write.
    ReadModifyWrite,
    /// A read and, if it succeeded, a write: two instructions.
    ReadThenWrite,
}

impl CaseAccess {
    /// All, in the order of their numbers in column `acc`.
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Write, Self::Fetch, Self::ReadModifyWrite, Self::ReadThenWrite];

    /// The accesses that the processor checks one after the other, until one fails.
    #[must_use]
    #[inline(always)]
    pub const fn checked(self) -> &'static [Access] {
        match self {
            Self::Read => &[Access::Read],
            Self::Write | Self::ReadModifyWrite => &[Access::Write],
            Self::Fetch => &[Access::Execute],
            Self::ReadThenWrite => &[Access::Read, Access::Write],
        }
    }

    /// As it is told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Fetch => "fetch",
            Self::ReadModifyWrite => "read-modify-write",
            Self::ReadThenWrite => "read, then write",
        }
    }
}

/// The switches of column `mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Mode(u16);

impl Mode {
    /// Bits that mean something.
    pub const BITS: u16 = (1 << 10) - 1;

    /// What each bit switches on: EFLAGS.AC is bit 3 and no control flag.
    const FLAGS: [Option<ControlFlags>; 10] = [
        Some(ControlFlags::WP),
        Some(ControlFlags::SMEP),
        Some(ControlFlags::SMAP),
        None,
        Some(ControlFlags::NXE),
        Some(ControlFlags::PKE),
        Some(ControlFlags::PGE),
        Some(ControlFlags::PCIDE),
        Some(ControlFlags::LA57),
        Some(ControlFlags::PKS),
    ];

    /// Returns `None` when a bit is set that means nothing.
    #[must_use]
    #[inline(always)]
    pub const fn new(bits: u16) -> Option<Self> {
        if bits & !Self::BITS == 0 { Some(Self(bits)) } else { None }
    }

    /// As in the column.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The control bits.
    #[must_use]
    #[inline(always)]
    pub fn flags(self) -> ControlFlags {
        let mut flags = ControlFlags::NONE;
        for (number, flag) in Self::FLAGS.into_iter().enumerate() {
            if let Some(flag) = flag
                && self.0 >> number & 1 == 1
            {
                flags = flags.with(flag);
            }
        }
        flags
    }

    /// EFLAGS.AC.
    #[must_use]
    #[inline(always)]
    pub const fn ac(self) -> bool {
        self.0 >> 3 & 1 == 1
    }

    /// CR4.LA57.
    #[must_use]
    #[inline(always)]
    pub const fn has_five_levels(self) -> bool {
        self.0 >> 8 & 1 == 1
    }
}

/// One case: what is asked, and everything that decides the answer beside the
/// [machine](super::RecordedMachine) all cases of a file share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct TranslationCase {
    /// The switches.
    pub mode: Mode,
    /// The linear address.
    pub virt: VirtAddr,
    /// What is attempted.
    pub access: CaseAccess,
    /// From which privilege level. An access from level 0 is an explicit one.
    pub ring: Ring,
    /// PKRU.
    pub pkru: u32,
    /// The low half of `IA32_PKRS`.
    pub pkrs: u32,
    /// MAXPHYADDR, where the case has one of its own.
    pub maxphyaddr: Option<u8>,
    /// The entries before the access: PTE, PDE, PDPTE, PML4E, PML5E.
    pub entries: [u64; 5],
}
