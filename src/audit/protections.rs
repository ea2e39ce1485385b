//! Which protections are on, and what is the same machine with one of them switched?
//!
//! Most are a bit of a control register. Two are more than that. Without NX no entry sets XD (a
//! kernel that runs so sets none, and bit 63 is reserved), so XD is taken out of all entries; out of
//! those that are not present too, because a flip of P must not fault for a bit that would not be there
//! (inferred: what a kernel keeps in bit 63 of such an entry is its own affair).
//! *Read-only tables* are a habit of the kernel: every page through which a page table could be
//! written is read-only, and large pages that cover one are split for it.

use std::collections::BTreeSet;

use crate::base::{Frame, PhysAddr};
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, EntryKind, Level, Reserved};

use super::flip::{Counts, KernelGain, helps};
use super::frames::FrameUse;
use super::image::{Image, Table};
use super::permits::Accesses;
use super::space::{Incomplete, Space};
use super::ways::{Mapping, frames_of};

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
    pub image: Image,
    /// Registers; root and levels come from the image.
    pub controls: Controls,
    /// Whether the kernel is to map its tables read-only, whatever the image says.
    pub read_only_tables: bool,
    /// Whether tables may be missing.
    pub may_be_incomplete: bool,
}

impl Machine {
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
    /// When tables are not in the image.
    pub fn space(&self) -> Result<Space, Incomplete> {
        let mut image = self.image.clone();
        if !self.has(Protection::Nx) {
            without_xd(&mut image);
        }
        let space = |image| match self.may_be_incomplete {
            true => Space::incomplete(image, self.controls),
            false => Space::new(image, self.controls),
        };
        let mut space_now = space(image)?;
        if self.read_only_tables {
            // A page of 1 GiB is split twice, then its parts are made read-only.
            for _ in 0..3 {
                let mut image = space_now.image.clone();
                protect_tables(&space_now, &mut image);
                space_now = space(image)?;
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

/// Takes R/W from small pages that are tables; splits large ones that cover one. An entry that also
/// names a table, as in a self-map, is left alone: without R/W nothing below it could be written.
fn protect_tables(space: &Space, image: &mut Image) {
    let reserved = Reserved::new(&space.controls);
    let mut naming: BTreeSet<PhysAddr> = BTreeSet::new();
    for way in &space.ways.all {
        for (index, &entry) in (0u64..).zip(space.image.table(way.table)) {
            if let EntryKind::Table(_) = Entry(entry).kind(way.using.level, reserved) {
                naming.insert(way.using.at.plus(8 * index));
            }
        }
    }
    let mut free = free_frames(space);
    let mut done: BTreeSet<PhysAddr> = BTreeSet::new();
    for Mapping { at, reach, .. } in space.ways.mappings(&space.image, &space.controls) {
        let (first, count) = frames_of(&reach);
        let covers = space.frames.over(first..first + count);
        let is_table = covers.into_iter().any(|(_, told)| told.has(FrameUse::TABLE));
        if !is_table || !reach.leaf.has(Entry::RW) || naming.contains(&at) || !done.insert(at) {
            continue;
        }
        let entry = reach.leaf.0;
        if reach.size == PageSize::Kib4 {
            image.set(at, entry & !Entry::RW);
            continue;
        }
        let Some(frame) = free.next() else { return };
        image.insert(frame, split(entry, reach.size, first));
        let kept = entry & (Entry::P | Entry::RW | Entry::US | Entry::A);
        image.set(at, kept | frame.start().raw());
    }
}

/// Frames of which the image says nothing: where tables that it doesn't have yet may lie.
fn free_frames(space: &Space) -> impl Iterator<Item = Frame> + '_ {
    let end = 1u64 << (space.controls.physical_bits() - 12);
    let unknown = space.frames.over(1..end).filter(|(_, told)| *told == FrameUse::UNKNOWN);
    unknown.flat_map(|(range, _)| range).map(Frame)
}

/// A table whose pages, of the next smaller size, are together what `entry` maps.
fn split(entry: u64, size: PageSize, first: u64) -> Box<Table> {
    /// PAT, where it lies in the entry of a large page.
    const PAT: u64 = 1 << 12;
    let (step, attributes) = match size {
        PageSize::Gib1 => (512, entry & !Entry::ADDRESS | entry & PAT),
        _ => {
            // In the entry of a small page, PAT lies where PS was.
            let pat = if entry & PAT != 0 { Entry::PS } else { 0 };
            (1, entry & !(Entry::ADDRESS | Entry::PS) | pat)
        }
    };
    let mut table = Box::new([0; 512]);
    for (index, entry) in (0u64..).zip(table.iter_mut()) {
        *entry = attributes | (first + index * step) << 12;
    }
    table
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

/// The margin of a machine with one protection in one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Margin {
    /// Which; `None` for the machine as it was given.
    pub switched: Option<(Protection, bool)>,
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
