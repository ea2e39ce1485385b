//! Handle tables lie apart.
//!
//! The same number in two processes is two handles. So it is only while no two processes have one
//! table, or tables that overlap: a process that finds its own handles in its own table would not
//! notice that another one finds them there too, which handles-are-private can't tell from two
//! processes that were given the same.
//!
//! Not checked here: what is in the tables.
//!
//! Source: Microsoft Learn, "Kernel Objects", "Handles and Objects".

use crate::base::{EventKind, Principal};

use super::decode::tables;
use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct HandleTablesApart;

impl Invariant for HandleTablesApart {
    fn name(&self) -> &'static str {
        "handle-tables-are-apart"
    }

    fn sentence(&self) -> &'static str {
        "No two processes have the same handle table, nor tables that overlap."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Kernel Objects\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::of(&[EventKind::ProcessCreated])
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        self.scan(evidence, findings);
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let map = evidence.map;
        let roster = evidence.authority.roster();
        let mut tables = tables(&evidence.machine.memory, map);
        tables.sort_unstable_by_key(|&(_, table)| table);
        let bytes = map.handle_bytes * map.handles_max;
        for pair in tables.windows(2) {
            let [(one, at), (other, behind)] = [pair[0], pair[1]];
            if behind - at < bytes {
                let victim = Some(Principal(other));
                findings.add(Some(Principal::KERNEL), victim, 0, behind, || {
                    format!(
                        "{} has its handles at {at:#x} and {} at {behind:#x}",
                        roster.name(Principal(one)),
                        roster.name(Principal(other)),
                    )
                });
            }
        }
    }
}
