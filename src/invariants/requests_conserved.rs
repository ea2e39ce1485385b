//! Requests are conserved.
//!
//! When a driver host ends, the requests it had and those that wait for it are completed, with a
//! status that says so; nobody waits for ever. When nothing is half done, no packet is left over
//! whose host has ended.
//!
//! Not checked here: requests that a kernel-mode driver keeps, which only the driver knows; while
//! operations are under way, and after a stop.
//!
//! Source: Microsoft Learn, "How UMDF Handles Driver Failures"; "Completing IRPs".

use crate::base::Principal;

use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct RequestsConserved;

impl Invariant for RequestsConserved {
    fn name(&self) -> &'static str {
        "requests-are-conserved"
    }

    fn sentence(&self) -> &'static str {
        "At rest no request is left open whose driver host has ended."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"How UMDF Handles Driver Failures\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::NONE
    }

    fn check(&self, _: &Evidence<'_>, _: &mut Findings) {}

    fn check_at_rest(&self, evidence: &Evidence<'_>, end: &End<'_>, findings: &mut Findings) {
        if end.rest == RestKind::Quiescent {
            self.scan(evidence, findings);
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for orphan in evidence.authority.orphans() {
            let (kernel, requestor) = (Some(Principal::KERNEL), Some(orphan.requestor));
            findings.add(kernel, requestor, orphan.phys, 0, || {
                format!(
                    "{} waits for a request that {} had last, whose host has ended",
                    roster.name(orphan.requestor),
                    roster.name(orphan.holder),
                )
            });
        }
    }
}
