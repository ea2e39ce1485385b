//! What are the words? Plain values that every other layer shares.
//!
//! Nothing here knows a machine, a kernel or a rule. Addresses, kinds of access, identities, seeds
//! and the vocabulary of events: data without behaviour, so that the judge (`authority`) and the
//! accused (`machine`, `kernel`) can speak of the same thing without sharing any code that decides.

mod access;
mod address;
mod counted;
mod digest;
mod domain;
mod event;
mod kernel_map;
mod layout;
mod nearest;
mod principal;
mod ratio;
mod roster;
mod rule;
mod seed;
mod structure;
mod witness;

pub use access::{Access, Ring};
pub use address::{FRAME_BYTES, Frame, Page, PhysAddr, VirtAddr};
pub(crate) use counted::counted;
pub use digest::{Digest, TraceHash};
pub use domain::Domain;
pub(crate) use event::bits_of;
pub use event::{Event, EventKind};
pub use kernel_map::{DUPLICATE_RIGHT, KernelMap, TERMINATE_RIGHT};
pub use layout::Field;
pub use nearest::nearest;
pub use principal::{Principal, PrincipalKind, PrincipalSet};
pub use ratio::Ratio;
pub use roster::{Roster, RosterEntry};
pub use rule::{Basis, Rule};
pub use seed::{Seed, Stream};
pub use structure::Structure;
pub use witness::Witness;
