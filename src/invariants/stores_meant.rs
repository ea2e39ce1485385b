//! Kernel mode writes only what it means, where it may.
//!
//! Inside kernel mode the architecture forbids nothing, so a system call that believes an address it
//! was given writes over the kernel itself (the system call without a probe). Each store says which
//! structure it means; the books say what is there. A driver stays within what is its own or was
//! lent to it.
//!
//! Not checked here: what is written, and stores into the memory of processes, which have an
//! invariant of their own.
//!
//! Source: CVE-2017-5123, Linux 96ca579a1ecc "waitid(): Add missing access_ok() checks"; Microsoft
//! Learn, "Driver security checklist", on user-mode addresses.

use crate::base::EventKind;

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct StoresMeant;

impl Invariant for StoresMeant {
    fn name(&self) -> &'static str {
        "kernel-mode-writes-what-it-means"
    }

    fn sentence(&self) -> &'static str {
        "A store of kernel mode goes to the structure it means and that its code may write."
    }

    fn source(&self) -> &'static str {
        "CVE-2017-5123"
    }

    fn kinds(&self) -> Kinds {
        Kinds::TRESPASS
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for trespass in evidence.trespasses() {
            let event = &trespass.event;
            let is_store = matches!(event.kind, EventKind::Store | EventKind::StoreRun);
            let is_others = trespass.owner.is_some_and(|owner| roster.kind(owner).is_process());
            // What memory does by itself nobody wrote.
            let is_by_kernel_mode =
                roster.kind(event.actor).is_kernel_mode() && !event.is_by_memory();
            if is_store && !is_others && is_by_kernel_mode {
                let offender = trespass.offender();
                findings.add(offender, trespass.owner, event.phys, event.virt, || {
                    trespass.stored(roster, None)
                });
            }
        }
    }
}
