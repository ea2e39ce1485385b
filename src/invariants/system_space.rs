//! User mode never reaches system space.
//!
//! Two sides of it: no access at ring 3 that succeeded had an address in the upper half, and no root
//! maps anything there for user mode. The second is not implied by the first: a page-table self-map
//! with the user bit set is an open door whether or not anybody has walked through.
//!
//! Not checked here: what a processor may still remember; see cached-translations-are-granted.
//!
//! Source: Microsoft Learn, "User mode and kernel mode"; CVE-2018-1038 (a user bit in the self-map
//! entry).

use crate::base::{EventKind, Principal, VirtAddr};

use super::{Evidence, Findings, Invariant, Kinds, Root};

pub(super) struct SystemSpace;

fn look(evidence: &Evidence<'_>, root: Root, findings: &mut Findings) {
    for leaf in evidence.user_leaves(root.at) {
        if VirtAddr(leaf.virt).is_system() {
            findings.add(Some(Principal::KERNEL), Some(root.owner), root.at, leaf.virt, || {
                format!(
                    "the root of {} lets user mode reach {:#x}, which leads to {:#x}",
                    evidence.authority.roster().name(root.owner),
                    leaf.virt,
                    leaf.phys,
                )
            });
            // One door says it; a self-map has thousands.
            return;
        }
    }
}

impl Invariant for SystemSpace {
    fn name(&self) -> &'static str {
        "user-mode-never-reaches-system-space"
    }

    fn sentence(&self) -> &'static str {
        "No access at ring 3 reaches the upper half, and no root maps any of it for user mode."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"User mode and kernel mode\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::SUSPECT.with(Kinds::RETURNING)
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for event in evidence.record.suspects() {
            let is_access =
                matches!(event.kind, EventKind::Step | EventKind::Load | EventKind::Store);
            if is_access && !evidence.record.is_stopped() {
                findings.add(Some(event.actor), None, event.phys, event.virt, || {
                    format!(
                        "{} at ring 3: {} at {:#x}",
                        evidence.authority.roster().name(event.actor),
                        event.kind,
                        event.virt,
                    )
                });
            }
        }
        for root in evidence.returning_roots() {
            look(evidence, root, findings);
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.all_roots() {
            look(evidence, root, findings);
        }
    }
}
