//! The two walkers agree.
//!
//! The machine's translation is fast and shared by everything; a second one was written from the
//! sentences of the manual. Whenever a processor walks its tables and marks an entry, or raises a page
//! fault, both are asked about that access and must say the same, to the last bit of the error code;
//! and a page fault that was raised is the one that the manual raises.
//!
//! Not checked here: walks that set no mark and fault nowhere; what was raised in a step in which a
//! fault struck, since that may have changed the tables after the walk.
//!
//! Source: Intel SDM volume 3A, chapter "Paging"; AMD64 Architecture Programmer's Manual volume 2,
//! "Long-Mode Page Translation".

use crate::base::{Access, Event, EventKind, Ring, VirtAddr};
use crate::machine::memory::Memory;
use crate::machine::paging::x86_64::{Controls, Request};
use crate::machine::trap::Trap;
use crate::oracles::{self, by_the_book::Answer};

use super::decode::DIRTY;
use super::{Evidence, Findings, Invariant, Kinds, Scope};

/// Bits of a page fault's error code.
const WRITE: u64 = 2;
const USER: u64 = 4;
const FETCH: u64 = 16;

/// Asks two walkers about one access.
pub(super) type Compare =
    fn(&Memory, &Controls, &Request) -> Result<Answer, Box<oracles::Disagreement>>;

pub(super) struct Walkers {
    pub(super) compare: Compare,
}

impl Walkers {
    /// The machine's against the manual's.
    pub(super) const NEW: Self = Self { compare: oracles::compare };
}

/// The access that marked an entry or raised a page fault, as far as the event tells it.
fn request(evidence: &Evidence<'_>, event: &Event) -> Request {
    let virt = VirtAddr(event.virt);
    if event.kind == EventKind::TableMark {
        let dirtied = event.value & !event.old & DIRTY != 0;
        let access = if dirtied { Access::Write } else { Access::Read };
        return Request::new(virt, access, evidence.record.ring(usize::from(event.processor)));
    }
    let access = match event.value {
        code if code & FETCH != 0 => Access::Execute,
        code if code & WRITE != 0 => Access::Write,
        _ => Access::Read,
    };
    let ring = if event.value & USER != 0 { Ring::User } else { Ring::Kernel };
    Request::new(virt, access, ring)
}

impl Invariant for Walkers {
    fn name(&self) -> &'static str {
        "the-two-walkers-agree"
    }

    fn sentence(&self) -> &'static str {
        "The machine translates as the manual's words say."
    }

    fn source(&self) -> &'static str {
        "Intel SDM volume 3A, chapter \"Paging\""
    }

    fn scope(&self) -> Scope {
        Scope::Always
    }

    fn kinds(&self) -> Kinds {
        Kinds::of(&[EventKind::TableMark, EventKind::Exception])
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let is_struck =
            evidence.record.events().iter().any(|event| event.kind == EventKind::Strike);
        for event in evidence.record.events() {
            let is_page_fault = event.kind == EventKind::Exception
                && event.value >> 32 == u64::from(Trap::PAGE_FAULT);
            if event.kind != EventKind::TableMark && !is_page_fault {
                continue;
            }
            let processor = usize::from(event.processor);
            let Some(state) = evidence.machine.processors.get(processor) else { continue };
            let request = request(evidence, event);
            let answers = (self.compare)(&evidence.machine.memory, &state.controls, &request);
            match answers {
                Err(disagreement) => {
                    findings.add(None, None, 0, event.virt, || disagreement.to_string());
                }
                Ok(answer) if is_page_fault && !is_struck => {
                    let raised = Answer::PageFault((event.value & 0xffff_ffff) as u32);
                    if raised != answer {
                        findings.add(None, None, 0, event.virt, || {
                            format!("raised {}; the manual says {}", told(&raised), told(&answer))
                        });
                    }
                }
                Ok(_) => {}
            }
        }
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Translated(found) => format!("physical {:#x}", found.address.raw()),
        Answer::PageFault(code) => format!("a page fault with error code {code:#x}"),
        Answer::GeneralProtection => "a general protection exception".to_owned(),
    }
}
