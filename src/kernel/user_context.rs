//! A thread says where it goes on in user mode.
//!
//! The saved context of the system call is replaced, so that the way back leads elsewhere
//! ("NtContinue", "SetThreadContext"). The way back is `sysret`, which on Intel processors raises
//! general protection in ring 0 when it is to lead to an address that is not canonical, with the
//! user's stack and GS loaded already: kernels that did not look at the address first ran their
//! handler on both ("CVE-2012-0217", Microsoft Security Bulletin MS12-042).

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Reg, routine};

use super::exception::resolve::{AddressClass, class_of};
use super::layout::switches;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "return-address-unchecked",
        "Before MS12-042 the address to return to was not compared with the hole.",
        "NIST National Vulnerability Database, CVE-2012-0217",
    ),
    Rule::inferred(
        "user-breakpoints",
        "A thread can set a data breakpoint in the user half by a context of debug registers.",
        "CONTEXT structure; Peterson and Nemes, POP SS/MOV SS Vulnerability, 2018",
    ),
    Rule::inferred(
        "return-address-checked",
        "Since then an address in the hole is refused; whether by a status is in no page.",
        "Microsoft Security Bulletin MS12-042",
    ),
];

/// Bytes from the frame pointer of a service to what `syscall`'s entry saved: the stack pointer and the
/// address to go back to.
const SAVED_STACK: u64 = 24;
const SAVED_ADDRESS: u64 = 40;

routine! {
    /// Service: the thread goes on elsewhere. Arguments: the address, the stack pointer, the address of a
    /// data breakpoint. A context with a breakpoint holds debug registers only, and the thread goes on
    /// where it was.
    pub static NT_CONTINUE = "NtContinue", frame 0;
    replace => |p| {
        let (target, stack, breakpoint) = (p.argument(0), p.argument(1), p.argument(2));
        if breakpoint != 0 {
            if class_of(breakpoint) != AddressClass::User {
                return Ok(answer(p, status::INVALID_PARAMETER, 0));
            }
            p.set_breakpoint(breakpoint)?;
            return Ok(answer(p, status::SUCCESS, 0));
        }
        let is_checked =
            configured(p)? & switches::RETURN_UNCHECKED == 0;
        if class_of(target) == AddressClass::System
            || is_checked && class_of(target) == AddressClass::NonCanonical
        {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let frame = p.get(Reg::Rbp);
        p.store_at(frame.wrapping_add(SAVED_ADDRESS), Structure::KernelStack, target)?;
        p.store_at(frame.wrapping_add(SAVED_STACK), Structure::KernelStack, stack)?;
        Ok(answer(p, status::SUCCESS, 0))
    },
}
