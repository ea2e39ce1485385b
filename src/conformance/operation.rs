//! Calls as data.

use core::fmt;

use super::rights::Rights;
use crate::base::{FRAME_BYTES, Page, PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;

/// One call of the code under test, or one thing that happens to its tables between two calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// [`Mapper::map`](super::Mapper::map)
    Map {
        /// The page.
        page: VirtAddr,
        /// The frame.
        to: PhysAddr,
        /// The size.
        size: PageSize,
        /// What is granted.
        rights: Rights,
    },
    /// [`Mapper::unmap`](super::Mapper::unmap)
    Unmap {
        /// The page.
        page: VirtAddr,
        /// The size.
        size: PageSize,
    },
    /// [`Mapper::protect`](super::Mapper::protect)
    Protect {
        /// The page.
        page: VirtAddr,
        /// The size.
        size: PageSize,
        /// What is granted from now on.
        rights: Rights,
    },
    /// [`Mapper::query`](super::Mapper::query)
    Query {
        /// The address.
        virt: VirtAddr,
    },
    /// [`Mapper::map_range`](super::Mapper::map_range)
    MapRange {
        /// The first page.
        first: VirtAddr,
        /// The first frame.
        to: PhysAddr,
        /// Length in bytes, a multiple of 4 KiB.
        bytes: u64,
        /// What is granted.
        rights: Rights,
    },
    /// [`Mapper::unmap_range`](super::Mapper::unmap_range)
    UnmapRange {
        /// The first page.
        first: VirtAddr,
        /// Length in bytes, a multiple of 4 KiB.
        bytes: u64,
    },
    /// [`Mapper::protect_range`](super::Mapper::protect_range)
    ProtectRange {
        /// The first page.
        first: VirtAddr,
        /// Length in bytes, a multiple of 4 KiB.
        bytes: u64,
        /// What is granted from now on.
        rights: Rights,
    },
    /// [`Mapper::clean_up`](super::Mapper::clean_up)
    CleanUp,
    /// Between two calls, something happens to one entry.
    Disturb {
        /// Which: a number that chooses among the entries there are; 0 is the first.
        which: u64,
        /// What happens to it.
        how: Disturbance,
    },
}

/// What happens to an entry between two calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disturbance {
    /// The processor sets accessed and dirty in a leaf.
    Mark,
    /// Somebody sets bits of a leaf that change nothing: memory type, ignored bits.
    Decorate(u64),
    /// Somebody makes a leaf invalid and keeps its other bits.
    Hide,
    /// Some bits of any entry flip.
    Flip(u64),
}

/// The pages that a call is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Region {
    pub(crate) first: Page,
    pub(crate) pages: u64,
}

impl Region {
    pub(crate) const NOTHING: Self = Self { first: Page(0), pages: 0 };

    pub(crate) const fn holds(&self, page: Page) -> bool {
        page.0.wrapping_sub(self.first.0) < self.pages
    }

    /// Whether some page is in both.
    pub(crate) const fn meets(&self, other: &Self) -> bool {
        let is_any = self.pages > 0 && other.pages > 0;
        is_any && (self.holds(other.first) || other.holds(self.first))
    }
}

impl Call {
    pub(crate) const fn region(&self) -> Region {
        match self {
            Self::Map { page, size, .. }
            | Self::Unmap { page, size }
            | Self::Protect { page, size, .. } => {
                Region { first: page.page(), pages: size.frames() }
            }
            Self::MapRange { first, bytes, .. }
            | Self::UnmapRange { first, bytes }
            | Self::ProtectRange { first, bytes, .. } => {
                Region { first: first.page(), pages: *bytes / FRAME_BYTES }
            }
            Self::Query { .. } | Self::CleanUp | Self::Disturb { .. } => Region::NOTHING,
        }
    }

    pub(crate) const fn is_range(&self) -> bool {
        matches!(self, Self::MapRange { .. } | Self::UnmapRange { .. } | Self::ProtectRange { .. })
    }

    /// The name of the method.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Map { .. } => "map",
            Self::Unmap { .. } => "unmap",
            Self::Protect { .. } => "protect",
            Self::Query { .. } => "query",
            Self::MapRange { .. } => "map_range",
            Self::UnmapRange { .. } => "unmap_range",
            Self::ProtectRange { .. } => "protect_range",
            Self::CleanUp => "clean_up",
            Self::Disturb { how: Disturbance::Mark, .. } => "hardware marks",
            Self::Disturb { how: Disturbance::Decorate(_), .. } => "somebody sets",
            Self::Disturb { how: Disturbance::Hide, .. } => "somebody hides",
            Self::Disturb { how: Disturbance::Flip(_), .. } => "bits flip",
        }
    }
}

pub(crate) const fn size_name(size: PageSize) -> &'static str {
    match size {
        PageSize::Kib4 => "4 KiB",
        PageSize::Mib2 => "2 MiB",
        PageSize::Gib1 => "1 GiB",
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match *self {
            Self::Map { page, to, size, rights } => {
                let size = size_name(size);
                write!(f, "{name} {size} page {page} to {:#x}, {rights}", to.raw())
            }
            Self::Unmap { page, size } => write!(f, "{name} {} page {page}", size_name(size)),
            Self::Protect { page, size, rights } => {
                write!(f, "{name} {} page {page}, {rights}", size_name(size))
            }
            Self::Query { virt } => write!(f, "{name} {virt}"),
            Self::MapRange { first, to, bytes, rights } => {
                write!(f, "{name} {first} + {bytes:#x} to {:#x}, {rights}", to.raw())
            }
            Self::UnmapRange { first, bytes } => write!(f, "{name} {first} + {bytes:#x}"),
            Self::ProtectRange { first, bytes, rights } => {
                write!(f, "{name} {first} + {bytes:#x}, {rights}")
            }
            Self::CleanUp => write!(f, "{name}"),
            Self::Disturb { how: Disturbance::Decorate(bits), .. } => {
                write!(f, "{name} bits {bits:#x} of a leaf")
            }
            Self::Disturb { how: Disturbance::Flip(bits), .. } => {
                write!(f, "{name}: {bits:#x} of an entry")
            }
            Self::Disturb { .. } => write!(f, "{name} a leaf"),
        }
    }
}
