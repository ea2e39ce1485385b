//! Who acts.

use core::fmt;

/// What sort of actor a principal is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum PrincipalKind {
    /// The operating-system kernel with its exported driver support routines.
    Kernel,
    /// The hardware abstraction layer.
    Hal,
    /// A kernel-mode driver that is not a file system.
    KernelDriver,
    /// A file-system driver.
    FileSystem,
    /// An application's process.
    Application,
    /// A process that hosts user-mode drivers.
    DriverHost,
    /// A device that reads and writes memory by itself.
    Device,
}

impl PrincipalKind {
    /// Whether it runs in kernel mode, inside the one address space all kernel code shares.
    #[must_use]
    pub const fn is_kernel_mode(self) -> bool {
        matches!(self, Self::Kernel | Self::Hal | Self::KernelDriver | Self::FileSystem)
    }

    /// Whether it is a process with an address space and a handle table of its own.
    #[must_use]
    pub const fn is_process(self) -> bool {
        matches!(self, Self::Application | Self::DriverHost)
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernel => "kernel",
            Self::Hal => "hal",
            Self::KernelDriver => "kernel-mode driver",
            Self::FileSystem => "file-system driver",
            Self::Application => "application",
            Self::DriverHost => "user-mode driver",
            Self::Device => "device",
        })
    }
}

/// One actor of a world, by its dense number there; the world knows its name and kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Principal(pub u8);

impl Principal {
    /// The operating-system kernel, in every world.
    pub const KERNEL: Self = Self(0);
    /// The hardware abstraction layer, in every world.
    pub const HAL: Self = Self(1);
    /// Principals in one world at most: a set of them is one machine word.
    pub const COUNT_MAX: usize = 64;
}

/// A set of principals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct PrincipalSet(pub u64);

impl PrincipalSet {
    /// Nobody.
    pub const NOBODY: Self = Self(0);

    /// Just this one.
    #[must_use]
    pub const fn of(principal: Principal) -> Self {
        Self(1 << principal.0)
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, principal: Principal) -> Self {
        Self(self.0 | (1 << principal.0))
    }

    /// This set but one.
    #[must_use]
    pub const fn without(self, principal: Principal) -> Self {
        Self(self.0 & !(1 << principal.0))
    }

    /// Everybody in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has this one.
    #[must_use]
    pub const fn contains(self, principal: Principal) -> bool {
        self.0 >> principal.0 & 1 == 1
    }

    /// Whether it has nobody.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Principal> {
        (0..64).filter(move |&bit| self.0 >> bit & 1 == 1).map(Principal)
    }
}
