//! Loads, stores and hooks of the code under test.

use core::sync::atomic::{Ordering, compiler_fence};
use std::panic::resume_unwind;
use std::thread::panicking;

use super::books::{Event, Kept, StoreKind, Unread};
use super::{Barrier, Invalidation, Memory};
use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::conformance::fault::FaultKind;
use crate::conformance::format::Decoded;
use crate::conformance::stop::Stop;
use crate::conformance::tables::{leaf_below, use_of};

/// The code under test is in a hook. Its accesses through pointers can be trapped before and behind it, so
/// what the books hold is written back at both ends; the compiler knows nothing of signal handlers.
pub(super) struct Hooked;

impl Hooked {
    pub(super) fn new() -> Self {
        compiler_fence(Ordering::SeqCst);
        Self
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
    }
}

/// Loads and stores. An address outside memory, or one that is no multiple of 8, reads as 0, ignores
/// stores and becomes a finding.
impl Memory {
    /// The 8 bytes at `at`, in one load.
    #[must_use]
    pub fn load(&self, at: PhysAddr) -> u64 {
        let _hooked = self.spend();
        let Some(cell) = self.cell(at) else {
            self.note(Event::StrayLoad { at });
            return 0;
        };
        self.loaded(at);
        cell.get()
    }

    /// A word of memory was loaded.
    pub(super) fn loaded(&self, at: PhysAddr) {
        let mut books = self.0.books.borrow_mut();
        if !books.is_altered && !is_table(&books.frames, at.frame()) {
            books.journal.push(Event::StrayLoad { at });
        }
        books.forget_unread(at);
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

    /// Stores 8 bytes at once, after every store before it: AArch64 STLR.
    pub fn store_release(&self, at: PhysAddr, value: u64) {
        self.write(at, value, StoreKind::Release);
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
        let _hooked = self.spend();
        self.before_store(at);
        let old = self.peek(at);
        self.0.books.borrow_mut().forget_unread(at);
        if old == expected {
            self.put(at, new, StoreKind::Whole);
            self.after_store(old, new);
            Ok(old)
        } else {
            Err(old)
        }
    }

    fn update(&self, at: PhysAddr, change: impl FnOnce(u64) -> u64) -> u64 {
        let _hooked = self.spend();
        self.before_store(at);
        let old = self.peek(at);
        self.0.books.borrow_mut().forget_unread(at);
        let new = change(old);
        self.put(at, new, StoreKind::Whole);
        self.after_store(old, new);
        old
    }

    fn write(&self, at: PhysAddr, value: u64, kind: StoreKind) {
        let _hooked = self.spend();
        self.before_store(at);
        let old = self.peek(at);
        self.lose_marks(at, old, value);
        self.put(at, value, kind);
        self.after_store(old, value);
    }

    /// A store that did not read what it stores over: bits that the processor had set meanwhile are lost.
    pub(super) fn lose_marks(&self, at: PhysAddr, old: u64, new: u64) {
        let still_maps = self.still_maps(old, new);
        let lost = self.0.books.borrow_mut().overwrite_unread(at, new, still_maps);
        if let Some(bits) = lost {
            self.note(Event::LostMark { at, bits });
        }
    }

    /// What the processor set during a call and nobody has read: the call is over.
    pub(crate) fn take_unread(&self) -> Option<Unread> {
        self.0.books.borrow_mut().unread.take()
    }

    /// Where the processor set an accessed flag during a call, and which bits: the call is over.
    pub(crate) fn take_accessed(&self) -> Option<(PhysAddr, u64)> {
        self.0.books.borrow_mut().accessed.take()
    }

    /// Whether the page of the entry stays mapped: only then does anybody miss a dirty flag.
    fn still_maps(&self, old: u64, new: u64) -> bool {
        let leaf = |bits| match self.0.format.decode(1, bits) {
            Decoded::Leaf { page, .. } => Some(page),
            _ => None,
        };
        leaf(old).is_some_and(|page| leaf(new) == Some(page))
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
    pub(super) fn spend(&self) -> Hooked {
        let hooked = Hooked::new();
        if self.undo_void() && !panicking() {
            resume_unwind(Box::new(Stop::Abandoned));
        }
        let mut books = self.0.books.borrow_mut();
        books.budget = books.budget.saturating_sub(1);
        if books.budget == 0 && !panicking() {
            drop(books);
            crate::conformance::watch::is_spent();
            resume_unwind(Box::new(Stop::Endless));
        }
        hooked
    }

    /// Undoes what an operation did after it had been abandoned; whether it had.
    pub(super) fn undo_void(&self) -> bool {
        let mut books = self.0.books.borrow_mut();
        let Some(from) = books.void_from.take() else { return false };
        while books.journal.len() > from {
            // Nothing but stores and strays comes without a hook, and a hook ends it.
            if let Some(Event::Store { at, old, .. }) = books.journal.pop()
                && let Some(cell) = self.cell(at)
            {
                cell.set(old);
            }
        }
        true
    }

    /// Another processor uses the entry that is about to be overwritten.
    pub(super) fn before_store(&self, at: PhysAddr) {
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
        let word_at = |at: PhysAddr| self.peek(at);
        let Some(table) = use_of(format, root, &word_at, at.frame()) else { return };
        let mut books = self.0.books.borrow_mut();
        books.live_stores += 1;
        if books.live_stores != fault.nth {
            return;
        }
        drop(books);
        // Where the entry names a table, the page that is used lies below it.
        let (at, level) =
            leaf_below(format, &word_at, table.level, at).unwrap_or((at, table.level));
        let old = self.peek(at);
        let new = format.marked(level, old, true);
        if new == old {
            return;
        }
        let accessed = format.marked(level, old, false);
        let mut books = self.0.books.borrow_mut();
        books.strikes += 1;
        books.accessed = (accessed != old).then_some((at, accessed ^ old));
        if new != accessed {
            books.unread = Some(Unread::new(at, new ^ accessed, new));
        }
        drop(books);
        if let Some(cell) = self.cell(at) {
            cell.set(new);
        }
        self.note(Event::Store { at, old, new, kind: StoreKind::Hardware });
    }

    /// Counts a store as an occasion. Those that clear a table are none: there are hundreds of them.
    pub(super) fn counts_store(&self, old: u64, new: u64) -> bool {
        let counts = (old | new) & self.0.format.valid_bit() != 0;
        self.0.books.borrow_mut().stores += u32::from(counts);
        counts
    }

    fn after_store(&self, old: u64, new: u64) {
        if !self.counts_store(old, new) {
            return;
        }
        let mut books = self.0.books.borrow_mut();
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

    /// Consecutive frames, aligned to their number rounded up to a power of two. `None` when there are not so many,
    /// and for no frame at all: that would be nothing that could be freed.
    #[must_use]
    pub fn allocate_frames(&self, frames: u64, zeroed: bool) -> Option<PhysAddr> {
        let _hooked = self.spend();
        self.compare_tables();
        self.call_back();
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
        let _hooked = self.spend();
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

    /// The processor executes a barrier. Counts where the format has any and
    /// [`Capability::Barriers`](super::super::Capability::Barriers) is declared.
    pub fn barrier(&self, barrier: Barrier) {
        let _hooked = self.spend();
        self.compare_tables();
        self.note(Event::Barrier { barrier });
    }

    /// Every processor is told to forget, and has, as far as barriers don't have to be reported.
    pub fn invalidate(&self, what: Invalidation) {
        let _hooked = self.spend();
        self.announce(what);
    }

    pub(super) fn announce(&self, what: Invalidation) {
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
        if frames == 0 || frames > super::POOL_FRAMES || frames > self.ration {
            return None;
        }
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
        self.ration -= frames;
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
