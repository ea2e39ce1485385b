//! References are conserved.
//!
//! When nothing is half done, the count of handles in each object is the number of entries that lead
//! to it, over all tables, and its count of pointers is no less.
//!
//! Not checked here: whether an entry should be there, see handles-come-from-somewhere; objects to
//! which no entry leads; pointers without a handle, which only their holders know; while operations
//! are under way, and after a stop.
//!
//! Source: Microsoft Learn, "Life Cycle of an Object", "Bug Check 0x18: REFERENCE_BY_POINTER".

use std::collections::BTreeMap;

use crate::base::Principal;

use super::decode::count::counted;
use super::decode::{handles, kernel_word};
use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct ReferencesConserved;

impl Invariant for ReferencesConserved {
    fn name(&self) -> &'static str {
        "references-are-conserved"
    }

    fn sentence(&self) -> &'static str {
        "At rest every object counts the handles that lead to it, and no fewer pointers."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Life Cycle of an Object\""
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
        let (memory, map) = (&evidence.machine.memory, evidence.map);
        let raw = handles(memory, map);
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for handle in &raw {
            *counts.entry(handle.object).or_default() += 1;
        }
        for (object, entries) in counts {
            let word = |offset| kernel_word(memory, map, object + offset).unwrap_or(0);
            let (said, pointers) = (word(map.object_handles), word(map.object_pointers));
            if said != entries || pointers < said {
                findings.add(Some(Principal::KERNEL), None, 0, object, || {
                    let lead = if entries == 1 { "handle leads" } else { "handles lead" };
                    let (said, pointers) = (counted(said, "handle"), counted(pointers, "pointer"));
                    format!(
                        "{entries} {lead} to object {object:#x}, which counts {said} and {pointers}"
                    )
                });
            }
        }
    }
}
