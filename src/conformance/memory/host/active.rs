//! The memory whose code runs in this thread.
//!
//! Unsafe because a signal handler is given no argument of ours: it finds the memory by a pointer of the
//! thread.

#![allow(unsafe_code, reason = "a handler finds the memory by a thread-local pointer")]

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr;

use super::super::Memory;

thread_local! {
    /// Without a destructor, so that a handler may read it at any time.
    static ACTIVE: Cell<*const Memory> = const { Cell::new(ptr::null()) };
}

/// While it lives, code of that memory runs in this thread.
pub(super) struct Active<'a> {
    before: *const Memory,
    _memory: PhantomData<&'a Memory>,
}

impl<'a> Active<'a> {
    pub(super) fn set(memory: &'a Memory) -> Self {
        Self { before: ACTIVE.replace(memory), _memory: PhantomData }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        ACTIVE.set(self.before);
    }
}

/// Does something with the memory whose code runs in this thread.
pub(super) fn with<T>(each: impl FnOnce(&Memory) -> T) -> Option<T> {
    // SAFETY: the pointer is null or from a reference that outlives the `Active` which set it, and that
    // sets it back when it is dropped. It never leaves the module that makes it and never leaks: `attempt`
    // holds it in its frame, which is not on the stack that may be given up.
    unsafe { ACTIVE.get().as_ref() }.map(each)
}
