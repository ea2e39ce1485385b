//! What a mapping permits, in words every format has.

use core::fmt;

/// What a mapping permits beyond being read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    /// Reads by the kernel only.
    pub const READ: Self = Self(0);
    /// Writes.
    pub const WRITE: Self = Self(1);
    /// Accesses from user mode.
    pub const USER: Self = Self(2);
    /// Instruction fetches.
    pub const EXECUTE: Self = Self(4);
    /// Writes, accesses from user mode and instruction fetches: everything that is ever asked for.
    pub const ALL: Self = Self(7);
    /// Instruction fetches by the side that the page is not for: the kernel's from a page of the user,
    /// or the user's from one of the kernel. Never asked for; told apart where the architecture has a
    /// bit for each side.
    pub const ACROSS: Self = Self(8);

    /// These rights and those of `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both grant.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every right of `other` is among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The rights in the low three bits: write, user, execute. Other bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// As four bits: write, user, execute, execute across.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = if self.has(Self::WRITE) { 'w' } else { '-' };
        let execute = if self.has(Self::EXECUTE) { 'x' } else { '-' };
        let who = if self.has(Self::USER) { "user" } else { "kernel" };
        write!(f, "r{write}{execute} {who}")?;
        match (self.has(Self::ACROSS), self.has(Self::USER)) {
            (false, _) => Ok(()),
            (true, true) => f.write_str(", executable by the kernel"),
            (true, false) => f.write_str(", executable from user mode"),
        }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
