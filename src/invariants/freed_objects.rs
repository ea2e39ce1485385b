//! Freed objects are forgotten.
//!
//! An object lives as long as anybody refers to it. When the memory of one is taken back, no handle in
//! the books may lead there: the next object in that place would be reached with the rights to the
//! old one. At rest no entry in memory leads to what is no object by its header.
//!
//! Not checked here: pointers without a handle; see references-are-conserved for their count.
//!
//! Source: Microsoft Learn, "Life Cycle of an Object".

use crate::authority::Falsehood;

use crate::base::Principal;

use super::decode::{handles, kernel_word};
use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct FreedObjects;

impl Invariant for FreedObjects {
    fn name(&self) -> &'static str {
        "freed-objects-are-forgotten"
    }

    fn sentence(&self) -> &'static str {
        "No object is freed while a handle leads to it, and every handle leads to an object."
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

    fn check_at_rest(&self, evidence: &Evidence<'_>, end: &End<'_>, findings: &mut Findings) {
        if end.rest == RestKind::Quiescent {
            self.scan(evidence, findings);
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let (memory, map) = (&evidence.machine.memory, evidence.map);
        let (first, last) = map.object_types;
        for handle in handles(memory, map) {
            let kind = kernel_word(memory, map, handle.object.wrapping_add(map.object_type));
            if !kind.is_some_and(|kind| (first..=last).contains(&kind)) {
                let holder = Some(Principal(handle.process));
                findings.add(Some(Principal::KERNEL), holder, 0, handle.object, || {
                    let holder = evidence.authority.roster().name(Principal(handle.process));
                    let kind = kind.unwrap_or(0);
                    format!(
                        "handle {:#x} of {holder} leads to {:#x}, which is no object: its header says \
                         type {kind:#x}",
                        handle.value, handle.object,
                    )
                });
            }
        }
    }
}
