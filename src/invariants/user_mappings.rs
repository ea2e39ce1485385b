//! What a process has mapped is what it may have.
//!
//! Every page that a root lets user mode reach leads to memory that the books grant to the process,
//! for reading, or for writing where it is writable. Checked when a processor goes back to user mode
//! after a mapping or a grant has changed, and for every root at the end.
//!
//! Not checked here: the system half, page tables and free memory, which have invariants of their
//! own; what a processor may remember.
//!
//! Source: Microsoft Learn, "Virtual address spaces"; "Section Objects and Views".

use crate::base::{Access, PhysAddr, Principal, Structure, VirtAddr};

use super::{Evidence, Findings, Invariant, Kinds, Root};

pub(super) struct UserMappings;

fn look(evidence: &Evidence<'_>, root: Root, findings: &mut Findings) {
    let authority = evidence.authority;
    for leaf in evidence.user_leaves(root.at) {
        if VirtAddr(leaf.virt).is_system() {
            continue;
        }
        for offset in leaf.frames(&evidence.machine.memory) {
            let phys = PhysAddr::truncated(leaf.phys + offset);
            let region = authority.region_at(phys);
            if region.is_free() || region.structure == Structure::PageTable {
                continue;
            }
            let access = if leaf.is_writable { Access::Write } else { Access::Read };
            if !authority.may_reach(root.owner, phys, access) {
                let roster = authority.roster();
                let holder = region.owner;
                findings.add(
                    Some(Principal::KERNEL),
                    holder,
                    phys.raw(),
                    leaf.virt + offset,
                    || {
                        format!(
                            "{} has {:#x} mapped ({}): {} of {}",
                            roster.name(root.owner),
                            leaf.virt + offset,
                            access.name(),
                            region.structure,
                            holder.map_or("nobody", |holder| roster.name(holder)),
                        )
                    },
                );
                break;
            }
        }
    }
}

impl Invariant for UserMappings {
    fn name(&self) -> &'static str {
        "user-mappings-are-granted"
    }

    fn sentence(&self) -> &'static str {
        "Every page mapped for user mode leads to memory its process may reach in that way."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Virtual address spaces\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::RETURNING
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.returning_roots() {
            look(evidence, root, findings);
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.all_roots() {
            look(evidence, root, findings);
        }
    }
}
