//! Handles are private to their process.
//!
//! A handle is a number that means something in one process's table only. The books keep a table of
//! their own, fed with what was opened, duplicated, inherited and closed; each use is held against it.
//!
//! Not checked here: rights, which are an invariant of their own.
//!
//! Source: Microsoft Learn, "Object Handles", "Handle Inheritance".

use crate::authority::Falsehood;

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct HandlesPrivate;

impl Invariant for HandlesPrivate {
    fn name(&self) -> &'static str {
        "handles-are-private"
    }

    fn sentence(&self) -> &'static str {
        "A handle leads where it led when its own process was given it, and no process uses the handle of another."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Object Handles\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::FALSE_CLAIM
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for claim in evidence.false_claims() {
            if !matches!(
                claim.falsehood,
                Falsehood::UnknownHandle
                    | Falsehood::OtherObject
                    | Falsehood::HandleFromNowhere
                    | Falsehood::HandleInUse
            ) {
                continue;
            }
            let event = &claim.event;
            findings.add(Some(event.subject), claim.holder, event.phys, event.virt, || {
                format!(
                    "{}, handle {:#x}, object {:#x}: {}",
                    roster.name(event.subject),
                    event.value,
                    event.virt,
                    claim.falsehood,
                )
            });
        }
    }
}
