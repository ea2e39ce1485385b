//! Which frames user mode can write, and through which entries it must.
//!
//! When a flip turns a frame into a page table, a process that writes that frame writes a page
//! table, if it still can: a page whose every walk reads the flipped entry may be gone with it.

use std::collections::BTreeMap;

use crate::audit::permits::{Accesses, Permits};
use crate::audit::space::Space;
use crate::audit::ways::{Mapping, Ways, frames_of, walk_reads};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::x86_64::{Entry, Found, Level, Rights};

/// A page that user mode writes.
#[derive(Clone, Debug)]
struct Writer {
    frame: u64,
    frames: u64,
    first: VirtAddr,
    /// Entries that every walk to it reads.
    through: Vec<PhysAddr>,
}

/// All pages that user mode writes.
#[derive(Clone, Debug)]
pub(super) struct Writers<'a> {
    space: &'a Space,
    all: Vec<Writer>,
}

impl<'a> Writers<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        let image = &space.image;
        let mut all = Vec::new();
        let mut through: BTreeMap<(Level, usize, Rights), Vec<PhysAddr>> = BTreeMap::new();
        for way in &space.ways.all {
            let key = (way.using.level, way.table, way.using.rights);
            let above = through.get(&key).cloned().unwrap_or_default();
            for (index, &entry) in (0u64..).zip(image.table(way.table)) {
                if entry & Entry::P == 0 {
                    continue;
                }
                let at = way.using.at.plus(8 * index);
                let mut passed = above.clone();
                passed.push(at);
                match way.using.found(&space.controls, index, Entry(entry)) {
                    Some(Found::Table(named)) => {
                        let Some(table) = image.index_of(named.at.frame()) else { continue };
                        let key = (named.level, table, named.rights);
                        match through.get_mut(&key) {
                            Some(known) => known.retain(|at| passed.contains(at)),
                            None => {
                                through.insert(key, passed);
                            }
                        }
                    }
                    Some(Found::Leaf { first, reach })
                        if writes(&space.permits, reach.rights, reach.leaf.key()) =>
                    {
                        let (frame, frames) = frames_of(&reach);
                        all.push(Writer { frame, frames, first, through: passed });
                    }
                    _ => {}
                }
            }
        }
        all.sort_by_key(|writer| writer.first);
        Self { space, all }
    }

    /// An address at which user mode writes `frame` and whose walk does not read the entry at `at`.
    pub(super) fn without(&self, frame: u64, at: PhysAddr) -> Option<VirtAddr> {
        let space = self.space;
        let covers = |first: u64, count: u64| first <= frame && frame - first < count;
        let of_frame = self.all.iter().filter(|writer| covers(writer.frame, writer.frames));
        let mut left = of_frame.filter(|writer| !writer.through.contains(&at));
        let writer = left.next()?;
        let virt = writer.first.plus((frame - writer.frame) << 12);
        if !walk_reads(&space.image, &space.controls, virt, at) {
            return Some(virt);
        }
        // There is a way around the entry, but not at the first address.
        let ways = Ways::new(&space.image, &space.controls, Some(at));
        let mappings = ways.mappings(&space.image, &space.controls);
        mappings
            .filter(|mapping| mapping.at != at)
            .filter_map(|Mapping { first, reach, .. }| {
                let (start, count) = frames_of(&reach);
                let found =
                    covers(start, count) && writes(&space.permits, reach.rights, reach.leaf.key());
                found.then(|| first.plus((frame - start) << 12))
            })
            .min()
    }
}

fn writes(permits: &Permits, rights: Rights, key: u8) -> bool {
    permits.of(rights, key).any(Accesses::USER_WRITE)
}
