//! Page tables are out of user mode's reach.
//!
//! A process that can write a page table can map anything; one that can read it learns where
//! everything is. No page that user mode may reach, by the tables as they are or by what a processor
//! may still remember, is one that the books hold as a page table.
//!
//! Not checked here: tables that a device could write.
//!
//! Source: CVE-2018-1038 ("Total Meltdown": the self-map with the user bit); Intel SDM volume 3A,
//! "Access Rights".

use crate::base::{Frame, PhysAddr, Principal, Structure};
use crate::machine::paging::x86_64::Rights;
use crate::machine::tlb::WithdrawnKind;

use super::{Evidence, Findings, Invariant, Kinds, Root};

pub(super) struct TableReach;

fn look(evidence: &Evidence<'_>, root: Root, findings: &mut Findings) {
    for leaf in evidence.user_leaves(root.at) {
        for offset in leaf.frames(&evidence.machine.memory) {
            let phys = PhysAddr::truncated(leaf.phys + offset);
            if evidence.authority.structure_of(phys) == Structure::PageTable {
                findings.add(Some(Principal::KERNEL), Some(root.owner), root.at, 0, || {
                    format!(
                        "{} reaches the table at {:#x} through {:#x}",
                        evidence.authority.roster().name(root.owner),
                        phys.raw(),
                        leaf.virt + offset,
                    )
                });
                return;
            }
        }
    }
}

fn remembered(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (number, state) in evidence.machine.processors.iter().enumerate() {
        for member in state.may_hold.members() {
            let is_leaf = matches!(member.kind, WithdrawnKind::Leaf(_));
            if !is_leaf || !member.rights.has(Rights::USER) {
                continue;
            }
            let frames = (0..member.pages).map(|page| Frame(member.frame.0 + page).start());
            let mut tables = frames
                .filter(|phys| evidence.authority.structure_of(*phys) == Structure::PageTable);
            if let Some(phys) = tables.next() {
                let context = state.registers.context;
                // What a processor may remember the kernel's tables granted once.
                let by = Some(Principal::KERNEL);
                findings.add(by, Some(context), phys.raw(), member.first.start().0, || {
                    format!("processor {number} may still translate to the table {:#x}", phys.raw())
                });
            }
        }
    }
}

impl Invariant for TableReach {
    fn name(&self) -> &'static str {
        "tables-are-out-of-user-reach"
    }

    fn sentence(&self) -> &'static str {
        "No page that user mode may reach, now or by a remembered translation, is a page table."
    }

    fn source(&self) -> &'static str {
        "CVE-2018-1038"
    }

    fn kinds(&self) -> Kinds {
        Kinds::RETURNING.with(Kinds::BOUND)
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.returning_roots() {
            look(evidence, root, findings);
        }
        remembered(evidence, findings);
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.all_roots() {
            look(evidence, root, findings);
        }
        remembered(evidence, findings);
    }
}
