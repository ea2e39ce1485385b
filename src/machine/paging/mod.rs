//! From linear to physical addresses: what every table format has in common.
//!
//! A format reads raw entries through [`TableMemory`] and nothing else, so the same code serves a
//! world's flat memory and a sparse image. Reading and marking are two traits because a walk and
//! its effects are two things: [`x86_64::walk()`] only reads, and what it would write comes back as a
//! value.

pub mod x86_64;

use crate::base::{FRAME_BYTES, PhysAddr};

/// Where table entries are read from. Total: outside memory the implementor answers whatever its
/// bus does.
pub trait TableMemory {
    /// The 8-byte entry at `at`, a multiple of 8.
    fn entry(&self, at: PhysAddr) -> u64;

    /// Whether bit 0 of each of the eight entries from `at` on, a multiple of 64, is 0, when that can
    /// be said at once: tables are mostly empty, and whoever lists them need not look at each entry.
    #[inline(always)]
    fn are_eight_absent(&self, _at: PhysAddr) -> bool {
        false
    }

    /// The whole table at `at`, a multiple of 4096, when it lies here as it would be read entry by
    /// entry.
    #[inline(always)]
    fn table(&self, _at: PhysAddr) -> Option<&[u64; 512]> {
        None
    }
}

impl<M: TableMemory + ?Sized> TableMemory for &M {
    #[inline(always)]
    fn entry(&self, at: PhysAddr) -> u64 {
        (**self).entry(at)
    }

    #[inline(always)]
    fn are_eight_absent(&self, at: PhysAddr) -> bool {
        (**self).are_eight_absent(at)
    }

    #[inline(always)]
    fn table(&self, at: PhysAddr) -> Option<&[u64; 512]> {
        (**self).table(at)
    }
}

/// Where accessed and dirty bits are written to.
pub trait MarkMemory {
    /// Sets `bits` in the 8-byte entry at `at`, a multiple of 8, and leaves its other bits.
    fn set_bits(&mut self, at: PhysAddr, bits: u64);
}

/// How much one leaf entry maps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
#[repr(u8)]
pub enum PageSize {
    /// 4 KiB.
    #[default]
    Kib4 = 0,
    /// 2 MiB.
    Mib2 = 1,
    /// 1 GiB.
    Gib1 = 2,
}

impl PageSize {
    /// Bytes of such a page.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        FRAME_BYTES << (9 * self as u32)
    }

    /// 4 KiB frames in such a page.
    #[must_use]
    pub const fn frames(self) -> u64 {
        self.bytes() / FRAME_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says of each address what it is, and that nothing lies below 0x1000; one table lies there.
    struct Addresses;

    static TABLE: [u64; 512] = [9; 512];

    impl TableMemory for Addresses {
        fn entry(&self, at: PhysAddr) -> u64 {
            at.raw() + 7
        }

        fn are_eight_absent(&self, at: PhysAddr) -> bool {
            at.raw() < 0x1000
        }

        fn table(&self, at: PhysAddr) -> Option<&[u64; 512]> {
            (at.raw() == 0x1000).then_some(&TABLE)
        }
    }

    /// Has nothing to say beyond single entries.
    struct Zeros;

    impl TableMemory for Zeros {
        fn entry(&self, _: PhysAddr) -> u64 {
            0
        }
    }

    #[test]
    fn a_reference_reads_what_it_refers_to() {
        fn read(memory: impl TableMemory, at: u64) -> (u64, bool, Option<[u64; 512]>) {
            let at = PhysAddr::truncated(at);
            (memory.entry(at), memory.are_eight_absent(at), memory.table(at).copied())
        }

        assert_eq!(read(&Addresses, 0x40), (0x47, true, None));
        assert_eq!(read(&Addresses, 0x1000), (0x1007, false, Some(TABLE)));
    }

    #[test]
    fn memory_that_can_not_say_at_once_says_no() {
        assert!(!Zeros.are_eight_absent(PhysAddr::truncated(0x40)));
    }

    #[test]
    fn pages_have_the_sizes_of_the_manual() {
        let sizes = [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1];

        assert_eq!(sizes.map(PageSize::bytes), [4096, 2 << 20, 1 << 30]);
        assert_eq!(sizes.map(PageSize::frames), [1, 512, 512 * 512]);
    }
}
