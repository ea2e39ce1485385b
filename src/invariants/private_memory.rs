//! Nobody but its process writes a process's private memory.
//!
//! Not implied by the tables being right: kernel mode can write anywhere, on behalf of the wrong
//! process or with the wrong address. Held against the books, store by store: a store into memory of
//! a process by anybody else needs a loan that the process asked for.
//!
//! Not checked here: what a process does to its own memory, and stores by devices.
//!
//! Source: Microsoft Learn, "Virtual address spaces": "it's not possible for one process to
//! inadvertently overwrite a page of another".

use crate::base::EventKind;

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct PrivateMemory;

impl Invariant for PrivateMemory {
    fn name(&self) -> &'static str {
        "private-memory-is-private"
    }

    fn sentence(&self) -> &'static str {
        "Nobody but its process writes a process's private memory, unless the process asked for it."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Virtual address spaces\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::TRESPASS
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for trespass in evidence.trespasses() {
            let event = &trespass.event;
            let Some(owner) = trespass.owner else { continue };
            let is_store = matches!(event.kind, EventKind::Store | EventKind::StoreRun);
            // Who was about to act when memory itself changed has no part in it.
            let is_own = owner == event.actor && !event.is_by_memory();
            if is_store && !is_own && roster.kind(owner).is_process() {
                let offender = trespass.offender();
                findings.add(offender, Some(owner), event.phys, event.virt, || {
                    trespass.stored(roster, Some(owner))
                });
            }
        }
    }
}
