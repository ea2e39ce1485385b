//! Kernel mode never runs on a user stack.
//!
//! What kernel mode pushes where user mode can write is user mode's to change: return addresses and
//! saved registers. `syscall` does not change the stack by itself, so the kernel must before it
//! pushes; gates take the stack from the task-state segment.
//!
//! Not checked here: which of the kernel's stacks it is.
//!
//! Source: Intel SDM volume 3A, "Fast System Calls in 64-Bit Mode": software "should not" use the
//! caller's stack; "Stack Switching in 64-Bit Mode".

use crate::base::{Event, EventKind, VirtAddr};

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct KernelStack;

impl Invariant for KernelStack {
    fn name(&self) -> &'static str {
        "kernel-mode-never-runs-on-a-user-stack"
    }

    fn sentence(&self) -> &'static str {
        "Nothing is pushed at ring 0, and no gate entered, on a stack in the user half."
    }

    fn source(&self) -> &'static str {
        "Intel SDM volume 3A, \"Fast System Calls in 64-Bit Mode\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::SUSPECT.with(Kinds::of(&[EventKind::ModeSwitch]))
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let pushes = evidence.record.suspects().iter();
        let pushes = pushes.filter(|event| event.kind == EventKind::KernelPush);
        let gates = evidence.record.events().iter().filter(|event| {
            event.kind == EventKind::ModeSwitch && event.value == 0 && event.old == Event::BY_GATE
        });
        for event in pushes.chain(gates) {
            if !VirtAddr(event.virt).is_system() {
                // One place for all: a stack is many addresses.
                findings.add(Some(event.actor), Some(event.context), 0, 0, || {
                    format!(
                        "processor {} has its kernel stack at {:#x}",
                        event.processor, event.virt
                    )
                });
            }
        }
    }
}
