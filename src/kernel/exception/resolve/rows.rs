//! The bug checks that the decision ends in: when each is raised, with which parameters, by whose word.

use crate::kernel::bug_check::bug_checks;

bug_checks! {
    RAISED_IN_WINDOWS: IRQL_NOT_LESS_OR_EQUAL,
    when "at dispatch level or above Windows's own code touches memory that is not there or not allowed",
    parameters "referenced", "level", "access", "by the code at",
    source "Bug Check 0x0A: IRQL_NOT_LESS_OR_EQUAL" inferred;

    TABLE_CORRUPT: MEMORY_MANAGEMENT, parameter 1 = 0x41792,
    when "a page-table entry on the way to a system address has reserved bits set",
    parameters "what: reserved bits in an entry", "entry at", "entry", "reserved",
    source "Bug Check 0x1A: MEMORY_MANAGEMENT" inferred;

    UNHANDLED: KMODE_EXCEPTION_NOT_HANDLED,
    when "nobody handles an exception of kernel mode outside system services and system threads",
    parameters "exception", "at", "access", "referenced",
    source "Bug Check 0x1E: KMODE_EXCEPTION_NOT_HANDLED (excludes no path)" inferred;

    IN_SYSTEM_SERVICE: SYSTEM_SERVICE_EXCEPTION,
    when "nobody handles an exception in a system service",
    parameters "exception", "at", "context record", "reserved",
    source "Bug Check 0x3B: SYSTEM_SERVICE_EXCEPTION" documented;

    FREED: PAGE_FAULT_IN_NONPAGED_AREA, parameter 4 = 0,
    when "a system address is referenced whose entry was freed: it is absent and not empty",
    parameters "referenced", "access", "by the code at", "why: entry was freed",
    source "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA" documented;

    NO_TABLE: PAGE_FAULT_IN_NONPAGED_AREA, parameter 4 = 2,
    when "a system address is referenced that has no table, or an entry that was never used",
    parameters "referenced", "access", "by the code at", "why: no valid table or entry",
    source "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA" documented;

    IN_THE_HOLE: PAGE_FAULT_IN_NONPAGED_AREA, parameter 4 = 4,
    when "kernel mode references an address that is not canonical (older kernels: 0x1E, 0x3B or 0x7E)",
    parameters "referenced", "access", "by the code at", "why: not canonical",
    source "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA (not how the general protection becomes one)" inferred;

    USER_NOT_ALLOWED: PAGE_FAULT_IN_NONPAGED_AREA, parameter 4 = 0xf,
    when "kernel mode is refused a page that is there, as SMAP refuses one with the user bit in either half",
    parameters "referenced", "access", "by the code at", "why: not allowed",
    source "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA (doesn't name what forbids it)" inferred;

    IN_SYSTEM_THREAD: SYSTEM_THREAD_EXCEPTION_NOT_HANDLED,
    when "nobody handles an exception in a system thread",
    parameters "exception", "at", "exception record", "context record",
    source "Bug Check 0x7E: SYSTEM_THREAD_EXCEPTION_NOT_HANDLED" documented;

    DOUBLE_FAULT: UNEXPECTED_KERNEL_MODE_TRAP, parameter 1 = 8,
    when "an exception cannot be delivered, as when the kernel's stack has run over",
    parameters "trap: double fault", "reserved", "reserved", "reserved",
    source "Bug Check 0x7F: UNEXPECTED_KERNEL_MODE_TRAP" documented;

    READ_ONLY: ATTEMPTED_WRITE_TO_READONLY_MEMORY,
    when "kernel mode writes to a system page that is read-only",
    parameters "written", "entry", "reserved", "reserved",
    source "Bug Check 0xBE: ATTEMPTED_WRITE_TO_READONLY_MEMORY" documented;

    REFUSED_BY_KEY: ATTEMPTED_WRITE_TO_READONLY_MEMORY,
    when "kernel mode writes to a system page that may be written, but not by its protection key",
    parameters "written", "entry", "reserved", "reserved",
    source "Bug Check 0xBE: ATTEMPTED_WRITE_TO_READONLY_MEMORY (no page knows keys of system pages)" chosen;

    IN_POOL_CODE: DRIVER_CORRUPTED_EXPOOL,
    when "at dispatch level or above the pool's code follows what is no pool",
    parameters "referenced", "level", "access", "by the code at",
    source "Bug Check 0xC5: DRIVER_CORRUPTED_EXPOOL (not whose code faulted)" inferred;

    RAISED_IN_DRIVER: DRIVER_IRQL_NOT_LESS_OR_EQUAL,
    when "at dispatch level or above a driver's code touches memory that is not there or not allowed",
    parameters "referenced", "level", "access", "by the code at",
    source "Bug Check 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL" inferred;

    EXECUTED: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY,
    when "kernel mode executes a page that is there and may not be executed",
    parameters "executed", "entry", "reserved", "reserved",
    source "Bug Check 0xFC: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY" documented;

    EXECUTED_USER: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY,
    when "kernel mode executes a user page while SMEP forbids it",
    parameters "executed", "entry", "reserved", "reserved",
    source "Bug Check 0xFC: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY (doesn't name SMEP)" inferred;

    SECOND_LEVEL_EXECUTE: SECURE_FAULT_UNHANDLED, parameter 1 = 1,
    when "a frame is executed that the second level of permissions closes to execution",
    parameters "what: execution refused", "referenced", "exception record", "context record",
    source "Bug Check 0x18D: SECURE_FAULT_UNHANDLED" inferred;

    SECOND_LEVEL_READ: SECURE_FAULT_UNHANDLED, parameter 1 = 2,
    when "a frame is read that the second level of permissions closes to reads (no switch does)",
    parameters "what: read refused", "referenced", "exception record", "context record",
    source "Bug Check 0x18D: SECURE_FAULT_UNHANDLED" inferred;

    SECOND_LEVEL_WRITE: SECURE_FAULT_UNHANDLED, parameter 1 = 4,
    when "a frame is written that the second level of permissions closes to writes",
    parameters "what: write refused", "referenced", "exception record", "context record",
    source "Bug Check 0x18D: SECURE_FAULT_UNHANDLED" inferred;
}
