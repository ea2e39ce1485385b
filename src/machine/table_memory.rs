//! Physical memory as the hardware walker reads tables from it: entry by entry, and more at once where
//! its words lie side by side.

use crate::base::PhysAddr;

use super::memory::Memory;
use super::paging::TableMemory;

impl TableMemory for Memory {
    #[inline(always)]
    fn entry(&self, at: PhysAddr) -> u64 {
        self.read(at)
    }

    #[inline(always)]
    fn are_eight_absent(&self, at: PhysAddr) -> bool {
        let words = self.index(at).and_then(|first| self.words().get(first..));
        let eight = words.and_then(|words| words.first_chunk::<8>());
        eight.is_some_and(|eight| eight.iter().fold(0, |all, entry| all | entry) & 1 == 0)
    }

    #[inline(always)]
    fn table(&self, at: PhysAddr) -> Option<&[u64; 512]> {
        let words = self.index(at).and_then(|first| self.words().get(first..));
        words.and_then(|words| words.first_chunk())
    }
}
