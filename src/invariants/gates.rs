//! The mode changes only at gates.
//!
//! From user to kernel mode there are two ways, `syscall` and the gates of the interrupt descriptor
//! table, and back two instructions. A processor found in a mode that none of them led to has been
//! given privilege by other means; and `syscall` leads to one place.
//!
//! Not checked here: where a gate leads, which is data that a kernel-mode fault can change.
//!
//! Source: Intel SDM volume 3A, "Fast System Calls in 64-Bit Mode", "Privilege Level Checking When
//! Transferring Program Control".

use crate::base::{Event, EventKind};

use super::{Evidence, Findings, Invariant, Kinds, Scope};

pub(super) struct Gates;

impl Invariant for Gates {
    fn name(&self) -> &'static str {
        "mode-changes-only-at-gates"
    }

    fn sentence(&self) -> &'static str {
        "A processor's privilege changes only through a gate, `syscall` and their returns."
    }

    fn source(&self) -> &'static str {
        "Intel SDM volume 3A, \"Privilege Level Checking When Transferring Program Control\""
    }

    fn scope(&self) -> Scope {
        Scope::Always
    }

    fn kinds(&self) -> Kinds {
        Kinds::MODE_MISMATCH.with(Kinds::of(&[EventKind::ModeSwitch]))
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        self.scan(evidence, findings);
        for event in evidence.record.events() {
            let is_syscall = event.kind == EventKind::ModeSwitch
                && event.value == 0
                && event.old == Event::BY_SYSCALL;
            let Some(state) = evidence.machine.processors.get(usize::from(event.processor)) else {
                continue;
            };
            let rip = state.registers.rip;
            if is_syscall && rip != evidence.map.syscall_entry {
                findings.add(Some(event.actor), None, 0, rip, || {
                    format!("`syscall` on processor {} led to {rip:#x}", event.processor)
                });
            }
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for (number, state) in evidence.machine.processors.iter().enumerate() {
            let told = evidence.record.ring(number);
            if state.registers.ring != told {
                findings.add(Some(state.registers.actor), None, 0, state.registers.rip, || {
                    format!(
                        "processor {number} is in {} mode and was last switched to {} mode",
                        state.registers.ring.name(),
                        told.name(),
                    )
                });
            }
        }
    }
}
