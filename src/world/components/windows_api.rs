//! The Windows API as far as the model needs it: the one way from user mode into the kernel.
//!
//! In the picture of "User mode and kernel mode" applications and user-mode drivers reach the system
//! only through it. It is mapped read-only into every process.

use crate::base::Rule;
use crate::machine::{Flow, Routine, routine};

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "api-is-the-way",
        "Applications and user-mode drivers reach the system through the Windows API only.",
        "User mode and kernel mode",
    ),
    Rule::chosen(
        "api-read-only",
        "The API's code is one page for all processes, which none of them may write.",
        "this model: Windows maps its libraries copy-on-write",
    ),
];

/// The routines of the image.
pub const ROUTINES: &[&Routine] = &[&API_CALL];

routine! {
    /// Asks for a system service: its number in rax, its arguments in their registers. Results: the
    /// status in rax, what else it gives in rdx.
    pub static API_CALL = "NtApiCall", frame 0;
    enter => |p| {
        // Said at ring 3, before the kernel knows of it: what is asked for, and where an answer goes.
        p.request();
        Ok(Flow::Syscall)
    },
    done => |_| Ok(Flow::Return),
}
