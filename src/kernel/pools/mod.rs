//! The generations of the pool, and what each notices of damage, when.
//!
//! The pool of [`super::pool`] has four sizes of block and is what generated worlds have. Here are the
//! three that Windows had or has, as far as public documents tell:
//!
//! | generation | header of a block | damage is found |
//! |---|---|---|
//! | [`legacy`] | plain, in front of the block: sizes, type, tag | at the next operation on the block or its neighbour (bug checks 0x19, 0xC2) |
//! | [`segment`] | the same place, encoded with a key | as above, but a header that was written does not decode (0x13A) |
//! | [`special`] | a page for each block, the page behind it absent | an overrun or a use after free at once (0xCD, 0xD6, 0xCC, 0xD5), an underrun when the block is freed (0xC1) |
//!
//! Which one a kernel has is a matter of its build, so it is decided when the kernel is linked: calls
//! to `ExAllocatePool2` and `ExFreePoolWithTag` lead to the generation's own routines, as Driver
//! Verifier leads a driver's imports to its own ("Special pool memory corruption detection in Driver
//! Verifier"). Legacy and segment share the way blocks are cut and merged ([`blocks`], [`large`]);
//! what differs is how headers and links are written and what is said of damage. That old pools
//! answer with 0x19 and 0xC2 and new ones with 0x13A is inferred from which pages describe what.
//!
//! All three hand out zeroed memory, as `ExAllocatePool2` does. Not modelled: look-aside lists,
//! the low-fragmentation front end of the segment heap, quota.

/// Declares a generation's two routines, and that in which Driver Verifier looks at who allocates: the steps are the
/// same, what they say is not.
macro_rules! pool_routines {
    (
        $(#[$allocate_meta:meta])* $ALLOCATE:ident, $VERIFIED:ident = $allocate:literal,
        $(#[$free_meta:meta])* $FREE:ident = $free:literal,
        $generation:ty
    ) => {
        $crate::kernel::verified::verified_routine! {
            $(#[$allocate_meta])*
            $ALLOCATE, $VERIFIED = $allocate, frame 7, by $crate::kernel::code_integrity::of_allocation;
            ask, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                Ok(match blocks::ask::<$generation>(p)? {
                    None => p.give_back(0),
                    Some(ruling) => blocks::go(p, ruling, At::search as u8, At::pages as u8),
                })
            },
            stopped => |_| Ok($crate::machine::Flow::Stay),
            search, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                let ruling = blocks::look::<$generation>(p)?;
                Ok(blocks::go(p, ruling, At::cut as u8, At::grow as u8))
            },
            search_stopped => |_| Ok($crate::machine::Flow::Stay),
            cut, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                let ruling = blocks::cut::<$generation>(p)?;
                Ok(blocks::go(p, ruling, At::give as u8, At::give as u8))
            },
            cut_stopped => |_| Ok($crate::machine::Flow::Stay),
            grow => |p| {
                let ruling = blocks::grow(p)?;
                Ok(blocks::go(p, ruling, At::give as u8, At::nothing as u8))
            },
            nothing => |p| Ok(p.give_back(0)),
            give => |p| {
                let block = blocks::give(p)?;
                Ok(p.give_back(block))
            },
            pages => |p| {
                let block = $crate::kernel::pools::large::give(p)?;
                Ok(p.give_back(block))
            },
        }

        $crate::machine::routine! {
            $(#[$free_meta])*
            pub static $FREE = $free, frame 7;
            ask, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                Ok(match blocks::ask_back::<$generation>(p)? {
                    None => $crate::machine::Flow::Return,
                    Some(ruling) => blocks::go(p, ruling, At::inspect as u8, At::inspect_pages as u8),
                })
            },
            stopped => |_| Ok($crate::machine::Flow::Stay),
            inspect, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                let ruling = blocks::inspect::<$generation>(p)?;
                Ok(blocks::go(p, ruling, At::merge as u8, At::merge as u8))
            },
            inspect_stopped => |_| Ok($crate::machine::Flow::Stay),
            merge, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                let ruling = blocks::merge::<$generation>(p)?;
                Ok(blocks::go(p, ruling, At::done as u8, At::done as u8))
            },
            merge_stopped => |_| Ok($crate::machine::Flow::Stay),
            inspect_pages, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                let ruling = $crate::kernel::pools::large::inspect::<$generation>(p)?;
                Ok(blocks::go(p, ruling, At::pages as u8, At::pages as u8))
            },
            pages_stopped => |_| Ok($crate::machine::Flow::Stay),
            pages, call $crate::kernel::bug_check::KE_BUG_CHECK => |p| {
                let ruling = $crate::kernel::pools::large::take_back::<$generation>(p)?;
                Ok(blocks::go(p, ruling, At::done as u8, At::done as u8))
            },
            tail_stopped => |_| Ok($crate::machine::Flow::Stay),
            done => |_| Ok($crate::machine::Flow::Return),
        }
    };
}
use pool_routines;

