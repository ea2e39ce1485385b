//! The allocator calls back in: while the code under test waits for a frame, a call is made into its tables.
//!
//! The allocator of a kernel may have to map memory before it has a frame to give. Code that has read an entry
//! and then asks for a frame finds its tables changed when it has one; code that keeps a lock meanwhile
//! waits for itself.

use super::Memory;
use super::access::Hooked;
use super::books::Event;
use crate::conformance::fault::FaultKind;

/// A call that can be made.
pub(super) type Callback = Box<dyn FnOnce()>;

/// Says that the call is over, however it ends.
struct Ends<'a>(&'a Memory);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.compare_all();
        self.0.note(Event::CalledBack);
    }
}

impl Memory {
    /// From now on an allocation may be the occasion of this call.
    pub(crate) fn arm(&self, callback: impl FnOnce() + 'static) {
        *self.0.callback.borrow_mut() = Some(Box::new(callback));
    }

    /// Whether there is one that has not been made.
    pub(crate) fn is_armed(&self) -> bool {
        self.0.callback.borrow().is_some()
    }

    /// From now on none is, and what the call held is dropped, unless that was given up.
    pub(crate) fn disarm(&self) {
        let callback = self.0.callback.take();
        if self.is_given_up() {
            core::mem::forget(callback);
        }
    }

    /// Makes the call that is at hand, if this is the occasion.
    pub(super) fn call_back(&self) {
        if !self.is_armed() {
            return;
        }
        let mut books = self.0.books.borrow_mut();
        books.occasions += 1;
        let count = books.occasions;
        let is_due = books.strikes_at(FaultKind::AllocatorCallsBack, count);
        drop(books);
        if !is_due {
            return;
        }
        let Some(callback) = self.0.callback.take() else { return };
        self.note(Event::CallsBack);
        let _ends = Ends(self);
        // The code under test runs again, and its accesses may be trapped.
        let _left = Hooked::new();
        callback();
    }
}
