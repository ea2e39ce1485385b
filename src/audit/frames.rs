//! What is known of each frame: is it a table, and who maps it?
//!
//! Kept as ranges, because a large page maps up to 262,144 frames and a direct map all of memory. Which range
//! a frame is in is asked for each flip of each bit, so an index leads almost there.

use core::ops::Range;

use crate::base::Frame;
use crate::machine::paging::x86_64::Controls;

use super::edges::Edges;
use super::image::Image;
use super::permits::{Accesses, Permits};
use super::ways::{Mapping, Ways, frames_of};

/// What is known of a frame, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameUse(u8);

impl FrameUse {
    /// Nothing names it.
    pub const UNKNOWN: Self = Self(0);
    /// Some page covers it.
    pub const MAPPED: Self = Self(1);
    /// Some page that user mode may access covers it.
    pub const USER: Self = Self(2);
    /// Some page that user mode may write covers it.
    pub const USER_WRITABLE: Self = Self(4);
    /// It is a page table: some walk reads entries from it.
    pub const TABLE: Self = Self(8);

    /// Whether all of `other` holds.
    #[must_use]
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What a page with these accesses makes of the frames it covers.
    #[must_use]
    pub const fn mapped_with(accesses: Accesses) -> Self {
        let mut told = Self::MAPPED;
        if accesses.any(Accesses::USER) {
            told = told.with(Self::USER);
        }
        if accesses.any(Accesses::USER_WRITE) {
            told = told.with(Self::USER_WRITABLE);
        }
        told
    }
}

/// The use of every frame there is.
#[derive(Clone, Debug)]
pub struct FrameMap {
    /// Where each range starts; it ends where the next one starts. The first starts at 0.
    starts: Vec<u64>,
    uses: Vec<FrameUse>,
    index: Index,
}

/// Where to look for a frame: parts of equal size, about as many as there are ranges.
#[derive(Clone, Debug)]
struct Index {
    /// Frames in a part, as a power of two.
    shift: u32,
    /// The range that the first frame of each part is in, and after the last part the last range.
    ranges: Vec<u32>,
}

impl Index {
    fn new(starts: &[u64]) -> Self {
        let last = starts.last().copied().unwrap_or(0);
        let shift = (last / starts.len().max(1) as u64).checked_ilog2().map_or(0, |log| log + 1);
        let mut ranges = Vec::new();
        let mut range = 0;
        for part in 0..=last >> shift {
            while starts.get(range + 1).is_some_and(|&next| next <= part << shift) {
                range += 1;
            }
            ranges.push(u32::try_from(range).expect("no more ranges than twice the mappings"));
        }
        ranges.push(u32::try_from(starts.len().saturating_sub(1)).expect("as many"));
        Self { shift, ranges }
    }

    /// The first and the last range that a frame may be in.
    #[inline(always)]
    fn around(&self, frame: u64) -> (usize, usize) {
        let behind = self.ranges.len() - 1;
        let part = usize::try_from(frame >> self.shift).map_or(behind, |part| part.min(behind));
        let next = (part + 1).min(behind);
        (self.ranges[part] as usize, self.ranges[next] as usize)
    }
}

impl FrameMap {
    /// What the mappings and tables of an image say of frames.
    #[must_use]
    pub fn new(image: &Image, controls: &Controls, permits: &Permits, ways: &Ways) -> Self {
        let mut edges = Edges::default();
        for Mapping { reach, .. } in ways.mappings(image, controls) {
            let (first, count) = frames_of(&reach);
            let accesses = permits.of(reach.rights, reach.leaf.key());
            edges.extend(first, count, FrameUse::mapped_with(accesses).0);
        }
        let reached = ways.reached(image);
        for (frame, _) in image.frames().iter().zip(reached).filter(|(_, reached)| *reached) {
            edges.extend(frame.0, 1, FrameUse::TABLE.0);
        }
        for missing in &ways.missing {
            edges.extend(missing.frame.0, 1, FrameUse::TABLE.0);
        }
        let (starts, uses) = (vec![0], vec![FrameUse::UNKNOWN]);
        let mut map = Self { starts, uses, index: Index { shift: 0, ranges: Vec::new() } };
        let mut behind = 0;
        edges.between(|from, end, depth| {
            let tags = (0u8..).zip(depth).filter(|(_, depth)| **depth > 0);
            map.push(from, FrameUse(tags.fold(0, |uses, (tag, _)| uses | tag)));
            behind = end;
        });
        map.push(behind, FrameUse::UNKNOWN);
        map.starts.shrink_to_fit();
        map.uses.shrink_to_fit();
        map.index = Index::new(&map.starts);
        map
    }

    fn push(&mut self, start: u64, told: FrameUse) {
        if self.uses.last() == Some(&told) {
            return;
        }
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.uses.pop();
            return self.push(start, told);
        }
        self.starts.push(start);
        self.uses.push(told);
    }

    fn range_of(&self, frame: u64) -> usize {
        let (first, last) = self.index.around(frame);
        first + self.starts[first + 1..=last].partition_point(|&start| start <= frame)
    }

    /// What is known of one frame.
    #[must_use]
    pub fn of(&self, frame: Frame) -> FrameUse {
        self.uses[self.range_of(frame.0)]
    }

    /// The ranges that make up `frames`, in order.
    pub fn over(&self, frames: Range<u64>) -> impl Iterator<Item = (Range<u64>, FrameUse)> + '_ {
        let first = if frames.is_empty() { self.starts.len() } else { self.range_of(frames.start) };
        (first..self.starts.len()).map_while(move |index| {
            let start = self.starts[index].max(frames.start);
            let end = self.starts.get(index + 1).copied().unwrap_or(u64::MAX).min(frames.end);
            (start < end).then(|| (start..end, self.uses[index]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(starts: &[u64]) -> FrameMap {
        let uses = (0..).zip(starts).map(|(number, _)| FrameUse(number)).collect();
        FrameMap { starts: starts.to_vec(), uses, index: Index::new(starts) }
    }

    #[test]
    fn a_frame_is_found_in_the_range_that_has_it_wherever_ranges_lie() {
        let far: Vec<u64> = [0].into_iter().chain((0..60).map(|n| (1 << 39) + n)).collect();
        let both: Vec<u64> = (0..50).chain([1 << 20, (1 << 20) + 7, (1 << 39) - 1]).collect();
        for starts in [vec![0], vec![0, 1], vec![0, 9], vec![0, 1 << 39], far, both] {
            let map = map(&starts);
            let frames = starts.iter().flat_map(|&start| start.saturating_sub(2)..start + 3);
            for frame in frames.chain([4, 1 << 38, (1 << 40) - 1, u64::MAX]) {
                let expected = starts.iter().filter(|&&start| start <= frame).count() - 1;
                assert_eq!(map.range_of(frame), expected, "{frame:#x} of {starts:?}");
            }
        }
    }
}
