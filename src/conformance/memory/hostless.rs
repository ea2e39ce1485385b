//! Without the features that host code: calls are calls.

use core::ops::Range;

use super::{Memory, Words};
use crate::conformance::stop::{Stop, caught};

/// How the code under test is run: there is one way.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Hosting {}

impl Hosting {
    /// Bits of a physical address that pages are mapped to at most, in this format or not.
    pub(crate) const fn physical_bits(self) -> u32 {
        u64::BITS
    }

    /// How many of the cases that are usual are run where nobody says how many.
    pub(crate) const fn cases(self, usual: u64) -> u64 {
        usual
    }
}

/// There is none.
pub(super) enum Host {}

impl Host {
    pub(super) const fn new(_: Hosting) -> Option<Self> {
        None
    }

    pub(super) const fn frames(&self) -> Option<&[Words]> {
        match *self {}
    }

    pub(super) const fn has_unseen_loads(&self) -> bool {
        match *self {}
    }
}

/// Nobody hears of an aborted process.
pub(in crate::conformance) struct Aborts(());

impl Aborts {
    /// Whether somebody in this process tells of its abort.
    pub(in crate::conformance) const ARE_HEARD: bool = false;

    pub(in crate::conformance) const fn listen() -> Self {
        Self(())
    }
}

impl Memory {
    /// Calls the code under test; what ends it is caught.
    pub(crate) fn attempt<T>(&self, call: impl FnOnce() -> T) -> Result<T, Stop> {
        caught(call)
    }

    /// Whether code was ended in the middle, so that nothing that it held may be dropped: never.
    pub(crate) const fn is_given_up(&self) -> bool {
        false
    }

    pub(crate) const fn retire(&self) {}

    pub(crate) const fn take_misuse(&self) -> Option<super::Misuse> {
        None
    }

    pub(super) const fn trapped_reach(&self) -> Option<Range<u64>> {
        None
    }

    pub(super) const fn trapped_pointer(&self, _: u64) -> Option<*mut u8> {
        None
    }
}
