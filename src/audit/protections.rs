//! Which protections are on, and what is the same machine with one of them switched?
//!
//! Most are a bit of a control register. Two are more than that. Without NX no entry sets XD (a
//! kernel that runs so sets none, and bit 63 is reserved), so XD is taken out of all entries; out of
//! those that are not present too, because a flip of P must not fault for a bit that would not be there
//! (inferred: what a kernel keeps in bit 63 of such an entry is its own affair).
//! *Read-only tables* are a habit of the kernel (module `read_only`), and the image shows
//! whether this kernel has it.

use core::fmt;

use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, Level};

use super::flip::{Counts, KernelGain, helps};
use super::frames::FrameUse;
use super::image::Image;
use super::permits::Accesses;
use super::read_only;
use super::space::{Incomplete, Space};
use super::ways::frames_of;

/// One protection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Protection {
    /// CR0.WP: kernel mode respects read-only pages.
    Wp,
    /// CR4.SMEP: kernel mode does not execute user pages.
    Smep,
    /// CR4.SMAP: kernel mode does not access user pages unless it says so with EFLAGS.AC.
    Smap,
    /// `IA32_EFER.NXE`: pages may be not executable.
    Nx,
    /// CR4.PKE: protection keys for user pages.
    Pke,
    /// CR4.PKS: protection keys for kernel pages.
    Pks,
    /// Page tables are mapped read-only.
    ReadOnlyTables,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Wp, Self::Smep, Self::Smap, Self::Nx, Self::Pke, Self::Pks, Self::ReadOnlyTables];

    /// The name on the command line and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wp => "wp",
            Self::Smep => "smep",
            Self::Smap => "smap",
            Self::Nx => "nx",
            Self::Pke => "pke",
            Self::Pks => "pks",
            Self::ReadOnlyTables => "read-only-tables",
        }
    }

    const fn flag(self) -> Option<ControlFlags> {
        match self {
            Self::Wp => Some(ControlFlags::WP),
            Self::Smep => Some(ControlFlags::SMEP),
            Self::Smap => Some(ControlFlags::SMAP),
            Self::Nx => Some(ControlFlags::NXE),
            Self::Pke => Some(ControlFlags::PKE),
            Self::Pks => Some(ControlFlags::PKS),
            Self::ReadOnlyTables => None,
        }
    }
}

/// An image with the protections of its machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The tables as they were read.
    image: Image,
    /// Registers; root and levels come from the image.
    pub controls: Controls,
    /// Whether tables may be missing.
    may_be_incomplete: bool,
    /// Whether the image has its tables mapped read-only.
    tables_as_read: bool,
    /// Whether the kernel is to map them so.
    read_only_tables: bool,
}

/// Why there is no such machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotMade {
    /// Tables are missing.
    Incomplete(Incomplete),
    /// No entry that maps a table, and nothing else, makes it writable.
    ReadOnlyAbove,
}

impl From<Incomplete> for NotMade {
    fn from(error: Incomplete) -> Self {
        Self::Incomplete(error)
    }
}

impl fmt::Display for NotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete(error) => error.fmt(f),
            Self::ReadOnlyAbove => f.write_str(
                "page tables stay read-only by entries above their pages, which hold for other pages too",
            ),
        }
    }
}

impl core::error::Error for NotMade {}

impl Machine {
    /// The machine of an image, with its tables mapped as they are.
    #[must_use]
    pub fn new(image: Image, controls: Controls, may_be_incomplete: bool) -> Self {
        let tables_as_read = read_only::is_shown(&image, &controls);
        let read_only_tables = tables_as_read;
        Self { image, controls, may_be_incomplete, tables_as_read, read_only_tables }
    }

    /// Whether a protection is on.
    #[must_use]
    pub fn has(&self, protection: Protection) -> bool {
        protection.flag().map_or(self.read_only_tables, |flag| self.controls.flags.has(flag))
    }

    /// The same machine with a protection switched on or off.
    #[must_use]
    pub fn with(&self, protection: Protection, on: bool) -> Self {
        let mut switched = self.clone();
        let flags = &mut switched.controls.flags;
        match protection.flag() {
            Some(flag) if on => *flags = flags.with(flag),
            Some(flag) => *flags = flags.without(flag),
            None => switched.read_only_tables = on,
        }
        switched
    }

    /// The address space of this machine.
    ///
    /// # Errors
    ///
    /// When tables are not in the image, or can't be mapped as asked.
    pub fn space(&self) -> Result<Space, NotMade> {
        let mut image = self.image.clone();
        if !self.has(Protection::Nx) {
            without_xd(&mut image);
        }
        let space = |image| match self.may_be_incomplete {
            true => Space::incomplete(image, self.controls),
            false => Space::new(image, self.controls),
        };
        let mut space_now = space(image)?;
        if self.read_only_tables != self.tables_as_read {
            // A page of 1 GiB is split twice, then its parts are switched.
            for _ in 0..3 {
                let image = read_only::switched(&space_now, self.read_only_tables);
                space_now = space(image)?;
            }
            let is_left = read_only::is_shown(&space_now.image, &space_now.controls);
            if is_left && !self.read_only_tables {
                return Err(NotMade::ReadOnlyAbove);
            }
        }
        Ok(space_now)
    }
}

fn without_xd(image: &mut Image) {
    for index in 0..image.frames().len() {
        let start = image.frames()[index].start();
        for slot in 0..512u64 {
            let at = start.plus(8 * slot);
            let entry = image.table(index)[usize::try_from(slot).unwrap_or(0)];
            if entry & Entry::XD != 0 {
                image.set(at, entry & !Entry::XD);
            }
        }
    }
}

/// What is possible without any flip, in pages of 4 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Open {
    /// Pages through which user mode writes a page table.
    pub user_writes_table: u64,
    /// Pages at which kernel mode may do so, in the order of [`KernelGain::ALL`].
    pub kernel: [u64; 3],
}

/// Counts what is open already.
#[must_use]
pub fn open(space: &Space) -> Open {
    let mut open = Open::default();
    for mapping in space.ways.mappings(&space.image, &space.controls) {
        let accesses = space.at_will.of(mapping.reach.rights, mapping.reach.leaf.key());
        let (first, count) = frames_of(&mapping.reach);
        for (range, told) in space.frames.over(first..first + count) {
            let pages = (range.end - range.start).saturating_mul(mapping.count);
            if told.has(FrameUse::TABLE) && accesses.any(Accesses::USER_WRITE) {
                open.user_writes_table = open.user_writes_table.saturating_add(pages);
            }
            for (count, kind) in open.kernel.iter_mut().zip(KernelGain::ALL) {
                if accesses.any(helps(kind, told)) {
                    *count = count.saturating_add(pages);
                }
            }
        }
    }
    open
}

/// The isolation margin of a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Margin {
    /// What flips give.
    pub counts: Counts,
    /// What is possible without one.
    pub open: Open,
    /// Page tables of the machine.
    pub tables: u64,
}

/// The level of a table as the manuals call it.
#[must_use]
pub const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Pt => "PT",
        Level::Pd => "PD",
        Level::Pdpt => "PDPT",
        Level::Pml4 => "PML4",
        Level::Pml5 => "PML5",
    }
}
