//! Nobody reads what it may not.
//!
//! Four ways are watched: a load or fetch at ring 3 of a word that is not the process's, shared with
//! it, or code it may run; a copy by kernel mode into a process's memory of bytes that the process
//! may not read, among them what a buffer held before it was handed out; memory handed to a
//! process with another's content still in it; and what a device takes out of memory that was not open
//! to it.
//!
//! Not checked here: what can be learnt from timing, and what drivers write into buffers.
//!
//! Source: Microsoft Learn, "Virtual address spaces"; for stale content, "Failure to Initialize
//! Output Buffers".

use crate::base::{EventKind, PhysAddr, PrincipalKind, Ring, counted};

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct Disclosures;

impl Invariant for Disclosures {
    fn name(&self) -> &'static str {
        "nobody-reads-what-it-may-not"
    }

    fn sentence(&self) -> &'static str {
        "No byte reaches a process or a device that may not read it."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Virtual address spaces\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::TRESPASS.with(Kinds::DISCLOSURE).with(Kinds::RESIDUE)
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for trespass in evidence.trespasses() {
            let event = &trespass.event;
            let is_read =
                matches!(event.kind, EventKind::Step | EventKind::Load | EventKind::LoadRun);
            if is_read && trespass.ring == Some(Ring::User) {
                findings.add(Some(event.actor), trespass.owner, event.phys, event.virt, || {
                    format!(
                        "{} read {} of {} through {:#x}",
                        roster.name(event.actor),
                        trespass.structure,
                        trespass.owner.map_or("nobody", |owner| roster.name(owner)),
                        event.virt,
                    )
                });
            }
        }
        for disclosure in evidence.disclosures() {
            let (actor, receiver) = (disclosure.actor, disclosure.receiver);
            // What user mode read was told above.
            if disclosure.is_read() && roster.kind(actor) != PrincipalKind::Device {
                continue;
            }
            findings.add(Some(actor), disclosure.owner, disclosure.source, 0, || {
                let (who, what) = (roster.name(actor), disclosure.structure);
                match disclosure.owner.filter(|_| disclosure.is_read()) {
                    Some(owner) => format!("{who} has {what} of {}", roster.name(owner)),
                    None if disclosure.is_read() => format!("{who} has what was left in {what}"),
                    None => {
                        let (from, to) = (disclosure.source, roster.name(receiver));
                        format!("{who} copied {what} at {from:#x} to {to}")
                    }
                }
            });
        }
        for residue in evidence.residues() {
            let words = (0..residue.words).map(|word| residue.phys + word * 8);
            let left =
                words.filter(|at| evidence.machine.memory.read(PhysAddr::truncated(*at)) != 0);
            let left = left.count();
            if left > 0 {
                findings.add(None, Some(residue.from), residue.phys, 0, || {
                    format!(
                        "{} was given {} with the content of {}",
                        roster.name(residue.to),
                        counted(left as u64, "word"),
                        roster.name(residue.from),
                    )
                });
            }
        }
    }
}
