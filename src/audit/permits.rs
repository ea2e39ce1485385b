//! What user mode and kernel mode may do with a page, as six bits.
//!
//! The translation core decides; here its answers for each combination of rights and protection key
//! are kept in a table, because a sweep asks millions of times.

use crate::base::{Access, Ring, VirtAddr};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Request, Rights, refusal};

/// Accesses that are permitted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Accesses(u8);

impl Accesses {
    /// None.
    pub const NONE: Self = Self(0);
    /// User mode reads.
    pub const USER_READ: Self = Self(1);
    /// User mode writes.
    pub const USER_WRITE: Self = Self(2);
    /// User mode fetches.
    pub const USER_EXECUTE: Self = Self(4);
    /// Any access of user mode.
    pub const USER: Self = Self(7);
    /// Kernel mode reads, explicitly and with EFLAGS.AC clear.
    pub const KERNEL_READ: Self = Self(8);
    /// Kernel mode writes, likewise.
    pub const KERNEL_WRITE: Self = Self(16);
    /// Kernel mode fetches.
    pub const KERNEL_EXECUTE: Self = Self(32);
    /// Any access of kernel mode.
    pub const KERNEL: Self = Self(56);

    /// Whether any of `other` is among these.
    #[must_use]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn among(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// None at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What user mode may do, as `rwx` with `-` for what it may not.
    #[must_use]
    pub fn user_text(self) -> String {
        letters(self.0 & 7)
    }

    /// What kernel mode may do, as `rwx` with `-` for what it may not.
    #[must_use]
    pub fn kernel_text(self) -> String {
        letters(self.0 >> 3)
    }
}

fn letters(bits: u8) -> String {
    let letter = |bit: u8, letter| if bits & bit != 0 { letter } else { '-' };
    [letter(1, 'r'), letter(2, 'w'), letter(4, 'x')].into_iter().collect()
}

/// [`Accesses`] by rights and key.
#[derive(Clone, Debug)]
pub struct Permits(Box<[Accesses; 256]>);

impl Permits {
    /// What these controls permit.
    #[must_use]
    pub fn new(controls: &Controls) -> Self {
        let mut table = Box::new([Accesses::NONE; 256]);
        for (index, permitted) in (0u8..=255).zip(table.iter_mut()) {
            *permitted = asked(controls, Rights::from_bits(index >> 4), index & 15);
        }
        Self(table)
    }

    /// What these controls permit whatever PKRU denies.
    ///
    /// A process changes that register itself (Intel SDM volume 2, "WRPKRU": it faults where CR4.PKE is
    /// 0, and not for want of privilege), and kernel mode that runs for it accesses user pages with what
    /// it left there: what PKRU denies stands against neither. `IA32_PKRS` is the kernel's own.
    #[must_use]
    pub fn at_will(controls: &Controls) -> Self {
        Self::new(&Controls { flags: controls.flags.without(ControlFlags::PKE), ..*controls })
    }

    /// What is permitted on a page with these rights and this key.
    #[must_use]
    #[inline(always)]
    pub fn of(&self, rights: Rights, key: u8) -> Accesses {
        self.0[usize::from(rights.bits() << 4 | key & 15)]
    }
}

fn asked(controls: &Controls, rights: Rights, key: u8) -> Accesses {
    let asks = [
        (Ring::User, Access::Read, Accesses::USER_READ),
        (Ring::User, Access::Write, Accesses::USER_WRITE),
        (Ring::User, Access::Execute, Accesses::USER_EXECUTE),
        (Ring::Kernel, Access::Read, Accesses::KERNEL_READ),
        (Ring::Kernel, Access::Write, Accesses::KERNEL_WRITE),
        (Ring::Kernel, Access::Execute, Accesses::KERNEL_EXECUTE),
    ];
    let mut permitted = Accesses::NONE;
    for (ring, access, bit) in asks {
        let request = Request::new(VirtAddr(0), access, ring);
        if refusal(controls, &request, rights, key).is_none() {
            permitted = permitted.with(bit);
        }
    }
    permitted
}