pub mod blocks;
pub mod damage;
pub mod header;
pub mod large;
pub mod legacy;
mod lists;
pub mod segment;
pub mod special;
pub mod state;
mod tail;

use serde::{Deserialize, Serialize};

use crate::base::Rule;
use crate::machine::Routine;

use super::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::inferred(
        "pool-generation-decides-code",
        "Old pools answer damage with 0x19 and 0xC2, new ones with 0x13A.",
        "Bug Check 0x19: BAD_POOL_HEADER; Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION",
    ),
    Rule::documented(
        "pool-blocks-16-aligned",
        "Blocks are aligned to 16 bytes and do not cross a page; a page and more begins a page.",
        "ExAllocatePoolWithTag function",
    ),
    Rule::inferred(
        "pool-header-16-bytes",
        "The header is 16 bytes: sizes, type, tag, and a word that the legacy pool does not look at.",
        "Kernel segment heap; bsodtutorials (the length is not documented)",
    ),
    Rule::documented(
        "pool-large-tail-shared",
        "The tail of a large allocation's last page may hold somebody else's block.",
        "ExAllocatePoolWithTag function",
    ),
    Rule::documented(
        "pool-levels",
        "Paged pool is not touched above APC level, no pool above dispatch level.",
        "Bug Check 0xC2: BAD_POOL_CALLER; Managing Hardware Priorities",
    ),
    Rule::inferred(
        "segment-headers-encoded",
        "Headers and links of the segment heap are combined with a key and their address.",
        "Kernel segment heap (which bits check which is the model's own)",
    ),
    Rule::chosen(
        "segment-no-front-end",
        "There is no low-fragmentation front end, no look-aside list, no quota.",
        "Kernel segment heap",
    ),
    Rule::documented(
        "special-pool-page-each",
        "A special-pool block ends at the end of a page of its own; the page behind is absent.",
        "Special pool memory corruption detection in Driver Verifier",
    ),
    Rule::documented(
        "special-pool-silent-fallback",
        "Where special pool is exhausted the block comes from normal pool and nobody is told.",
        "Special pool memory corruption detection in Driver Verifier",
    ),
    Rule::chosen(
        "special-pool-for-all",
        "Every allocation after boot is from special pool, paged or not, as if each driver were verified.",
        "Special pool memory corruption detection in Driver Verifier",
    ),
];

/// Which pool a kernel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKind {
    /// Four sizes of block, see [`super::pool`].
    #[default]
    Classes,
    /// Plain headers.
    Legacy,
    /// Encoded headers.
    Segment,
    /// A page for each block, behind it an absent one; what does not fit is in the legacy pool.
    Special,
}

impl PoolKind {
    /// Their names in scenarios.
    pub const NAMES: [&'static str; 4] = ["classes", "legacy", "segment", "special"];

    /// Whether it is the one that needs no saying.
    #[must_use]
    pub const fn is_usual(&self) -> bool {
        matches!(self, Self::Classes)
    }

    /// Which routines take the place of which when a kernel with this pool is linked.
    #[must_use]
    pub fn substitutes(self) -> Vec<(&'static Routine, &'static Routine)> {
        let (allocate, free) = match self {
            Self::Classes => return Vec::new(),
            Self::Legacy => (&legacy::EX_ALLOCATE_LEGACY, &legacy::EX_FREE_LEGACY),
            Self::Segment => (&segment::EX_ALLOCATE_HEAP, &segment::EX_FREE_HEAP),
            Self::Special => (&special::MM_ALLOCATE_SPECIAL, &special::MM_FREE_SPECIAL),
        };
        vec![(&EX_ALLOCATE_POOL, allocate), (&EX_FREE_POOL, free)]
    }

    /// Whether headers and links are encoded.
    #[must_use]
    pub const fn is_encoded(self) -> bool {
        matches!(self, Self::Segment)
    }
}

/// All routines that some generation has and the usual kernel has not.
#[must_use]
pub fn routines() -> [&'static Routine; 9] {
    [
        &legacy::EX_ALLOCATE_LEGACY,
        &legacy::EX_ALLOCATE_LEGACY_VERIFIED,
        &legacy::EX_FREE_LEGACY,
        &segment::EX_ALLOCATE_HEAP,
        &segment::EX_ALLOCATE_HEAP_VERIFIED,
        &segment::EX_FREE_HEAP,
        &special::MM_ALLOCATE_SPECIAL,
        &special::MM_ALLOCATE_SPECIAL_VERIFIED,
        &special::MM_FREE_SPECIAL,
    ]
}
