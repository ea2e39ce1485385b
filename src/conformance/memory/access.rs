//! Loads, stores and hooks of the code under test.

use std::panic::resume_unwind;
use std::thread::panicking;

use super::books::{Event, Kept, StoreKind};
use super::{Invalidation, Memory};
use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::conformance::fault::FaultKind;
use crate::conformance::format::Decoded;
use crate::conformance::stop::Stop;
use crate::conformance::tables::Listing;

/// Loads and stores. An address outside memory, or one that is no multiple of 8, reads as 0, ignores
/// stores and becomes a finding.
impl Memory {
    /// The 8 bytes at `at`, in one load.
    #[must_use]
    pub fn load(&self, at: PhysAddr) -> u64 {
        self.spend();
        let Some(cell) = self.cell(at) else {
            self.note(Event::StrayLoad { at });
            return 0;
        };
        let mut books = self.0.books.borrow_mut();
        if !books.is_altered && !is_table(&books.frames, at.frame()) {
            books.journal.push(Event::StrayLoad { at });
        }
        books.unread.remove(&at);
        cell.get()
    }

    /// Copies the bytes from `at` on, for code that reads tables a page or some bytes at a time. Each
    /// frame counts as one access; bytes outside memory read as 0.
    pub fn read(&self, at: PhysAddr, bytes: &mut [u8]) {
        let (mut here, mut rest) = (at, bytes);
        while !rest.is_empty() {
            if here == at || here.offset() == 0 {
                self.spend();
                let books = self.0.books.borrow();
                let is_stray = !books.is_altered && !is_table(&books.frames, here.frame());
                drop(books);
                if is_stray {
                    self.note(Event::StrayLoad { at: here });
                }
            }
            let skipped = usize::try_from(here.raw() % 8).unwrap_or(0);
            let taken = (8 - skipped).min(rest.len());
            let (now, later) = rest.split_at_mut(taken);
            let word = self.peek(here).to_le_bytes();
            for (byte, value) in now.iter_mut().zip(word.into_iter().skip(skipped)) {
                *byte = value;
            }
            (here, rest) = (here.plus(taken as u64), later);
        }
    }

    /// Stores 8 bytes at once: what a volatile or atomic store does.
    pub fn store(&self, at: PhysAddr, value: u64) {
        self.write(at, value, StoreKind::Whole);
    }

    /// Stores 8 bytes as an ordinary assignment does: a compiler may make two stores of it.
    pub fn store_plain(&self, at: PhysAddr, value: u64) {
        self.write(at, value, StoreKind::Plain);
    }

    /// Stores and returns what was there, atomically.
    #[must_use]
    pub fn swap(&self, at: PhysAddr, value: u64) -> u64 {
        self.update(at, |_| value)
    }

    /// Sets bits atomically; returns what was there.
    pub fn fetch_or(&self, at: PhysAddr, bits: u64) -> u64 {
        self.update(at, |old| old | bits)
    }

    /// Keeps only `bits`, atomically; returns what was there.
    pub fn fetch_and(&self, at: PhysAddr, bits: u64) -> u64 {
        self.update(at, |old| old & bits)
    }

    /// Stores `new` if `expected` is there, atomically.
    ///
    /// # Errors
    ///
    /// What is there, when it is something else.
    pub fn compare_exchange(&self, at: PhysAddr, expected: u64, new: u64) -> Result<u64, u64> {
        self.spend();
        self.before_store(at);
        let old = self.peek(at);
        self.0.books.borrow_mut().unread.remove(&at);
        if old == expected {
            self.put(at, new, StoreKind::Whole);
            self.after_store(old, new);
            Ok(old)
        } else {
            Err(old)
        }
    }

    fn update(&self, at: PhysAddr, change: impl FnOnce(u64) -> u64) -> u64 {
        self.spend();
        self.before_store(at);
        let old = self.peek(at);
        self.0.books.borrow_mut().unread.remove(&at);
        let new = change(old);
        self.put(at, new, StoreKind::Whole);
        self.after_store(old, new);
        old
    }

