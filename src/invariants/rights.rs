//! Rights never exceed the grant.
//!
//! Rights are granted when a handle is opened and compared at each use; a handle has no more than its
//! request asked for, and a duplicate no more than its source. Which rights a use takes is not for the
//! kernel to say alone: the request that names the handle takes those documented for it. A right handle with wrong rights is not a
//! stranger's handle, so this is not implied by handles being private.
//!
//! Not checked here: whether the first grant was wise; the books know no access control lists. What a
//! driver asks for in kernel mode's name: nobody but the kernel hears it.
//!
//! Source: Microsoft Learn, "DuplicateHandle function", "ZwOpenProcess function", "Access Rights and
//! Access Masks".

use crate::authority::Falsehood;

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct Rights;

impl Invariant for Rights {
    fn name(&self) -> &'static str {
        "rights-never-exceed-the-grant"
    }

    fn sentence(&self) -> &'static str {
        "A handle has no more rights than were asked for and its source has, and is used with no others."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"DuplicateHandle function\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::FALSE_CLAIM
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for claim in evidence.false_claims() {
            if !matches!(claim.falsehood, Falsehood::RightsExceeded) {
                continue;
            }
            let event = &claim.event;
            findings.add(Some(event.subject), claim.holder, event.phys, event.virt, || {
                format!(
                    "{}, handle {:#x}, object {:#x}: {} with rights {:#x}",
                    roster.name(event.subject),
                    event.value,
                    event.virt,
                    event.kind,
                    event.old,
                )
            });
        }
    }
}
