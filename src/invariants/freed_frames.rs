//! Freed frames are forgotten.
//!
//! A frame that nobody has is mapped for user mode in no root: the entry goes before the frame does.
//! And a frame handed to a process holds nothing of whoever had it before, which is reported here when
//! the frame as a whole was handed over.
//!
//! Not checked here: what a processor may remember; see cached-translations-are-granted.
//!
//! Source: Microsoft Learn, "VirtualFree function", "VirtualAlloc function": "Memory allocated by
//! this function is automatically initialized to zero".

use crate::base::{FRAME_BYTES, PhysAddr, Principal};

use super::{Evidence, Findings, Invariant, Kinds, Root};

pub(super) struct FreedFrames;

fn look(evidence: &Evidence<'_>, root: Root, findings: &mut Findings) {
    for leaf in evidence.user_leaves(root.at) {
        for offset in leaf.frames(&evidence.machine.memory) {
            let phys = PhysAddr::truncated(leaf.phys + offset);
            if evidence.authority.region_at(phys).is_free() {
                findings.add(
                    Some(Principal::KERNEL),
                    Some(root.owner),
                    phys.raw(),
                    leaf.virt,
                    || {
                        format!(
                            "{} has {:#x} mapped to memory that nobody has",
                            evidence.authority.roster().name(root.owner),
                            leaf.virt + offset,
                        )
                    },
                );
                break;
            }
        }
    }
}

impl Invariant for FreedFrames {
    fn name(&self) -> &'static str {
        "freed-frames-are-forgotten"
    }

    fn sentence(&self) -> &'static str {
        "No root maps a frame that nobody has, and a frame handed out holds nothing of before."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"VirtualAlloc function\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::RETURNING.with(Kinds::RESIDUE)
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.returning_roots() {
            look(evidence, root, findings);
        }
        for residue in evidence.residues() {
            let memory = &evidence.machine.memory;
            let mut words =
                (0..residue.words).map(|word| PhysAddr::truncated(residue.phys + word * 8));
            if residue.words * 8 >= FRAME_BYTES && words.any(|at| memory.read(at) != 0) {
                let roster = evidence.authority.roster();
                findings.add(Some(Principal::KERNEL), Some(residue.from), residue.phys, 0, || {
                    format!(
                        "{} was given a frame that was not cleared of the content of {}",
                        roster.name(residue.to),
                        roster.name(residue.from),
                    )
                });
            }
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.all_roots() {
            look(evidence, root, findings);
        }
    }
}
