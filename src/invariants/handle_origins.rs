//! Handles come from somewhere.
//!
//! An entry appears in a process's table because the process opened something, because somebody with
//! the right to that process duplicated a handle into it, because it inherited the handle, which its
//! parent had marked for that, or because the kernel gave it. It stays until it is closed; while it is
//! protected, until its process ends. The books know what was given; at rest the tables in memory hold that, entry by
//! entry, and no more. A handle that leads where it should and has the right rights may still have
//! appeared from nowhere, so this is not implied by its neighbours.
//!
//! Not checked here: the tables of processes that have ended, see exit-closes-all-handles; and whether an event that a
//! child inherits was marked when it was made, which the request does not carry where it is heard. While
//! operations are under way, and after a stop, only what is announced.
//!
//! Source: Microsoft Learn, "DuplicateHandle function", "Inheritance", "Object Handles",
//! "SetHandleInformation function".

use crate::authority::Falsehood;
use crate::base::{EventKind, Principal};

use super::decode::{RawHandle, handles};
use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct HandleOrigins;

impl Invariant for HandleOrigins {
    fn name(&self) -> &'static str {
        "handles-come-from-somewhere"
    }

    fn sentence(&self) -> &'static str {
        "A handle appears only where it was opened, duplicated with leave, inherited or given by the kernel; a protected one stays."
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
            let event = &claim.event;
            if event.kind != EventKind::HandleOpened
                || !matches!(claim.falsehood, Falsehood::HandleFromNowhere | Falsehood::HandleInUse)
            {
                continue;
            }
            findings.add(Some(event.context), claim.holder, event.phys, event.virt, || {
                format!(
                    "{} got handle {:#x} to object {:#x} while {} asked: {}",
                    roster.name(event.subject),
                    event.value,
                    event.virt,
                    roster.name(event.context),
                    claim.falsehood,
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
        let authority = evidence.authority;
        let roster = authority.roster();
        let raw = handles(&evidence.machine.memory, evidence.map);
        let granted: Vec<RawHandle> = authority
            .handles()
            .filter(|(process, ..)| !authority.ended().contains(*process))
            .map(|(process, value, handle)| RawHandle {
                process: process.0,
                value,
                object: handle.object,
                rights: handle.rights,
            })
            .collect();
        let only_in_memory = raw.iter().filter(|handle| !granted.contains(handle));
        let only_granted = granted.iter().filter(|handle| !raw.contains(handle));
        for (handle, where_to) in only_in_memory
            .map(|handle| (handle, "the table"))
            .chain(only_granted.map(|handle| (handle, "the books")))
        {
            let process = Principal(handle.process);
            findings.add(Some(Principal::KERNEL), Some(process), 0, handle.object, || {
                format!(
                    "only {where_to} of {} has handle {:#x} with rights {:#x}",
                    roster.name(process),
                    handle.value,
                    handle.rights,
                )
            });
        }
    }
}
