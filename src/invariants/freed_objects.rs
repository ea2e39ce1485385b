//! Freed objects are forgotten.
//!
//! An object lives as long as anybody refers to it. When the memory of one is taken back, no handle in
//! the books may lead there: the next object in that place would be reached with the rights to the
//! old one.
//!
//! Not checked here: pointers without a handle; see references-are-conserved for their count.
//!
//! Source: Microsoft Learn, "Life Cycle of an Object".

use crate::authority::Falsehood;

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct FreedObjects;

impl Invariant for FreedObjects {
    fn name(&self) -> &'static str {
        "freed-objects-are-forgotten"
    }

    fn sentence(&self) -> &'static str {
        "No object is freed while a handle leads to it."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Life Cycle of an Object\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::FALSE_CLAIM
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for claim in evidence.false_claims() {
            if !matches!(claim.falsehood, Falsehood::FreedWhileHeld) {
                continue;
            }
            let event = &claim.event;
            findings.add(Some(event.subject), claim.holder, event.phys, event.virt, || {
                format!(
                    "memory at {:#x} was taken back while {} has a handle to an object in it",
                    event.virt,
                    claim.holder.map_or("?", |holder| roster.name(holder)),
                )
            });
        }
    }
}
