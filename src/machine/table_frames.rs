//! Which frames serve as paging structures of a root that was ever loaded, or as tables of the IOMMU.
//!
//! Only a filter: a store to a frame that is not in here cannot change a translation. It may name
//! frames that no longer serve; then the exact search behind it finds nothing.

use crate::base::{Frame, PhysAddr};

use super::iommu::{self, Iommu};
use super::memory::Memory;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The bit of the IOMMU's root.
const IOMMU_ROOT: u8 = 1 << 6;
/// The bit of the tables that it leads to.
const IOMMU_TABLE: u8 = 1 << 7;

/// For each frame the levels (bit 1 page table … bit 4 page-map level 4) it serves at, and what it is to the
/// IOMMU.
#[derive(Debug)]
pub(super) struct TableFrames {
    levels: Vec<u8>,
}

impl Clone for TableFrames {
    fn clone(&self) -> Self {
        Self { levels: self.levels.clone() }
    }

    // Without an allocation, unlike what is derived.
    fn clone_from(&mut self, source: &Self) {
        self.levels.clone_from(&source.levels);
    }
}

impl TableFrames {
    pub(super) fn new(frames: usize) -> Self {
        Self { levels: vec![0; frames] }
    }

    #[inline(always)]
    pub(super) fn is_table(&self, frame: Frame) -> bool {
        #[allow(clippy::cast_possible_truncation, reason = "an address has 52 bits")]
        self.levels.get(frame.0 as usize).is_some_and(|&levels| levels != 0)
    }

    pub(super) fn add_root(&mut self, memory: &Memory, root: u64) {
        self.add(memory, PhysAddr::truncated(root & ADDRESS), 4);
    }

    pub(super) fn add_iommu(&mut self, memory: &Memory, iommu: Iommu) {
        if !iommu.enabled {
            return;
        }
        let root = PhysAddr::truncated(iommu.root);
        self.serves(root.frame().0, IOMMU_ROOT);
        for index in 0..512 {
            let context = memory.read(root.frame().start().plus(index * 8));
            self.add_iommu_table(memory, context);
        }
    }

    /// A device's table has an entry a frame of memory.
    fn add_iommu_table(&mut self, memory: &Memory, context: u64) {
        if context & iommu::PRESENT == 0 {
            return;
        }
        let first = PhysAddr::truncated(context & iommu::ADDRESS).frame().0;
        for frame in first..first + memory.frame_count().div_ceil(512) {
            self.serves(frame, IOMMU_TABLE);
        }
    }

    fn serves(&mut self, frame: u64, as_what: u8) {
        let levels = usize::try_from(frame).ok().and_then(|n| self.levels.get_mut(n));
        if let Some(levels) = levels {
            *levels |= as_what;
        }
    }

    fn add(&mut self, memory: &Memory, at: PhysAddr, level: u8) {
        let Some(levels) = usize::try_from(at.frame().0).ok().and_then(|n| self.levels.get_mut(n))
        else {
            return;
        };
        if *levels >> level & 1 == 1 {
            return;
        }
        *levels |= 1 << level;
        if level > 1 {
            for index in 0..512 {
                let entry = memory.read(at.frame().start().plus(index * 8));
                self.add_child(memory, entry, level);
            }
        }
    }

    fn add_child(&mut self, memory: &Memory, entry: u64, level: u8) {
        let is_leaf = level <= 3 && entry & LARGE != 0;
        if entry & PRESENT != 0 && !is_leaf {
            self.add(memory, PhysAddr::truncated(entry & ADDRESS), level - 1);
        }
    }

    /// An entry of a table frame was written.
    pub(super) fn entry_written(&mut self, memory: &Memory, at: PhysAddr, entry: u64) {
        #[allow(clippy::cast_possible_truncation, reason = "a table frame is inside memory")]
        let levels = self.levels[at.frame().0 as usize];
        for level in 2..=4 {
            if levels >> level & 1 == 1 {
                self.add_child(memory, entry, level);
            }
        }
        if levels & IOMMU_ROOT != 0 {
            self.add_iommu_table(memory, entry);
        }
    }

    /// Whether a processor's walk may come by.
    pub(super) fn is_of_processors(&self, frame: Frame) -> bool {
        #[allow(clippy::cast_possible_truncation, reason = "an address has 52 bits")]
        let levels = self.levels.get(frame.0 as usize).copied().unwrap_or(0);
        levels & !(IOMMU_ROOT | IOMMU_TABLE) != 0
    }
}
