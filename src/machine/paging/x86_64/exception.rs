//! What is reported when an address leads nowhere.

use core::fmt;

use super::controls::{ControlFlags, Controls, Request};
use crate::base::{Access, VirtAddr};

/// The error code of a page fault (Intel SDM volume 3A, "Page-Fault Exceptions").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageFaultCode(pub u32);

impl PageFaultCode {
    /// Every entry that was used is present.
    pub const P: u32 = 1;
    /// The access was a write.
    pub const WR: u32 = 1 << 1;
    /// It was a user-mode access.
    pub const US: u32 = 1 << 2;
    /// A reserved bit was set in a present entry.
    pub const RSVD: u32 = 1 << 3;
    /// It was a fetch, and something distinguishes fetches: `IA32_EFER.NXE` or CR4.SMEP.
    pub const ID: u32 = 1 << 4;
    /// A protection key forbids it, whatever else does.
    pub const PK: u32 = 1 << 5;
    /// It was a shadow-stack access.
    pub const SS: u32 = 1 << 6;

    /// The bits that tell of the access alone and not of the tables.
    #[must_use]
    pub const fn of_access(controls: &Controls, request: &Request) -> Self {
        let flags = controls.flags;
        let mut code = match request.access {
            Access::Read => 0,
            Access::Write => Self::WR,
            Access::Execute if flags.has(ControlFlags::NXE) || flags.has(ControlFlags::SMEP) => {
                Self::ID
            }
            Access::Execute => 0,
        };
        if request.is_user_mode() {
            code |= Self::US;
        }
        if request.is_shadow_stack(controls) {
            code |= Self::SS;
        }
        Self(code)
    }

    /// This code and `bits`.
    #[must_use]
    pub const fn with(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }

    /// Whether all of `bits` are set.
    #[must_use]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
}

impl fmt::Debug for PageFaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Why there is no physical address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Exception {
    /// #PF: CR2 and the error code.
    PageFault {
        /// The linear address, for CR2.
        virt: VirtAddr,
        /// The error code.
        code: PageFaultCode,
    },
    /// #GP(0): the address is not canonical. (An access through the stack segment would raise #SS;
    /// this model does not tell segments apart.)
    GeneralProtection,
}
