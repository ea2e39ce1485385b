//! Fast fails of kernel mode: for which reason the machine is stopped.
//!
//! A fast fail tells its reason in rcx ("__fastfail"). Those that code of this crate gives have a row each; any
//! other is a driver's of one's own.

use crate::kernel::bug_check::{BugCheck, bug_checks};

bug_checks! {
    COOKIE_CHANGED: KERNEL_SECURITY_CHECK_FAILURE, parameter 1 = 2,
    when "a routine of kernel mode finds its stack's cookie changed before it returns",
    parameters "what: stack cookie changed", "trap frame", "exception record", "reserved",
    source "Bug Check 0x139: KERNEL_SECURITY_CHECK_FAILURE" documented;

    ABORTED: KERNEL_SECURITY_CHECK_FAILURE, parameter 1 = 7,
    when "kernel mode ends itself, as abort does",
    parameters "what: abort", "trap frame", "exception record", "reserved",
    source "Bug Check 0x139: KERNEL_SECURITY_CHECK_FAILURE" documented;

    NOT_THE_SHADOW_S: KERNEL_SECURITY_CHECK_FAILURE, parameter 1 = 0x39,
    when "kernel mode returns to an address that its shadow stack doesn't have",
    parameters "what: return address not the shadow's", "trap frame", "exception record", "reserved",
    source "Bug Check 0x139: KERNEL_SECURITY_CHECK_FAILURE (0x39 is winnt.h's)" chosen;

    FAST_FAIL: KERNEL_SECURITY_CHECK_FAILURE,
    when "kernel code of one's own fails fast (int 29h); parameter 1 is what it has in rcx",
    parameters "reason", "trap frame", "exception record", "reserved",
    source "Bug Check 0x139: KERNEL_SECURITY_CHECK_FAILURE" documented;
}

/// The row of a fast fail for this reason.
pub(super) fn row(reason: u64) -> &'static BugCheck {
    let told_apart = [&COOKIE_CHANGED, &ABORTED, &NOT_THE_SHADOW_S];
    let row = told_apart.into_iter().find(|row| row.subtype == Some((1, reason)));
    row.unwrap_or(&FAST_FAIL)
}
