//! After a bug check nothing runs until the next boot.
//!
//! The kernel stops itself so that damage does not spread. A second processor that runs on would carry
//! it to the disk. Held for every plan: whatever the fault, a machine that has stopped fetches, loads
//! and stores nothing.
//!
//! Not checked here: transfers that were under way, which hardware completes.
//!
//! Source: Microsoft Learn, "Bug Check Code Reference", "KeBugCheckEx": "brings down the system".

use super::{Evidence, Findings, Invariant, Kinds, Scope};
use crate::base::Event;

pub(super) struct AfterBugCheck;

impl Invariant for AfterBugCheck {
    fn name(&self) -> &'static str {
        "nothing-runs-after-a-bug-check"
    }

    fn sentence(&self) -> &'static str {
        "After a bug check or a reset no processor runs until the next boot."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"KeBugCheckEx function\""
    }

    fn scope(&self) -> Scope {
        Scope::Always
    }

    fn kinds(&self) -> Kinds {
        Kinds::SUSPECT
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for event in evidence.record.after_stop() {
            if event.processor != Event::NO_PROCESSOR {
                // One place for all of it: whoever runs on does so at many addresses.
                findings.add(Some(event.actor), None, 0, 0, || {
                    format!(
                        "processor {} went on: {} at {:#x}",
                        event.processor, event.kind, event.virt,
                    )
                });
            }
        }
    }
}
