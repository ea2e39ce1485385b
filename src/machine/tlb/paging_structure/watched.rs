//! The words of memory on which something remembered rests.

use crate::base::PhysAddr;

/// A set of word addresses. Words of an earlier epoch are not in it, so it is emptied by a number.
///
/// Open addressing with linear probing, at most half full: whether a word is there is known after one
/// or two slots. It is no hash map in the sense of the crate's rules: nothing asks for its order.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Word address in bits 51:3, epoch in 63:52. 0 is empty.
    slots: Box<[u64]>,
    shift: u32,
    count: usize,
}

/// Most words that one miss adds: at five levels PML5E, PML4E, PDPTE and PDE.
const ADDED_MAX: usize = 4;

const EPOCH_SHIFT: u32 = 52;

impl Watched {
    /// One with this many slots, a power of two.
    pub(super) fn new(slots: usize) -> Self {
        let shift = u64::BITS - slots.trailing_zeros();
        Self { slots: vec![0; slots].into_boxed_slice(), shift, count: 0 }
    }

    /// Whether what the next miss adds leaves half of the slots empty.
    #[inline(always)]
    pub(super) const fn has_room(&self) -> bool {
        self.count + ADDED_MAX <= self.slots.len() / 2
    }

    /// Adds the word at `at`, a multiple of 8. There is room.
    #[inline]
    pub(super) fn insert(&mut self, at: PhysAddr, epoch: u64) {
        let wanted = at.raw() | epoch << EPOCH_SHIFT;
        let mut place = self.place(at);
        while let Some(slot) = self.slots.get_mut(place) {
            if *slot == wanted {
                return;
            }
            if *slot >> EPOCH_SHIFT != epoch {
                *slot = wanted;
                self.count += 1;
                return;
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
    }

    /// Whether the word at `at`, a multiple of 8, was added in this epoch.
    #[inline(always)]
    pub(super) fn contains(&self, at: PhysAddr, epoch: u64) -> bool {
        let wanted = at.raw() | epoch << EPOCH_SHIFT;
        let mut place = self.place(at);
        while let Some(&slot) = self.slots.get(place) {
            if slot == wanted {
                return true;
            }
            if slot >> EPOCH_SHIFT != epoch {
                return false;
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
        false
    }

    /// A new epoch begins.
    pub(super) const fn restart(&mut self) {
        self.count = 0;
    }

    /// Epochs are counted from the start again.
    pub(super) fn wipe(&mut self) {
        self.slots.fill(0);
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "as many bits as there are slots")]
    const fn place(&self, at: PhysAddr) -> usize {
        ((at.raw() / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_was_added_is_found_however_many_share_a_place() {
        let mut watched = Watched::new(512);
        let words = |from: u64| (from..from + 253).map(|n| PhysAddr::truncated(n * 0x1238));
        for at in words(0) {
            watched.insert(at, 1);
            watched.insert(at, 1);
        }

        assert_eq!(watched.count, 253);
        assert!(words(0).all(|at| watched.contains(at, 1)));
        assert!(!words(253).any(|at| watched.contains(at, 1)));
        assert!(!words(0).any(|at| watched.contains(at, 2)));
        assert!(!watched.has_room());
        watched.restart();
        assert!(watched.has_room());
        watched.wipe();
        assert!(!words(0).any(|at| watched.contains(at, 1)));
    }
}
