//! The memory of the run under way in this thread: for code whose hooks are static functions.

use core::cell::RefCell;

use super::Memory;

thread_local! {
    static CURRENT: RefCell<Option<Memory>> = const { RefCell::new(None) };
}

/// The memory that the run under way in this thread was given.
///
/// # Panics
///
/// When no run of the suite is under way in this thread.
#[must_use]
pub fn current() -> Memory {
    CURRENT
        .with_borrow(Clone::clone)
        .expect("a hook was called outside of a run of ringfence::conformance in this thread")
}

pub(crate) fn enter(memory: &Memory) {
    CURRENT.set(Some(memory.clone()));
}

pub(crate) fn leave() {
    CURRENT.set(None);
}
