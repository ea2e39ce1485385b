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
    /// A protection key forbids it, whatever else does; never for a user-mode access to a
    /// supervisor-mode address, of which `IA32_PKRS` is not asked (see the module `rights`).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ring;

    fn code(flags: ControlFlags, request: Request) -> u32 {
        PageFaultCode::of_access(&Controls { flags, ..Controls::default() }, &request).0
    }

    #[test]
    fn each_bit_is_where_the_manual_has_it() {
        let bits = [
            PageFaultCode::P,
            PageFaultCode::WR,
            PageFaultCode::US,
            PageFaultCode::RSVD,
            PageFaultCode::ID,
            PageFaultCode::PK,
            PageFaultCode::SS,
        ];

        assert_eq!(bits, [1, 2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn the_access_is_told_bit_by_bit() {
        let kernel = |access| Request::new(VirtAddr(0), access, Ring::Kernel);
        let user = |access| Request::new(VirtAddr(0), access, Ring::User);
        let stack = |access| Request { shadow_stack: true, ..user(access) };
        let none = ControlFlags::NONE;
        for (flags, request, wanted) in [
            (none, kernel(Access::Read), 0),
            (none, kernel(Access::Write), 2),
            (none, user(Access::Read), 4),
            (none, user(Access::Write), 6),
            (none, Request { implicit: true, ..user(Access::Write) }, 2),
            // A fetch is told from a read only where something makes a difference between them.
            (none, user(Access::Execute), 4),
            (ControlFlags::NXE, user(Access::Execute), 0x14),
            (ControlFlags::SMEP, user(Access::Execute), 0x14),
            (ControlFlags::NXE | ControlFlags::SMEP, kernel(Access::Execute), 0x10),
            (ControlFlags::NXE | ControlFlags::SMEP, kernel(Access::Read), 0),
            (ControlFlags::CET, stack(Access::Read), 0x44),
            (ControlFlags::CET, stack(Access::Write), 0x46),
            (ControlFlags::CET, Request { ring: Ring::Kernel, ..stack(Access::Write) }, 0x42),
            (ControlFlags::CET | ControlFlags::NXE, stack(Access::Execute), 0x14),
            (none, stack(Access::Write), 6),
        ] {
            assert_eq!(code(flags, request), wanted, "{flags:?} {request:?}");
        }
    }

    #[test]
    fn a_code_is_added_to_asked_and_shown() {
        let code = PageFaultCode(5).with(PageFaultCode::P | PageFaultCode::PK);

        assert_eq!(code, PageFaultCode(0x25));
        assert!(code.has(0x21) && code.has(4) && code.has(0));
        assert!(!code.has(2) && !code.has(0x23));
        assert_eq!(format!("{code:?}"), "0x25");
    }
}
