//! What the walk by the book knows of a processor and of an access: registers as the manual has them.
//!
//! Bits have the numbers of Intel SDM volume 3A, "Control Registers" and "Extended Feature Enable
//! Register", and of volume 1, "EFLAGS Register". Bits that software needs to have set for paging of
//! four or five levels at all, such as CR0.PG, are taken for granted.

use crate::base::VirtAddr;

pub(super) const CR0_WP: u32 = 16;
pub(super) const CR4_PGE: u32 = 7;
pub(super) const CR4_LA57: u32 = 12;
pub(super) const CR4_PCIDE: u32 = 17;
pub(super) const CR4_SMEP: u32 = 20;
pub(super) const CR4_SMAP: u32 = 21;
pub(super) const CR4_PKE: u32 = 22;
pub(super) const CR4_CET: u32 = 23;
pub(super) const CR4_PKS: u32 = 24;
pub(super) const EFER_NXE: u32 = 11;
pub(super) const RFLAGS_AC: u32 = 18;

/// A processor at the moment of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Registers {
    pub(super) cr0: u64,
    pub(super) cr3: u64,
    pub(super) cr4: u64,
    /// `IA32_EFER`.
    pub(super) efer: u64,
    pub(super) rflags: u64,
    pub(super) pkru: u32,
    /// The low half of `IA32_PKRS`.
    pub(super) pkrs: u32,
    /// CPL; 3 for WRUSS, which is a user-mode access.
    pub(super) cpl: u8,
    /// MAXPHYADDR, within 36 and 52.
    pub(super) maxphyaddr: u32,
    /// An AMD processor.
    pub(super) is_amd: bool,
}

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A data read.
    Read,
    /// A data write.
    Write,
    /// An instruction fetch.
    Fetch,
}

/// An access to a linear address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attempt {
    pub(super) linear: VirtAddr,
    pub(super) kind: Kind,
    /// To a system data structure, of the processor's own accord.
    pub(super) implicit: bool,
    /// By an instruction that works on the shadow stack.
    pub(super) shadow_stack: bool,
}

/// Bit `number` of a register or an entry.
pub(super) fn bit(value: u64, number: u32) -> bool {
    value >> number & 1 == 1
}
