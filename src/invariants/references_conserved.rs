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

/// Counts beyond this are none: the word was overwritten, or counted down below 0.
const COUNT_MAX: u64 = u32::MAX as u64;

/// What a header counts, in words.
fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        0..=COUNT_MAX => format!("{count} {what}s"),
        // A word with all of its high half set is a small number below 0.
        _ if count > !COUNT_MAX => format!("{} {what}s", count.cast_signed()),
        _ => format!("{count:#x}, no count, for its {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn a_count_is_told_as_a_number_and_what_is_none_as_the_word_it_is() {
        assert_eq!(counted(0, "pointer"), "0 pointers");
        assert_eq!(counted(1, "pointer"), "1 pointer");
        assert_eq!(counted(u64::MAX, "handle"), "-1 handles");
        let link = 0xffff_fa80_0000_0a90;
        assert_eq!(counted(link, "pointer"), "0xfffffa8000000a90, no count, for its pointers");
    }
}
