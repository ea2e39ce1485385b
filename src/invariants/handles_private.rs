//! Handles are private to their process.
//!
//! A handle is a number that means something in one process's table only: a look-up in a process's name
//! reads that process's table or, in kernel mode, the kernel's. The books keep a table of their own, fed
//! with what was opened, duplicated, inherited and closed; each use is held against it, and against
//! the bytes of the table of whoever used it.
//!
//! Not checked here: rights, and where handles come from, which are invariants of their own.
//!
//! Source: Microsoft Learn, "Object Handles", "Handle Inheritance".

use crate::authority::Falsehood;
use crate::base::EventKind;

use super::decode::handle;
use super::{Evidence, Findings, Invariant, Kinds};

/// The values of the pseudo-handles to the process and the thread that use them, which are in no table
/// ("GetCurrentProcess function", "GetCurrentThread function").
const PSEUDO: [u64; 2] = [u64::MAX, u64::MAX - 1];

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
        Kinds::FALSE_CLAIM.with(Kinds::of(&[EventKind::HandleUsed]))
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for claim in evidence.false_claims() {
            if !matches!(
                claim.falsehood,
                Falsehood::UnknownHandle | Falsehood::OtherObject | Falsehood::NoLeave
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
        // What a look-up led to is what its own table says: nothing happened since.
        let used = evidence.record.events().iter();
        for event in used.filter(|event| event.kind == EventKind::HandleUsed) {
            if PSEUDO.contains(&event.value) {
                continue;
            }
            let (memory, map) = (&evidence.machine.memory, evidence.map);
            let raw = handle(memory, map, event.subject.0, event.value);
            if raw.is_none_or(|handle| handle.object != event.virt) {
                findings.add(Some(event.subject), None, 0, event.virt, || {
                    format!(
                        "handle {:#x} of {} led to object {:#x}, and its table says nothing of it",
                        event.value,
                        roster.name(event.subject),
                        event.virt,
                    )
                });
            }
        }
    }
}
