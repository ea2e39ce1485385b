//! What a call leaves in the register that names the root.

use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::{Format, Rule};
use crate::conformance::memory::{Memory, Misuse};

/// What is wrong with it when a call has returned. Within a call another root may be loaded.
pub(super) fn misused(memory: &Memory, format: &dyn Format) -> Option<Breach> {
    let (check, kind, what, rule) = match memory.take_misuse()? {
        Misuse::Reserved(value) => (
            Check::Totality,
            "reserved bits are moved to CR3",
            format!(
                "moves {value:#x} to CR3, where bits 60-52 are reserved, and bit 63 unless CR4.PCIDE is 1: the \
                 processor raises a general protection"
            ),
            "Intel SDM volume 2B, \"MOV—Move to/from Control Registers\"",
        ),
        Misuse::Foreign(value) => (
            Check::Isolation,
            "another root is left in CR3",
            format!(
                "returns with {value:#x} in CR3, which does not name its root: every page is another"
            ),
            format.rule(Rule::Translation),
        ),
    };
    Some(Breach { check, kind: kind.to_owned(), what, virt: None, rule })
}
