//! Memory is handed out once, and lent only as asked.
//!
//! The kernel announces what it gives to whom. Memory that somebody has is not given again, what
//! nobody has is not taken back, a process's memory is lent only as far as it asked and the kernel's
//! own only as far as the block that was handed out, private memory is never shared, and devices get
//! DMA buffers only.
//!
//! Not checked here: whether the kernel announces everything it does; what it does without an
//! announcement is a store or a mapping that the books do not grant.
//!
//! Source: Microsoft Learn, "Bug Check 0xC2: BAD_POOL_CALLER", "Bug Check 0x4E: PFN_LIST_CORRUPT".

use crate::authority::Falsehood;
use crate::base::counted;

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct Claims;

impl Invariant for Claims {
    fn name(&self) -> &'static str {
        "memory-is-handed-out-once"
    }

    fn sentence(&self) -> &'static str {
        "What the kernel says it hands out, lends, shares and takes back fits what was asked for and who has what."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Memory Allocation for Windows Drivers\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::FALSE_CLAIM
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for claim in evidence.false_claims() {
            if !matches!(
                claim.falsehood,
                Falsehood::NotTheirs
                    | Falsehood::OutsideMemory
                    | Falsehood::NotFree
                    | Falsehood::AlreadyFree
                    | Falsehood::NotAskedFor
                    | Falsehood::NothingToLend
                    | Falsehood::SomethingElse
                    | Falsehood::NotShareable
                    | Falsehood::NotShared
                    | Falsehood::NotADmaBuffer
                    | Falsehood::NoSuchChange
            ) {
                continue;
            }
            let event = &claim.event;
            let subject = roster.name(event.subject);
            findings.add(Some(event.subject), claim.holder, event.phys, event.virt, || {
                if claim.falsehood == Falsehood::NoSuchChange {
                    // Of a process or a device: there are no words.
                    let number = event.value;
                    return format!(
                        "{} {number:#x} for {subject}: {}",
                        event.kind, claim.falsehood
                    );
                }
                format!(
                    "{} of {} at {:#x} for {} as {}: {}",
                    event.kind,
                    counted(event.value, "word"),
                    event.phys,
                    subject,
                    event.structure,
                    claim.falsehood,
                )
            });
        }
    }
}
