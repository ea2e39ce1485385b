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
    /// Entries that every walk to it in its half of address space reads.
    through: Vec<PhysAddr>,
}

/// All pages that user mode writes.
#[derive(Clone, Debug)]
pub(super) struct Writers<'a> {
    space: &'a Space,
    /// By address.
    all: Vec<Writer>,
    /// Frames of those that are one frame, ascending, with their places in `all` …
    small: Vec<(u64, usize)>,
    /// … and the places of the others.
    large: Vec<usize>,
}

impl<'a> Writers<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        let image = &space.image;
        let mut all = Vec::new();
        let mut through: BTreeMap<(Level, usize, Rights, bool), Vec<PhysAddr>> = BTreeMap::new();
        for way in &space.ways.all {
            let half = way.using.first.is_system();
            let key = (way.using.level, way.table, way.using.rights, half);
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
                        let key = (named.level, table, named.rights, named.first.is_system());
                        match through.get_mut(&key) {
                            Some(known) => known.retain(|at| passed.contains(at)),
                            None => {
                                through.insert(key, passed);
                            }
                        }
                    }
                    Some(Found::Leaf { first, reach })
                        if writes(&space.at_will, reach.rights, reach.leaf.key()) =>
                    {
                        let (frame, frames) = frames_of(&reach);
                        all.push(Writer { frame, frames, first, through: passed });
                    }
                    _ => {}
                }
            }
        }
        all.sort_by_key(|writer| writer.first);
        let (small, large): (Vec<usize>, Vec<usize>) =
            (0..all.len()).partition(|&place| all[place].frames == 1);
        let mut small: Vec<_> = small.into_iter().map(|place| (all[place].frame, place)).collect();
        small.sort_unstable();
        Self { space, all, small, large }
    }

    /// Those that may write one of these ascending frames, by address. Mostly a frame or two are asked
    /// for, and there are many pages.
    fn of(&self, frames: &[u64]) -> Vec<&Writer> {
        if frames.len() > self.all.len() / 4 {
            return self.all.iter().collect();
        }
        let mut places = self.large.clone();
        for &frame in frames {
            let from = self.small.partition_point(|(own, _)| *own < frame);
            let own = self.small[from..].iter().take_while(|(own, _)| *own == frame);
            places.extend(own.map(|(_, place)| place));
        }
        places.sort_unstable();
        places.into_iter().map(|place| &self.all[place]).collect()
    }

    /// The first address at which user mode writes one of these ascending frames; with the frame.
    pub(super) fn first(&self, frames: &[u64]) -> Option<(VirtAddr, u64)> {
        self.of(frames).into_iter().find_map(|writer| {
            let frame = first_within(frames, writer.frame, writer.frames)?;
            Some((writer.first.plus((frame - writer.frame) << 12), frame))
        })
    }

    /// The first address at which user mode writes one of `made`, ascending frames, and whose walk does
    /// not read the entry at `at`; with the frame.
    pub(super) fn without(&self, made: &[u64], at: PhysAddr) -> Option<(VirtAddr, u64)> {
        let space = self.space;
        let mut detour = false;
        let mut found = None;
        // Pages don't overlap, so the first that fits has the lowest address.
        for writer in self.of(made).into_iter().filter(|writer| !writer.through.contains(&at)) {
            let Some(frame) = first_within(made, writer.frame, writer.frames) else { continue };
            let virt = writer.first.plus((frame - writer.frame) << 12);
            if walk_reads(&space.image, &space.controls, virt, at) {
                // There is a way around the entry, but not at the first address.
                detour = true;
                continue;
            }
            found = Some((virt, frame));
            break;
        }
        if !detour {
            return found;
        }
        let ways = Ways::new(&space.image, &space.controls, Some(at));
        let around = ways.mappings(&space.image, &space.controls).filter(|way| way.at != at);
        let around = around.filter_map(|Mapping { first, reach, .. }| {
            let (start, count) = frames_of(&reach);
            let frame = first_within(made, start, count)?;
            let is_writer = writes(&space.at_will, reach.rights, reach.leaf.key());
            is_writer.then(|| (first.plus((frame - start) << 12), frame))
        });
        around.chain(found).min()
    }
}

/// The first of these ascending frames that lies among `count` from `first` on.
pub(in crate::audit) fn first_within(frames: &[u64], first: u64, count: u64) -> Option<u64> {
    let found = *frames.get(frames.partition_point(|&frame| frame < first))?;
    (found - first < count).then_some(found)
}

fn writes(permits: &Permits, rights: Rights, key: u8) -> bool {
    permits.of(rights, key).any(Accesses::USER_WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::image::{Image, Levels};
    use crate::base::Frame;
    use crate::machine::paging::x86_64::Controls;

    /// 512 small pages, eight to each of the frames 0x100 to 0x13f, before a large one of frames 0 to
    /// 0x1ff.
    fn space() -> Space {
        let mut tables = [1u64, 2, 3, 4].map(|frame| (Frame(frame), Box::new([0; 512])));
        for (place, below) in [0x2007, 0x3007, 0x4007].into_iter().enumerate() {
            tables[place].1[0] = below;
        }
        tables[2].1[1] = Entry::PS | 7;
        for (slot, entry) in (0..).zip(tables[3].1.iter_mut()) {
            *entry = frame_at(slot) << 12 | 7;
        }
        let image = Image::new(0x1000, Levels::Four, BTreeMap::from(tables));
        Space::new(image, Controls::default()).expect("it is whole")
    }

    const fn frame_at(slot: u64) -> u64 {
        0x100 + slot * 7 % 64
    }

    #[test]
    fn the_first_page_of_a_frame_is_found_among_many() {
        let space = space();
        let writers = Writers::new(&space);
        let (small, large) = (PhysAddr::truncated(0x4000), PhysAddr::truncated(0x3008));
        let of_large = |frame| Some((VirtAddr((0x200 + frame) << 12), frame));

        for slot in 0..512 {
            let at = small.plus(8 * slot);
            let frame = frame_at(slot);
            let first = (0..512).find(|&other| other != slot && frame_at(other) == frame);
            let expected = first.map(|slot| (VirtAddr(slot << 12), frame));
            assert_eq!(writers.without(&[frame], at), expected, "{slot}");
            assert_eq!(
                writers.without(&[0x10, frame], at),
                expected,
                "pages of the large one are behind"
            );
            assert_eq!(
                writers.without(&[frame, 0x4000], large),
                Some((VirtAddr((slot % 64) << 12), frame))
            );
        }
        assert_eq!(writers.without(&[0x10, 0x150], small), of_large(0x10));
        assert_eq!(writers.without(&[0x150], small), of_large(0x150));
        assert_eq!(writers.without(&[0x150], large), None);
        assert_eq!(writers.without(&[0x200], small), None);
        // So many that all pages are gone through.
        let many: Vec<u64> = (0..0x139).collect();
        assert_eq!(writers.without(&many, large), Some((VirtAddr(0), 0x100)));
    }
}