    fn write(&self, at: PhysAddr, value: u64, kind: StoreKind) {
        self.spend();
        self.before_store(at);
        let unread = self.0.books.borrow_mut().unread.remove(&at);
        if let Some(bits) = unread.filter(|bits| value & bits != *bits)
            && self.still_maps(at, value)
        {
            self.note(Event::LostMark { at, bits });
        }
        let old = self.peek(at);
        self.put(at, value, kind);
        self.after_store(old, value);
    }

    /// Whether the page of the entry stays mapped: only then does anybody miss a dirty flag.
    fn still_maps(&self, at: PhysAddr, value: u64) -> bool {
        let leaf = |bits| match self.0.format.decode(1, bits) {
            Decoded::Leaf { page, .. } => Some(page),
            _ => None,
        };
        leaf(self.peek(at)).is_some_and(|page| leaf(value) == Some(page))
    }

    fn put(&self, at: PhysAddr, new: u64, kind: StoreKind) {
        let Some(cell) = self.cell(at) else {
            self.note(Event::StrayStore { at, new });
            return;
        };
        let old = cell.replace(new);
        let mut books = self.0.books.borrow_mut();
        books.journal.push(Event::Store { at, old, new, kind });
        books.resynchronise(at, new);
    }

    pub(super) fn note(&self, event: Event) {
        self.0.books.borrow_mut().journal.push(event);
    }

    /// One access less until the operation counts as endless. While a panic unwinds, destructors may
    /// still come here: a second panic would end the process.
    pub(super) fn spend(&self) {
        let mut books = self.0.books.borrow_mut();
        books.budget = books.budget.saturating_sub(1);
        if books.budget == 0 && !panicking() {
            drop(books);
            resume_unwind(Box::new(Stop::Endless));
        }
    }

    /// Another processor uses the entry that is about to be overwritten.
    fn before_store(&self, at: PhysAddr) {
        let valid = self.0.format.valid_bit();
        if self.peek(at) & valid == 0 {
            return;
        }
        let books = self.0.books.borrow();
        let fault = books.fault.filter(|fault| fault.kind == FaultKind::HardwareWalk);
        let (Some(fault), Some(root)) = (fault, books.root) else { return };
        if books.strikes > 0 {
            return;
        }
        drop(books);
        let format = self.0.format;
        let listing = Listing::of(format, root, &|frame| self.words(frame));
        let Some(table) = listing.use_of(at.frame()) else { return };
        let mut books = self.0.books.borrow_mut();
        books.live_stores += 1;
        if books.live_stores != fault.nth {
            return;
        }
        drop(books);
        let old = self.peek(at);
        let new = format.marked(table.level, old, true);
        if new == old {
            return;
        }
        let accessed = format.marked(table.level, old, false);
        let mut books = self.0.books.borrow_mut();
        books.strikes += 1;
        if new & !accessed != 0 {
            books.unread.insert(at, new & !accessed);
        }
        drop(books);
        if let Some(cell) = self.cell(at) {
            cell.set(new);
        }
        self.note(Event::Store { at, old, new, kind: StoreKind::Hardware });
    }

    /// Stores that clear a table are no occasions: there are hundreds of them.
    fn after_store(&self, old: u64, new: u64) {
        if (old | new) & self.0.format.valid_bit() == 0 {
            return;
        }
        let mut books = self.0.books.borrow_mut();
        books.stores += 1;
        let count = books.stores;
        if !panicking() && books.strikes_at(FaultKind::Abandoned, count) {
            drop(books);
            resume_unwind(Box::new(Stop::Abandoned));
        }
    }
}

/// Hooks: what the code's frame allocator and its invalidations call.
impl Memory {
    /// A frame for a table. Its content is arbitrary. `None` when there is none.
    #[must_use]
    pub fn allocate(&self) -> Option<PhysAddr> {
        self.allocate_frames(1, false)
    }

