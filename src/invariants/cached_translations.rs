//! No translation that a processor may still use permits what the books do not.
//!
//! Tables that are right are not enough: a processor may keep using a translation until it is told to
//! drop it. Every member of the set of translations that it *may* hold counts, whether or not this
//! run's cache has it. A withdrawal binds when its operation returns or when the memory is handed to
//! somebody else, whichever is first.
//!
//! Where translations are tagged, the tag is the number of the process, and what a process left
//! behind on a processor counts although another one runs there now.
//!
//! Not checked here: kernel-mode translations.
//!
//! Source: Linux eb66ae030829, "mremap: properly flush TLB before releasing the page"
//! (CVE-2018-18281); Intel SDM volume 3A, "Details of TLB Use".

use crate::base::{Access, EventKind, Frame, PhysAddr, Principal, Structure};
use crate::machine::ProcessorState;
use crate::machine::paging::x86_64::{ControlFlags, Rights};
use crate::machine::tlb::{Withdrawn, WithdrawnKind};

use super::{Evidence, Findings, Invariant, Kinds};

/// Words of a frame.
const FRAME_WORDS: u64 = 512;

pub(super) struct CachedTranslations;

/// Whose translation it is: by its tag, or of whoever runs.
fn holder(state: &ProcessorState, member: &Withdrawn) -> Principal {
    if state.controls.flags.has(ControlFlags::PCIDE) {
        return Principal((member.pcid & 63) as u8);
    }
    state.registers.context
}

/// The first frame that a member permits user mode to reach and the books do not.
fn excess(evidence: &Evidence<'_>, state: &ProcessorState, member: &Withdrawn) -> Option<PhysAddr> {
    if !member.rights.has(Rights::USER) {
        return None;
    }
    let process = holder(state, member);
    if let WithdrawnKind::Table(_) = member.kind {
        let at = member.frame.start();
        return (evidence.authority.structure_of(at) != Structure::PageTable).then_some(at);
    }
    let is_writable = member.rights.has(Rights::WRITABLE);
    let access = if is_writable { Access::Write } else { Access::Read };
    (0..member.pages)
        .map(|page| Frame(member.frame.0 + page).start())
        .find(|phys| !evidence.authority.may_reach(process, *phys, access))
}

fn look(evidence: &Evidence<'_>, concerns: impl Fn(Frame) -> bool, findings: &mut Findings) {
    for (number, state) in evidence.machine.processors.iter().enumerate() {
        for member in state.may_hold.members() {
            let Some(phys) = excess(evidence, state, member) else { continue };
            if !concerns(phys.frame()) {
                continue;
            }
            let (authority, context) = (evidence.authority, holder(state, member));
            let victim = authority.owner_of(phys);
            findings.add(Some(context), victim, phys.raw(), member.first.start().0, || {
                format!(
                    "processor {number} may still translate page {:#x} of {} to {:#x}, {}",
                    member.first.0,
                    authority.roster().name(context),
                    phys.raw(),
                    authority.structure_of(phys),
                )
            });
        }
    }
}

impl Invariant for CachedTranslations {
    fn name(&self) -> &'static str {
        "cached-translations-are-granted"
    }

    fn sentence(&self) -> &'static str {
        "No translation that a processor may still use permits what was withdrawn."
    }

    fn source(&self) -> &'static str {
        "CVE-2018-18281"
    }

    fn kinds(&self) -> Kinds {
        Kinds::BOUND.with(Kinds::of(&[EventKind::Grant]))
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let is_granted = |frame: Frame| {
            evidence.record.events().iter().any(|event| {
                event.kind == EventKind::Grant
                    && event.value >= FRAME_WORDS
                    && PhysAddr::truncated(event.phys).frame() == frame
            })
        };
        let is_withdrawn = |frame: Frame| {
            evidence.bound().iter().any(|withdrawal| {
                let first = withdrawal.phys / 4096;
                let last = (withdrawal.phys + withdrawal.words * 8 - 1) / 4096;
                (first..=last).contains(&frame.0)
            })
        };
        look(evidence, |frame| is_withdrawn(frame) || is_granted(frame), findings);
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        look(evidence, |_| true, findings);
    }
}
