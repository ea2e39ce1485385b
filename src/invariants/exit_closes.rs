//! The end of a process closes its handles.
//!
//! When a process has ended its table is empty and the books know no handle of it. Counts that are
//! right do not imply it: a leaked handle counts as any other, and keeps its object for good.
//!
//! Not checked here: whether what the handles led to is freed; see references-are-conserved.
//!
//! Source: Microsoft Learn, "Terminating a Process".

use crate::base::{EventKind, Principal, counted};

use super::decode::handles_of;
use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct ExitCloses;

impl Invariant for ExitCloses {
    fn name(&self) -> &'static str {
        "exit-closes-all-handles"
    }

    fn sentence(&self) -> &'static str {
        "Who has ended has no handle, in its table or in the books."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Terminating a Process\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::of(&[EventKind::ProcessEnded])
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let (memory, map) = (&evidence.machine.memory, evidence.map);
        let roster = evidence.authority.roster();
        let ends = evidence.record.events().iter();
        for event in ends.filter(|event| event.kind == EventKind::ProcessEnded) {
            let process = event.subject;
            // Its object is there as long as somebody refers to it, and now the kernel still does.
            let left = handles_of(memory, map, event.virt, process.0).len();
            if left > 0 {
                findings.add(Some(Principal::KERNEL), Some(process), 0, event.virt, || {
                    let left = counted(left as u64, "handle");
                    format!("{} has ended and its table has {left}", roster.name(process))
                });
            }
        }
        self.scan(evidence, findings);
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let authority = evidence.authority;
        for process in authority.ended().iter() {
            let left = authority.handles_of(process).count();
            if left > 0 {
                findings.add(Some(Principal::KERNEL), Some(process), 0, 0, || {
                    let name = authority.roster().name(process);
                    let left = counted(left as u64, "handle");
                    format!("{name} has ended and the books have {left} of it")
                });
            }
        }
    }
}