    /// A frame for a table, all zeros: for code whose allocator promises that.
    #[must_use]
    pub fn allocate_zeroed(&self) -> Option<PhysAddr> {
        self.allocate_frames(1, true)
    }

    /// Consecutive frames, aligned to their number rounded up to a power of two.
    #[must_use]
    pub fn allocate_frames(&self, frames: u64, zeroed: bool) -> Option<PhysAddr> {
        self.spend();
        self.compare_tables();
        let mut books = self.0.books.borrow_mut();
        books.allocations += 1;
        let count = books.allocations;
        let fails = books.strikes_at(FaultKind::AllocationFails, count);
        let first = if fails { None } else { books.take(frames) };
        drop(books);
        if let (Some(first), true) = (first, zeroed) {
            for number in first..first + frames {
                self.clear(number);
            }
        }
        let first = first.map(Self::frame);
        self.note(Event::Allocate { first, frames, zeroed });
        first.map(Frame::start)
    }

    fn clear(&self, number: u64) {
        for index in 0..512 {
            let at = Self::frame(number).start().plus(8 * index);
            self.poke(at, 0);
        }
    }

    /// Takes a frame back. Freeing what is not allocated becomes a finding.
    pub fn free(&self, at: PhysAddr) {
        self.spend();
        self.compare_tables();
        self.note(Event::Free { at });
        let number = Self::number(at.frame()).filter(|_| at.offset() == 0);
        let mut books = self.0.books.borrow_mut();
        let Some(number) = number else { return };
        let Some(kept) = books.frames.get_mut(number).filter(|kept| **kept == Kept::Table) else {
            return;
        };
        *kept = Kept::Free;
        let number = number as u64;
        books.free.push(number);
        drop(books);
        self.spoil(number);
        for index in 0..512 {
            let at = Self::frame(number).start().plus(8 * index);
            let word = Self::spoilt_word(self.0.format, index);
            self.0.books.borrow_mut().resynchronise(at, word);
        }
    }

    /// Every processor was told to forget, and has.
    pub fn invalidate(&self, what: Invalidation) {
        self.spend();
        self.compare_tables();
        let mut books = self.0.books.borrow_mut();
        books.invalidations += 1;
        let count = books.invalidations;
        let is_lost = books.strikes_at(FaultKind::LostInvalidation, count);
        books.journal.push(Event::Invalidate { what, is_lost });
    }

    /// Invalidates the page of `virt`: x86-64 INVLPG, AArch64 TLBI VAE1.
    pub fn invalidate_page(&self, virt: VirtAddr) {
        self.invalidate(Invalidation::Page(virt));
    }

    /// Invalidates everything, global translations too.
    pub fn invalidate_all(&self) {
        self.invalidate(Invalidation::All);
    }
}

fn is_table(frames: &[Kept], frame: Frame) -> bool {
    Memory::number(frame).and_then(|number| frames.get(number)) == Some(&Kept::Table)
}

impl super::books::Books {
    /// Consecutive free frames; one alone is the one freed last.
    fn take(&mut self, frames: u64) -> Option<u64> {
        let first = if frames == 1 {
            self.free.last().copied()?
        } else {
            let align = frames.next_power_of_two();
            let mut sorted = self.free.clone();
            sorted.sort_unstable();
            sorted.iter().copied().find(|first| {
                first.is_multiple_of(align)
                    && (*first..first + frames).all(|number| sorted.binary_search(&number).is_ok())
            })?
        };
        self.free.retain(|number| !(first..first + frames).contains(number));
        for number in first..first + frames {
            if let Some(kept) =
                usize::try_from(number).ok().and_then(|number| self.frames.get_mut(number))
            {
                *kept = Kept::Table;
            }
        }
        Some(first)
    }
}
