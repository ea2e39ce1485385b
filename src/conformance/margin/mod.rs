//! How many single faults stand between the machine and a breach, after every store of an operation.
//!
//! A finding says that a breach has happened. Between two commits without one, code can still have come
//! nearer to it: an invalidation that used to be made twice is made once, a table is freed a store
//! earlier. The margin shows that.
//!
//! # What a breach is
//!
//! The books say for every page where it may lead and with which rights: within a call what it led to
//! before or is to lead to after it, when the call has returned what was asked for. A machine is in breach
//! of them when
//!
//! 1. the tables lead some page elsewhere, or grant it more;
//! 2. a processor may remember a translation that does (it was granted at some instant, and no
//!    invalidation covered it since), so that it can still use a frame which now belongs to another;
//! 3. a frame that is not, or no longer, a table of this code is walked as one: an entry names it, or a
//!    processor may remember the way (behind a flipped bit, one that is no table in use: what it holds
//!    is anybody's guess);
//! 4. a store went to such a frame, or something was freed that is not the code's own.
//!
//! A page that leads nowhere, or grants less, is no breach: somebody faults, nobody intrudes.
//!
//! # Which single faults, and when
//!
//! An *instant* is what lies between two stores of a call: after store `n` and everything up to store `n + 1`,
//! invalidations and frees among it. `after 0` is in front of the first store, `return` when the call has
//! returned. Each fault belongs to one instant:
//!
//! | fault | what happens | it breaches when |
//! |---|---|---|
//! | `lost-invalidation` | one invalidation made in this instant reaches nobody | the call, which would end without a breach, ends with one or frees a table that may still be walked |
//! | `abandoned-store` | the next store and all after it are never made, nor anything else of the call | a processor may remember what the tables, now the only record, do not grant; or a page outside of the request has changed other than by being lost; or a frame that is no table is reachable |
//! | `concurrent-walk` | another processor uses the entry of the next store just before it and marks it | the store loses the dirty flag; found by running the code again with this very walk |
//! | `flipped-bit` | one bit of one entry of a table in use flips | the tables then are in breach: 1 or 3 above |
//!
//! The *margin* is 0 when the machine is in breach, 1 when at least one single fault breaches, else 2: no
//! single fault does. 0 and 1 are exact, and so is the number of faults of each kind; the first of each kind
//! is told as its witness. Nothing is drawn at random: the same code gives the same text.
//!
//! Pairs of faults are not searched for: nothing is to be learnt from them. Every live entry is one flipped
//! address bit from a frame that is not its own, so 2 is left for tables without any entry, and only where
//! one flip makes none (AArch64: bit 0 alone is a block without its Access flag). There two bits of one entry
//! always breach, whatever the code does. What tells two commits apart is how many single faults there are of
//! each kind.
//!
//! Where code has raw pointers and its stores are not trapped, those found together count as one store.
//!
//! # The text
//!
//! [`Margins`] prints one line for each thing, and [`Margins::parse`] reads it back:
//!
//! ```text
//! ringfence margins 2
//! format x86-64, 4 levels
//! case 1
//! call 1 unmap 4 KiB page 0x4000
//! after 0 margin 1 lost-invalidation 0 abandoned-store 0 concurrent-walk 0 flipped-bit 2231
//!   flipped-bit: …
//! after 1 margin 1 lost-invalidation 1 abandoned-store 1 concurrent-walk 0 flipped-bit 2208
//!   lost-invalidation: …
//! return margin 1 lost-invalidation 0 abandoned-store 0 concurrent-walk 0 flipped-bit 2208
//! end 1 cases 1 calls
//! ```
//!
//! `after 1-511` stands for instants that are all the same. Lines that begin with two spaces tell why. Of a call that
//! panics, or goes on until its accesses are spent, the last instant is `stopped` instead of `return`; then no call
//! of its case is made any more. A text without its last line is cut short, and is not read.
//!
//! The call runs on processor 0. An invalidation is told to all processors, so any of them may hold what one may:
//! processor 1 stands for whoever is not processor 0. A frame is owned by the page that the books give it to, or, as
//! a table, by this code.

