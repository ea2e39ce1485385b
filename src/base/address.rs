//! Addresses, and the pages and frames they fall into.

use core::fmt;

/// Bytes of a page frame (4 KiB), the smallest unit of translation.
pub const FRAME_BYTES: u64 = 4096;

/// A physical address below the architectural limit of 2^52.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysAddr(u64);

impl PhysAddr {
    /// The largest physical address an x86-64 page-table entry can name (Intel SDM volume 3A,
    /// "Paging-mode modifiers and MAXPHYADDR": at most 52 bits).
    pub const MAX: Self = Self((1 << 52) - 1);

    /// Returns `None` for an address no processor can name.
    #[must_use]
    pub const fn new(raw: u64) -> Option<Self> {
        if raw <= Self::MAX.0 { Some(Self(raw)) } else { None }
    }

    /// Drops the bits above the architectural limit, as a page-table entry's address field does.
    #[must_use]
    pub const fn truncated(raw: u64) -> Self {
        Self(raw & Self::MAX.0)
    }

    /// The address as a number of bytes.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The frame this address lies in.
    #[must_use]
    pub const fn frame(self) -> Frame {
        Frame(self.0 / FRAME_BYTES)
    }

    /// Bytes from the start of its frame.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0 % FRAME_BYTES
    }

    /// The address `bytes` further on, modulo 2^52.
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Self {
        Self::truncated(self.0.wrapping_add(bytes))
    }
}

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phys {:#x}", self.0)
    }
}

/// A page frame: 4 KiB of physical memory, by number (physical address / 4096).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Frame(pub u64);

impl Frame {
    /// The physical address of its first byte.
    #[must_use]
    pub const fn start(self) -> PhysAddr {
        PhysAddr::truncated(self.0 * FRAME_BYTES)
    }
}

/// A linear address as an instruction presents it: any 64 bits, canonical or not.
///
/// Whether it is canonical depends on the paging mode, so only the translation decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// The address `bytes` further on, modulo 2^64.
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// The 4 KiB page this address lies in.
    #[must_use]
    pub const fn page(self) -> Page {
        Page(self.0 / FRAME_BYTES)
    }

    /// Bytes from the start of its 4 KiB page.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0 % FRAME_BYTES
    }

    /// Whether the address lies in the upper half of the linear address space (bit 63 set), which
    /// the kernel keeps for itself.
    #[must_use]
    pub const fn is_system(self) -> bool {
        self.0 >> 63 == 1
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A 4 KiB page of linear addresses, by number (address / 4096).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Page(pub u64);

impl Page {
    /// The linear address of its first byte.
    #[must_use]
    pub const fn start(self) -> VirtAddr {
        VirtAddr(self.0.wrapping_mul(FRAME_BYTES))
    }
}
