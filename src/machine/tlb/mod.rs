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

use crate::base::Rule;

pub mod cache;
pub mod invalidation;
pub mod may_hold;
pub mod paging_structure;

pub use cache::{Case, DirectMapped, Granted, Grants, Tlb};
pub use invalidation::{Invalidation, RootLoad};
pub use may_hold::{MayHold, Withdrawn, WithdrawnKind};
pub use paging_structure::PagingStructureCache;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "translations-are-cached",
        "A processor may use what it remembers until it is told to drop it.",
        "Intel SDM volume 3A, Invalidation of TLBs and Paging-Structure Caches",
    ),
    Rule::documented(
        "pcid-tags-translations",
        "With CR4.PCIDE translations carry an identifier and outlive a change of the root.",
        "Intel SDM volume 3A, Process-Context Identifiers",
    ),
];
