//! What a signal handler writes into the books: as the accessor and the hooks do, but it neither
//! allocates nor unwinds.
//!
//! Where an accessor would end the operation, a handler can't: what the operation stores from then on is
//! void, and it ends at its next hook or when it returns.

#[cfg(feature = "privileged-shim")]
use super::super::Invalidation;
use super::super::Memory;
#[cfg(feature = "store-trap")]
use super::super::{Event, StoreKind};
#[cfg(feature = "store-trap")]
use super::instruction::Reads;
#[cfg(feature = "store-trap")]
use crate::base::PhysAddr;
#[cfg(feature = "store-trap")]
use crate::conformance::fault::FaultKind;

impl Memory {
    /// One access less; whether it was one too many.
    pub(super) fn spends_last_access(&self) -> bool {
        let mut books = self.0.books.borrow_mut();
        books.budget = books.budget.saturating_sub(1);
        books.budget == 0
    }

    /// Whether the operation has ended but goes on: nothing that it does now counts.
    fn is_void(&self) -> bool {
        self.0.books.borrow().void_from.is_some()
    }

    /// As [`invalidate`](Memory::invalidate).
    #[cfg(feature = "privileged-shim")]
    pub(super) fn invalidated(&self, what: Invalidation) {
        if !self.is_void() {
            self.announce(what);
        }
    }

    /// Before a store to a word. What memory is said to hold, when that is not what the instruction is to
    /// find: the processor marks the entry behind the back of an instruction that reads, changes and
    /// stores.
    #[cfg(feature = "store-trap")]
    pub(super) fn before_trapped(&self, at: PhysAddr, reads: Reads) -> Option<u64> {
        if self.is_void() {
            return None;
        }
        let old = self.peek(at);
        self.before_store(at);
        let now = self.peek(at);
        match reads {
            Reads::Never => None,
            Reads::AtOnce => {
                self.0.books.borrow_mut().forget_unread(at);
                None
            }
            Reads::Before => {
                if let Some(cell) = self.cell(at) {
                    cell.set(old);
                }
                (now != old).then_some(now)
            }
        }
    }

    /// A store that the code has made.
    #[cfg(feature = "store-trap")]
    pub(super) fn stored_trapped(&self, at: PhysAddr, old: u64, new: u64) {
        if !self.is_void() {
            self.lose_marks(at, old, new);
        }
        self.note(Event::Store { at, old, new, kind: StoreKind::Whole });
        if !self.is_void() && self.counts_store(old, new) {
            let mut books = self.0.books.borrow_mut();
            let count = books.stores;
            if books.strikes_at(FaultKind::Abandoned, count) {
                books.void_from = Some(books.journal.len());
            }
        }
    }

    /// Makes a store of the code's in its stead: the bits of `mask`, shifted.
    #[cfg(feature = "store-trap")]
    pub(super) fn store_trapped(&self, at: PhysAddr, value: u64, mask: u64, shift: u64) {
        self.before_trapped(at, Reads::Never);
        let Some(cell) = self.cell(at) else { return };
        let (mask, value) = (mask << shift, (value & mask) << shift);
        let old = cell.get();
        let new = old & !mask | value;
        cell.set(new);
        self.stored_trapped(at, old, new);
    }
}
