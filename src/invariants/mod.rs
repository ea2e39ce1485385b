//! What must stay true? One file an invariant.
//!
//! An invariant looks at evidence: the machine's bytes, decoded by code of its own, and the books. It
//! knows neither the kernel's code nor the faults. It says which news can make it change its answer
//! and is asked after a step only when there is such news; a full scan of the present state must
//! come to the same, and does so at the end of a run.

pub mod decode;
pub mod evidence;
pub mod kinds;
pub mod record;
mod registry;

mod after_bug_check;
mod answered_in_time;
mod blocks_conserved;
mod cached_translations;
mod claims;
mod crash_contained;
mod disclosure;
mod dma;
mod driver_host_contained;
mod exit_closes;
mod frames_conserved;
mod freed_frames;
mod freed_objects;
mod gates;
mod handle_origins;
mod handle_tables_apart;
mod handles_private;
mod kernel_half;
mod kernel_stack;
mod private_memory;
mod references_conserved;
mod requests_conserved;
mod rights;
mod shadow_roots;
mod stores_meant;
mod system_space;
mod table_reach;
mod user_mappings;
mod walkers;

pub use evidence::{End, Evidence, RestKind, Root};
pub use kinds::Kinds;
pub use record::{Record, RecordState};
pub use registry::{Findings, KEPT_OF_EACH, Registry};

use crate::base::Principal;

/// For which plans it is a promise of the architecture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// For every plan: the hardware sees to it.
    Always,
    /// For plans that strike in user mode only. A fault in kernel mode may break it: an exposure.
    UserModePlans,
}

/// Something that must stay true.
pub trait Invariant: Send + Sync {
    /// Its name, as in `ringfence list invariants`.
    fn name(&self) -> &'static str;

    /// The property, in one sentence.
    fn sentence(&self) -> &'static str;

    /// By whose word.
    fn source(&self) -> &'static str;

    /// For which plans it is promised.
    fn scope(&self) -> Scope {
        Scope::UserModePlans
    }

    /// What can make it change its answer.
    fn kinds(&self) -> Kinds;

    /// Looks at what is new.
    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings);

    /// Looks at everything there is now, new or not. Nothing, for a property of what happens and not
    /// of a state.
    fn scan(&self, _: &Evidence<'_>, _: &mut Findings) {}

    /// Looks at the whole run, at its end.
    fn check_at_rest(&self, evidence: &Evidence<'_>, _: &End<'_>, findings: &mut Findings) {
        self.scan(evidence, findings);
    }
}

/// What says that an invariant did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// For which plans it is promised.
    pub scope: Scope,
    /// Who broke it, as far as that can be said.
    pub offender: Option<Principal>,
    /// Whom it harms, as far as that can be said.
    pub victim: Option<Principal>,
    /// The machine's clock.
    pub clock: u64,
    /// The physical address it is about; 0 for none.
    pub phys: u64,
    /// The linear address it is about; 0 for none.
    pub virt: u64,
    /// What was seen.
    pub detail: String,
}

impl Violation {
    /// Whether both are of the same invariant, offender and victim, wherever and whenever.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.invariant, self.offender, self.victim)
            == (other.invariant, other.offender, other.victim)
    }

    /// Whether it says nothing that `known` doesn't: it's like it, or it's the use of what that leaves open, by
    /// whom that harms.
    #[must_use]
    pub fn follows_from(&self, known: &Self) -> bool {
        let is_use = self.invariant == known.invariant
            && self.victim.is_none()
            && self.offender.is_some()
            && self.offender == known.victim;
        self.is_like(known) || is_use
    }
}

#[cfg(test)]
mod tests;
