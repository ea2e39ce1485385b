//! What memory remembers of one operation, and of its frames.

use super::{Barrier, Invalidation, POOL_FRAMES};
use crate::base::{Frame, PhysAddr};
use crate::conformance::fault::{Fault, FaultKind};

/// How a store came to be known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoreKind {
    /// It came through the accessor, as one store of 8 bytes.
    Whole,
    /// The same, and every store before it is seen first.
    Release,
    /// It came through the accessor, and a compiler may tear it.
    Plain,
    /// It was found by comparison; its order among its neighbours is not known.
    Found,
    /// The processor set accessed or dirty.
    Hardware,
}

/// One thing that happened during an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Store {
        at: PhysAddr,
        old: u64,
        new: u64,
        kind: StoreKind,
    },
    /// A store to an address without memory.
    StrayStore {
        at: PhysAddr,
        new: u64,
    },
    /// A load from an address without memory or from a frame that is no table.
    StrayLoad {
        at: PhysAddr,
    },
    Allocate {
        first: Option<Frame>,
        frames: u64,
        zeroed: bool,
    },
    Free {
        at: PhysAddr,
    },
    /// `is_lost`: the fault struck, nobody was told.
    Invalidate {
        what: Invalidation,
        is_lost: bool,
    },
    /// The processor waits.
    Barrier {
        barrier: Barrier,
    },
    /// The allocator calls back in.
    CallsBack,
    /// The call that it made is over.
    CalledBack,
    /// A dirty flag that hardware set after software had read the entry was overwritten.
    LostMark {
        at: PhysAddr,
        bits: u64,
    },
}

/// What a frame of the pool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    Free,
    Table,
}

/// What hardware set in an entry and software has not read.
pub(crate) struct Unread {
    at: PhysAddr,
    /// Bits that say what was dirtied.
    pub(crate) bits: u64,
    /// The entry as hardware left it.
    pub(crate) marked: u64,
    /// It is gone without having been read.
    is_overwritten: bool,
}

impl Unread {
    pub(super) const fn new(at: PhysAddr, bits: u64, marked: u64) -> Self {
        Self { at, bits, marked, is_overwritten: false }
    }

    /// Whether an entry says the same of what was dirtied.
    pub(crate) const fn is_in(&self, entry: u64) -> bool {
        (entry ^ self.marked) & self.bits == 0
    }
}

pub(crate) struct Books {
    pub(super) frames: Vec<Kept>,
    /// Freed last, handed out first: reuse is what shows.
    pub(super) free: Vec<u64>,
    pub(super) journal: Vec<Event>,
    pub(super) root: Option<PhysAddr>,
    pub(super) fault: Option<Fault>,
    pub(super) strikes: u32,
    /// Stores that make, change or end an entry.
    pub(super) stores: u32,
    /// Stores over a live entry.
    pub(super) live_stores: u32,
    pub(super) allocations: u32,
    pub(super) invalidations: u32,
    /// Allocations during which there was a call at hand.
    pub(super) occasions: u32,
    /// Accesses left before the operation counts as endless.
    pub(super) budget: u32,
    /// Frames that the operation may still take.
    pub(super) ration: u64,
    /// The fault strikes once in a case.
    pub(super) unread: Option<Unread>,
    /// Where the processor set an accessed flag that was clear, and which bits.
    pub(super) accessed: Option<(PhysAddr, u64)>,
    /// The length of the journal when the operation was abandoned inside a signal handler, from where
    /// nothing unwinds: what comes after it is undone.
    pub(super) void_from: Option<usize>,
    /// Memory as it was when it was last compared; only for code with pointers.
    pub(super) compared: Option<Vec<u64>>,
    /// The tables can be altered by others: a load from anywhere is then legitimate.
    pub(super) is_altered: bool,
}

impl Books {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        Self {
            frames: vec![Kept::Free; usize::try_from(POOL_FRAMES).unwrap_or(0)],
            free: (0..POOL_FRAMES).rev().collect(),
            journal: Vec::new(),
            root: None,
            fault,
            strikes: 0,
            stores: 0,
            live_stores: 0,
            allocations: 0,
            invalidations: 0,
            occasions: 0,
            budget: 0,
            ration: u64::MAX,
            unread: None,
            accessed: None,
            void_from: None,
            compared: None,
            is_altered: false,
        }
    }

    /// Whether the fault of this kind is due at its `count`-th occasion; counts the strike.
    pub(super) fn strikes_at(&mut self, kind: FaultKind, count: u32) -> bool {
        let is_due = self.fault.is_some_and(|fault| fault.kind == kind && fault.nth == count);
        self.strikes += u32::from(is_due);
        is_due
    }

    /// Software has read the word.
    pub(super) fn forget_unread(&mut self, at: PhysAddr) {
        self.unread.take_if(|unread| unread.at == at && !unread.is_overwritten);
    }

    /// The word is overwritten by one that did not read it; `still_maps`: the page stays mapped by it. Returns the
    /// bits that are lost by that alone.
    pub(super) fn overwrite_unread(
        &mut self,
        at: PhysAddr,
        new: u64,
        still_maps: bool,
    ) -> Option<u64> {
        let is_meant = |unread: &&mut Unread| unread.at == at && !unread.is_overwritten;
        let unread = self.unread.as_mut().filter(is_meant)?;
        if unread.is_in(new) {
            self.unread = None;
            None
        } else if still_maps {
            self.unread.take().map(|unread| unread.bits)
        } else {
            unread.is_overwritten = true;
            None
        }
    }

    pub(super) fn resynchronise(&mut self, at: PhysAddr, value: u64) {
        let index = super::Memory::number(at.frame())
            .map(|number| number * 512 + usize::try_from(at.offset() / 8).unwrap_or(0));
        if let (Some(compared), Some(index)) = (&mut self.compared, index)
            && let Some(word) = compared.get_mut(index)
        {
            *word = value;
        }
    }
}
