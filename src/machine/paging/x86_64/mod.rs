//! 4-level and 5-level paging of x86-64, as in the Intel SDM, volume 3A, chapter "Paging".
//!
//! | module | answers |
//! |---|---|
//! | [`controls`] | which register bits change a translation? what is asked? |
//! | [`entry`] | what do an entry's bits mean at its level? |
//! | [`rights`] | does what is mapped permit what is asked? |
//! | [`walk`](mod@walk) | where does the address lead? |
//! | [`walker`] | where do many addresses lead, for one kind of access? |
//! | [`marks`] | which accessed and dirty bits does that set? |
//! | [`leaves`](mod@leaves) | what is mapped at all? |
//! | [`exception`] | what is reported when it leads nowhere? |

use crate::base::Rule;

pub mod controls;
pub mod entry;
pub mod exception;
pub mod leaves;
pub mod marks;
pub mod rights;
#[cfg(test)]
mod sparse;
pub mod walk;
pub mod walker;

pub use controls::{ControlFlags, Controls, Request, Vendor};
pub use entry::{Entry, EntryKind, Level, Reserved};
pub use exception::{Exception, PageFaultCode};
pub use leaves::{Extent, Found, Next, TableUse, leaves};
pub use marks::{Marks, apply};
pub use rights::{Refusal, Rights, refusal};
pub use walk::{Path, Reach, Step, Walk, lookup, path, walk};
pub use walker::Walker;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "four-and-five-levels",
        "Tables of four or five levels translate each access, with rights from all levels.",
        "Intel SDM volume 3A, Paging",
    ),
    Rule::documented(
        "page-fault-error-code",
        "A page fault's error code tells present, write, user, reserved, fetch, key and shadow stack.",
        "Intel SDM volume 3A, Interrupt 14—Page-Fault Exception",
    ),
    Rule::documented(
        "smep",
        "With SMEP ring 0 can't execute user pages.",
        "Intel SDM volume 3A, Determination of Access Rights",
    ),
    Rule::documented(
        "smap",
        "With SMAP ring 0 can't touch user pages unless AC is set.",
        "Intel SDM volume 3A, Determination of Access Rights",
    ),
    Rule::documented(
        "write-protect",
        "With CR0.WP ring 0 respects read-only pages.",
        "Intel SDM volume 3A, Determination of Access Rights",
    ),
    Rule::documented(
        "no-execute",
        "With EFER.NXE a page may be closed to execution.",
        "Intel SDM volume 3A, Determination of Access Rights",
    ),
    Rule::documented(
        "protection-keys",
        "Keys of user and supervisor pages take rights away by register.",
        "Intel SDM volume 3A, Protection Keys",
    ),
    Rule::documented(
        "non-canonical-is-general-protection",
        "A non-canonical address raises general protection, not a page fault.",
        "Intel SDM volume 3A, Interrupt 13—General Protection Exception",
    ),
];
