//! Which KVM answers.

use core::fmt;
use std::path::Path;

/// Which of Linux's modules runs the guest, and so whose answer it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `kvm_pvm`: no hardware virtualisation. The guest runs on shadow tables that KVM's software
    /// walker fills, and that walker answers.
    Paravirtual,
    /// `kvm_intel` with nested page tables (EPT): the processor answers.
    IntelNested,
    /// `kvm_amd` with nested page tables (NPT): the processor answers.
    AmdNested,
    /// `kvm_intel` or `kvm_amd` with shadow tables: KVM's software walker answers.
    Shadow,
    /// The host does not say.
    Unknown,
}

impl Kind {
    /// Asks the host, by its list of modules.
    pub(super) fn of_host() -> Self {
        let modules = Path::new("/sys/module");
        let says_yes = |parameter: &str| {
            let text = std::fs::read_to_string(modules.join(parameter));
            text.is_ok_and(|text| matches!(text.trim(), "Y" | "1"))
        };
        if modules.join("kvm_pvm").exists() {
            Self::Paravirtual
        } else if modules.join("kvm_intel").exists() {
            if says_yes("kvm_intel/parameters/ept") { Self::IntelNested } else { Self::Shadow }
        } else if modules.join("kvm_amd").exists() {
            if says_yes("kvm_amd/parameters/npt") { Self::AmdNested } else { Self::Shadow }
        } else {
            Self::Unknown
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paravirtual => "paravirtual (kvm_pvm): its software walker answers",
            Self::IntelNested => "kvm_intel with nested page tables: the processor answers",
            Self::AmdNested => "kvm_amd with nested page tables: the processor answers",
            Self::Shadow => "shadow page tables: its software walker answers",
            Self::Unknown => "of a kind the host does not tell",
        })
    }
}
