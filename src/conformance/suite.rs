//! The suite for mappers: many cases, each kind of finding minimised once.

use std::time::Duration;

use super::breach::Check;
use super::case::Case;
use super::finding::Finding;
use super::format::Format;
use super::memory::Memory;
#[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
use super::memory::Observed;
use super::options::{Options, builder};
use super::report::Report;
use super::run::ACCESSES_MAX;
use super::sequences::Sequences;
use super::subject::Mapper;

/// Entries of a table.
const ENTRIES: u64 = 512;

/// Cases of a run that nobody sized: a few seconds in a debug build.
pub(super) const CASES: u64 = 400;

/// A run of the suite that is about to begin.
#[must_use = "nothing is run until `check` or `run` is called"]
pub struct Suite<F> {
    factory: F,
    pub(super) options: Options,
}

/// A suite for code that maps pages. `factory` makes an instance on the memory it is given; it is
/// called once for each case.
pub fn mapper<M: Mapper, F: Fn(Memory) -> M>(factory: F) -> Suite<F> {
    Suite { factory, options: Options::new(CASES, ACCESSES_MAX) }
}

impl<M: Mapper, F: Fn(Memory) -> M> Suite<F> {
    builder!();

    /// How many accesses to memory a call may make before it counts as endless; 200000 unless said
    /// otherwise. A call about many pages may make as many again for every 200 of them.
    pub fn accesses_max(mut self, accesses: u32) -> Self {
        self.options.accesses_max = accesses;
        self
    }

    /// Entries of the root table, by index, that the code keeps for itself: one that names the root
    /// itself, a window for clearing tables. Nothing is mapped there, and what lies there is not judged:
    /// the report lists it as skipped.
    ///
    /// # Panics
    ///
    /// When a root table has no such entry; at the run, when no place is left near which the suite maps.
    #[track_caller]
    pub fn reserving(mut self, entries: &[u64]) -> Self {
        for entry in entries {
            assert!(
                *entry < ENTRIES,
                "a root table has {ENTRIES} entries, and none is number {entry}"
            );
        }
        self.options.reserved.extend(entries);
        self
    }

    /// Lets the code reach its tables through themselves, by the entry of the root at `entry`, which names the
    /// root: for a recursive mapping. Nothing of this process may lie there, so take one of the upper half.
    /// The entry is [reserved](Self::reserving), and stores are trapped, at least. Linux on x86-64, feature
    /// `store-trap`.
    ///
    /// # Panics
    ///
    /// As [`trapping`](Self::trapping), and as [`reserving`](Self::reserving).
    #[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
    #[track_caller]
    pub fn recursive(mut self, entry: u64) -> Self {
        self.options.hosting.observed.get_or_insert(Observed::Stores);
        self.options.hosting.recursive = Some(entry);
        self.reserving(&[entry])
    }

    /// Runs one case: what a strategy drew, or a stored one. It is told as it is: a strategy is shrunk by whoever drew
    /// from it, who comes here for each of its tries. What [`run`](Self::run) does about code that does not
    /// return or that calls `exit`, this does too.
    ///
    /// # Panics
    ///
    /// With the report, when there is a finding.
    #[track_caller]
    pub fn replay(self, case: &Case) {
        if let Err(told) = self.search().replay(case) {
            panic!("\n{told}");
        }
    }

    /// What it does, whatever the type of the code under test.
    pub(super) fn search<'f>(&'f self) -> Sequences<'f>
    where
        M: 'f,
    {
        Sequences { factory: &self.factory, options: &self.options }
    }
}

/// Runs one case drawn from a fuzzer's bytes: the body of a `fuzz_target!`. With options:
/// [`Suite::fuzz`].
///
/// # Panics
///
/// With the report, when there is a finding.
#[track_caller]
pub fn fuzz<M: Mapper, F: Fn(Memory) -> M>(bytes: &[u8], factory: F) {
    mapper(factory).fuzz(bytes);
}

/// Runs one case: what a strategy drew, or a stored one. With options: [`Suite::replay`].
///
/// # Panics
///
/// With the report, when there is a finding.
#[track_caller]
pub fn replay<M: Mapper, F: Fn(Memory) -> M>(case: &Case, factory: F) {
    mapper(factory).replay(case);
}
