//! Where may a fault step in, and what may it answer there?
//!
//! The machine reaches an *injection point* whenever something is about to happen: a step, a memory
//! access, an invalidation, a hand-over. Nearly always nobody is interested and the cost is one
//! comparison. When a trigger matches, the armed [`Fault`] may alter the operation, ask for it to be
//! skipped or repeated, or change the machine through its [`Scene`].

#[cfg(test)]
pub(crate) mod fake;
mod fault;
mod point;
mod trigger;

pub use fault::{Fault, Operation, Scene, Verdict};
pub use point::{PointKind, PointKinds, PointRecord};
pub use trigger::{Armed, Hung, Points, Recurrence, Trigger};
