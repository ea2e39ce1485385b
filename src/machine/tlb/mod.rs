//! What does a processor remember?
//!
//! | module | answers |
//! |---|---|
//! | [`invalidation`] | which instructions make it forget what? |
//! | [`cache`] | which translation does it use now? |
//! | [`may_hold`] | which translations could it still use? |
//! | [`paging_structure`] | where does a walk start that need not start at the root? |
//!
//! [`Tlb`] is one legal behaviour, cheap enough for every access. [`MayHold`] is all legal
//! behaviours at once: what it holds, some processor may use.

pub mod cache;
pub mod invalidation;
pub mod may_hold;
pub mod paging_structure;

pub use cache::{DirectMapped, Grants, Tlb};
pub use invalidation::{Invalidation, RootLoad};
pub use may_hold::{MayHold, Withdrawn, WithdrawnKind};
pub use paging_structure::PagingStructureCache;
