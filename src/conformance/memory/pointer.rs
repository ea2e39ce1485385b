//! Raw pointers for code that has no accessor, without `unsafe` on this side.
//!
//! A pointer to a cell may be made and handed out safely; whoever writes through it takes the
//! obligation. What was written is found by comparing memory with how it was, or, where stores are
//! trapped, seen as it is written.

use core::ops::Range;

use super::Memory;
use super::books::{Event, Kept, StoreKind};
use crate::base::PhysAddr;

/// Words that are compared at once; divides the words of a frame.
const AT_ONCE: usize = 16;

impl Memory {
    /// A pointer to the byte at [`base`](Self::base), good for reads and writes of all
    /// [`bytes`](Self::bytes), aligned to 4 KiB. From now on stores are found by comparison, unless the
    /// suite traps them.
    ///
    /// It is valid as long as this memory or a clone of it lives; where stores are trapped, only during
    /// a call of the suite, and in the thread that was called.
    #[must_use]
    pub fn pointer(&self) -> *mut u8 {
        if let Some(pointer) = self.trapped_pointer(self.base().raw()) {
            return pointer;
        }
        let mut books = self.0.books.borrow_mut();
        if books.compared.is_none() {
            let words = self.0.frames().iter().flat_map(|frame| frame.0.iter());
            books.compared = Some(words.map(core::cell::Cell::get).collect());
        }
        self.0.frames().as_ptr().cast_mut().cast()
    }

    /// What to add to a physical address, modulo 2^64, to get the address of its byte in this
    /// process: the offset of code that maps all physical memory somewhere.
    #[must_use]
    pub fn offset(&self) -> u64 {
        (self.pointer().expose_provenance() as u64).wrapping_sub(self.base().raw())
    }

    /// A pointer to the byte at a physical address; it dangles outside memory.
    #[must_use]
    pub fn pointer_to(&self, at: PhysAddr) -> *mut u8 {
        let distance = at.raw().wrapping_sub(self.base().raw());
        self.pointer().wrapping_add(usize::try_from(distance).unwrap_or(usize::MAX))
    }

    pub(crate) fn has_pointers(&self) -> bool {
        self.0.books.borrow().compared.is_some()
    }

    /// Physical addresses that can be followed by the code: one with pointers would leave memory, and the
    /// process.
    pub(crate) fn reach(&self) -> Range<u64> {
        let untrapped = 0..if self.has_pointers() { 0 } else { u64::MAX };
        self.trapped_reach().unwrap_or(untrapped)
    }

    /// Finds what was stored to tables since the last comparison.
    pub(super) fn compare_tables(&self) {
        self.compare(|kept| kept == Some(&Kept::Table));
    }

    /// Finds what was stored anywhere since the last comparison.
    pub(crate) fn compare_all(&self) {
        self.compare(|_| true);
    }

    fn compare(&self, wanted: impl Fn(Option<&Kept>) -> bool) {
        let mut books = self.0.books.borrow_mut();
        let books = &mut *books;
        let Some(compared) = &mut books.compared else { return };
        for (number, (frame, seen)) in
            self.0.frames().iter().zip(compared.chunks_exact_mut(512)).enumerate()
        {
            if !wanted(books.frames.get(number)) {
                continue;
            }
            // All of memory is compared after each call, and next to nothing has changed: that decides how
            // long a run takes.
            let (words, _) = frame.0.as_chunks::<AT_ONCE>();
            let (seen, _) = seen.as_chunks_mut::<AT_ONCE>();
            for (chunk, (words, seen)) in words.iter().zip(seen).enumerate() {
                let pairs = words.iter().zip(seen.iter());
                if pairs.fold(0, |differs, (word, seen)| differs | (word.get() ^ seen)) == 0 {
                    continue;
                }
                for (index, (word, seen)) in words.iter().zip(seen).enumerate() {
                    let (old, new) = (*seen, word.get());
                    if old != new {
                        *seen = new;
                        let before = 8 * (chunk * AT_ONCE + index) as u64;
                        let at = Self::frame(number as u64).start().plus(before);
                        books.journal.push(Event::Store { at, old, new, kind: StoreKind::Found });
                    }
                }
            }
        }
    }
}
