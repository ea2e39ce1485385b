//! What may go wrong around the code under test, once in a case.

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultKind {
    /// The frame allocator has nothing at the n-th call. A defect of the surroundings that the code
    /// must refuse cleanly.
    AllocationFails,
    /// Another processor uses the entry in front of the n-th store over a
    /// live entry and sets accessed and dirty.
    /// Stress: the architecture allows it at any time.
    HardwareWalk,
    /// The operation is ended for good after the n-th store of an entry, as by a panic or a reset of its thread.
    Abandoned,
    /// The n-th invalidation reaches nobody. Not the code's doing: it shows whether that
    /// invalidation was needed, and that the suite would notice.
    LostInvalidation,
    /// While the code waits for a frame, its allocator makes the next call of the case, if that is about
    /// other pages, as a kernel's does that maps memory for itself. Counted are allocations during which
    /// there is such a call.
    /// Stress: code that declares [`Capability::Reentry`](super::Capability::Reentry) allows it.
    AllocatorCallsBack,
}

impl FaultKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::AllocationFails,
        Self::HardwareWalk,
        Self::Abandoned,
        Self::LostInvalidation,
        Self::AllocatorCallsBack,
    ];

    /// Its name, as in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllocationFails => "allocation-fails",
            Self::HardwareWalk => "hardware-walk",
            Self::Abandoned => "abandoned-operation",
            Self::LostInvalidation => "lost-invalidation",
            Self::AllocatorCallsBack => "allocator-calls-back",
        }
    }

    pub(crate) const fn occasion(self) -> &'static str {
        match self {
            Self::AllocationFails => "allocation",
            Self::HardwareWalk => "store over a live entry",
            Self::Abandoned => "store of an entry",
            Self::LostInvalidation => "invalidation",
            Self::AllocatorCallsBack => "allocation with a call at hand",
        }
    }
}

/// One fault: what, and at which occasion of the case, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// When: at the n-th allocation, store or invalidation.
    pub nth: u32,
}
