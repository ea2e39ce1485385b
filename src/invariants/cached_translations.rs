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
//! Kernel mode may reach what is the kernel's. A supervisor translation is one too many as soon as what it
//! leads to is nobody's or a process's and the system's tables don't lead there either: memory that was taken
//! out of the system's half, under a translation that nobody was told to drop. (What a processor remembers
//! under another root's identifier is no more than that root grants, and all share the system's half.) Where
//! a table was, whose entry a processor may remember, there must be one still, whoever may use it.
//!
//! Exempt: what a processor remembers of another one's window (a page of the system's half through
//! which one processor looks at frames that are mapped nowhere), and of its own under an identifier. Only
//! the processor whose window it is looks through it, having changed it under the identifier that is loaded.
//!
//! Not checked here: a supervisor translation that permits writing where the entry no longer does, since the
//! books know who has memory and not how kernel mode has it mapped; one of the user half, where an entry lost
//! its user bit; and a processor's own window, where its change was not followed by an invalidation under an
//! identifier.
//!
//! Source: Linux eb66ae030829, "mremap: properly flush TLB before releasing the page"
//! (CVE-2018-18281); Intel SDM volume 3A, "Details of TLB Use".

use crate::base::{Access, EventKind, Frame, Page, PhysAddr, Principal, Structure, VirtAddr};
use crate::machine::ProcessorState;
use crate::machine::paging::x86_64::{ControlFlags, Rights};
use crate::machine::tlb::{Withdrawn, WithdrawnKind};

use super::{Evidence, Findings, Invariant, Kinds, decode};

/// Words of a frame.
const FRAME_WORDS: u64 = 512;

pub(super) struct CachedTranslations;

/// Whose translation it is: the kernel's, or by its tag, or of whoever runs.
fn holder(state: &ProcessorState, member: &Withdrawn) -> Principal {
    if !member.rights.has(Rights::USER) {
        return Principal::KERNEL;
    }
    if state.controls.flags.has(ControlFlags::PCIDE) {
        return Principal((member.pcid & 63) as u8);
    }
    state.registers.context
}

/// Whether a page is a window that nobody looks through by this member: another processor's, or the own
/// under an identifier of translations, since a window is looked through under the one it was changed under.
fn is_idle_window(evidence: &Evidence<'_>, number: usize, member: &Withdrawn, page: u64) -> bool {
    let first = VirtAddr(evidence.map.windows).page().0;
    let window = page.wrapping_sub(first);
    let processors = &evidence.machine.processors;
    let is_tagged = processors[number].controls.flags.has(ControlFlags::PCIDE) && !member.global;
    window < processors.len() as u64 && (window != number as u64 || is_tagged)
}

/// Whether what is at an address is out of the system's half: nobody's, or a process's.
fn is_given_up(evidence: &Evidence<'_>, phys: PhysAddr) -> bool {
    let roster = evidence.authority.roster();
    evidence.authority.owner_of(phys).is_none_or(|owner| roster.kind(owner).is_process())
}

/// The first frame that a member of a processor's permits to reach and the books do not.
fn excess(evidence: &Evidence<'_>, number: usize, member: &Withdrawn) -> Option<PhysAddr> {
    if let WithdrawnKind::Table(_) = member.kind {
        let at = member.frame.start();
        return (evidence.authority.structure_of(at) != Structure::PageTable).then_some(at);
    }
    let frame_of = |page: u64| Frame(member.frame.0 + page).start();
    if !member.rights.has(Rights::USER) {
        if !member.first.start().is_system() {
            return None;
        }
        let is_used = |page: &u64| !is_idle_window(evidence, number, member, member.first.0 + page);
        let is_withdrawn = |page: &u64| {
            let (memory, root) = (&evidence.machine.memory, evidence.map.system_root);
            let virt = Page(member.first.0 + page).start();
            decode::locate(memory, root, virt.0) != Some(frame_of(*page).raw())
        };
        let mut pages = (0..member.pages).filter(is_used);
        let given_up =
            pages.find(|page| is_given_up(evidence, frame_of(*page)) && is_withdrawn(page));
        return given_up.map(frame_of);
    }
    let process = holder(&evidence.machine.processors[number], member);
    let is_writable = member.rights.has(Rights::WRITABLE);
    let access = if is_writable { Access::Write } else { Access::Read };
    (0..member.pages)
        .map(frame_of)
        .find(|phys| !evidence.authority.may_reach(process, *phys, access))
}

fn look(evidence: &Evidence<'_>, concerns: impl Fn(Frame) -> bool, findings: &mut Findings) {
    for (number, state) in evidence.machine.processors.iter().enumerate() {
        for member in state.may_hold.members() {
            let Some(phys) = excess(evidence, number, member) else { continue };
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