mod comparison;
mod faults;
mod flips;
mod print;
mod run;
mod text;

pub use comparison::{Change, Comparison};
pub use text::ParseError;

use core::fmt;

/// One fault. Each strikes alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum SingleFault {
    /// An invalidation reaches nobody.
    LostInvalidation,
    /// The operation ends in front of its next store.
    AbandonedStore,
    /// Another processor marks the entry of the next store just before it.
    ConcurrentWalk,
    /// A bit of an entry of a table in use flips.
    FlippedBit,
}

impl SingleFault {
    /// All of them, in the order of a line.
    pub const ALL: [Self; 4] =
        [Self::LostInvalidation, Self::AbandonedStore, Self::ConcurrentWalk, Self::FlippedBit];

    /// Its name, as in a line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LostInvalidation => "lost-invalidation",
            Self::AbandonedStore => "abandoned-store",
            Self::ConcurrentWalk => "concurrent-walk",
            Self::FlippedBit => "flipped-bit",
        }
    }
}

/// Which instants of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instants {
    /// After the first of these stores up to the last of them; 0 is in front of the first.
    After {
        /// The first.
        first: u32,
        /// The last, the same for one instant.
        last: u32,
    },
    /// When the call has returned.
    Return,
    /// When the call was ended, by a panic or for its accesses: it has not returned.
    Stopped,
}

impl fmt::Display for Instants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After { first, last } if first == last => write!(f, "after {first}"),
            Self::After { first, last } => write!(f, "after {first}-{last}"),
            Self::Return => f.write_str("return"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// The margin at some instants that are all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instant {
    /// Which.
    pub when: Instants,
    /// The breach, when there is one.
    pub breach: Option<String>,
    /// How many single faults breach, by [`SingleFault`].
    pub faults: [u64; 4],
    /// The first of each kind, told.
    pub witnesses: [Option<String>; 4],
}

impl Instant {
    /// 0 in breach, 1 when a single fault breaches, else 2.
    #[must_use]
    pub fn margin(&self) -> u8 {
        match (&self.breach, self.faults) {
            (Some(_), _) => 0,
            (None, [0, 0, 0, 0]) => 2,
            (None, _) => 1,
        }
    }

    /// How many single faults of this kind breach.
    #[must_use]
    pub fn faults_of(&self, kind: SingleFault) -> u64 {
        self.faults.get(kind as usize).copied().unwrap_or(0)
    }

    fn is_like(&self, other: &Self) -> bool {
        (&self.breach, self.faults, &self.witnesses)
            == (&other.breach, other.faults, &other.witnesses)
    }
}

/// The margins of one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallMargins {
    /// Its number in the case, from 1.
    pub number: u32,
    /// The call, told.
    pub call: String,
    /// Its instants, in order.
    pub instants: Vec<Instant>,
    /// Why it did not return: the code makes no more calls.
    pub stopped: Option<String>,
}

impl CallMargins {
    /// Takes in the next instant; like ones become one.
    fn push(&mut self, instant: Instant) {
        if let Some(before) = self.instants.last_mut()
            && before.is_like(&instant)
            && let (Instants::After { last, .. }, Instants::After { last: now, .. }) =
                (&mut before.when, instant.when)
        {
            *last = now;
            return;
        }
        self.instants.push(instant);
    }
}

/// The margins of one case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaseMargins {
    /// Its seed, or `given`.
    pub name: String,
    /// Its calls, in order.
    pub calls: Vec<CallMargins>,
}

/// The margins of all operations that were looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Margins {
    /// The table format.
    pub format: String,
    /// The cases, in order.
    pub cases: Vec<CaseMargins>,
}

impl Margins {
    /// The smallest margin of all: 0, 1 or 2.
    #[must_use]
    pub fn least(&self) -> u8 {
        let calls = self.cases.iter().flat_map(|case| &case.calls);
        calls.flat_map(|call| &call.instants).map(Instant::margin).min().unwrap_or(2)
    }
}
