//! Elementary permissions: each is granted by a leaf, and any entry above it may take it away.
//!
//! [`Rights`](super::Rights) say what a mapping comes to; these say how it comes about. A table entry
//! that forbids accesses from user mode turns a page of the user into one of the kernel, whose
//! instruction fetches another bit governs: that is not the intersection of two `Rights`.

/// A set of elementary permissions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// Nothing but reads by the kernel.
    pub const NONE: Self = Self(0);
    /// Writes by the kernel.
    pub const KERNEL_WRITE: Self = Self(1);
    /// Instruction fetches by the kernel.
    pub const KERNEL_EXECUTE: Self = Self(2);
    /// Reads from user mode.
    pub const USER_READ: Self = Self(4);
    /// Writes from user mode.
    pub const USER_WRITE: Self = Self(8);
    /// Instruction fetches from user mode.
    pub const USER_EXECUTE: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);
    /// Writes by anybody.
    pub const WRITE: Self = Self::KERNEL_WRITE.and(Self::USER_WRITE);
    /// Instruction fetches by anybody.
    pub const EXECUTE: Self = Self::KERNEL_EXECUTE.and(Self::USER_EXECUTE);

    /// These and those of `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that both have.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// These without those of `other`, if so.
    #[must_use]
    pub const fn without_if(self, is_taken: bool, other: Self) -> Self {
        if is_taken { self.without(other) } else { self }
    }

    /// Whether every one of `other` is among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
