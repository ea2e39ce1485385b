//! What not every guest has. A trial of each shows whether this one does.

use core::fmt;

use super::trial::Trial;
use crate::base::Ring;
use crate::machine::paging::x86_64::{Controls, Entry, Vendor};
use crate::oracles::recorded::{CaseAccess, TranslationCase};

/// A part of the architecture that a host's KVM may not offer to a guest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Feature {
    /// `IA32_EFER.NXE`.
    ExecuteDisable,
    /// CR4.SMEP.
    Smep,
    /// CR4.SMAP.
    Smap,
    /// CR4.PGE.
    GlobalPages,
    /// CR4.PCIDE.
    ProcessContexts,
    /// CR4.PKE.
    ProtectionKeys,
    /// CR4.LA57.
    FiveLevels,
    /// Pages of 1 GiB. A guest without them takes bit 7 of a PDPTE for reserved.
    GiantPages,
    /// Address bits from MAXPHYADDR up are reserved. With nested page tables the processor knows
    /// only its own MAXPHYADDR (Linux, "The Definitive KVM API Documentation",
    /// `KVM_CAP_SMALLER_MAXPHYADDR`).
    ReservedAddressBits,
    /// Bit 8 of upper entries as the guest's vendor has it.
    VendorsBit8,
    /// User-mode addresses in slot 256 of the top table. A paravirtual KVM keeps to itself what of
    /// the upper half it does not grant the guest ("PVM: Pagetable Virtual Machine", the
    /// specification in its patches to Linux, "Paging"). Observed on Linux 6.18 with `kvm_pvm`: a
    /// user-mode access there is always told that the page is not present.
    UserSlot256,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ExecuteDisable,
        Self::Smep,
        Self::Smap,
        Self::GlobalPages,
        Self::ProcessContexts,
        Self::ProtectionKeys,
        Self::FiveLevels,
        Self::GiantPages,
        Self::ReservedAddressBits,
        Self::VendorsBit8,
        Self::UserSlot256,
    ];

    /// The bit of a case's mode that switches it on, if there is one.
    const fn mode(self) -> u16 {
        match self {
            Self::Smep => 1 << 1,
            Self::Smap => 1 << 2,
            Self::ExecuteDisable => 1 << 4,
            Self::ProtectionKeys => 1 << 5,
            Self::GlobalPages => 1 << 6,
            Self::ProcessContexts => 1 << 7,
            Self::FiveLevels => 1 << 8,
            Self::GiantPages
            | Self::ReservedAddressBits
            | Self::VendorsBit8
            | Self::UserSlot256 => 0,
        }
    }

    /// Whether the answer to a case may depend on it.
    #[must_use]
    pub fn is_used(self, case: &TranslationCase, controls: &Controls) -> bool {
        let entries = &case.entries;
        match self {
            Self::GiantPages => entries[2] & Entry::P != 0 && entries[2] & Entry::PS != 0,
            Self::ReservedAddressBits => {
                let reserved = (1 << 52) - (1 << controls.physical_bits());
                entries.iter().any(|entry| entry & reserved != 0)
            }
            Self::VendorsBit8 => entries[3..].iter().any(|entry| entry & 1 << 8 != 0),
            Self::UserSlot256 => case.ring == Ring::User && case.virt.0 >> 39 == 0x1ff_ff00,
            _ => case.mode.bits() & self.mode() != 0,
        }
    }

    /// The cases that show whether a guest has it, and what the manuals say to them.
    pub(super) fn trials(self, controls: &Controls) -> Vec<Trial> {
        let mut trial = Trial::base().with_mode(self.mode());
        match self {
            Self::ExecuteDisable => {
                let fetch = trial.with_entry(0, Entry::XD).does(CaseAccess::Fetch, Ring::User);
                vec![fetch.faults(0x15)]
            }
            Self::Smep => vec![trial.does(CaseAccess::Fetch, Ring::Kernel).faults(0x11)],
            Self::Smap => {
                let read = trial.does(CaseAccess::Read, Ring::Kernel);
                vec![read.clone().with_mode(1 << 3), read.faults(1)]
            }
            Self::GlobalPages => vec![trial.with_entry(0, Entry::G)],
            Self::ProcessContexts => vec![trial],
            Self::ProtectionKeys => {
                trial.case.pkru = 1 << 2;
                vec![trial.clone(), trial.with_entry(0, 1 << 59).faults(0x25)]
            }
            Self::FiveLevels => {
                trial.case.virt.0 |= 5 << 48;
                trial.case.entries[4] = 0x60_1027;
                vec![trial]
            }
            Self::GiantPages => {
                trial.case.virt.0 = trial.case.virt.0 & !0x3fff_ffff | 0x100_0120;
                trial.case.entries[2] = 0x4000_00e7;
                vec![trial.translates(0x4100_0120)]
            }
            Self::ReservedAddressBits => {
                let bits = controls.physical_bits()..52;
                bits.map(|bit| trial.clone().with_entry(0, 1 << bit).faults(0xd)).collect()
            }
            Self::VendorsBit8 => {
                let set = trial.with_entry(3, 1 << 8);
                match controls.vendor {
                    Vendor::Intel => vec![set],
                    Vendor::Amd => vec![set.faults(0xd)],
                }
            }
            Self::UserSlot256 => {
                trial.case.virt.0 = 0xffff_8000_0000_0000 | trial.case.virt.0 & 0x7f_ffff_ffff;
                vec![trial]
            }
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExecuteDisable => "execute-disable",
            Self::Smep => "SMEP",
            Self::Smap => "SMAP",
            Self::GlobalPages => "global pages",
            Self::ProcessContexts => "process contexts (PCID)",
            Self::ProtectionKeys => "protection keys",
            Self::FiveLevels => "5 levels",
            Self::GiantPages => "pages of 1 GiB",
            Self::ReservedAddressBits => "address bits from MAXPHYADDR up",
            Self::VendorsBit8 => "bit 8 of upper entries",
            Self::UserSlot256 => "user-mode addresses in slot 256",
        })
    }
}
