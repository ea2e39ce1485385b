//! References are conserved.
//!
//! When nothing is half done, the count of handles in each object is the number of entries that lead
//! to it, over all tables; and its count of pointers is those, one for what it is (a process that
//! exists and its thread have their objects, and what the boot made stays), and at most what those may
//! hold who are in the middle of a request. One less, and it will be freed under its users; one more,
//! and it is never freed.
//!
//! Objects are those that the books have in the pool, and those that an entry leads to.
//!
//! Not checked here: whether an entry should be there, see handles-come-from-somewhere; objects to
//! which no entry leads in a page that the special pool gave one block; while operations are under way,
//! and after a stop.
//!
//! Source: Microsoft Learn, "Life Cycle of an Object", "Bug Check 0x18: REFERENCE_BY_POINTER".

use std::collections::BTreeMap;

use crate::base::{FRAME_BYTES, PhysAddr, Principal};

use super::decode::count::counted;
use super::decode::{KernelWords, handles, locate};
use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct ReferencesConserved;

impl Invariant for ReferencesConserved {
    fn name(&self) -> &'static str {
        "references-are-conserved"
    }

    fn sentence(&self) -> &'static str {
        "At rest every object counts the handles and pointers that lead to it, no more and no fewer."
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
        let (map, books) = (evidence.map, evidence.authority);
        let words = KernelWords::new(&evidence.machine.memory, map);
        for (object, entries) in objects(evidence) {
            let word = |offset| words.at(object.wrapping_add(offset)).unwrap_or(0);
            let (said, pointers) = (word(map.object_handles), word(map.object_pointers));
            let due = entries + books.references_due(object);
            let most = books.references_under_way(object).map(|more| due + more);
            let is_right = said == entries
                && pointers >= due.max(1)
                && most.is_none_or(|most| pointers <= most);
            if is_right {
                continue;
            }
            findings.add(Some(Principal::KERNEL), None, 0, object, || {
                let lead = if entries == 1 { "handle leads" } else { "handles lead" };
                let (said, pointers) = (counted(said, "handle"), counted(pointers, "pointer"));
                let others = match most.unwrap_or(due) - entries {
                    0 => String::new(),
                    others => format!(" and {others} more may refer"),
                };
                format!(
                    "{entries} {lead}{others} to object {object:#x}, which counts {said} and {pointers}"
                )
            });
        }
    }
}

/// Every object, with the number of entries that lead to it.
fn objects(evidence: &Evidence<'_>) -> BTreeMap<u64, u64> {
    let (memory, map) = (&evidence.machine.memory, evidence.map);
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for handle in handles(memory, map) {
        *found.entry(handle.object).or_default() += 1;
    }
    for page in (0..map.pool_pages).map(|page| map.pool + page * FRAME_BYTES) {
        let Some(frame) = locate(memory, map.system_root, page) else { continue };
        let words = usize::try_from(FRAME_BYTES / 8).unwrap_or(0);
        for header in evidence.authority.headers(PhysAddr::truncated(frame), words) {
            found.entry(page | (header % FRAME_BYTES)).or_default();
        }
    }
    found
}
