//! What is known of each frame: is it a table, and who maps it?
//!
//! Kept as ranges, because a large page maps up to 262,144 frames and a direct map all of memory.

use core::ops::Range;

use crate::base::Frame;
use crate::machine::paging::x86_64::Controls;

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
}

impl FrameMap {
    /// What the mappings and tables of an image say of frames.
    #[must_use]
    pub fn new(image: &Image, controls: &Controls, permits: &Permits, ways: &Ways) -> Self {
        let mut ranges: Vec<(u64, u64, FrameUse)> = Vec::new();
        for Mapping { reach, .. } in ways.mappings(image, controls) {
            let (first, count) = frames_of(&reach);
            let accesses = permits.of(reach.rights, reach.leaf.key());
            ranges.push((first, count, FrameUse::mapped_with(accesses)));
        }
        let reached = ways.reached(image);
        for (frame, _) in image.frames().iter().zip(reached).filter(|(_, reached)| *reached) {
            ranges.push((frame.0, 1, FrameUse::TABLE));
        }
        for missing in &ways.missing {
            ranges.push((missing.frame.0, 1, FrameUse::TABLE));
        }
        Self::of_ranges(&ranges)
    }

    /// Overlapping ranges (first frame, frames, use) laid over each other.
    fn of_ranges(ranges: &[(u64, u64, FrameUse)]) -> Self {
        let mut edges: Vec<(u64, i64, FrameUse)> = Vec::with_capacity(2 * ranges.len());
        for &(first, count, told) in ranges {
            edges.push((first, 1, told));
            edges.push((first.saturating_add(count), -1, told));
        }
        edges.sort_unstable_by_key(|&(at, _, _)| at);
        let mut map = Self { starts: vec![0], uses: vec![FrameUse::UNKNOWN] };
        let mut depth = [0i64; 4];
        for same in edges.chunk_by(|one, other| one.0 == other.0) {
            for &(_, step, told) in same {
                for (bit, depth) in depth.iter_mut().enumerate() {
                    if told.0 >> bit & 1 == 1 {
                        *depth += step;
                    }
                }
            }
            let bits = depth.iter().enumerate().filter(|(_, depth)| **depth > 0);
            let now = FrameUse(bits.fold(0, |bits, (bit, _)| bits | 1 << bit));
            map.push(same[0].0, now);
        }
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
        self.starts.partition_point(|&start| start <= frame).saturating_sub(1)
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
