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
