//! Read-only tables: a habit of the kernel, and what its tables are with it and without.
//!
//! With it every page through which a page table could be written is read-only, and large pages that
//! cover one are split for it. An image shows it when pages lead to page tables and none is writable by
//! what the entries on its way say. Where no page leads to a table it shows nothing, and counts as
//! without.
//!
//! Switched on, R/W is taken from every page that is a table; switched off, it is given to every such
//! page of the kernel. R/W of the entries above is left as it is: it holds for other pages too.

use crate::base::Frame;
use crate::machine::paging::x86_64::{
    ControlFlags, Controls, Entry, EntryKind, Level, Reserved, Rights,
};
use crate::machine::paging::{PageSize, TableMemory as _};

use super::flip::first_within;
use super::frames::FrameUse;
use super::image::{Image, Table};
use super::space::Space;
use super::ways::{Mapping, Ways, frames_of};

/// Whether pages lead to page tables, and none of these pages is writable.
pub(super) fn is_shown(image: &Image, controls: &Controls) -> bool {
    // Whether XD may be set changes no right to write, only what is reserved.
    let controls = Controls { flags: controls.flags.with(ControlFlags::NXE), ..*controls };
    let controls = image.controls(controls);
    let ways = Ways::new(image, &controls, None);
    let reached = image.frames().iter().zip(ways.reached(image));
    let tables: Vec<u64> =
        reached.filter(|(_, reached)| *reached).map(|(frame, _)| frame.0).collect();
    let mut is_mapped = false;
    for Mapping { reach, .. } in ways.mappings(image, &controls) {
        let (first, count) = frames_of(&reach);
        if first_within(&tables, first, count).is_some() {
            if reach.rights.has(Rights::WRITABLE) {
                return false;
            }
            is_mapped = true;
        }
    }
    is_mapped
}

/// The tables with pages of 4 KiB that lead to a table switched, and larger ones split once.
pub(super) fn switched(space: &Space, read_only: bool) -> Image {
    let mut image = space.image.clone();
    let read = Read::new(space);
    let mut free = free_frames(space);
    for Mapping { at, reach, .. } in space.ways.mappings(&space.image, &space.controls) {
        let entry = reach.leaf;
        let is_switched = entry.has(Entry::RW) != read_only;
        // It may have been met on another way.
        if is_switched || image.entry(at) != entry.0 {
            continue;
        }
        let (first, count) = frames_of(&reach);
        let mut covered = space.frames.over(first..first + count);
        let is_table = covered.any(|(_, told)| told.has(FrameUse::TABLE));
        let table = space.image.index_of(at.frame());
        let Some(table) = table.filter(|_| is_table) else { continue };
        if !read.is_only_a_page(table, entry) || (!read_only && read.is_user(table, entry)) {
            continue;
        }
        if reach.size == PageSize::Kib4 {
            image.set(at, entry.0 ^ Entry::RW);
        } else if read.has_one_size(table, entry) {
            let Some(frame) = free.next() else { break };
            image.insert(frame, split(entry.0, reach.size, first));
            // Above pages that are switched one by one.
            let kept = entry.0 & (Entry::P | Entry::US | Entry::A) | Entry::RW;
            image.set(at, kept | frame.start().raw());
        }
    }
    image
}

/// As what each table is read: by level and rights of the ways to it.
struct Read {
    ways: Vec<Vec<(Level, Rights)>>,
    reserved: Reserved,
}

impl Read {
    fn new(space: &Space) -> Self {
        let mut ways = vec![Vec::new(); space.image.frames().len()];
        for way in &space.ways.all {
            ways[way.table].push((way.using.level, way.using.rights));
        }
        Self { ways, reserved: Reserved::new(&space.controls) }
    }

    fn kinds(&self, table: usize, entry: Entry) -> impl Iterator<Item = EntryKind> + '_ {
        self.ways[table].iter().map(move |(level, _)| entry.kind(*level, self.reserved))
    }

    /// An entry that also names a table, as in a self-map, is left alone: without R/W nothing below it
    /// could be written.
    fn is_only_a_page(&self, table: usize, entry: Entry) -> bool {
        !self.kinds(table, entry).any(|kind| matches!(kind, EntryKind::Table(_)))
    }

    /// What is split for one level must be a page of this size at each where it is read: at another the
    /// new entry, and what it names, would be something else.
    fn has_one_size(&self, table: usize, entry: Entry) -> bool {
        let mut kinds = self.kinds(table, entry);
        let first = kinds.next();
        kinds.all(|kind| Some(kind) == first)
    }

    /// Whether user mode may use the page on some way.
    fn is_user(&self, table: usize, entry: Entry) -> bool {
        let mut ways = self.ways[table].iter();
        ways.any(|(_, rights)| rights.through_leaf(entry).has(Rights::USER))
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
