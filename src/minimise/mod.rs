//! What is the least that still shows it? A generic, deterministic minimiser.
//!
//! It knows nothing of worlds or scenarios. What is to be minimised says which sequences it consists
//! of and which simpler forms it has ([`Shrink`]); a function runs one candidate and returns its
//! evidence when that still fails in the way that matters. Nothing here draws a random number or
//! looks at a clock, so the same start and the same function give the same result.
//!
//! ```
//! use ringfence::minimise::{Budget, Extent, Sequence, minimise, towards};
//!
//! // Fails as soon as 7 or more comes somewhere before a 1.
//! let fails = |candidate: &Sequence<u64>| {
//!     let first = candidate.items.iter().position(|&item| item >= 7)?;
//!     candidate.items[first..].contains(&1).then_some("seven before one")
//! };
//! let start = Sequence { items: vec![3, 12, 5, 40, 1, 8], simpler: |&item| towards(item, 0) };
//!
//! let minimal = minimise(start, Budget { trials_max: 1000 }, fails).expect("the start fails");
//!
//! assert_eq!(minimal.value.items, [7, 1]);
//! assert_eq!(minimal.evidence, "seven before one");
//! assert_eq!(minimal.extent, Extent::OneMinimal);
//! ```

mod engine;
mod number;
mod sequence;

pub use engine::{Budget, Cut, Extent, Minimal, Minimiser, minimise};
pub use number::towards;
pub use sequence::Sequence;

/// What can be made smaller.
///
/// A value consists of sequences, whose elements can be left out one by one, and of everything
/// else, which has simpler forms. Both are asked again after every success, about the value that
/// succeeded.
pub trait Shrink: Sized {
    /// How long each sequence is. Name first what contains others (components before each one's
    /// actions): what is left out early takes the rest with it.
    fn lengths(&self) -> Vec<usize>;

    /// This value with only those elements of one sequence whose indices are in `kept`.
    ///
    /// `kept` ascends, has no index twice and none beyond the sequence. The candidate's sequence
    /// must be shorter than before; other sequences may become shorter or vanish with it.
    #[must_use]
    fn keeping(&self, sequence: usize, kept: &[usize]) -> Self;

    /// Forms of this value with the same sequences, one change of a parameter away, from the
    /// simplest to the least simple for each parameter.
    ///
    /// Every form must be strictly simpler than `self` in some fixed order; a cycle would only be
    /// ended by the budget.
    fn simpler(&self) -> impl Iterator<Item = Self>;
}
